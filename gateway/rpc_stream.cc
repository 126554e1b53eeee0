#include "gateway/rpc_stream.h"

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "base/timer_heap.h"
#include "rpc/grpc_web.h"
#include "rpc/metadata.h"
#include "rpc/status_table.h"

namespace tern {

namespace {

/// Fields of HTTP that say nothing on a stream.
bool is_for_http(std::string_view name) noexcept {
  constexpr std::array kNames = {std::string_view("accept"), std::string_view("content-length"),
                                 std::string_view("date"),   std::string_view("te"),
                                 std::string_view("vary"),   std::string_view("x-grpc-web")};
  for (const std::string_view known : kNames) {
    if (name == known) return true;
  }
  return false;
}

http::Fields for_stream(const http::Fields& fields) {
  http::Fields kept;
  for (const http::Field field : fields) {
    if (!is_for_http(field.name)) kept.add_lower(field.name, field.value);
  }
  return kept;
}

/// A reset's code is what HTTP/2 would have: so either side reads it by the one table.
webtransport::ApplicationCode code_for(http::Abort why) noexcept {
  switch (why) {
    case http::Abort::no_error: return 0x0;
    case http::Abort::rejected: return 0x7;
    case http::Abort::cancelled: return 0x8;
    case http::Abort::too_much: return 0xb;
    case http::Abort::malformed:
    case http::Abort::internal: break;
  }
  return 0x2;
}

}  // namespace

/// Waits until the stream does not send any more. Or for nothing: to be asked again.
class RpcStream::Stopped {
 public:
  explicit Stopped(webtransport::Stream& stream) noexcept : stream_(stream) {}
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  ~Stopped() { forget(); }
  bool await_ready() const noexcept { return stream_.finished(); }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    waiter_.suspend(handle);
    stream_.incoming().head_reader = &waiter_;
  }
  void await_resume() noexcept { forget(); }

 private:
  void forget() noexcept {
    if (stream_.incoming().head_reader == &waiter_) stream_.incoming().head_reader = nullptr;
  }
  webtransport::Stream& stream_;
  Waiter waiter_;
};

RpcStream::RpcStream(webtransport::Session& session, std::unique_ptr<webtransport::Stream> stream)
    : session_(session),
      stream_(std::move(stream)),
      taken_(session.runtime()),
      scope_(session.runtime().ready()) {}

std::string_view RpcStream::protocol() const noexcept {
  const std::string_view carrier = session_.carrier();
  if (carrier == "h3") return "webtransport/h3";
  return carrier == "h2" ? "webtransport/h2" : "webtransport/websocket";
}

// ---- sending ------------------------------------------------------------------------------------

void RpcStream::send(Bytes bytes, bool end) {
  if (ended_) return;
  ended_ = end;
  if (end) {
    (void)stream_->finish(std::move(bytes));
  } else {
    (void)stream_->write(std::move(bytes));
  }
  if (unsent() > 0 && !std::exchange(draining_, true)) scope_.spawn(drain());
}

/// The stream tells only whether a writer would have to wait.
std::size_t RpcStream::unsent() const noexcept {
  if (ended_ || stream_->finished()) return 0;
  return stream_->write(Bytes()).await_ready() ? 0 : http::Outgoing::kHighWater + 1;
}

Task<void> RpcStream::drain() {
  (void)co_await stream_->write(Bytes());
  draining_ = false;
  if (ends_ != nullptr) ends_->outgoing().drained();
}

void RpcStream::send_request(const http::RequestHead& head, bool end) {
  send(rpc::call_head_envelope(head.path, for_stream(head.fields)), end);
}

void RpcStream::send_response(http::Status status, http::Fields fields, bool end) {
  if (http::code(status) < 200) return;
  if (status != http::Status::ok) {
    return refuse(rpc::Status(rpc::code_from_http(status),
                              "HTTP status " + std::to_string(http::code(status))));
  }
  send(rpc::head_envelope(for_stream(fields)), end);
}

void RpcStream::send_trailers(const http::Fields& trailers) {
  send(rpc::head_envelope(trailers), true);
}

void RpcStream::refuse(const rpc::Status& status) {
  http::Fields fields;
  rpc::add_status(fields, status);
  send(rpc::head_envelope(fields), true);
}

