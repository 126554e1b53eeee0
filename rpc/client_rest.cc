#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "rpc/channel.h"
#include "rpc/client_call.h"
#include "rpc/client_context.h"
#include "rpc/compression.h"
#include "rpc/envelope_client_call.h"
#include "rpc/json.h"
#include "rpc/media_type.h"
#include "rpc/open_stream.h"
#include "rpc/plain_client_call.h"
#include "rpc/rest_request.h"
#include "rpc/status_table.h"
#include "rpc/timeout.h"

/// REST's client side, over every version of HTTP.

namespace tern::rpc {

namespace {

/// What was there before a response could be read.
struct Begun {
  http::Status status = http::Status::ok;
  std::string type;
  Coding coding = Coding::identity;
};

class RestClientCall : public PlainClientCall {
 public:
  RestClientCall(const CallStart& start, std::unique_ptr<WireStream> stream, RestRoute route)
      : PlainClientCall(start, std::move(stream)), route_(std::move(route)) {}

 protected:
  const RestRoute& route() const noexcept { return route_; }

  /// The response's head, and all of a response that is an error. Nothing: the call is over.
  Task<std::optional<Begun>> begin() {
    tern::Result<http::Response> head = co_await exchange().response();
    if (!head) {
      broken(head.error());
      co_return std::nullopt;
    }
    commit();
    Begun begun;
    begun.status = head->status();
    begun.type = media_type(head->fields());
    const std::string named(head->fields().find("content-encoding").value_or("identity"));
    context().set_initial(std::move(head->fields()));
    const auto coding = coding_named(named);
    if (!coding) {
      fail_locally(Status(Code::internal, "content-encoding " + named + " was not asked for"));
      co_return std::nullopt;
    }
    begun.coding = *coding;
    const int code = http::code(begun.status);
    if (code >= 200 && code < 300) co_return begun;
    const Result<Bytes> body = co_await read_whole(begun);
    if (over()) co_return std::nullopt;
    const Code otherwise = connect_code_from_http(begun.status);
    Status status = http_failure(begun.status, otherwise);
    if (body && is_json(begun.type)) {
      Status said = parse_rest_error(body->text(), otherwise);
      if (said.code() != otherwise || !said.message().empty()) status = std::move(said);
    }
    conclude(std::move(status));
    co_return std::nullopt;
  }

  /// The whole body; the call may be over then.
  Task<Result<Bytes>> read_whole(const Begun& begun) {
    tern::Result<std::string> text = co_await exchange().read_all(options().max_response);
    if (!text && !text.error().is(tern::Code::limit)) {
      broken(text.error());
    } else if (given_up()) {
      give_up();
    } else if (text) {
      take_trailers();
      co_return plain_of(begun.coding, std::move(*text));
    }
    co_return fail(Code::resource_exhausted, "the response is larger than its limit");
  }

  void take_trailers() { context().set_trailing(exchange().trailers()); }

 private:
  RestRoute route_;
};

class RestUnaryCall final : public RestClientCall {
 public:
  using RestClientCall::RestClientCall;

 private:
  Task<bool> read_one() override {
    std::optional<Begun> begun = co_await begin();
    if (!begun) co_return false;
    Result<Bytes> body = co_await read_whole(*begun);
    if (over()) co_return false;
    Status status = body ? Status() : std::move(body).error();
    if (status.ok() && !body->empty() && !route().raw_response && !is_json(begun->type)) {
      status = Status(Code::internal, "content-type \"" + begun->type + "\"");
    }
    if (!status.ok()) {
      fail_locally(std::move(status));
      co_return false;
    }
    compressed_ = begun->coding != Coding::identity;
    context().set_response_compressed(compressed_);
    type_ = std::move(begun->type);
    body_ = std::move(*body);
    conclude(Status());
    co_return true;
  }

  Status decode_one(google::protobuf::Message& message) override {
    return read_answer(route(), type_, body_.text(), message);
  }

  std::string type_;
  Bytes body_;
};

/// A stream of responses: a line of JSON each, or bytes as they come for a google.api.HttpBody.
class RestStreamCall final : public RestClientCall {
 public:
  using RestClientCall::RestClientCall;

  /// What the messages are like.
  void set_response(const google::protobuf::Message& prototype) noexcept { response_ = &prototype; }

 private:
  Task<bool> read_one() override {
    std::optional<std::string> text = co_await next();
    if (!text) co_return false;
    if (!route().raw_response && take_error(*text)) {
      co_await drain();
      co_return false;
    }
    line_ = std::move(*text);
    co_return true;
  }

  Status decode_one(google::protobuf::Message& message) override {
    return read_answer(route(), type_, line_, message);
  }

  /// A line, or a piece of bytes. Nothing: the call is over.
  Task<std::optional<std::string>> next() {
    if (!begun_) {
      std::optional<Begun> begun = co_await begin();
      if (!begun) co_return std::nullopt;
      begun_ = true;
      type_ = begun->type;
      if (begun->coding != Coding::identity) {
        fail_locally(Status(Code::internal, "a compressed stream was not asked for"));
        co_return std::nullopt;
      }
      if (!route().raw_response && !is_json_lines(begun->type)) {
        fail_locally(Status(Code::unimplemented, "the stream is content-type \"" + begun->type +
                                                     "\", not application/x-ndjson"));
        co_return std::nullopt;
      }
    }
    for (;;) {
      std::optional<std::string> line = take_line();
      const std::size_t size = line ? line->size() : text_.size() - at_;
      if (size > options().max_response) {
        fail_locally(Status(Code::resource_exhausted, "the response is larger than its limit"));
        co_return std::nullopt;
      }
      if (line) co_return line;
      if (ended_) {
        take_trailers();
        conclude(Status());
        co_return std::nullopt;
      }
      tern::Result<Bytes> piece = co_await exchange().read();
      if (!piece) {
        broken(piece.error());
        co_return std::nullopt;
      }
      if (given_up()) {
        give_up();
        co_return std::nullopt;
      }
      ended_ = piece->empty();
      text_.erase(0, std::exchange(at_, 0));
      text_.append(piece->text());
    }
  }

