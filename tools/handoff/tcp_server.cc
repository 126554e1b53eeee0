#include <algorithm>
#include <list>
#include <map>
#include <stdexcept>
#include <utility>

#include "base/runtime.h"
#include "base/timer_heap.h"
#include "tools/handoff/body.h"
#include "tools/handoff/stage.h"
#include "tools/handoff/tcp_carrier.h"
#include "tools/handoff/tcp_wire.h"
#include "tools/handoff/transfer.h"
#include "transport/tcp/network.h"

namespace tern::handoff {
namespace {

constexpr std::uint16_t kListenPort = 443;
constexpr std::uint32_t kOk = 200;
constexpr std::uint32_t kConflict = 409;

class TcpServer;

/// One client's connection. Owned by the server, which keeps it to the end for its figures.
class TcpSession final : public tcp::StreamSink {
 public:
  TcpSession(TcpServer& server, std::unique_ptr<tcp::Stream> stream);

  bool over() const noexcept { return over_; }
  void close();
  std::uint64_t retransmitted() const;

 private:
  struct Response {
    Transfer* transfer;
    std::uint64_t offset;
  };
  void receive(tcp::Stream& stream, MutableBytes bytes) override;
  void end_of_stream(tcp::Stream& stream) override;
  void writable(tcp::Stream&) override { pump(); }
  void failed(tcp::Stream&, const Error&) override { over_ = true; }

  void handle(const WireFrame& frame);
  void handle_request(const WireFrame& frame);
  void handle_data(const WireFrame& frame, ByteView piece, bool frame_ends);
  void respond(const WireFrame& request, std::uint32_t status, std::uint64_t number);
  /// Response data, as long as TCP takes it and there is some: small answers first, the others in
  /// turn.
  void pump();
  void wait_for_more();
  std::map<std::uint32_t, Response>::iterator next_response();

  TcpServer& server_;
  WireReader reader_;
  std::unique_ptr<tcp::Stream> stream_;
  std::map<std::uint32_t, Response> responses_;  // by stream
  Timer more_;                                   // a live source has some again
  std::uint32_t last_served_ = 0;
  bool over_ = false;
  bool resumed_ = false;
};

class TcpServer final : public CarrierServer, public tcp::ListenSink {
 public:
  explicit TcpServer(Stage& stage);
  std::unique_ptr<Carrier> carrier_for(Phone& phone) override { return make_tcp_carrier(phone); }
  void stop() override;
  bool stopped() const override { return listener_ == nullptr; }
  std::uint64_t handshakes() const override { return handshakes_; }
  std::uint64_t retransmitted() const override;
  std::uint64_t connections_open() const override { return sessions_.size(); }

  Stage& stage() noexcept { return stage_; }
  void count_handshake() noexcept { ++handshakes_; }

 private:
  void accepted(tcp::Listener&, std::unique_ptr<tcp::Stream> stream) override;

