#include "gateway/stream_server.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "transport/engine/handed_socket.h"

namespace tern {

/// A client whose TLS handshake is under way.
class StreamServer::Handshake final : public tcp::StreamSink {
 public:
  explicit Handshake(StreamServer& server) noexcept : server_(server) {}

  std::unique_ptr<tls::SecureStream> stream;
  std::size_t index = 0;

 private:
  void connected(tcp::Stream&) override { server_.handshake_done(*this); }
  void receive(tcp::Stream&, MutableBytes) override {}  // not before `connected`
  void end_of_stream(tcp::Stream&) override {
    server_.handshake_failed(*this, Error(Code::closed, "the client left", Origin::remote));
  }
  void failed(tcp::Stream&, const Error& error) override { server_.handshake_failed(*this, error); }

  StreamServer& server_;
};

namespace {

/// People type "localhost:4433", and browsers put http:// before it.
constexpr std::string_view kUseHttps =
    "HTTP/1.1 400 Bad Request\r\n"
    "content-type: text/plain; charset=utf-8\r\n"
    "content-length: 66\r\n"
    "connection: close\r\n"
    "\r\n"
    "This is the port for https://, and the request came without TLS.\r\n";

tcp::ListenOptions listen_options() {
  tcp::ListenOptions options;
  // Tunnels may be silent for long; whether the client is still there is for TCP to find out.
  options.stream.keep_alive(tcp::KeepAlive());
  return options;
}

}  // namespace

StreamServer::StreamServer(Runtime& runtime, tcp::Network& network,
                           fallback::SessionOptions options, http::ServerHooks hooks)
    : runtime_(runtime),
      network_(network),
      sessions_(runtime, std::move(options), std::move(hooks)),
      late_(runtime.timers(), [this](Timestamp) { sessions_.drain_all(); }),
      open_(runtime.counters().at("server.tcp.open")),
      accepted_(runtime.counters().at("server.tcp.accepted")),
      refused_(runtime.counters().at("server.tcp.refused")),
      tls_complete_(runtime.counters().at("server.tls.handshakes")),
      tls_resumed_(runtime.counters().at("server.tls.resumed")),
      tls_failed_(runtime.counters().at("server.tls.failed")) {}

StreamServer::~StreamServer() = default;

Result<udp::Address> StreamServer::listen(const udp::Address& address, const tcp::ReusePort& group,
                                          bool cleartext) {
  tcp::ListenOptions options = listen_options();
  options.bind = address;
  options.reuse_port = group;
  return add(network_.listen(options, *this), cleartext);
}

Result<udp::Address> StreamServer::adopt(int descriptor, bool cleartext) {
  return add(engine::adopt(network_, descriptor, listen_options(), *this), cleartext);
}

Result<udp::Address> StreamServer::add(Result<std::unique_ptr<tcp::Listener>> listener,
                                       bool cleartext) {
  if (!listener) return fail(std::move(listener).error());
  const udp::Address local = (*listener)->local();
  listeners_.push_back({std::move(*listener), cleartext});
  return local;
}

bool StreamServer::listens(const udp::Address& local) const noexcept {
  return std::any_of(listeners_.begin(), listeners_.end(),
                     [&](const Listening& each) { return each.listener->local() == local; });
}

void StreamServer::stop_listening() { listeners_.clear(); }

void StreamServer::pause(const std::vector<udp::Address>& handed) {
  std::erase_if(listeners_, [&](const Listening& each) {
    return std::find(handed.begin(), handed.end(), each.listener->local()) == handed.end();
  });
  for (const Listening& each : listeners_) engine::pause(*each.listener);
}

void StreamServer::resume() {
  late_.disarm();
  for (const Listening& each : listeners_) engine::resume(*each.listener);
}

void StreamServer::leave() {
  sessions_.drain_all(false);
  // A client that was accepted before, and has its first request on the way, is served.
  late_.arm(runtime_.now() + kHandshakeLimit);
}

void StreamServer::drain() {
  stop_listening();
  handshakes_.clear();
  sessions_.drain_all();
}

void StreamServer::close() {
  stop_listening();
  handshakes_.clear();
  sessions_.close_all();
}

void StreamServer::accepted(tcp::Listener& listener, std::unique_ptr<tcp::Stream> stream) {
  if ((room && !room()) || handshakes_.size() >= kMaxHandshakes) {
    refused_.add();
    return;
  }
  accepted_.add();
  const auto found = std::find_if(listeners_.begin(), listeners_.end(), [&](const Listening& each) {
    return each.listener.get() == &listener;
  });
  if (found == listeners_.end()) return;
  if (found->cleartext) {
    sessions_.accept(std::move(stream), fallback::Protocol::sniffed);
    return;
  }
  auto handshake = std::make_unique<Handshake>(*this);
  auto secure =
      tls::SecureStream::server(runtime_, std::move(stream), context_, kHandshakeLimit, *handshake);
  if (!secure) {
    tls_failed_.add();
    return;
  }
  handshake->stream = std::move(*secure);
  handshake->stream->answer_to_plain_http(kUseHttps);
  handshake->index = handshakes_.size();
  handshakes_.push_back(std::move(handshake));
}

void StreamServer::accept_failed(tcp::Listener& listener, const Error& error) {
  runtime_.log().line(LogLevel::warning, fmt::format("cannot accept on {}: {}",
                                                     listener.local().to_string(), error.detail));
}

std::unique_ptr<tls::SecureStream> StreamServer::remove(Handshake& handshake) {
  auto stream = std::move(handshake.stream);
  const std::size_t index = handshake.index;
  handshakes_[index].swap(handshakes_.back());
  handshakes_[index]->index = index;
  handshakes_.pop_back();
  return stream;
}

void StreamServer::handshake_done(Handshake& handshake) {
  auto stream = remove(handshake);
  tls_complete_.add();
  if (stream->handshake().resumed) tls_resumed_.add();
  const bool http2 = stream->handshake().alpn == "h2";
  sessions_.accept(std::move(stream),
                   http2 ? fallback::Protocol::http2 : fallback::Protocol::http1);
}

void StreamServer::handshake_failed(Handshake& handshake, const Error& error) {
  const auto stream = remove(handshake);
  tls_failed_.add();
  LogSink& log = runtime_.log();
  // Who connects and leaves, as whatever watches a port does, has broken no rule.
  const LogLevel level = error.is(Code::closed) ? LogLevel::debug : LogLevel::info;
  if (!log.enabled(level)) return;
  log.line(level, fmt::format("tls with {}: {}", stream->remote().to_string(), error.detail));
}

}  // namespace tern
