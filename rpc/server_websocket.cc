#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/message.h>

#include "http/websocket.h"
#include "rpc/codec.h"
#include "rpc/dialect.h"
#include "rpc/dispatcher.h"
#include "rpc/server_call.h"
#include "rpc/server_context.h"

/// Calls over WebSockets, for pages, which cannot stream requests in any other way: a WebSocket to
/// a method's path is one call, a message of it a message of the call (docs/rpc.md). JSON in text,
/// protobuf in binary; the server answers in the kind that the client began with. An empty text is
/// the end of the requests. The status is the close code: 1000 for OK, else 4000 and the code, with
/// the text as reason.

namespace tern::rpc {

namespace {

constexpr std::uint16_t kStatusBase = 4000;
/// What a close frame has room for (RFC 6455 §5.5).
constexpr std::size_t kMaxReason = 123;

/// As much of a status's text as fits, cut between characters.
std::string reason_of(const Status& status) {
  std::string reason = status.message();
  if (reason.size() <= kMaxReason) return reason;
  std::size_t end = kMaxReason;
  while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xc0) == 0x80) --end;
  reason.resize(end);
  return reason;
}

class SocketCall final : public MessageReader, public MessageWriter {
 public:
  SocketCall(http::Exchange& exchange, http::WebSocket& socket, const Dispatcher& dispatcher,
             const Endpoint& endpoint)
      : socket_(socket), dispatcher_(dispatcher), context_(*this, exchange, *endpoint.method) {}

  ServerContext& context() noexcept { return context_; }

  Status begin() {
    const Result<Duration> said = grpc_timeout_of(
        context_.exchange(), Code::invalid_argument);  // pages have no way to say it
    if (!said) return said.error();
    const Duration limit = std::min(*said, dispatcher_.options().max_duration());
    Status status = context_.check_metadata();
    if (status.ok()) status = dispatcher_.admit(context_);
    if (status.ok() && limit != Duration::max()) {
      context_.set_timeout(
          limit, [](ServerContext& context) { static_cast<Context&>(context).call.end_reading(); });
    }
    return status;
  }

  /// The one request of a call that streams none; what comes after it is dropped.
  Task<Status> receive_only(google::protobuf::Message& message) {
    const bool first = co_await receive(message);
    if (first) co_return Status();
    co_return status_.ok() ? Status(Code::unimplemented, "there is no request message") : status_;
  }

  Task<void> end(Status status) {
    if (status.ok() && !send_status_.ok()) status = send_status_;
    co_await socket_.close(code_of(status), reason_of(status));
  }

  void start() override {}

 private:
  /// Knows the call that it is of.
  struct Context final : ServerContext {
    Context(SocketCall& owner, http::Exchange& exchange, const Method& method)
        : ServerContext(exchange, method, DialectId::websocket), call(owner) {}
    SocketCall& call;
  };

  /// The deadline has passed: the caller is told so at once, and who waits for it waits no longer
  /// than it takes to answer.
  void end_reading() {
    const Status status = context_.cancellation();
    socket_.start_close(code_of(status), reason_of(status));
  }

  static std::uint16_t code_of(const Status& status) noexcept {
    if (status.ok()) return http::websocket_code::kNormal;
    return static_cast<std::uint16_t>(kStatusBase + static_cast<std::uint16_t>(status.code()));
  }

  // ---- MessageReader
  std::optional<bool> try_receive(google::protobuf::Message&) override {
    return ended_ ? std::optional<bool>(false) : std::nullopt;
  }

  Task<bool> receive_later(google::protobuf::Message& message) override {
    std::optional<http::WebSocketMessage> came = co_await socket_.receive();
    if (context_.deadline_passed()) {
      ended_ = true;
      status_ = context_.cancellation();
      co_return false;
    }
    if (!came) {
      ended_ = true;
      const bool well = socket_.closed().code == http::websocket_code::kNormal;
      if (!well) status_ = Status(Code::cancelled, "the caller has gone");
      co_return false;
    }
    if (came->text && came->data.empty()) {
      ended_ = true;
      co_return false;
    }
    if (!codec_) codec_ = came->text ? Codec::json : Codec::proto;
    status_ = decode(came->text ? Codec::json : Codec::proto, came->bytes(), message);
    // A body that is no message is the caller's mistake, as it has no library in between.
    if (status_.code() == Code::internal)
      status_ = Status(Code::invalid_argument, status_.message());
    ended_ = !status_.ok();
    co_return !ended_;
  }

