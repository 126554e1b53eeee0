#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/message.h>

#include "http/date.h"
#include "rpc/codec.h"
#include "rpc/dialect.h"
#include "rpc/dispatcher.h"
#include "rpc/envelope.h"
#include "rpc/metadata.h"
#include "rpc/server_call.h"
#include "rpc/server_context.h"
#include "rpc/status_table.h"
#include "rpc/timeout.h"

/// gRPC's server side (PROTOCOL-HTTP2.md), over HTTP/2 and HTTP/3 (gRFC G2): what differs between
/// the two is the exchange's affair, but for the codes of resets (http::Abort).

namespace tern::rpc {

namespace {

constexpr std::string_view kGrpcContentType = "application/grpc";

/// What follows "application/grpc" in a content type; nothing when it does not begin like that.
std::optional<std::string_view> subtype(std::string_view content_type) noexcept {
  if (!content_type.starts_with(kGrpcContentType)) return std::nullopt;
  content_type.remove_prefix(kGrpcContentType.size());
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

/// The same with the date, one for all the responses of a second: HTTP/3 then encodes it once.
const http::Fields& dated_fields(Codec codec, UnixSeconds now) {
  struct Dated {
    UnixSeconds second = -1;
    http::Fields fields;
  };
  thread_local std::array<Dated, 2> all;  // the text depends on the second alone
  Dated& dated = all[codec == Codec::proto ? 0 : 1];
  if (dated.second != now) {
    dated.second = now;
    dated.fields = response_fields(codec);
    dated.fields.add_lower("date", http::HttpDate(now));
    dated.fields.mark_valid();
  }
  return dated.fields;
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

constexpr EnvelopeStyle kGrpcStyle = {DialectId::grpc, "grpc-encoding", "grpc-accept-encoding",
                                      kGrpcAcceptEncoding};

class GrpcCall final : public EnvelopeCall {
 public:
  GrpcCall(http::Exchange& exchange, const Dispatcher& dispatcher, const Endpoint& endpoint,
           Codec codec)
      : EnvelopeCall(exchange, dispatcher, endpoint, kGrpcStyle, codec) {}

 private:
  Result<Duration> timeout() const override {
    const auto value = exchange().request().fields.find("grpc-timeout");
    if (!value) return Duration::max();
    const auto parsed = parse_grpc_timeout(*value);
    if (!parsed) return fail(Code::internal, "grpc-timeout \"" + std::string(*value) + "\"");
    return *parsed;
  }

  /// The caller hears it as a status, unless what is queued before that does not go: a reset with
  /// CANCEL, which PROTOCOL-HTTP2.md has for this, is CANCELLED to a client whose own clock is
  /// late.
  void deadline_passed() override {
    if (exchange().outgoing().full()) return exchange().abort(http::Abort::cancelled);
    end(context().cancellation());
    exchange().stop_reading(http::Abort::cancelled);
  }

  const http::Fields& head_fields() const override {
    return dated_fields(codec(), exchange().runtime().unix_seconds());
  }

  void send_end(const Status& status, bool head_due) override {
    if (head_due) return send_trailers_only(status);
    if (status.ok() && context().trailing_metadata().empty()) {
      (void)exchange().finish(ok_trailers());
      return;
    }
    http::Fields trailers;
    add_status(trailers, status);
    context().trailing_metadata().add_to(trailers);
    (void)exchange().finish(trailers);
  }

  void send_trailers_only(const Status& status) {
    http::Response response(http::Status::ok);
    response.fields(response_fields(codec()));
    if (unknown_encoding()) response.field("grpc-accept-encoding", kGrpcAcceptEncoding);
    add_status(response.fields(), status);
    context().trailing_metadata().add_to(response.fields());
    (void)exchange().respond(std::move(response));
  }
};

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
    return serve_call<GrpcCall>(exchange, dispatcher, *endpoint, *codec);
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
    co_await take_rest(exchange);
    http::Response response(http::Status::ok);
    response.fields(response_fields(codec));
    add_status(response.fields(),
               Status(Code::unimplemented,
                      "there is no method " + std::string(exchange.request().path_only())));
    (void)exchange.respond(std::move(response));
  }
};

}  // namespace

std::unique_ptr<Dialect> make_grpc_dialect() { return std::make_unique<GrpcDialect>(); }

}  // namespace tern::rpc
