#include "tools/handoff/tcp_carrier.h"

#include <algorithm>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/runtime.h"
#include "base/timer_heap.h"
#include "tools/handoff/body.h"
#include "tools/handoff/phone.h"
#include "tools/handoff/stage.h"
#include "tools/handoff/tcp_wire.h"
#include "tools/handoff/transfer.h"
#include "transport/tcp/network.h"

namespace tern::handoff {
namespace {

/// For TCP's handshake, for TLS's again, and for an answer that the server owes us.
constexpr Duration kConnectTimeout = 3s;
constexpr std::uint16_t kServerPort = 443;

class TcpConnection;

/// One request under way, in the frame of the coroutine that waits for it.
struct Ask {
  explicit Ask(Runtime& runtime) : done(runtime) {}
  Ask(const Ask&) = delete;
  Ask& operator=(const Ask&) = delete;
  ~Ask();
  /// The first one counts.
  void finish(Result<void> result) {
    if (std::exchange(finished, true)) return;
    outcome = std::move(result);
    done.notify();
  }

  WireRequest what = WireRequest::download;
  Transfer* transfer = nullptr;  // null: only the handshake is waited for
  std::uint64_t offset = 0;      // upload: what is written next
  std::uint64_t answer = 0;
  bool finished = false;
  Signal done;
  Result<void> outcome;
  TcpConnection* connection = nullptr;
};

/// A connection of a phone. Lives until the carrier goes, so that asks may point to it.
class TcpConnection final : public tcp::StreamSink {
 public:
  TcpConnection(Phone& phone, const udp::Address& local, bool resumed);

  void begin(Ask& ask);
  void forget(const Ask& ask);
  bool unanswered() const noexcept { return !ready_ && error_.has_value(); }
  bool failed_already() const noexcept { return error_.has_value(); }
  std::uint64_t retransmitted() const {
    return stream_ == nullptr ? 0 : stream_->info().bytes_retransmitted;
  }
  /// Breaks it off: every ask fails.
  void give_up();
  void close();

 private:
  void connected(tcp::Stream& stream) override;
  void receive(tcp::Stream& stream, MutableBytes bytes) override;
  void end_of_stream(tcp::Stream& stream) override;
  void writable(tcp::Stream&) override { pump(); }
  void failed(tcp::Stream& stream, const Error& error) override;

  void handle(const WireFrame& frame);
  void handle_data(const WireFrame& frame, ByteView piece, bool frame_ends);
  void send(WireType type, WireFrame frame);
  void send_request(std::uint32_t stream, Ask& ask);
  /// Upload data, as long as TCP takes it.
  void pump();
  void fail_all(const Error& error);
  void expect_answer();
  void no_answer();
  void break_off(const Error& error);

