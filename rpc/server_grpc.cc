#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/message.h>

#include "rpc/codec.h"
#include "rpc/dialect.h"
#include "rpc/dispatcher.h"
#include "rpc/envelope.h"
#include "rpc/metadata.h"
#include "rpc/server_context.h"
#include "rpc/status_table.h"
#include "rpc/timeout.h"

/// gRPC's server side (PROTOCOL-HTTP2.md), over HTTP/2 and HTTP/3 (gRFC G2): what differs between
/// the two is the exchange's affair, but for the codes of resets (http::Abort).

namespace tern::rpc {

namespace {

constexpr std::string_view kContentType = "application/grpc";

/// What follows "application/grpc" in a content type; nothing when it does not begin like that.
std::optional<std::string_view> subtype(std::string_view content_type) noexcept {
  if (!content_type.starts_with(kContentType)) return std::nullopt;
  content_type.remove_prefix(kContentType.size());
  if (!content_type.empty() && content_type[0] != '+' && content_type[0] != ';')
    return std::nullopt;
  return content_type.substr(0, content_type.find(';'));
}

std::optional<Codec> codec_of(std::string_view subtype) noexcept {
  if (subtype.empty() || subtype == "+proto") return Codec::proto;
  if (subtype == "+json") return Codec::json;
  return std::nullopt;
}

/// The head of each response, and the end of each good one: made once, shared by all.
const http::Fields& response_fields(Codec codec) {
  const auto make = [](std::string_view content_type) {
    http::Fields fields;
    fields.add_lower("content-type", content_type);
    fields.mark_valid();
    return fields;
  };
  static const http::Fields kProto = make("application/grpc");
  static const http::Fields kJson = make("application/grpc+json");
  return codec == Codec::proto ? kProto : kJson;
}

const http::Fields& ok_trailers() {
  static const http::Fields kTrailers = [] {
    http::Fields fields;
    add_status(fields, Status());
    fields.mark_valid();
    return fields;
  }();
  return kTrailers;
}

Status handler_threw() { return Status(Code::internal, "the handler failed"); }

/// One call: its messages in both directions, and its end.
class GrpcCall final : public MessageReader, public MessageWriter {
 public:
  GrpcCall(http::Exchange& exchange, const Dispatcher& dispatcher, const Endpoint& endpoint,
           Codec codec)
      : exchange_(exchange),
        dispatcher_(dispatcher),
        codec_(codec),
        envelopes_(dispatcher.options().max_request()),
        context_(exchange, *endpoint.method, DialectId::grpc) {}

  ServerContext& context() noexcept { return context_; }

  /// What is in the request's head, and a place among the calls.
  Status begin() {
    const http::Fields& fields = exchange_.request().fields;
    context_.compress(dispatcher_.options().compression());
    if (const auto encoding = fields.find("grpc-encoding")) {
      const auto coding = http::coding_of(*encoding);
      if (!coding || (*coding != Coding::identity && *coding != Coding::gzip)) {
        unknown_encoding_ = true;
        return Status(Code::unimplemented, "grpc-encoding " + std::string(*encoding) +
                                               " is not among " + std::string(kGrpcAcceptEncoding));
      }
      request_coding_ = *coding;
    }
    Duration timeout = dispatcher_.options().max_duration();
    if (const auto value = fields.find("grpc-timeout")) {
      const auto parsed = parse_grpc_timeout(*value);
      if (!parsed) return Status(Code::internal, "grpc-timeout \"" + std::string(*value) + "\"");
      timeout = std::min(timeout, *parsed);
    }
    Status status = context_.check_metadata();
    if (status.ok()) status = dispatcher_.admit(context_);
    if (status.ok() && timeout != Duration::max()) {
      context_.set_timeout(timeout, [](ServerContext& context) {
        context.exchange().abort(http::Abort::cancelled);
      });
    }
    return status;
  }

  /// Reads the one request of a call that streams none. UNIMPLEMENTED when there is none, or more.
  Task<Status> receive_only(google::protobuf::Message& message) {
    const bool first = co_await receive(message);
    if (!first) {
      co_return status_.ok() ? Status(Code::unimplemented, "there is no request message") : status_;
    }
    context_.set_request_compressed(compressed_);
    std::optional<Result<std::optional<Envelope>>> envelope = try_envelope();
    if (!envelope) {
      envelope.emplace(co_await wait_for_envelope());
    }
    if (!*envelope) co_return std::move(*envelope).error();
    if (**envelope) co_return Status(Code::unimplemented, "there is more than one request message");
    co_return Status();
  }

  /// The one response of a call that streams none, and the end.
  void finish(const google::protobuf::Message& response) {
    if (put(response, Compress::as_call)) {
      end(Status());
    } else {
      end(send_status_);
    }
  }

