#include "http/fallback/tunnel.h"

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/timer_heap.h"
#include "http/fallback/http1_parser.h"
#include "http/message.h"

namespace tern::fallback {
namespace {

/// What is written before the tunnel stands.
constexpr std::size_t kMaxWaiting = 4 * 1024 * 1024;

class TunnelStream final : public tcp::Stream, private tcp::StreamSink, private TimerNode {
 public:
  TunnelStream(Runtime& runtime, TunnelRequest request, tcp::StreamSink& sink)
      : runtime_(runtime), request_(std::move(request)), sink_(&sink), parser_(false, limits_) {}
  ~TunnelStream() override {
    if (destroyed_ != nullptr) *destroyed_ = true;
  }
  Result<void> connect(const TunnelNetwork::Connect& to_proxy, const tcp::ConnectOptions& options) {
    TERN_TRY(inner_, to_proxy(options, *this));
    return {};
  }

  // ---- tcp::Stream
  const udp::Address& local() const noexcept override { return inner_->local(); }
  const udp::Address& remote() const noexcept override { return inner_->remote(); }
  bool secure() const noexcept override { return false; }  // not to the tunnel's other end
  void attach(tcp::StreamSink& sink) override { sink_ = &sink; }
  using tcp::Stream::write;
  Result<void> write(Bytes bytes) override { return write(std::span<Bytes>(&bytes, 1)); }
  Result<void> write(std::span<Bytes> pieces) override {
    if (over_ || finished_) return fail(Error::closed("the stream was finished"));
    if (stands_) return inner_->write(pieces);
    std::size_t size = waiting_size_;
    for (const Bytes& piece : pieces) size += piece.size();
    if (size > kMaxWaiting) return fail(Error::limit("too much waits for the proxy's answer"));
    waiting_size_ = size;
    for (Bytes& piece : pieces) waiting_.push_back(std::move(piece));
    return {};
  }
  std::size_t queued() const noexcept override { return inner_->queued() + waiting_size_; }
  std::size_t low_water() const noexcept override { return inner_->low_water(); }
  void finish() override {
    finished_ = true;
    if (stands_) inner_->finish();
  }
  void reset() override {
    over_ = true;
    inner_->reset();
  }
  void pause() override {
    paused_ = true;
    if (stands_) inner_->pause();
  }
  void resume() override {
    paused_ = false;
    if (!stands_ || over_) return;
    if (held_.empty()) {
      inner_->resume();
    } else {  // not from here: a sink hears nothing from inside a call
      runtime_.timers().arm(*this, runtime_.now());
    }
  }
  bool paused() const noexcept override { return paused_; }
  bool ended_cleanly() const noexcept override { return inner_->ended_cleanly(); }
  tcp::StreamInfo info() const override { return inner_->info(); }

 private:
  void connected(tcp::Stream&) override {
    std::string text =
        "CONNECT " + request_.authority + " HTTP/1.1\r\nhost: " + request_.authority + "\r\n";
    if (!request_.authorization.empty()) {
      text += "proxy-authorization: " + request_.authorization + "\r\n";
    }
    text += "\r\n";
    const Result<void> sent = inner_->write(Bytes::take(std::move(text)));
    if (!sent) give_up(sent.error());
  }