  Phone& phone_;
  const bool resumed_;
  Timer answer_;       // the server's next one is waited for until then …
  bool sent_ = false;  // … and everything had arrived when that began
  WireReader reader_;
  std::unique_ptr<tcp::Stream> stream_;
  bool ready_ = false;
  std::optional<Error> error_;
  std::uint32_t next_stream_ = 1;
  std::map<std::uint32_t, Ask*> asks_;  // by stream
};

Ask::~Ask() {
  if (connection != nullptr) connection->forget(*this);
}

TcpConnection::TcpConnection(Phone& phone, const udp::Address& local, bool resumed)
    : phone_(phone),
      resumed_(resumed),
      answer_(phone.host().runtime().timers(), [this](Timestamp) { no_answer(); }),
      reader_([this](const WireFrame& frame, std::size_t) { handle(frame); },
              [this](const WireFrame& frame, ByteView piece, bool ends) {
                handle_data(frame, piece, ends);
              }) {
  tcp::ConnectOptions options;
  sim::Host& server = phone.stage().server();
  options.remote = local.is_v6() ? server.v6(kServerPort) : server.v4(kServerPort);
  options.local = local;
  options.timeout = kConnectTimeout;
  options.stream.unsent_low_water(64 * 1024).low_water(16 * 1024);
  auto stream = phone.host().network().tcp().connect(options, *this);
  if (stream) {
    stream_ = std::move(*stream);
  } else {
    error_ = std::move(stream).error();
  }
}

void TcpConnection::begin(Ask& ask) {
  if (error_) return ask.finish(fail(*error_));
  ask.connection = this;
  const std::uint32_t stream = next_stream_;
  next_stream_ += 2;
  asks_.emplace(stream, &ask);
  if (ready_) send_request(stream, ask);
}

void TcpConnection::forget(const Ask& ask) {
  std::erase_if(asks_, [&](const auto& entry) { return entry.second == &ask; });
}

void TcpConnection::send(WireType type, WireFrame frame) {
  frame.type = type;
  const auto written = stream_->write(wire_header(frame, wire_padding(type, resumed_)));
  if (!written) fail_all(written.error());
}

void TcpConnection::connected(tcp::Stream&) {
  WireFrame hello;
  hello.what = resumed_ ? 1 : 0;
  send(WireType::client_hello, hello);
  expect_answer();
}

/// A server that answered to a mapping which the NAT has forgotten is not heard, and who only waits
/// never learns it from TCP.
void TcpConnection::expect_answer() {
  answer_.arm(phone_.host().runtime().now() + kConnectTimeout);
}

void TcpConnection::no_answer() {
  if (!ready_) return break_off(Error(Code::timed_out, "the TLS handshake timed out"));
  const bool owed = std::any_of(asks_.begin(), asks_.end(), [](const auto& entry) {
    return entry.second->transfer != nullptr && entry.second->what != WireRequest::download;
  });
  if (!owed) return;
  // While something of ours is on its way, TCP finds out.
  const bool sent = stream_->queued() == 0 && stream_->info().in_flight == 0;
  if (!std::exchange(sent_, sent) || !sent) return expect_answer();
  break_off(Error(Code::timed_out, "the server did not answer"));
}

void TcpConnection::send_request(std::uint32_t stream, Ask& ask) {
  if (ask.transfer == nullptr) {  // it waited for the handshake alone
    ask.finish({});
    return;
  }
  WireFrame frame;
  frame.stream = stream;
  frame.what = static_cast<std::uint32_t>(ask.what);
  frame.transfer = static_cast<std::uint32_t>(ask.transfer->id());
  frame.attempt = ask.transfer->attempts;
  frame.number = ask.what == WireRequest::download ? ask.transfer->delivered() : ask.offset;
  send(WireType::request, frame);
  if (ask.what != WireRequest::download) {
    sent_ = false;
    expect_answer();
  }
  pump();
}

void TcpConnection::pump() {
  if (!ready_ || error_) return;
  for (const auto& [id, ask] : asks_) {
    if (ask->transfer == nullptr || ask->what != WireRequest::upload) continue;
    Transfer& transfer = *ask->transfer;
    while (ask->offset < transfer.size() && stream_->queued() <= kWireData) {
      WireFrame frame;
      frame.type = WireType::data;
      frame.stream = id;
      frame.transfer = static_cast<std::uint32_t>(transfer.id());
      frame.attempt = transfer.attempts;
      const auto length = static_cast<std::size_t>(
          std::min<std::uint64_t>(kWireData, transfer.size() - ask->offset));
      frame.last = ask->offset + length == transfer.size();
      // Both or neither: the frame would be torn else. What is queued is far below the limit.
      if (!stream_->write(wire_header(frame, length)) ||
          !stream_->write(body_bytes(transfer.id(), ask->offset, length))) {
        return fail_all(Error::closed("the connection takes no more"));
      }
      ask->offset += length;
    }
  }
}

void TcpConnection::receive(tcp::Stream&, MutableBytes bytes) { reader_.read(bytes); }

void TcpConnection::handle(const WireFrame& frame) {
  if (frame.type == WireType::server_hello) {
    answer_.disarm();
    send(WireType::finished, {});
    ready_ = true;
    const std::map<std::uint32_t, Ask*> waiting = asks_;
    for (const auto& [id, ask] : waiting) send_request(id, *ask);
    return;
  }
  const auto found = asks_.find(frame.stream);
  if (found == asks_.end() || frame.type != WireType::response) return;
  Ask& ask = *found->second;
  ask.answer = frame.number;
  const bool ok = frame.what == 200;
  if (!ok) return ask.finish(fail(Error::closed("the server refused")));
  if (ask.what != WireRequest::download) ask.finish({});
}

void TcpConnection::handle_data(const WireFrame& frame, ByteView piece, bool frame_ends) {
  const auto found = asks_.find(frame.stream);
  if (found == asks_.end()) return;
  Ask& ask = *found->second;
  if (!phone_.stage().deliver(*ask.transfer, piece)) {
    phone_.stage().violate(fmt::format("download {}: wrong bytes at {}", ask.transfer->id(),
                                       ask.transfer->delivered()));
    return ask.finish(fail(Error::closed("wrong bytes")));
  }
  if (frame_ends && frame.last) ask.finish({});
}

void TcpConnection::end_of_stream(tcp::Stream&) { fail_all(Error::closed("the server closed")); }

void TcpConnection::failed(tcp::Stream&, const Error& error) { fail_all(error); }

void TcpConnection::fail_all(const Error& error) {
  if (!error_) error_ = error;
  answer_.disarm();
  const std::map<std::uint32_t, Ask*> failing = std::exchange(asks_, {});
  for (const auto& [id, ask] : failing) {
    ask->connection = nullptr;
    ask->finish(fail(error));
  }
}

void TcpConnection::break_off(const Error& error) {
  if (stream_ != nullptr && !error_) stream_->reset();
  fail_all(error);
}

void TcpConnection::give_up() { break_off(Error::closed("the network has changed")); }

void TcpConnection::close() {
  if (stream_ != nullptr && !error_) stream_->finish();
}

class TcpCarrier final : public Carrier {
 public:
  explicit TcpCarrier(Phone& phone) : phone_(phone) { renew(); }