  /// The end. Nothing after it.
  void end(Status status) {
    // The deadline has reset the stream, or the caller has.
    if (exchange_.outgoing().failed()) return;
    if (status.ok() && !send_status_.ok()) status = send_status_;
    if (!exchange_.responded() && (!status.ok() && context_.initial_metadata().empty())) {
      return end_by_trailers_only(status);
    }
    start();
    if (status.ok() && context_.trailing_metadata().empty()) {
      (void)exchange_.finish(ok_trailers());
      return;
    }
    http::Fields trailers;
    add_status(trailers, status);
    context_.trailing_metadata().add_to(trailers);
    (void)exchange_.finish(trailers);
  }

  // ---- MessageWriter
  void start() override {
    if (exchange_.responded()) return;
    http::Response response(http::Status::ok);
    response.fields(response_fields(codec_));
    const auto accepted = exchange_.request().fields.find("grpc-accept-encoding");
    if (context_.coding() == Coding::gzip && accepted && lists(*accepted, Coding::gzip)) {
      response_coding_ = Coding::gzip;
      response.field("grpc-encoding", http::name_of(Coding::gzip));
    }
    context_.initial_metadata().add_to(response.fields());
    (void)exchange_.start(std::move(response));
  }

 private:
  using Envelopes = std::optional<Envelope>;

  // ---- MessageReader
  std::optional<bool> try_receive(google::protobuf::Message& message) override {
    if (ended_) return false;
    std::optional<Result<Envelopes>> envelope = try_envelope();
    if (!envelope) return std::nullopt;
    return accept(*envelope, message);
  }

  Task<bool> receive_later(google::protobuf::Message& message) override {
    Result<Envelopes> envelope = co_await wait_for_envelope();
    co_return accept(envelope, message);
  }

  /// The next envelope if it is there, an empty one at the body's end.
  std::optional<Result<Envelopes>> try_envelope() {
    for (;;) {
      Result<Envelopes> next = envelopes_.next();
      if (!next || *next) return next;
      auto read = exchange_.read();
      if (!read.await_ready()) return std::nullopt;
      tern::Result<Bytes> piece = read.await_resume();
      if (!piece) return Result<Envelopes>(fail(gone(piece.error())));
      if (piece->empty()) return at_end();
      envelopes_.push(std::move(*piece));
    }
  }

  Task<Result<Envelopes>> wait_for_envelope() {
    for (;;) {
      tern::Result<Bytes> piece = co_await exchange_.read();
      if (!piece) co_return fail(gone(piece.error()));
      if (piece->empty()) co_return at_end();
      envelopes_.push(std::move(*piece));
      Result<Envelopes> next = envelopes_.next();
      if (!next || *next) co_return next;
    }
  }

  Result<Envelopes> at_end() const {
    if (!envelopes_.at_boundary()) return fail(Code::internal, "the request ends within a message");
    return Envelopes();
  }

  Status gone(const Error& error) const {
    return context_.cancelled() ? context_.cancellation() : Status::from(error);
  }

  /// What `receive` returns for that envelope.
  bool accept(Result<Envelopes>& envelope, google::protobuf::Message& message) {
    if (envelope && *envelope) {
      const Status status = decode_message(**envelope, message);
      if (status.ok()) return true;
      status_ = status;
    } else if (!envelope) {
      status_ = envelope.error();
    }
    ended_ = true;
    return false;
  }

  Status decode_message(const Envelope& envelope, google::protobuf::Message& message) {
    if ((envelope.flags & ~kCompressed) != 0) {
      return Status(Code::internal,
                    "flags " + std::to_string(envelope.flags) + " before a message");
    }
    compressed_ = envelope.compressed();
    if (!compressed_) return decode(codec_, envelope.payload, message);
    if (request_coding_ == Coding::identity) {
      return Status(Code::internal, "a compressed message without grpc-encoding");
    }
    Result<Bytes> plain =
        decompress(request_coding_, envelope.payload, dispatcher_.options().max_request());
    if (!plain) return std::move(plain).error();
    return decode(codec_, *plain, message);
  }

  // ---- MessageWriter
  bool put(const google::protobuf::Message& message, Compress compress) override {
    if (exchange_.outgoing().failed() || !send_status_.ok()) return false;
    Result<Bytes> bytes = envelope_of(message, compress);
    if (!bytes) {
      send_status_ = std::move(bytes).error();
      return false;
    }
    start();
    (void)exchange_.write(std::move(*bytes));
    return !exchange_.outgoing().failed();
  }

  Result<Bytes> envelope_of(const google::protobuf::Message& message, Compress how) {
    if (!exchange_.responded()) start();  // settles the coding
    const std::size_t limit = dispatcher_.options().max_response();
    if (response_coding_ == Coding::identity || how == Compress::never) {
      return encode_envelope(codec_, message, limit);
    }
    Result<Bytes> plain = encode(codec_, message, limit);
    if (!plain) return plain;
    return compress_envelope(response_coding_, *plain);
  }

  bool full() const noexcept override { return exchange_.outgoing().full(); }

  Task<bool> drained() override {
    // An empty piece sends nothing, and waits like any other.
    const tern::Result<void> written = co_await exchange_.write(Bytes());
    co_return written.has_value();
  }

