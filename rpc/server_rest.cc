#include "rpc/server_rest.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "base/check.h"
#include "http/escape.h"
#include "rpc/dispatcher.h"
#include "rpc/metadata.h"
#include "rpc/server_call.h"
#include "rpc/status_table.h"
#include "rpc/timeout.h"

namespace tern::rpc {

namespace {

/// How the messages of a server stream are one body.
enum class StreamForm : std::uint8_t { array, lines, events, raw };

/// What `accept` asks for first among what there is; an array of JSON for who does not mind.
StreamForm form_for(std::string_view accept) noexcept {
  struct Known {
    std::string_view type;
    StreamForm form;
  };
  constexpr std::array kKnown = {Known{"text/event-stream", StreamForm::events},
                                 Known{"application/x-ndjson", StreamForm::lines},
                                 Known{"application/jsonl", StreamForm::lines},
                                 Known{"application/json-lines", StreamForm::lines},
                                 Known{"application/json", StreamForm::array}};
  StreamForm form = StreamForm::array;
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

bool is_json(std::string_view type) noexcept {
  return type == "application/json" ||
         (type.starts_with("application/") && type.ends_with("+json"));
}

Result<Duration> timeout_of(const http::Exchange& exchange) {
  const auto value = exchange.request().fields.find("grpc-timeout");
  if (!value) return Duration::max();
  const auto parsed = parse_grpc_timeout(*value);
  if (!parsed) return fail(Code::invalid_argument, "grpc-timeout \"" + std::string(*value) + "\"");
  return *parsed;
}

void respond_error(http::Exchange& exchange, const Dispatcher& dispatcher, http::Status http_status,
                   const Status& status, http::Response response = http::Response()) {
  response.set_status(http_status);
  response.field("content-type", "application/json");
  response.body(Bytes::take(rest_error(status)));
  add_cors(dispatcher, exchange, response.fields());
  (void)exchange.respond(std::move(response));
}

/// One call; with a stream of responses it is their writer.
class RestCall final : public MessageWriter {
 public:
  RestCall(http::Exchange& exchange, const Dispatcher& dispatcher, const Endpoint& endpoint,
           const RestRoute& route, const RestOptions& options)
      : exchange_(exchange),
        dispatcher_(dispatcher),
        route_(route),
        options_(options),
        context_(*this, *endpoint.method) {
    form_ = route.raw_response ? StreamForm::raw
                               : form_for(exchange.request().fields.joined("accept").value_or(""));
  }

  ServerContext& context() noexcept { return context_; }

  Status begin() {
    context_.compress(dispatcher_.options().compression());
    const Result<Duration> said = timeout_of(exchange_);
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

  Task<Status> read_request(const std::vector<std::string>& values,
                            google::protobuf::Message& message) {
    const std::size_t limit = dispatcher_.options().max_request();
    tern::Result<std::string> read = co_await exchange_.read_all(limit);
    if (!read) {
      if (context_.cancelled()) co_return context_.cancellation();
      if (!read.error().is(tern::Code::limit)) co_return Status::from(read.error());
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
    if (Status status = check_type(body); !status.ok()) co_return status;
    const std::string type(exchange_.request().fields.find("content-type").value_or(""));
    const RestRequest from{values, exchange_.request().query(), type, body.text()};
    Result<void> bound = bind(route_, from, message, options_);
    if (!bound) co_return std::move(bound).error();
    co_return Status();
  }

  /// The one response.
  void finish(const google::protobuf::Message& message) {
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

  /// An error, or the end of a stream.
  void end(const Status& sent) {
    if (over()) return;
    const Status& status = sent.ok() ? send_status_ : sent;
    if (!exchange_.responded() && !status.ok()) {
      http::Response response;
      add_metadata(response.fields());
      const http::Status http_status = wrong_media_type_ ? http::Status::unsupported_media_type
                                                         : rpc::http_status(status.code());
      return respond_error(exchange_, dispatcher_, http_status, status, std::move(response));
    }
    start();
    std::string last;
    switch (form_) {
      case StreamForm::array:
      case StreamForm::raw:
        // What is broken off must not look whole.
        if (!status.ok()) return exchange_.abort(http::Abort::internal);
        if (form_ == StreamForm::array) last = any_ ? "]\n" : "[]\n";
        break;
      case StreamForm::lines:
        if (!status.ok()) last = "{\"error\":" + rest_error(status) + "}\n";
        break;
      case StreamForm::events:
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

  // ---- MessageWriter
  void start() override { start_as("application/octet-stream"); }

 private:
  /// Knows the call that it is of.
  struct Context final : ServerContext {
    Context(RestCall& owner, const Method& method)
        : ServerContext(owner.exchange_, method, DialectId::rest), call(owner) {}
    RestCall& call;
  };

  bool over() const noexcept { return exchange_.finished() || exchange_.outgoing().failed(); }

  Status check_type(const Bytes& body) {
    // Pages of other origins can send anything as text/plain without asking first (CORS).
    if (body.empty() || route_.raw_request || is_json(media_type(exchange_))) return Status();
    if (route_.body == RestRoute::Body::none) {
      return Status(Code::invalid_argument, "the method has no body");
    }
    wrong_media_type_ = true;
    return Status(Code::invalid_argument, "the body's content type is application/json");
  }

  void add_metadata(http::Fields& fields) {
    context_.initial_metadata().add_to(fields);
    context_.trailing_metadata().add_to(fields);
  }

  void start_as(std::string_view raw_type) {
    if (exchange_.responded()) return;
    http::Response response(http::Status::ok);
    switch (form_) {
      case StreamForm::array: response.field("content-type", "application/json"); break;
      case StreamForm::lines: response.field("content-type", "application/x-ndjson"); break;
      case StreamForm::events:
        response.field("content-type", "text/event-stream").field("cache-control", "no-store");
        break;
      case StreamForm::raw: response.field("content-type", raw_type); break;
    }
    if (form_ != StreamForm::raw) response.field("vary", "accept");
    context_.initial_metadata().add_to(response.fields());
    add_cors(dispatcher_, exchange_, response.fields());
    (void)exchange_.start(std::move(response));
  }

  bool put(const google::protobuf::Message& message, Compress) override {
    if (over() || !send_status_.ok()) return false;
    Result<RestBody> body = answer(route_, message, options_);
    if (!body) {
      send_status_ = std::move(body).error();
      return false;
    }
    start_as(body->content_type);
    std::string text;
    switch (form_) {
      case StreamForm::array: text = (any_ ? ",\n" : "[") + body->bytes; break;
      case StreamForm::lines: text = std::move(body->bytes) + "\n"; break;
      case StreamForm::events: text = "data: " + body->bytes + "\n\n"; break;
      case StreamForm::raw: text = std::move(body->bytes); break;
    }
    any_ = true;
    (void)exchange_.write(Bytes::take(std::move(text)));
    return !exchange_.outgoing().failed();
  }

  bool full() const noexcept override { return exchange_.outgoing().full(); }

  Task<bool> drained() override {
    const tern::Result<void> written = co_await exchange_.write(Bytes());
    co_return written.has_value();
  }

  http::Exchange& exchange_;
  const Dispatcher& dispatcher_;
  const RestRoute& route_;
  const RestOptions& options_;
  StreamForm form_ = StreamForm::array;
  bool any_ = false;  // a message was sent
  bool wrong_media_type_ = false;
  Status send_status_;  // why a message could not be sent
  Context context_;
};

Task<void> serve_call(http::Exchange& exchange, const Dispatcher& dispatcher,
                      const Endpoint& endpoint, const RestRoute& route, const RestOptions& options,
                      std::vector<std::string> values) {
  RestCall call(exchange, dispatcher, endpoint, route, options);
  const Method& method = *endpoint.method;
  const std::unique_ptr<google::protobuf::Message> request(method.request->New());
  Status status = call.begin();
  if (status.ok()) {
    status = co_await call.read_request(values, *request);
  }
  if (!status.ok()) co_return call.end(status);
  std::unique_ptr<google::protobuf::Message> response;
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
  call.end(status);
}

class RestDialect final : public Dialect {
 public:
  RestDialect(const Services& services, RestOptions options) : options_(options) {
    for (const std::shared_ptr<Service>& service : services) {
      for (const Method& method : service->methods()) add(method);
    }
  }

  bool accepts(const http::Exchange& exchange, const Dispatcher&) const override {
    if (routes_.empty() || exchange.method() == "CONNECT") return false;
    return find(exchange).outcome != PathTable::Match::Outcome::no_path;
  }

  Task<void> serve(http::Exchange& exchange, const Dispatcher& dispatcher) const override {
    using Outcome = PathTable::Match::Outcome;
    PathTable::Match match = find(exchange);
    if (match.outcome == Outcome::no_method) {
      http::Response response;
      response.field("allow", match.allow);
      respond_error(exchange, dispatcher, http::Status::method_not_allowed,
                    Status(Code::unimplemented,
                           "the path is not for " + http::escaped(exchange.method(), 32)),
                    std::move(response));
      return Task<void>::completed();
    }
    if (match.outcome == Outcome::malformed) {
      respond_error(exchange, dispatcher, http::Status::bad_request,
                    Status(Code::invalid_argument, "the path cannot be decoded"));
      return Task<void>::completed();
    }
    const Entry& entry = routes_[match.route];
    const Endpoint& endpoint = *dispatcher.find(entry.path);
    if (streams_requests(endpoint.method->pattern)) {
      respond_error(
          exchange, dispatcher, http::Status::not_implemented,
          Status(Code::unimplemented, "a method with a stream of requests is not called by REST"));
      return Task<void>::completed();
    }
    return serve_call(exchange, dispatcher, endpoint, entry.route, options_,
                      std::move(match.values));
  }

 private:
  struct Entry {
    std::string_view path;
    RestRoute route;
  };

  void add(const Method& method) {
    tern::Result<std::vector<RestRoute>> found = rest_routes(*method.descriptor);
    TERN_CHECK(found.has_value());  // check_rest says what is wrong
    for (RestRoute& route : *found) {
      const bool added = table_.add(route.http_method, route.path, routes_.size()).has_value();
      TERN_CHECK(added);
      routes_.push_back({method.path, std::move(route)});
    }
  }

  PathTable::Match find(const http::Exchange& exchange) const {
    return table_.find(exchange.method(), exchange.request().path_only());
  }

  RestOptions options_;
  std::vector<Entry> routes_;
  PathTable table_;
};

}  // namespace

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

tern::Result<void> check_rest(const Services& services) {
  PathTable table;
  for (const std::shared_ptr<Service>& service : services) {
    for (const Method& method : service->methods()) {
      TERN_TRY(const std::vector<RestRoute> routes, rest_routes(*method.descriptor));
      for (const RestRoute& route : routes) {
        if (auto added = table.add(route.http_method, route.path, 0); !added) {
          return tern::fail(Error::invalid("google.api.http of " + method.descriptor->full_name() +
                                           ": " + added.error().detail));
        }
      }
    }
  }
  return {};
}

std::unique_ptr<Dialect> make_rest_dialect(const Services& services, RestOptions options) {
  return std::make_unique<RestDialect>(services, options);
}

}  // namespace tern::rpc
