#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/message.h>

#include "rpc/connect.h"
#include "rpc/dialect.h"
#include "rpc/media_type.h"
#include "rpc/metadata.h"
#include "rpc/server_call.h"
#include "rpc/status_table.h"
#include "rpc/timeout.h"

/// Connect's server side (connectrpc.com/docs/protocol), over every version of HTTP: unary calls as
/// plain requests, by POST or GET, and streams in envelopes.

namespace tern::rpc {

namespace {

constexpr EnvelopeStyle kConnectStyle = {DialectId::connect, "connect-content-encoding",
                                         "connect-accept-encoding", kConnectAcceptEncoding,
                                         Code::invalid_argument};

std::optional<Codec> subtype_codec(std::string_view subtype) noexcept {
  if (subtype == "proto") return Codec::proto;
  if (subtype == "json") return Codec::json;
  return std::nullopt;
}

/// Of a unary request's content type.
std::optional<Codec> unary_codec(std::string_view type) noexcept {
  constexpr std::string_view kPrefix = "application/";
  return type.starts_with(kPrefix) ? subtype_codec(type.substr(kPrefix.size())) : std::nullopt;
}

/// "application/proto", "application/connect+json": made once.
const http::Fields& unary_or_stream_head(Codec codec, bool stream) {
  const auto make = [](std::string_view content_type) {
    http::Fields fields;
    fields.add_lower("content-type", content_type);
    fields.mark_valid();
    return fields;
  };
  static const http::Fields kHeads[] = {make("application/proto"), make("application/json"),
                                        make("application/connect+proto"),
                                        make("application/connect+json")};
  return kHeads[(stream ? 2 : 0) + (codec == Codec::json ? 1 : 0)];
}

Result<Duration> timeout_of(const http::Exchange& exchange) {
  const auto value = exchange.request().fields.find("connect-timeout-ms");
  if (!value) return Duration::max();
  const auto parsed = parse_connect_timeout(*value);
  if (!parsed) {
    return fail(Code::invalid_argument, "connect-timeout-ms \"" + std::string(*value) + "\"");
  }
  return *parsed;
}

Status check_version(const http::Exchange& exchange) {
  const auto version = exchange.request().fields.find("connect-protocol-version");
  if (!version || *version == "1") return Status();
  return Status(Code::invalid_argument, "connect-protocol-version is not 1");
}

void respond_error(http::Exchange& exchange, const Dispatcher& dispatcher, http::Status http_status,
                   const Status& status, http::Response response = http::Response()) {
  response.set_status(http_status);
  response.field("content-type", "application/json");
  response.body(Bytes::take(connect_error(status)));
  add_cors(dispatcher, exchange, response.fields());
  (void)exchange.respond(std::move(response));
}

// ---- streams ------------------------------------------------------------------------------------

class ConnectStreamCall final : public EnvelopeCall {
 public:
  ConnectStreamCall(http::Exchange& exchange, const Dispatcher& dispatcher,
                    const Endpoint& endpoint, Codec codec)
      : EnvelopeCall(exchange, dispatcher, endpoint, kConnectStyle, codec) {}

 private:
  Result<Duration> timeout() const override {
    if (Status status = check_version(exchange()); !status.ok()) return fail(std::move(status));
    return timeout_of(exchange());
  }
  const http::Fields& head_fields() const override { return unary_or_stream_head(codec(), true); }

  void send_end(const Status& status, bool) override {
    start();  // an error is a 200 as well: what ends the stream says how it ended
    const std::string json = connect_end(status, context().trailing_metadata());
    (void)exchange().finish(make_envelope(kConnectEnd, as_bytes(json)));
  }
};

// ---- unary calls --------------------------------------------------------------------------------

/// What is asked, from the body or the query.
struct UnaryRequest {
  Codec codec = Codec::proto;
  Coding coding = Coding::identity;
  Bytes bytes;
};

class ConnectUnaryCall {
 public:
  ConnectUnaryCall(http::Exchange& exchange, const Dispatcher& dispatcher, const Endpoint& endpoint)
      : exchange_(exchange), dispatcher_(dispatcher), context_(*this, *endpoint.method) {}

  ServerContext& context() noexcept { return context_; }

