#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/message.h>

#include "rpc/dialect.h"
#include "rpc/grpc_web.h"
#include "rpc/media_type.h"
#include "rpc/metadata.h"
#include "rpc/server_call.h"

/// gRPC-Web's server side (PROTOCOL-WEB.md), over every version of HTTP: gRPC with the trailers in
/// the body, and perhaps all of that in base64.

namespace tern::rpc {

namespace {

constexpr std::string_view kWeb = "application/grpc-web";
constexpr std::string_view kText = "application/grpc-web-text";

constexpr EnvelopeStyle kWebStyle = {DialectId::grpc_web, "grpc-encoding", "grpc-accept-encoding",
                                     kGrpcAcceptEncoding};

/// What a content type, or `accept`, of this dialect means.
struct WebFormat {
  Codec codec = Codec::proto;
  bool text = false;
};

/// Whether it is one of this dialect's at all.
bool is_web(std::string_view type) noexcept {
  if (!type.starts_with(kWeb)) return false;
  type.remove_prefix(type.starts_with(kText) ? kText.size() : kWeb.size());
  return type.empty() || type.front() == '+';
}

std::optional<WebFormat> format_of(std::string_view type) noexcept {
  if (!is_web(type)) return std::nullopt;
  WebFormat format;
  format.text = type.starts_with(kText);
  type.remove_prefix(format.text ? kText.size() : kWeb.size());
  if (type == "+json") {
    format.codec = Codec::json;
  } else if (!type.empty() && type != "+proto") {
    return std::nullopt;
  }
  return format;
}

const http::Fields& web_head(WebFormat format) {
  const auto make = [](std::string_view content_type) {
    http::Fields fields;
    fields.add_lower("content-type", content_type);
    fields.mark_valid();
    return fields;
  };
  static const http::Fields kHeads[] = {
      make("application/grpc-web+proto"), make("application/grpc-web+json"),
      make("application/grpc-web-text+proto"), make("application/grpc-web-text+json")};
  return kHeads[(format.text ? 2 : 0) + (format.codec == Codec::json ? 1 : 0)];
}

/// A request's body in base64.
class TextBody final : public EnvelopeFilter {
 public:
  Result<Bytes> unwrap(Bytes piece) override {
    std::string bytes;
    if (auto done = decoder_.decode(piece, bytes); !done) return fail(std::move(done).error());
    return Bytes::take(std::move(bytes));
  }
  bool may_end() const override { return decoder_.complete(); }

 private:
  WebTextDecoder decoder_;
};

class WebCall final : public EnvelopeCall {
 public:
  WebCall(http::Exchange& exchange, const Dispatcher& dispatcher, const Endpoint& endpoint,
          WebFormat format)
      : EnvelopeCall(exchange, dispatcher, endpoint, kWebStyle, format.codec,
                     format.text ? &text_ : nullptr),
        format_(format) {}

 private:
  Result<Duration> timeout() const override { return grpc_timeout_of(exchange(), Code::internal); }

  const http::Fields& head_fields() const override { return web_head(format_); }

  void send_end(const Status& status, bool head_due) override {
    if (head_due) {  // Trailers-Only: all of it in the head, and no body
      http::Response response(http::Status::ok);
      response.fields(web_head(format_));
      response.field("content-length", "0");
      if (unknown_encoding()) response.field("grpc-accept-encoding", kGrpcAcceptEncoding);
      add_status(response.fields(), status);
      context().trailing_metadata().add_to(response.fields());
      add_cors(dispatcher(), exchange(), response.fields());
      (void)exchange().respond(std::move(response));
      return;
    }
    http::Fields trailers;
    add_status(trailers, status);
    context().trailing_metadata().add_to(trailers);
    const std::string text = web_trailers(trailers);
    (void)exchange().finish(wrap(make_envelope(kWebTrailers, as_bytes(text))));
  }

  Bytes wrap(Bytes envelopes) override {
    if (!format_.text) return envelopes;
    // Each piece is padded by itself, so that what has been sent can be read.
    return Bytes::take(to_base64(envelopes.text(), true));
  }

  WebFormat format_;
  TextBody text_;  // of the request
};

class WebDialect final : public Dialect {
 public:
  bool accepts(const http::Exchange& exchange, const Dispatcher&) const override {
    return is_web(media_type(exchange.request().fields));
  }

  Task<void> serve(http::Exchange& exchange, const Dispatcher& dispatcher) const override {
    const auto format = format_of(media_type(exchange.request().fields));
    if (!format || exchange.method() != "POST") {
      http::Response response(format ? http::Status::method_not_allowed
                                     : http::Status::unsupported_media_type);
      if (format) response.field("allow", "POST");
      add_cors(dispatcher, exchange, response.fields());
      (void)exchange.respond(std::move(response));
      return Task<void>::completed();
    }
    const Endpoint* endpoint = dispatcher.find(exchange.request().path_only());
    if (endpoint != nullptr) return serve_call<WebCall>(exchange, dispatcher, *endpoint, *format);
    return refuse_method(exchange, dispatcher, *format);
  }

 private:
  static Task<void> refuse_method(http::Exchange& exchange, const Dispatcher& dispatcher,
                                  WebFormat format) {
    co_await take_rest(exchange);
    http::Response response(http::Status::ok);
    response.fields(web_head(format));
    response.field("content-length", "0");
    add_status(response.fields(),
               Status(Code::unimplemented,
                      "there is no method " + std::string(exchange.request().path_only())));
    add_cors(dispatcher, exchange, response.fields());
    (void)exchange.respond(std::move(response));
  }
};

}  // namespace

std::unique_ptr<Dialect> make_grpc_web_dialect() { return std::make_unique<WebDialect>(); }

}  // namespace tern::rpc