  void receive(tcp::Stream&, MutableBytes bytes) override {
    if (over_) return;
    if (stands_) return sink_->receive(*this, bytes);
    ByteView rest = bytes;
    while (!stands_) {
      switch (parser_.next(rest)) {
        case Http1Parser::Event::more: return;
        case Http1Parser::Event::failed:
          return give_up(
              Error(Code::invalid,
                    std::string("the proxy's answer is not HTTP/1.1: ") + parser_.failure().reason,
                    Origin::remote));
        case Http1Parser::Event::head: {
          const int status = parser_.head().status;
          if (status < 200) {
            if (status == 101 || ++interim_ > TunnelNetwork::kMaxInterim) {
              return give_up(Error(Code::invalid, "the proxy does not answer", Origin::remote));
            }
            continue;
          }
          if (status >= 300) return give_up(refusal(status));
          stands_ = true;
          break;
        }
        case Http1Parser::Event::body:
        case Http1Parser::Event::end: continue;
      }
    }
    // Before the sink writes what comes behind it.
    if (!waiting_.empty()) {
      std::vector<Bytes> waiting = std::exchange(waiting_, {});
      waiting_size_ = 0;
      const Result<void> sent = inner_->write(waiting);
      if (!sent) return give_up(sent.error());
    }
    if (finished_) inner_->finish();
    bool destroyed = false;
    destroyed_ = &destroyed;
    sink_->connected(*this);
    if (destroyed) return;
    destroyed_ = nullptr;
    if (over_) return;
    if (paused_) inner_->pause();
    if (rest.empty()) return;
    // What the other end said right behind the proxy's answer.
    if (!paused_) return sink_->receive(*this, bytes.last(rest.size()));
    held_.assign(rest.begin(), rest.end());
  }

  void expire(Timestamp) override {
    if (over_ || paused_) return;
    inner_->resume();
    std::vector<std::uint8_t> held = std::exchange(held_, {});
    sink_->receive(*this, held);
  }

  Error refusal(int status) const {
    const auto named = static_cast<http::Status>(status);
    std::string text =
        "the proxy refuses a tunnel to " + request_.authority + ": " + std::to_string(status);
    const std::string_view reason = http::reason(named);
    if (!reason.empty()) text.append(" ").append(reason);
    if (status == 407) {
      text += request_.authorization.empty()
                  ? "; it wants a user and a password (http://USER:PASSWORD@…)"
                  : "; it knows no such user, or another password";
    }
    return {Domain::http, static_cast<std::uint64_t>(status), std::move(text), Origin::remote};
  }

  void end_of_stream(tcp::Stream&) override {
    if (over_) return;
    if (stands_) return sink_->end_of_stream(*this);
    give_up(
        Error(Code::closed, "the proxy ended the connection without an answer", Origin::remote));
  }

  void writable(tcp::Stream&) override {
    if (!over_ && stands_) sink_->writable(*this);
  }

  void failed(tcp::Stream&, const Error& error) override {
    if (std::exchange(over_, true)) return;
    if (stands_) return sink_->failed(*this, error);
    Error told = error;
    told.detail = "the proxy: " + told.detail;
    sink_->failed(*this, told);
  }

  /// The last thing that is done: the sink may destroy the stream.
  void give_up(const Error& error) {
    over_ = true;
    inner_->reset();
    const Error told = error;
    sink_->failed(*this, told);
  }

  Runtime& runtime_;
  const TunnelRequest request_;
  const Http1Limits limits_;
  tcp::StreamSink* sink_;
  std::unique_ptr<tcp::Stream> inner_;
  Http1Parser parser_;
  int interim_ = 0;
  std::vector<Bytes> waiting_;  // for the tunnel
  std::size_t waiting_size_ = 0;
  std::vector<std::uint8_t> held_;  // came before it was resumed
  bool* destroyed_ = nullptr;
  bool stands_ = false;
  bool paused_ = false;
  bool finished_ = false;
  bool over_ = false;
};

}  // namespace

TunnelNetwork::TunnelNetwork(Runtime& runtime, Connect to_proxy, TunnelRequest request)
    : runtime_(runtime), to_proxy_(std::move(to_proxy)), request_(std::move(request)) {}

Result<std::unique_ptr<tcp::Listener>> TunnelNetwork::listen(const tcp::ListenOptions&,
                                                             tcp::ListenSink&) {
  return fail(Error(Code::unsupported, "nobody can be waited for behind a proxy"));
}

Result<std::unique_ptr<tcp::Stream>> TunnelNetwork::connect(const tcp::ConnectOptions& options,
                                                            tcp::StreamSink& sink) {
  auto stream = std::make_unique<TunnelStream>(runtime_, request_, sink);
  const Result<void> begun = stream->connect(to_proxy_, options);
  if (!begun) return fail(begun.error());
  return stream;
}

}  // namespace tern::fallback