void RpcStream::abort(http::Abort why) {
  stream_->reset(code_for(why));
  ended_ = true;
  stop_reading(why);
}

void RpcStream::stop_reading(http::Abort why) { stream_->stop_sending(code_for(why)); }

/// The peer may stop us, and the session may end, while nothing is being sent.
Task<void> RpcStream::watch() {
  for (;;) {
    Stopped stopped(*stream_);
    co_await stopped;
    if (ends_ == nullptr) co_return;
    // A reset, though the exchange's reader may be far behind.
    if (const auto& error = stream_->incoming().error()) fail_reading(*error);
    if (ended_) co_return;
    if (!stream_->finished()) continue;
    ends_->outgoing().fail(Error(Code::cancelled, "the peer wants no more", Origin::remote));
    co_return;
  }
}

// ---- receiving ----------------------------------------------------------------------------------

/// A reset with a code is the peer's word about the call; anything else is the session's end.
void RpcStream::fail_reading(Error error) {
  if (!stream_->reset_code()) error = Error(Code::closed, std::move(error.detail), error.origin);
  ends_->incoming().fail(std::move(error));
}

Task<rpc::Status> RpcStream::gather_head() {
  for (;;) {
    tern::Result<Bytes> piece = co_await stream_->read();
    if (!piece) co_return rpc::Status::from(piece.error());
    if (piece->empty()) co_return rpc::Status(rpc::Code::internal, "the stream ends within a head");
    rpc::Result<bool> there = head_.push(*piece);
    if (!there) co_return std::move(there).error();
    if (*there) co_return rpc::Status();
  }
}

Task<rpc::Result<rpc::CallHead>> RpcStream::read_head() {
  bool late = false;
  Timer timer(session_.runtime().timers(), [this, &late](Timestamp) {
    late = true;
    stop_reading(http::Abort::cancelled);
  });
  timer.arm(session_.runtime().now() + kHeadTime);
  rpc::Status status = co_await gather_head();
  if (late) co_return rpc::fail(rpc::Code::deadline_exceeded, "the call has no head yet");
  if (!status.ok()) co_return rpc::fail(std::move(status));
  co_return rpc::parse_call_head(head_.text());
}

void RpcStream::serve(http::Exchange& exchange) {
  ends_ = &exchange;
  (void)exchange.incoming().push(head_.rest());
  scope_.spawn(read_body());
  scope_.spawn(watch());
}

void RpcStream::serve(http::ClientExchange& exchange) {
  ends_ = &exchange;
  scope_.spawn(read_response(exchange));
  scope_.spawn(watch());
}

Task<void> RpcStream::read_response(http::ClientExchange& exchange) {
  rpc::Result<bool> there = false;
  while (!*there) {
    tern::Result<Bytes> piece = co_await stream_->read();
    if (ends_ == nullptr) co_return;
    if (piece && piece->empty()) {
      piece = fail(Error(Code::closed, "the server has ended the stream", Origin::remote));
    }
    if (!piece) co_return fail_reading(std::move(piece).error());
    there = head_.push(*piece);
    if (!there) break;
  }
  rpc::Result<http::Fields> fields = rpc::fail(rpc::Code::internal, "no head");
  if (there) fields = rpc::parse_web_trailers(head_.text());
  if (!fields) {
    const Error error = Error::invalid(fields.error().message());
    exchange.incoming().fail(error);
    exchange.outgoing().fail(error);
    co_return abort(http::Abort::malformed);
  }
  exchange.on_response(http::Status::ok, std::move(*fields));
  (void)exchange.incoming().push(head_.rest());
  co_await read_body();
}

Task<void> RpcStream::read_body() {
  for (;;) {
    while (ends_ != nullptr && ends_->incoming().buffered() >= kReadAhead) {
      co_await taken_.wait();
    }
    if (ends_ == nullptr || ends_->incoming().ended()) co_return;
    tern::Result<Bytes> piece = co_await stream_->read();
    if (ends_ == nullptr) co_return;
    http::Incoming& incoming = ends_->incoming();
    if (!piece) co_return fail_reading(std::move(piece).error());
    if (piece->empty()) co_return incoming.finish();
    (void)incoming.push(std::move(*piece));
  }
}

}  // namespace tern
