#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "rpc/channel.h"
#include "rpc/client_call.h"
#include "rpc/client_context.h"
#include "rpc/compression.h"
#include "rpc/envelope.h"
#include "rpc/envelope_client_call.h"
#include "rpc/grpc_web.h"
#include "rpc/metadata.h"
#include "rpc/open_stream.h"
#include "rpc/status_table.h"
#include "rpc/timeout.h"
#include "rpc/wire.h"

/// gRPC's client side, over HTTP/2 and HTTP/3 (gRFC G2), and gRPC-Web's, over every version of
/// HTTP.

namespace tern::rpc {

namespace {

constexpr std::string_view kContentType = "application/grpc";
constexpr std::string_view kWebContentType = "application/grpc-web";

/// The content type of a response whose codec is the request's. UNKNOWN for who does not speak the
/// dialect at all, INTERNAL for another codec.
Status check_type(const http::Fields& head, std::string_view wanted, Codec codec) {
  const std::string_view type = head.find("content-type").value_or(std::string_view());
  const auto wrong = [&](Code code) {
    return Status(code, "content-type \"" + std::string(type) + "\"");
  };
  if (!type.starts_with(wanted)) return wrong(Code::unknown);
  std::string_view rest = type.substr(wanted.size());
  rest = rest.substr(0, rest.find(';'));
  const bool mine = codec == Codec::proto ? rest.empty() || rest == "+proto" : rest == "+json";
  if (mine) return Status();
  return wrong(rest.empty() || rest.front() == '+' ? Code::internal : Code::unknown);
}

/// What gRPC and gRPC-Web say in their heads and trailers alike.
class StatusCall : public EnvelopeClientCall {
 public:
  StatusCall(const CallStart& start, std::unique_ptr<WireStream> stream, std::string_view type)
      : EnvelopeClientCall(start, std::move(stream), "grpc-encoding", kGrpcAcceptEncoding),
        type_(type) {}

 protected:
  Status check_head(http::Status status, const http::Fields& fields) override {
    if (status == http::Status::ok) return check_type(fields, type_, options().codec);
    const auto said = find_status(fields);
    return said && !said->ok() ? *said : http_failure(status, code_from_http(status));
  }

  bool only_trailers() const noexcept override {
    return !message_came() && trailers().empty() && head()->contains("grpc-status");
  }

  void end() override {
    if (only_trailers()) {
      context().set_trailing(*head());
      return conclude(*find_status(*head()));
    }
    if (head()->contains("grpc-status")) context().set_initial(*head());
    context().set_trailing(trailers());
    const auto status = find_status(trailers());
    conclude(status ? *status : Status(Code::internal, "the response ends without grpc-status"));
  }

  bool complete() const override { return find_status(trailers()).has_value(); }

  virtual const http::Fields& trailers() const noexcept = 0;

 private:
  std::string_view type_;
};

class GrpcClientCall final : public StatusCall {
 public:
  static constexpr std::string_view kType = kContentType;
  static constexpr bool kWantsTrailers = true;
  GrpcClientCall(const CallStart& start, std::unique_ptr<WireStream> stream)
      : StatusCall(start, std::move(stream), kType) {}

 private:
  Status take_other(const Envelope& envelope) override {
    return Status(Code::internal, "flags " + std::to_string(envelope.flags) + " before a message");
  }
  const http::Fields& trailers() const noexcept override { return exchange().trailers(); }
};

class WebClientCall final : public StatusCall {
 public:
  static constexpr std::string_view kType = kWebContentType;
  static constexpr bool kWantsTrailers = false;
  WebClientCall(const CallStart& start, std::unique_ptr<WireStream> stream)
      : StatusCall(start, std::move(stream), kType) {}

 private:
  Status take_other(const Envelope& envelope) override {
    if ((envelope.flags & ~kCompressed) != kWebTrailers) {
      return Status(Code::internal,
                    "flags " + std::to_string(envelope.flags) + " before a message");
    }
    Result<Bytes> text = plain(envelope);
    if (!text) return std::move(text).error();
    Result<http::Fields> read = parse_web_trailers(text->text());
    if (!read) return std::move(read).error();
    trailers_ = std::move(*read);
    end();
    return Status();
  }
  const http::Fields& trailers() const noexcept override { return trailers_; }

  http::Fields trailers_;
};

http::Fields common_fields(const ChannelOptions& options, std::string_view type) {
  http::Fields fields;
  std::string full(type);
  if (options.codec == Codec::json) full.append("+json");
  fields.add_lower("content-type", full);
  if (type == kContentType) {
    fields.add_lower("te", "trailers");
  } else {
    fields.add_lower("accept", full);
    fields.add_lower("x-grpc-web", "1");
  }
  fields.add_lower("user-agent", options.user_agent);
  fields.add_lower("grpc-accept-encoding", kGrpcAcceptEncoding);
  if (!fields.first_invalid()) fields.mark_valid();
  return fields;
}

void set(std::string& part, std::string_view value) {
  if (part != value) part.assign(value);
}

const http::RequestHead& grpc_head(const CallStart& start) {
  http::RequestHead& head = start.head;
  set(head.method, "POST");
  set(head.scheme, start.wire.scheme());
  set(head.authority, start.wire.authority());
  set(head.path, start.method.path);
  head.fields = start.fields;
  if (start.context.coding() != Coding::identity) {
    head.fields.add_lower("grpc-encoding", http::name_of(start.context.coding()));
  }
  if (const auto end = start.context.ends_at()) {
    const Timestamp now = start.wire.runtime().now();
    head.fields.add_lower("grpc-timeout", format_grpc_timeout(*end - now));
  }
  if (start.context.attempts() > 1) {
    head.fields.add_lower("grpc-previous-rpc-attempts",
                          std::to_string(start.context.attempts() - 1));
  }
  start.context.request_metadata().add_to(head.fields);
  return head;
}

using Opened = Result<std::unique_ptr<ClientCall>>;

/// What is left to do when the head has been sent.
template <typename Call>
Opened begun(const CallStart& start, Result<std::unique_ptr<WireStream>> stream) {
  if (!stream) return fail(std::move(stream).error());
  if (Call::kWantsTrailers && (*stream)->exchange().protocol() == "http/1.1") {
    return fail(Code::unimplemented, "gRPC needs HTTP/2 or HTTP/3, and the server has HTTP/1.1");
  }
  auto call = std::make_unique<Call>(start, std::move(*stream));
  if (start.only_request != nullptr) call->send_only(*start.only_request);
  return call;
}

template <typename Call>
Task<Opened> open_call(CallStart start) {
  http::RequestHead head(grpc_head(start));
  Result<std::unique_ptr<WireStream>> stream = co_await open_wire(start, std::move(head));
  co_return begun<Call>(start, std::move(stream));
}

template <typename Call>
class StatusDialect final : public ClientDialect {
 public:
  http::Fields fields(const ChannelOptions& options) const override {
    return common_fields(options, Call::kType);
  }
  Task<Opened> open(const CallStart& start) const override { return open_call<Call>(start); }
  std::optional<Opened> try_open(const CallStart& start) const override {
    auto stream = try_open_wire(start, grpc_head(start));
    if (!stream) return std::nullopt;
    return begun<Call>(start, std::move(*stream));
  }
};

}  // namespace

const ClientDialect& grpc_client_dialect() {
  static const StatusDialect<GrpcClientCall> kDialect;
  return kDialect;
}

const ClientDialect& grpc_web_client_dialect() {
  static const StatusDialect<WebClientCall> kDialect;
  return kDialect;
}

}  // namespace tern::rpc
