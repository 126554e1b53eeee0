#include "http3/hq_session.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "http3/context.h"

namespace tern::http3 {

namespace {

// Statuses stand in for error codes, which HTTP/0.9 has none of.
constexpr std::uint64_t kCancelled = 499;
constexpr std::uint64_t kUriTooLong = 414;
constexpr std::uint64_t kBadRequest = 400;
constexpr std::uint64_t kServerError = 500;

Error reset_error(std::uint64_t code) {
  if (code >= 100 && code <= 999) {
    return Error(Domain::http, code, "the server reset the stream instead of an answer",
                 Origin::remote);
  }
  return Error(Domain::application, code, "the stream was reset", Origin::remote);
}

}  // namespace

class HqSession::Stream final : public http::Carrier {
 public:
  Stream(HqSession& owner, quic::StreamId stream) : session(owner), id(stream) {}

  std::string_view protocol() const noexcept override { return "hq-interop"; }
  udp::Path path() const noexcept override { return session.connection_.path(); }
  bool early_data() const noexcept override {
    return early && !session.connection_.handshake_complete();
  }
  void send_request(const http::RequestHead& head, bool end) override {
    if (head.method != "GET" || !end) {
      fail(Error(Code::unsupported, "hq-interop knows GET without a body only"));
      return;
    }
    line = "GET " + head.path + "\r\n";
    waiting = true;
    session.waiting_.push_back(this);
    session.flush_waiting();
  }
  void send_response(http::Status status, http::Fields, bool end) override {
    const int number = http::code(status);
    if (number < 200 || over()) return;
    if (number >= 300) {
      reset(static_cast<std::uint64_t>(number));
    } else if (end) {
      send_body(Bytes(), true);
    }
  }
  void send_body(Bytes bytes, bool end) override {
    if (over()) return;
    ended = end;
    session.connection_.write(id, std::move(bytes), end);
  }
  void send_trailers(const http::Fields&) override { send_body(Bytes(), true); }
  std::size_t unsent() const noexcept override {
    return id < 0 || closed ? 0 : session.connection_.unsent(id);
  }
  void consumed(std::size_t count) override {
    if (id >= 0) session.connection_.consumed(id, count);
  }
  void abort(http::Abort why) override {
    if (waiting) std::erase(session.waiting_, this);
    waiting = false;
    if (id < 0 || closed) return;
    const std::uint64_t code = why == http::Abort::internal ? kServerError : kCancelled;
    if (!received_all) session.connection_.stop_sending(id, code);
    if (!ended) reset(code);
  }
  void stop_reading(http::Abort) override {
    if (id >= 0 && !closed && !received_all) session.connection_.stop_sending(id, kCancelled);
  }
  void set_priority(http::Priority) override {}
  bool send_datagram(ByteView) override { return false; }
  std::size_t max_datagram() const noexcept override { return 0; }
  void detach() noexcept override {
    ends = nullptr;
    if (closed || id < 0) session.forget(*this);
  }

  bool over() const noexcept { return id < 0 || closed || ended || was_reset; }
  void reset(std::uint64_t code) {
    was_reset = true;
    session.connection_.reset(id, code);
    if (ends != nullptr) ends->outgoing().fail(Error(Code::cancelled, "the stream was reset"));
  }
  void fail(const Error& error) {
    if (ends == nullptr) return;
    ends->incoming().fail(error);
    ends->outgoing().fail(error);
  }