  void end_by_trailers_only(const Status& status) {
    http::Response response(http::Status::ok);
    response.fields(response_fields(codec_));
    if (unknown_encoding_) response.field("grpc-accept-encoding", kGrpcAcceptEncoding);
    add_status(response.fields(), status);
    context_.trailing_metadata().add_to(response.fields());
    (void)exchange_.respond(std::move(response));
  }

  http::Exchange& exchange_;
  const Dispatcher& dispatcher_;
  Codec codec_;
  Coding request_coding_ = Coding::identity;
  Coding response_coding_ = Coding::identity;
  bool unknown_encoding_ = false;
  bool ended_ = false;  // no more request messages
  EnvelopeReader envelopes_;
  Status send_status_;  // why a response message could not be sent
  ServerContext context_;
};

/// Calls with one request.
Task<void> serve_one_request(http::Exchange& exchange, const Dispatcher& dispatcher,
                             const Endpoint& endpoint, Codec codec) {
  GrpcCall call(exchange, dispatcher, endpoint, codec);
  const Method& method = *endpoint.method;
  const std::unique_ptr<google::protobuf::Message> request(method.request->New());
  std::unique_ptr<google::protobuf::Message> response;
  Status status = call.begin();
  if (status.ok()) {
    status = co_await call.receive_only(*request);
  }
  if (!status.ok()) co_return call.end(std::move(status));
  Invocation invocation{endpoint, call.context()};
  invocation.request = request.get();
  if (method.pattern == Pattern::unary) {
    response.reset(method.response->New());
    invocation.response = response.get();
  } else {
    invocation.writer = &call;
  }
  try {
    status = co_await dispatcher.invoke(invocation);
  } catch (...) {
    status = handler_threw();
  }
  if (status.ok() && response) co_return call.finish(*response);
  call.end(std::move(status));
}

/// Calls with a stream of requests.
Task<void> serve_requests(http::Exchange& exchange, const Dispatcher& dispatcher,
                          const Endpoint& endpoint, Codec codec) {
  GrpcCall call(exchange, dispatcher, endpoint, codec);
  const Method& method = *endpoint.method;
  std::unique_ptr<google::protobuf::Message> response;
  Status status = call.begin();
  if (!status.ok()) co_return call.end(std::move(status));
  Invocation invocation{endpoint, call.context()};
  invocation.reader = &call;
  if (method.pattern == Pattern::client_stream) {
    response.reset(method.response->New());
    invocation.response = response.get();
  } else {
    invocation.writer = &call;
  }
  try {
    status = co_await dispatcher.invoke(invocation);
  } catch (...) {
    status = handler_threw();
  }
  // A handler that takes a broken request stream for a finished one does not make it so.
  const Status& received = call.MessageReader::status();
  if (status.ok() && !received.ok()) status = received;
  if (status.ok() && response) co_return call.finish(*response);
  call.end(std::move(status));
}

class GrpcDialect final : public Dialect {
 public:
  bool accepts(const http::Exchange& exchange, const Dispatcher&) const override {
    return subtype(content_type(exchange)).has_value();
  }

  Task<void> serve(http::Exchange& exchange, const Dispatcher& dispatcher) const override {
    const auto codec = codec_of(*subtype(content_type(exchange)));
    if (!codec) return refuse(exchange, http::Status::unsupported_media_type);
    if (exchange.method() != "POST") {
      return refuse(exchange, http::Status::method_not_allowed);
    }
    if (exchange.protocol() == "http/1.1") {
      return refuse(exchange, http::Status::upgrade_required);
    }
    const Endpoint* endpoint = dispatcher.find(exchange.request().path_only());
    if (endpoint == nullptr) return no_such_method(exchange, *codec);
    return streams_requests(endpoint->method->pattern)
               ? serve_requests(exchange, dispatcher, *endpoint, *codec)
               : serve_one_request(exchange, dispatcher, *endpoint, *codec);
  }

 private:
  static std::string_view content_type(const http::Exchange& exchange) noexcept {
    return exchange.request().fields.find("content-type").value_or(std::string_view());
  }

  static Task<void> refuse(http::Exchange& exchange, http::Status status) {
    http::Response response(status);
    if (status == http::Status::method_not_allowed) response.field("allow", "POST");
    (void)exchange.respond(std::move(response));
    return Task<void>::completed();
  }

  static Task<void> no_such_method(http::Exchange& exchange, Codec codec) {
    http::Response response(http::Status::ok);
    response.fields(response_fields(codec));
    add_status(response.fields(),
               Status(Code::unimplemented,
                      "there is no method " + std::string(exchange.request().path_only())));
    (void)exchange.respond(std::move(response));
    return Task<void>::completed();
  }
};

}  // namespace

std::unique_ptr<Dialect> make_grpc_dialect() { return std::make_unique<GrpcDialect>(); }

}  // namespace tern::rpc