  Stage& stage_;
  std::unique_ptr<tcp::Listener> listener_;
  std::list<TcpSession> sessions_;
  std::uint64_t handshakes_ = 0;
};

// ---- TcpSession ---------------------------------------------------------------------------------

TcpSession::TcpSession(TcpServer& server, std::unique_ptr<tcp::Stream> stream)
    : server_(server),
      reader_([this](const WireFrame& frame, std::size_t) { handle(frame); },
              [this](const WireFrame& frame, ByteView piece, bool ends) {
                handle_data(frame, piece, ends);
              }),
      stream_(std::move(stream)),
      more_(server.stage().server().runtime().timers(), [this](Timestamp) { pump(); }) {
  stream_->attach(*this);
}

void TcpSession::receive(tcp::Stream&, MutableBytes bytes) {
  reader_.read(bytes);
  pump();
}

void TcpSession::end_of_stream(tcp::Stream&) { close(); }

void TcpSession::close() {
  more_.disarm();
  if (!over_) stream_->finish();
  over_ = true;
}

void TcpSession::handle(const WireFrame& frame) {
  switch (frame.type) {
    case WireType::client_hello: {
      resumed_ = frame.what != 0;
      WireFrame hello;
      hello.type = WireType::server_hello;
      const auto sent =
          stream_->write(wire_header(hello, wire_padding(WireType::server_hello, resumed_)));
      if (!sent) over_ = true;
      break;
    }
    case WireType::finished: server_.count_handshake(); break;
    case WireType::request: handle_request(frame); break;
    default: break;
  }
}

void TcpSession::handle_request(const WireFrame& frame) {
  Service& service = server_.stage().service();
  Transfer* transfer = service.find(frame.transfer);
  if (transfer == nullptr) return respond(frame, kConflict, 0);
  switch (static_cast<WireRequest>(frame.what)) {
    case WireRequest::download:
      service.arrived(name(transfer->kind()), frame.transfer, frame.attempt);
      respond(frame, kOk, 0);
      responses_[frame.stream] = {transfer, frame.number};
      pump();
      break;
    case WireRequest::upload:
      service.arrived("upload", frame.transfer, frame.attempt);
      if (!service.begin_upload(frame.transfer, frame.attempt, frame.number)) {
        respond(frame, kConflict, transfer->delivered());
      }
      break;
    case WireRequest::have: respond(frame, kOk, service.have(frame.transfer, frame.attempt)); break;
  }
}

void TcpSession::handle_data(const WireFrame& frame, ByteView piece, bool frame_ends) {
  Service& service = server_.stage().service();
  if (!service.take(frame.transfer, frame.attempt, piece)) return;
  if (frame_ends && frame.last) respond(frame, kOk, service.find(frame.transfer)->delivered());
}

void TcpSession::respond(const WireFrame& request, std::uint32_t status, std::uint64_t number) {
  if (over_) return;
  WireFrame frame = request;
  frame.type = WireType::response;
  frame.what = status;
  frame.number = number;
  const auto sent = stream_->write(wire_header(frame, wire_padding(WireType::response, resumed_)));
  if (!sent) over_ = true;
}

/// The end: nobody has anything to send now.
std::map<std::uint32_t, TcpSession::Response>::iterator TcpSession::next_response() {
  const Duration now = server_.stage().world().elapsed();
  const auto has_some = [now](const auto& entry) {
    return entry.second.transfer->made(now) > entry.second.offset;
  };
  const auto urgent = std::find_if(responses_.begin(), responses_.end(), [&](const auto& entry) {
    return entry.second.transfer->kind() == Transfer::Kind::request && has_some(entry);
  });
  if (urgent != responses_.end()) return urgent;
  const auto behind = responses_.upper_bound(last_served_);
  const auto next = std::find_if(behind, responses_.end(), has_some);
  if (next != responses_.end()) return next;
  const auto before = std::find_if(responses_.begin(), behind, has_some);
  return before == behind ? responses_.end() : before;
}

void TcpSession::pump() {
  while (!over_ && stream_->queued() <= kWireData) {
    const auto chosen = next_response();
    if (chosen == responses_.end()) return wait_for_more();
    Response& response = chosen->second;
    last_served_ = chosen->first;
    const std::uint64_t id = response.transfer->id();
    WireFrame frame;
    frame.type = WireType::data;
    frame.stream = chosen->first;
    frame.transfer = static_cast<std::uint32_t>(id);
    const std::uint64_t made = response.transfer->made(server_.stage().world().elapsed());
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(kWireData, made - response.offset));
    frame.last = response.offset + length == response.transfer->size();
    if (!stream_->write(wire_header(frame, length)) ||
        !stream_->write(body_bytes(id, response.offset, length))) {
      over_ = true;
      return;
    }
    response.offset += length;
    if (frame.last) responses_.erase(chosen);
  }
}

void TcpSession::wait_for_more() {
  const Duration now = server_.stage().world().elapsed();
  Duration more = Duration::max();
  for (const auto& [id, response] : responses_) {
    more = std::min(more, response.transfer->more_at(now));
  }
  if (more != Duration::max()) more_.arm(server_.stage().server().runtime().now() + (more - now));
}

std::uint64_t TcpSession::retransmitted() const {
  const tcp::StreamInfo info = stream_->info();
  // What a connection that was given up had on its way goes again on the next one.
  const std::uint64_t first_time = info.bytes_sent - info.bytes_retransmitted;
  const std::uint64_t lost = over_ ? first_time - info.bytes_acknowledged : 0;
  return info.bytes_retransmitted + lost;
}

// ---- TcpServer ----------------------------------------------------------------------------------

TcpServer::TcpServer(Stage& stage) : stage_(stage) {
  tcp::ListenOptions options;
  options.bind = *udp::Address::parse_ip("::", kListenPort);
  options.stream.unsent_low_water(64 * 1024).low_water(16 * 1024);
  auto listener = stage.server().network().tcp().listen(options, *this);
  if (!listener) throw std::runtime_error(listener.error().to_string());
  listener_ = std::move(*listener);
}

void TcpServer::accepted(tcp::Listener&, std::unique_ptr<tcp::Stream> stream) {
  sessions_.emplace_back(*this, std::move(stream));
}

void TcpServer::stop() {
  for (TcpSession& session : sessions_) session.close();
  sessions_.clear();
  listener_.reset();
}

std::uint64_t TcpServer::retransmitted() const {
  std::uint64_t sum = 0;
  for (const TcpSession& session : sessions_) sum += session.retransmitted();
  return sum;
}

}  // namespace

std::unique_ptr<CarrierServer> make_tcp_server(Stage& stage) {
  return std::make_unique<TcpServer>(stage);
}

}  // namespace tern::handoff