  HqSession& session;
  quic::StreamId id;
  http::detail::Ends* ends = nullptr;
  http::ClientExchange* client = nullptr;
  std::string line;  // the request's: being received, or kept while it may be needed again
  bool early = false;
  bool waiting = false;
  bool dispatched = false;  // server
  bool responded = false;   // client
  bool received_all = false;
  bool ended = false;
  bool was_reset = false;
  bool closed = false;
};

HqSession::HqSession(Runtime& runtime, quic::Connection& connection, Context* server,
                     ClientHooks client)
    : runtime_(runtime), connection_(connection), server_(server), client_(std::move(client)) {
  if (server_ != nullptr) connection_.hold_streams(true);
}

std::unique_ptr<HqSession> HqSession::accept(Context& context, quic::Connection& connection) {
  return std::unique_ptr<HqSession>(
      new HqSession(context.runtime(), connection, &context, ClientHooks()));
}

std::unique_ptr<HqSession> HqSession::connect(Runtime& runtime, quic::Connection& connection,
                                              ClientHooks hooks) {
  return std::unique_ptr<HqSession>(new HqSession(runtime, connection, nullptr, std::move(hooks)));
}

HqSession::~HqSession() {
  const Error gone = connection_.closed() ? connection_.close_reason() : Error::closed();
  for (auto& [id, stream] : streams_) {
    if (stream->ends != nullptr) std::exchange(stream->ends, nullptr)->carrier_gone(gone);
  }
  for (auto& stream : unopened_) {
    if (stream->ends != nullptr) std::exchange(stream->ends, nullptr)->carrier_gone(gone);
  }
}

void HqSession::close() { connection_.close(0, {}); }

void HqSession::drain() {
  draining_ = true;
  close_if_drained();
}

void HqSession::close_if_drained() {
  if (draining_ && streams_.empty()) close();
}

void HqSession::handle(const quic::Event& event) {
  using Type = quic::Event::Type;
  const auto found = streams_.find(event.stream);
  Stream* stream = found == streams_.end() ? nullptr : found->second.get();
  switch (event.type) {
    case Type::stream_data: on_data(event); break;
    case Type::stream_acked:
      if (stream != nullptr && stream->ends != nullptr) stream->ends->outgoing().drained();
      break;
    case Type::stream_reset:
      if (stream == nullptr || stream->received_all) break;
      stream->received_all = true;
      if (stream->ends != nullptr) stream->ends->incoming().fail(reset_error(event.value));
      break;
    case Type::stream_closed:
      if (stream == nullptr) {
        if (server_ != nullptr) connection_.allow_stream(event.stream);
        break;
      }
      stream->closed = true;
      if (stream->ends == nullptr) {
        forget(*stream);
      } else if (!stream->received_all || (server_ != nullptr && !stream->ended)) {
        stream->fail(reset_error(event.value));
      } else {
        stream->ends->outgoing().drained();
      }
      break;
    case Type::streams_available: flush_waiting(); break;
    case Type::early_data_rejected: begin_again(); break;
    case Type::handshake_completed:
      if (server_ != nullptr) break;
      for (auto& [id, opened] : streams_) opened->line = std::string();
      flush_waiting();
      break;
    case Type::session: {
      quic::Session session;
      while (connection_.take_session(session)) {
        if (client_.session) client_.session(session);
      }
      break;
    }
    case Type::closed: {
      const Error& reason = connection_.close_reason();
      waiting_.clear();
      for (auto& [id, opened] : streams_) {
        if (opened->ends != nullptr) std::exchange(opened->ends, nullptr)->carrier_gone(reason);
      }
      for (auto& made : unopened_) {
        if (made->ends != nullptr) std::exchange(made->ends, nullptr)->carrier_gone(reason);
      }
      if (client_.closed) client_.closed(reason);
      break;
    }
    default: break;
  }
}

void HqSession::on_data(const quic::Event& event) {
  auto found = streams_.find(event.stream);
  if (found == streams_.end()) {
    const bool request = server_ != nullptr && !quic::is_unidirectional(event.stream) &&
                         !quic::is_server_initiated(event.stream);
    if (!request) {
      connection_.consumed(event.stream, event.data.size());
      return;
    }
    found = streams_.emplace(event.stream, std::make_unique<Stream>(*this, event.stream)).first;
  }
  Stream& stream = *found->second;
  if (server_ != nullptr) {
    connection_.consumed(event.stream, event.data.size());
    stream.received_all = stream.received_all || event.fin;
    if (stream.dispatched || stream.was_reset) return;
    stream.early = event.early;
    stream.line.append(event.data.text().substr(0, kMaxRequestLine + 1 - stream.line.size()));
    on_request_line(stream, event.fin);
    return;
  }
  if (stream.client != nullptr && stream.ends != nullptr && !stream.responded) {
    stream.responded = true;
    stream.client->on_response(http::Status::ok, http::Fields());
  }
  if (stream.ends == nullptr || !stream.ends->incoming().push(event.data)) {
    connection_.consumed(event.stream, event.data.size());
  }
  if (!event.fin) return;
  stream.received_all = true;
  if (stream.ends != nullptr) stream.ends->incoming().finish();
}

void HqSession::on_request_line(Stream& stream, bool fin) {
  std::string_view line = stream.line;
  const std::size_t end = line.find('\n');
  if (end == std::string_view::npos && !fin) {
    if (line.size() > kMaxRequestLine) stream.reset(kUriTooLong);
    return;
  }
  line = line.substr(0, end);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  constexpr std::string_view kGet = "GET ";
  if (!line.starts_with(kGet) || line.size() <= kGet.size() || line[kGet.size()] != '/') {
    stream.reset(kBadRequest);
    return;
  }
  http::RequestHead head;
  head.path = line.substr(kGet.size());
  head.authority = connection_.handshake().server_name;
  stream.dispatched = true;
  stream.line = std::string();
  auto exchange = std::make_unique<http::Exchange>(runtime_, stream, std::move(head));
  stream.ends = exchange.get();
  exchange->incoming().finish();
  const http::ServerHooks& hooks = server_->hooks();
  http::serve_in(server_->tasks(), hooks.handler, std::move(exchange), hooks.done);
}

Result<std::unique_ptr<http::ClientExchange>> HqSession::open() {
  TERN_CHECK(server_ == nullptr);
  if (connection_.closed()) return fail(Error(Code::rejected, "the connection is closed"));
  if (waiting_.size() >= kMaxWaiting) return fail(Error::limit("too many requests wait"));
  unopened_.push_back(std::make_unique<Stream>(*this, -1));
  Stream& stream = *unopened_.back();
  auto exchange = std::make_unique<http::ClientExchange>(runtime_, stream);
  stream.ends = stream.client = exchange.get();
  return exchange;
}

void HqSession::flush_waiting() {
  while (!waiting_.empty()) {
    const auto id = connection_.open_bidi();
    if (!id) return;
    Stream* stream = waiting_.front();
    waiting_.pop_front();
    const auto at = std::find_if(unopened_.begin(), unopened_.end(),
                                 [&](const auto& made) { return made.get() == stream; });
    stream->id = *id;
    stream->waiting = false;
    stream->ended = true;
    streams_.emplace(*id, std::move(*at));
    std::swap(*at, unopened_.back());
    unopened_.pop_back();
    connection_.write(*id, Bytes::copy(stream->line), true);
    if (connection_.handshake_complete()) stream->line = std::string();
  }
}

/// The server refused 0-RTT: none of the streams exist for it.
void HqSession::begin_again() {
  std::vector<std::unique_ptr<Stream>> all;
  for (auto& [id, stream] : streams_) all.push_back(std::move(stream));
  streams_.clear();
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a->id > b->id; });
  for (auto& stream : all) {
    if (stream->ends == nullptr) continue;
    stream->id = -1;
    stream->ended = false;
    stream->waiting = true;
    waiting_.push_front(stream.get());
    unopened_.push_back(std::move(stream));
  }
}

void HqSession::forget(Stream& stream) {
  if (stream.waiting) std::erase(waiting_, &stream);
  if (stream.id >= 0) {
    const quic::StreamId id = stream.id;
    streams_.erase(id);
    if (server_ != nullptr) connection_.allow_stream(id);
    close_if_drained();
    return;
  }
  std::erase_if(unopened_, [&](const auto& made) { return made.get() == &stream; });
}

}  // namespace tern::http3
