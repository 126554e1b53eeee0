#include "rpc/server_rest_call.h"

#include <algorithm>
#include <array>
#include <utility>

#include <google/protobuf/any.pb.h>
#include <google/protobuf/message.h>

#include "http/escape.h"
#include "rpc/compression.h"
#include "rpc/json.h"
#include "rpc/media_type.h"
#include "rpc/metadata.h"
#include "rpc/server_call.h"
#include "rpc/server_rest.h"
#include "rpc/status_table.h"

namespace tern::rpc {

std::string rest_error(const Status& status) {
  std::string out =
      "{\"code\":" + std::to_string(static_cast<int>(status.code())) + ",\"message\":\"";
  http::append_json_escaped(out, status.message());
  out.append("\",\"details\":[");
  const char* before = "";
  for (const Detail& detail : status.details()) {
    google::protobuf::Any any;
    any.set_type_url(detail.type_url);
    any.set_value(detail.value);
    out.append(before);
    before = ",";
    if (auto json = to_json(any)) {
      out.append(*json);
      continue;
    }
    // Of a type that the program does not know.
    out.append("{\"@type\":\"");
    http::append_json_escaped(out, detail.type_url);
    out.append("\",\"value\":\"").append(to_base64(detail.value, true)).append("\"}");
  }
  return out.append("]}");
}

void respond_rest_error(http::Exchange& exchange, const Dispatcher& dispatcher,
                        http::Status http_status, const Status& status, http::Response response) {
  response.set_status(http_status);
  response.field("content-type", "application/json");
  response.body(Bytes::take(rest_error(status)));
  add_cors(dispatcher, exchange, response.fields());
  (void)exchange.respond(std::move(response));
}

/// What `accept` asks for first among what there is; an array of JSON for who does not mind.
RestServerCall::Form RestServerCall::form_for(std::string_view accept) noexcept {
  struct Known {
    std::string_view type;
    Form form;
  };
  constexpr std::array kKnown = {
      Known{"text/event-stream", Form::events}, Known{"application/x-ndjson", Form::lines},
      Known{"application/jsonl", Form::lines}, Known{"application/json-lines", Form::lines},
      Known{"application/json", Form::array}};
  Form form = Form::array;
  std::size_t first = std::string_view::npos;
  for (const Known& known : kKnown) {
    const std::size_t at = accept.find(known.type);
    if (at == std::string_view::npos) continue;
    const std::size_t end = at + known.type.size();
    const bool whole =
        end == accept.size() || accept[end] == ',' || accept[end] == ';' || accept[end] == ' ';
    if (whole && at < first) {
      first = at;
      form = known.form;
    }
  }
  return form;
}

RestServerCall::RestServerCall(http::Exchange& exchange, const Dispatcher& dispatcher,
                               const Endpoint& endpoint, const RestRoute* route,
                               const RestOptions* options, std::vector<std::string> values)
    : exchange_(exchange),
      dispatcher_(dispatcher),
      route_(*route),
      options_(*options),
      values_(std::move(values)),
      requests_(dispatcher.options().max_request()),
      context_(*this, *endpoint.method) {
  form_ = route_.raw_response ? Form::raw
                              : form_for(exchange.request().fields.joined("accept").value_or(""));
}

// ---- beginning and end --------------------------------------------------------------------------

Status RestServerCall::begin() {
  context_.compress(dispatcher_.options().compression());
  const Result<Duration> said = grpc_timeout_of(exchange_, Code::invalid_argument);
  if (!said) return said.error();
  const Duration limit = std::min(*said, dispatcher_.options().max_duration());
  Status status = context_.check_metadata();
  if (status.ok()) status = dispatcher_.admit(context_);
  if (status.ok() && limit != Duration::max()) {
    context_.set_timeout(limit, [](ServerContext& context) {
      static_cast<Context&>(context).call.end(context.cancellation());
    });
  }
  return status;
}

void RestServerCall::finish(const google::protobuf::Message& message) {
  if (over()) return;
  Result<RestBody> body = answer(route_, message, options_);
  if (!body) return end(std::move(body).error());
  if (body->bytes.size() > dispatcher_.options().max_response()) {
    return end(Status(Code::resource_exhausted, "the response is too large"));
  }
  http::Response response(http::Status::ok);
  response.field("content-type", body->content_type);
  response.body(Bytes::take(std::move(body->bytes)));
  const auto accepted = exchange_.request().fields.find("accept-encoding");
  const Coding coding = context_.coding();
  if (coding != Coding::identity) response.field("vary", "accept-encoding");
  if (coding != Coding::identity && accepted && lists(*accepted, coding)) {
    response.body(compress(coding, response.body()));
    response.field("content-encoding", http::name_of(coding));
  }
  add_metadata(response.fields());
  add_cors(dispatcher_, exchange_, response.fields());
  (void)exchange_.respond(std::move(response));
}

void RestServerCall::end(const Status& sent) {
  if (over()) return;
  const Status& status = sent.ok() ? send_status_ : sent;
  if (!exchange_.responded() && !status.ok()) {
    http::Response response;
    add_metadata(response.fields());
    const http::Status http_status =
        wrong_media_type_ ? http::Status::unsupported_media_type : rpc::http_status(status.code());
    return respond_rest_error(exchange_, dispatcher_, http_status, status, std::move(response));
  }
  start();
  std::string last;
  switch (form_) {
    case Form::array:
    case Form::raw:
      // What is broken off must not look whole.
      if (!status.ok()) return exchange_.abort(http::Abort::internal);
      if (form_ == Form::array) last = any_ ? "]\n" : "[]\n";
      break;
    case Form::lines:
      if (!status.ok()) last = "{\"error\":" + rest_error(status) + "}\n";
      break;
    case Form::events:
      last = status.ok() ? "event: end\ndata: {}\n\n"
                         : "event: error\ndata: " + rest_error(status) + "\n\n";
      break;
  }
  if (!last.empty()) (void)exchange_.write(Bytes::take(std::move(last)));
  if (context_.trailing_metadata().empty()) {
    (void)exchange_.finish();
    return;
  }
  http::Fields trailers;
  context_.trailing_metadata().add_to(trailers);
  (void)exchange_.finish(trailers);
}

void RestServerCall::add_metadata(http::Fields& fields) {
  context_.initial_metadata().add_to(fields);
  context_.trailing_metadata().add_to(fields);
}

void RestServerCall::start_as(std::string_view raw_type) {
  if (exchange_.responded()) return;
  http::Response response(http::Status::ok);
  switch (form_) {
    case Form::array: response.field("content-type", "application/json"); break;
    case Form::lines: response.field("content-type", "application/x-ndjson"); break;
    case Form::events:
      response.field("content-type", "text/event-stream").field("cache-control", "no-store");
      break;
    case Form::raw: response.field("content-type", raw_type); break;
  }
  if (form_ != Form::raw) response.field("vary", "accept");
  context_.initial_metadata().add_to(response.fields());
  add_cors(dispatcher_, exchange_, response.fields());
  (void)exchange_.start(std::move(response));
}

// ---- requests -----------------------------------------------------------------------------------

Status RestServerCall::check_type(bool is_empty, bool streams) {
  // Pages of other origins can send anything as text/plain without asking first (CORS).
  const std::string type = media_type(exchange_.request().fields);
  if (is_empty || route_.raw_request || is_json(type) || (streams && is_json_lines(type))) {
    return Status();
  }
  if (route_.body == RestRoute::Body::none) {
    return Status(Code::invalid_argument, "the method has no body");
  }
  wrong_media_type_ = true;
  return Status(Code::invalid_argument,
                streams ? "the body's content type is application/json or application/x-ndjson"
                        : "the body's content type is application/json");
}

Status RestServerCall::bind_body(std::string_view body, google::protobuf::Message& message) const {
  const std::string type(exchange_.request().fields.find("content-type").value_or(""));
  const RestRequest from{values_, exchange_.request().query(), type, body};
  Result<void> bound = bind(route_, from, message, options_);
  return bound ? Status() : std::move(bound).error();
}

Status RestServerCall::gone(const Error& error) const {
  return context_.cancelled() ? context_.cancellation() : Status::from(error);
}

Task<Status> RestServerCall::receive_only(google::protobuf::Message& message) {
  const std::size_t limit = dispatcher_.options().max_request();
  tern::Result<std::string> read = co_await exchange_.read_all(limit);
  if (!read) {
    if (!read.error().is(tern::Code::limit) || context_.cancelled()) co_return gone(read.error());
    co_return Status(Code::resource_exhausted,
                     "a body of more than " + std::to_string(limit) + " bytes");
  }
  Bytes body = Bytes::take(std::move(*read));
  const auto encoding = exchange_.request().fields.find("content-encoding");
  const auto coding = coding_named(encoding.value_or("identity"));
  if (!coding) {
    wrong_media_type_ = true;
    co_return Status(Code::unimplemented,
                     "content-encoding is not among " + std::string(kConnectAcceptEncoding));
  }
  if (*coding != Coding::identity && !body.empty()) {
    Result<Bytes> plain = decompress(*coding, body, limit);
    if (!plain) {
      co_return plain.error().code() == Code::internal
          ? Status(Code::invalid_argument, plain.error().message())
          : std::move(plain).error();
    }
    body = std::move(*plain);
  }
  Status status = check_type(body.empty(), false);
  if (status.ok()) status = bind_body(body.text(), message);
  co_return status;
}

std::optional<bool> RestServerCall::try_receive(google::protobuf::Message& message) {
  for (;;) {
    const std::optional<bool> taken = take(message);
    if (taken) return taken;
    auto read = exchange_.read();
    if (!read.await_ready()) return std::nullopt;
    const std::optional<bool> came = take_piece(read.await_resume(), message);
    if (came) return came;
  }
}

Task<bool> RestServerCall::receive_later(google::protobuf::Message& message) {
  for (;;) {
    tern::Result<Bytes> piece = co_await exchange_.read();
    std::optional<bool> came = take_piece(std::move(piece), message);
    if (!came) came = take(message);
    if (came) co_return *came;
  }
}

/// The next message of those that are there.
std::optional<bool> RestServerCall::take(google::protobuf::Message& message) {
  if (reading_over_) return false;
  if (route_.raw_request) return std::nullopt;
  Result<std::optional<std::string>> value = requests_.next();
  if (!value) return end_reading(std::move(value).error());
  if (!*value) return std::nullopt;
  Status status = bind_body(**value, message);
  return status.ok() || end_reading(std::move(status));
}

/// More of the body. Nothing: there may be messages in it now.
std::optional<bool> RestServerCall::take_piece(tern::Result<Bytes> piece,
                                               google::protobuf::Message& message) {
  if (!piece) return end_reading(gone(piece.error()));
  if (!std::exchange(type_checked_, true)) {
    Status status = check_type(piece->empty(), true);
    const auto encoding = exchange_.request().fields.find("content-encoding");
    if (status.ok() && encoding && *encoding != "identity") {
      wrong_media_type_ = true;
      status = Status(Code::unimplemented, "a stream of requests has no content-encoding");
    }
    if (!status.ok()) return end_reading(std::move(status));
  }
  if (route_.raw_request) {
    if (piece->empty()) return end_reading(Status());
    Status status = bind_body(piece->text(), message);
    return status.ok() || end_reading(std::move(status));
  }
  if (!piece->empty()) {
    requests_.push(piece->text());
    return std::nullopt;
  }
  requests_.end();
  const std::optional<bool> last = take(message);
  return last ? last : end_reading(Status());
}

bool RestServerCall::end_reading(Status status) {
  reading_over_ = true;
  status_ = std::move(status);
  return false;
}

// ---- responses ----------------------------------------------------------------------------------

bool RestServerCall::put(const google::protobuf::Message& message, Compress) {
  if (over() || !send_status_.ok()) return false;
  Result<RestBody> body = answer(route_, message, options_);
  if (!body) {
    send_status_ = std::move(body).error();
    return false;
  }
  start_as(body->content_type);
  std::string text;
  switch (form_) {
    case Form::array: text = (any_ ? ",\n" : "[") + body->bytes; break;
    case Form::lines: text = std::move(body->bytes) + "\n"; break;
    case Form::events: text = "data: " + body->bytes + "\n\n"; break;
    case Form::raw: text = std::move(body->bytes); break;
  }
  any_ = true;
  (void)exchange_.write(Bytes::take(std::move(text)));
  return !exchange_.outgoing().failed();
}

Task<bool> RestServerCall::drained() {
  const tern::Result<void> written = co_await exchange_.write(Bytes());
  co_return written.has_value();
}

}  // namespace tern::rpc