  /// What is in the request's head, and a place among the calls.
  Status begin() {
    context_.compress(dispatcher_.options().compression());
    Status status = check_version(exchange_);
    if (!status.ok()) return status;
    const Result<Duration> said = timeout_of(exchange_);
    if (!said) return said.error();
    const Duration limit = std::min(*said, dispatcher_.options().max_duration());
    status = context_.check_metadata();
    if (status.ok()) status = dispatcher_.admit(context_);
    if (status.ok() && limit != Duration::max()) {
      context_.set_timeout(limit, [](ServerContext& context) {
        static_cast<Context&>(context).call.end(context.cancellation());
      });
    }
    return status;
  }

  /// POST.
  Task<Result<UnaryRequest>> read_body(Codec codec) {
    UnaryRequest request;
    request.codec = codec;
    codec_ = codec;
    const auto encoding = exchange_.request().fields.find("content-encoding");
    const auto coding = coding_named(encoding.value_or("identity"));
    if (!coding) {
      co_return fail(Code::unimplemented, "content-encoding " + std::string(*encoding) +
                                              " is not among " +
                                              std::string(kConnectAcceptEncoding));
    }
    request.coding = *coding;
    const std::size_t limit = dispatcher_.options().max_request();
    tern::Result<std::string> body = co_await exchange_.read_all(limit);
    if (!body) {
      if (context_.cancelled()) co_return fail(context_.cancellation());
      if (!body.error().is(tern::Code::limit)) co_return fail(Status::from(body.error()));
      co_return fail(Code::resource_exhausted,
                     "a message of more than " + std::to_string(limit) + " bytes");
    }
    request.bytes = Bytes::take(std::move(*body));
    co_return request;
  }

  /// GET.
  Result<UnaryRequest> read_query() {
    Result<ConnectQuery> query = parse_connect_query(exchange_.request().query());
    if (!query) return fail(std::move(query).error());
    UnaryRequest request;
    request.codec = query->codec;
    codec_ = query->codec;
    request.coding = query->coding;
    request.bytes = Bytes::take(std::move(query->message));
    return request;
  }

  Status decode_request(const UnaryRequest& request, google::protobuf::Message& message) {
    const std::size_t limit = dispatcher_.options().max_request();
    context_.set_request_compressed(request.coding != Coding::identity);
    Status status;
    // Never decompress what is not there.
    if (request.coding == Coding::identity || request.bytes.empty()) {
      if (request.bytes.size() > limit) {
        return Status(Code::resource_exhausted,
                      "the message is larger than " + std::to_string(limit));
      }
      status = decode(request.codec, request.bytes, message);
    } else {
      Result<Bytes> plain = decompress(request.coding, request.bytes, limit);
      status = plain ? decode(request.codec, *plain, message) : std::move(plain).error();
    }
    // A body that is no message is the caller's mistake, as it has no library in between.
    if (status.code() == Code::internal) return Status(Code::invalid_argument, status.message());
    return status;
  }

  void finish(const google::protobuf::Message& message) {
    if (over()) return;
    Result<Bytes> bytes = encode(codec_, message, dispatcher_.options().max_response());
    if (!bytes) return end(std::move(bytes).error());
    http::Response response(http::Status::ok);
    response.fields(unary_or_stream_head(codec_, false));
    const auto accepted = exchange_.request().fields.find("accept-encoding");
    const Coding coding = context_.coding();
    if (coding != Coding::identity && accepted && lists(*accepted, coding)) {
      bytes = compress(coding, *bytes);
      response.field("content-encoding", http::name_of(coding));
    }
    if (exchange_.method() != "POST") response.field("vary", "accept-encoding");
    add_metadata(response.fields());
    add_cors(dispatcher_, exchange_, response.fields());
    response.body(std::move(*bytes));
    (void)exchange_.respond(std::move(response));
  }

  void end(const Status& status) {
    if (over()) return;
    http::Response response;
    add_metadata(response.fields());
    if (status.code() == Code::unimplemented) {
      response.field("accept-encoding", kConnectAcceptEncoding);
    }
    respond_error(exchange_, dispatcher_, http_status(status.code()), status, std::move(response));
  }

 private:
  /// Knows the call that it is of.
  struct Context final : ServerContext {
    Context(ConnectUnaryCall& owner, const Method& method)
        : ServerContext(owner.exchange_, method, DialectId::connect), call(owner) {}
    ConnectUnaryCall& call;
  };

  bool over() const noexcept { return exchange_.finished() || exchange_.outgoing().failed(); }

  void add_metadata(http::Fields& fields) {
    context_.initial_metadata().add_to(fields);
    context_.trailing_metadata().add_to(fields, "trailer-");
  }