  // ---- MessageWriter: a WebSocket sends what is awaited, so `drained` does
  bool put(const google::protobuf::Message& message, Compress) override {
    if (socket_.ended() && !ended_) return false;
    Result<Bytes> bytes =
        encode(codec_.value_or(Codec::json), message, dispatcher_.options().max_response());
    if (!bytes) {
      send_status_ = std::move(bytes).error();
      return false;
    }
    waiting_ = std::move(*bytes);
    return true;
  }
  bool full() const noexcept override { return true; }
  Task<bool> drained() override {
    const bool text = codec_.value_or(Codec::json) == Codec::json;
    tern::Result<void> sent;
    if (text) {
      sent = co_await socket_.send_text(std::string(waiting_.text()));
    } else {
      sent = co_await socket_.send_binary(std::move(waiting_));
    }
    co_return sent.has_value();
  }

  http::WebSocket& socket_;
  const Dispatcher& dispatcher_;
  Context context_;
  std::optional<Codec> codec_;  // of the first message
  Bytes waiting_;
  Status send_status_;
  bool ended_ = false;
};

Task<void> serve_socket(http::Exchange& exchange, http::WebSocket& socket,
                        const Dispatcher& dispatcher, const Endpoint& endpoint) {
  SocketCall call(exchange, socket, dispatcher, endpoint);
  const Method& method = *endpoint.method;
  const std::unique_ptr<google::protobuf::Message> request(method.request->New());
  const std::unique_ptr<google::protobuf::Message> response(method.response->New());
  const bool one_request = !streams_requests(method.pattern);
  const bool one_response = !streams_responses(method.pattern);
  Status status = call.begin();
  if (status.ok() && one_request) {
    status = co_await call.receive_only(*request);
  }
  if (status.ok()) {
    Invocation invocation{endpoint, call.context()};
    invocation.request = one_request ? request.get() : nullptr;
    invocation.reader = one_request ? nullptr : &call;
    invocation.response = one_response ? response.get() : nullptr;
    invocation.writer = one_response ? nullptr : &call;
    try {
      status = co_await dispatcher.invoke(invocation);
    } catch (...) {
      status = handler_threw();
    }
    const Status& received = call.MessageReader::status();
    if (status.ok() && !received.ok()) status = received;
  }
  if (status.ok() && one_response) {
    const bool sent = co_await call.send(*response);
    (void)sent;  // `end` knows why not
  }
  co_await call.end(std::move(status));
}

Task<void> serve_handshake(http::Exchange& exchange, const Dispatcher& dispatcher,
                           const Endpoint& endpoint) {
  http::WebSocketOptions options;
  options.max_message(dispatcher.options().max_request());
  // Who may call may open: a WebSocket is not subject to CORS, so the check is here.
  if (const http::Cors* cors = dispatcher.options().cors()) options.origins(cors->origins());
  const http::WebSocketHandler run = [&](http::WebSocket& socket) {
    return serve_socket(exchange, socket, dispatcher, endpoint);
  };
  const http::Handler handler = http::websocket(run, options);
  co_await handler(exchange);
}

class WebSocketDialect final : public Dialect {
 public:
  bool accepts(const http::Exchange& exchange, const Dispatcher& dispatcher) const override {
    const http::RequestHead& request = exchange.request();
    return request.protocol == "websocket" && dispatcher.find(request.path_only()) != nullptr;
  }
  Task<void> serve(http::Exchange& exchange, const Dispatcher& dispatcher) const override {
    return serve_handshake(exchange, dispatcher, *dispatcher.find(exchange.request().path_only()));
  }
};

}  // namespace

std::unique_ptr<Dialect> make_websocket_dialect() { return std::make_unique<WebSocketDialect>(); }

}  // namespace tern::rpc