  Task<void> connect() override;
  Task<Result<void>> attempt(Transfer& transfer) override;
  void network_changed() override;
  std::uint64_t retransmitted() const override;
  Task<void> close() override;

 private:
  Task<Result<void>> ask(Ask& ask);
  void renew();

  Phone& phone_;
  std::deque<TcpConnection> connections_;  // the last one is in use
  udp::Address in_use_;
  bool has_ticket_ = false;
  std::vector<const Access*> avoided_;  // until the networks change
};

void TcpCarrier::renew() {
  if (!connections_.empty()) connections_.back().give_up();
  if (const Access* best = phone_.best(avoided_); best != nullptr) {
    const udp::Address v6 = best->address(true);
    in_use_ = v6.specified() ? v6 : best->address(false);
  }
  connections_.emplace_back(phone_, in_use_, has_ticket_);
}

Task<Result<void>> TcpCarrier::ask(Ask& ask) {
  TcpConnection* connection = &connections_.back();
  if (connection->failed_already()) {
    if (connection->unanswered()) {
      const Access* access = phone_.find(in_use_);
      if (access != nullptr) avoided_.push_back(access);
    }
    renew();
    connection = &connections_.back();
  }
  connection->begin(ask);
  co_await ask.done.wait();
  if (ask.outcome) has_ticket_ = true;
  co_return ask.outcome;
}

Task<void> TcpCarrier::connect() {
  Ask only_the_handshake(phone_.host().runtime());
  Task<Result<void>> asking = ask(only_the_handshake);
  co_await asking;  // an error shows again at the first request
}

Task<Result<void>> TcpCarrier::attempt(Transfer& transfer) {
  Runtime& runtime = phone_.host().runtime();
  std::uint64_t offset = 0;
  if (transfer.kind() == Transfer::Kind::upload && transfer.attempts > 1) {
    Ask have(runtime);
    have.what = WireRequest::have;
    have.transfer = &transfer;
    Task<Result<void>> asking = ask(have);
    Result<void> outcome = co_await asking;
    if (!outcome) co_return outcome;
    offset = have.answer;
  }
  Ask wanted(runtime);
  wanted.what =
      transfer.kind() == Transfer::Kind::upload ? WireRequest::upload : WireRequest::download;
  wanted.transfer = &transfer;
  wanted.offset = offset;
  Task<Result<void>> asking = ask(wanted);
  Result<void> outcome = co_await asking;
  if (outcome && !transfer.complete()) co_return fail(Error::closed("the response ended early"));
  co_return outcome;
}

void TcpCarrier::network_changed() {
  avoided_.clear();
  const Access* best = phone_.best();
  if (best == nullptr || best->address(in_use_.is_v6()).same_ip(in_use_)) return;
  renew();
}

std::uint64_t TcpCarrier::retransmitted() const {
  std::uint64_t sum = 0;
  for (const TcpConnection& connection : connections_) sum += connection.retransmitted();
  return sum;
}

Task<void> TcpCarrier::close() {
  connections_.back().close();
  co_return;
}

}  // namespace

std::unique_ptr<Carrier> make_tcp_carrier(Phone& phone) {
  return std::make_unique<TcpCarrier>(phone);
}

}  // namespace tern::handoff