  http::Exchange& exchange_;
  const Dispatcher& dispatcher_;
  Codec codec_ = Codec::proto;
  Context context_;
};

Task<void> serve_unary(http::Exchange& exchange, const Dispatcher& dispatcher,
                       const Endpoint& endpoint, std::optional<Codec> codec) {
  ConnectUnaryCall call(exchange, dispatcher, endpoint);
  Status status = call.begin();
  const std::unique_ptr<google::protobuf::Message> message(endpoint.method->request->New());
  if (status.ok()) {
    std::optional<Result<UnaryRequest>> request;
    if (codec) {
      request.emplace(co_await call.read_body(*codec));
    } else {
      request.emplace(call.read_query());
    }
    status = *request ? call.decode_request(**request, *message) : std::move(*request).error();
  }
  if (!status.ok()) co_return call.end(status);
  const std::unique_ptr<google::protobuf::Message> response(endpoint.method->response->New());
  Invocation invocation{endpoint, call.context()};
  invocation.request = message.get();
  invocation.response = response.get();
  try {
    status = co_await dispatcher.invoke(invocation);
  } catch (...) {
    status = handler_threw();
  }
  if (status.ok()) co_return call.finish(*response);
  call.end(status);
}

// ---- the dialect --------------------------------------------------------------------------------

bool may_be_got(const Method& method) {
  return method.pattern == Pattern::unary && method.descriptor->options().idempotency_level() ==
                                                 google::protobuf::MethodOptions::NO_SIDE_EFFECTS;
}

class ConnectDialect final : public Dialect {
 public:
  bool accepts(const http::Exchange& exchange, const Dispatcher& dispatcher) const override {
    const std::string type = media_type(exchange.request().fields);
    if (type.starts_with(kConnectStreamPrefix)) return true;
    const http::RequestHead& request = exchange.request();
    const bool known = dispatcher.find(request.path_only()) != nullptr;
    // JSON to an unknown path may be REST's.
    if (unary_codec(type)) return known || request.fields.contains("connect-protocol-version");
    const bool get = request.method == "GET" || request.method == "HEAD";
    return get && type.empty() && known;
  }

  Task<void> serve(http::Exchange& exchange, const Dispatcher& dispatcher) const override {
    const std::string type = media_type(exchange.request().fields);
    const bool stream = type.starts_with(kConnectStreamPrefix);
    const bool get = exchange.method() == "GET" || exchange.method() == "HEAD";
    const auto codec =
        stream ? subtype_codec(std::string_view(type).substr(kConnectStreamPrefix.size()))
               : unary_codec(type);
    const Endpoint* endpoint = dispatcher.find(exchange.request().path_only());
    if (endpoint == nullptr) {
      return refuse(exchange, dispatcher, http::Status::not_found,
                    "there is no method " + std::string(exchange.request().path_only()));
    }
    const Method& method = *endpoint->method;
    const bool gettable = may_be_got(method);
    if (exchange.method() != "POST" && !(get && gettable && !stream)) {
      return refuse(exchange, dispatcher, http::Status::method_not_allowed,
                    "the method is called by POST", gettable ? "GET, HEAD, POST" : "POST");
    }
    if ((method.pattern != Pattern::unary) != stream || (!get && !codec)) {
      return refuse(
          exchange, dispatcher, http::Status::unsupported_media_type,
          std::string("its content type is ") +
              (method.pattern == Pattern::unary ? "application/" : "application/connect+") +
              "proto or json");
    }
    if (stream) return serve_call<ConnectStreamCall>(exchange, dispatcher, *endpoint, *codec);
    return serve_unary(exchange, dispatcher, *endpoint, get ? std::nullopt : codec);
  }

 private:
  static Task<void> refuse(http::Exchange& exchange, const Dispatcher& dispatcher,
                           http::Status http_status, std::string why,
                           std::string_view allow = std::string_view()) {
    http::Response response;
    if (!allow.empty()) response.field("allow", allow);
    const Code code = http_status == http::Status::not_found ? Code::unimplemented : Code::unknown;
    respond_error(exchange, dispatcher, http_status, Status(code, std::move(why)),
                  std::move(response));
    return Task<void>::completed();
  }
};

}  // namespace

std::unique_ptr<Dialect> make_connect_dialect() { return std::make_unique<ConnectDialect>(); }

}  // namespace tern::rpc