  /// Cuts off what `text_` begins with; lines without anything are passed over.
  std::optional<std::string> take_line() {
    while (at_ < text_.size()) {
      std::size_t end = text_.size();
      if (!route().raw_response) {
        end = text_.find('\n', std::max(at_, looked_at_));
        if (end == std::string::npos && !ended_) {
          looked_at_ = text_.size() - at_;  // where that is once what was read is erased
          return std::nullopt;
        }
        end = std::min(end, text_.size());
      }
      std::string line = text_.substr(at_, end - at_);
      at_ = std::min(end + 1, text_.size());
      looked_at_ = 0;
      if (line.ends_with('\r') && !route().raw_response) line.pop_back();
      if (!line.empty()) return line;
    }
    return std::nullopt;
  }

  /// {"error":{…}}, which is the call's end, unless it is a message with such a field.
  bool take_error(std::string_view line) {
    const std::size_t name = line.find_first_not_of(" \t", 1);
    if (name == std::string_view::npos || !line.substr(name).starts_with("\"error\"")) return false;
    const std::unique_ptr<google::protobuf::Message> message(response_->New());
    if (from_json(line, *message, JsonOptions().ignore_unknown(false)).ok()) return false;
    error_ = parse_rest_error(line, Code::unknown);
    return true;
  }

  /// Reads on to the trailers behind the error; what is in between is of no interest.
  Task<void> drain() {
    for (std::size_t passed = 0; !ended_ && passed <= options().max_response;) {
      const tern::Result<Bytes> piece = co_await exchange().read();
      if (!piece) break;
      passed += piece->size();
      ended_ = piece->empty();
    }
    if (ended_) {
      take_trailers();
      conclude(std::move(*error_));
    } else {
      fail_locally(std::move(*error_));
    }
  }

  const google::protobuf::Message* response_ = nullptr;
  std::optional<Status> error_;  // what a line said
  std::string type_;
  std::string line_;  // the last that was read
  std::string text_;
  std::size_t at_ = 0;         // what is before has been read
  std::size_t looked_at_ = 0;  // up to here there is no line's end
  bool begun_ = false;
  bool ended_ = false;
};

http::RequestHead rest_head(const CallStart& start, const RestCall& call) {
  http::RequestHead head;
  head.method = call.method;
  head.scheme = start.wire.scheme();
  head.authority = start.wire.authority();
  head.path = call.target;
  const bool stream = streams_responses(start.method.pattern);
  head.fields.add_lower("accept", stream ? "application/x-ndjson" : "application/json");
  if (!stream) head.fields.add_lower("accept-encoding", kConnectAcceptEncoding);
  if (!call.content_type.empty()) head.fields.add_lower("content-type", call.content_type);
  head.fields.add_lower("user-agent", start.options.user_agent);
  if (const auto end = start.context.ends_at()) {
    head.fields.add_lower("grpc-timeout", format_grpc_timeout(*end - start.wire.runtime().now()));
  }
  start.context.request_metadata().add_to(head.fields);
  return head;
}

Task<Result<std::unique_ptr<ClientCall>>> open_rest_call(CallStart start) {
  auto routes = rest_routes(*start.method.descriptor);
  if (!routes) co_return fail(Code::failed_precondition, routes.error().detail);
  std::size_t chosen = 0;
  Result<RestCall> call = rest_call(*routes, *start.only_request, chosen);
  if (!call) co_return fail(std::move(call).error());
  RestRoute route = std::move((*routes)[chosen]);
  if (call->body.size() > start.options.max_request) {
    co_return fail(Code::resource_exhausted, "the request is larger than its limit");
  }
  http::RequestHead head = rest_head(start, *call);
  if (route.raw_response) head.fields.set("accept", "*/*");
  Bytes body = Bytes::take(std::move(call->body));
  if (start.context.coding() != Coding::identity && !body.empty()) {
    body = compress(start.context.coding(), body);
    head.fields.add_lower("content-encoding", http::name_of(start.context.coding()));
  }
  Result<std::unique_ptr<WireStream>> stream = co_await open_wire(start, std::move(head));
  if (!stream) co_return fail(std::move(stream).error());
  std::unique_ptr<RestClientCall> made;
  if (streams_responses(start.method.pattern)) {
    auto streaming = std::make_unique<RestStreamCall>(start, std::move(*stream), std::move(route));
    streaming->set_response(*start.method.response);
    made = std::move(streaming);
  } else {
    made = std::make_unique<RestUnaryCall>(start, std::move(*stream), std::move(route));
  }
  // The call has the stream now, and outlives this.
  http::ClientExchange& exchange = made->exchange();
  if (body.empty()) {
    (void)exchange.finish();
  } else {
    (void)exchange.finish(std::move(body));
  }
  co_return std::unique_ptr<ClientCall>(std::move(made));
}

class RestClientDialect final : public ClientDialect {
 public:
  Task<Result<std::unique_ptr<ClientCall>>> open(const CallStart& start) const override {
    return streams_requests(start.method.pattern) ? refuse() : open_rest_call(start);
  }

 private:
  static Task<Result<std::unique_ptr<ClientCall>>> refuse() {
    co_return fail(Code::unimplemented, "a method with a stream of requests is not called by REST");
  }
};

}  // namespace

const ClientDialect& rest_client_dialect() {
  static const RestClientDialect kDialect;
  return kDialect;
}

}  // namespace tern::rpc
