#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/message.h>

#include "rpc/channel.h"
#include "rpc/client_call.h"
#include "rpc/client_context.h"
#include "rpc/codec.h"
#include "rpc/compression.h"
#include "rpc/connect.h"
#include "rpc/envelope_client_call.h"
#include "rpc/media_type.h"
#include "rpc/metadata.h"
#include "rpc/open_stream.h"
#include "rpc/plain_client_call.h"
#include "rpc/status_table.h"
#include "rpc/timeout.h"

/// Connect's client side, over every version of HTTP.

namespace tern::rpc {

namespace {

constexpr std::string_view kUnaryPrefix = "application/";
constexpr std::string_view kTrailerPrefix = "trailer-";

/// UNKNOWN for who does not speak the dialect at all, INTERNAL for another codec.
Status check_connect_type(const http::Fields& head, std::string_view prefix, Codec codec) {
  const std::string type = media_type(head);
  const bool alike = type.starts_with(prefix);
  const std::string_view rest =
      alike ? std::string_view(type).substr(prefix.size()) : std::string_view();
  if (alike && rest == name_of(codec)) return Status();
  const bool other_codec =
      alike && (prefix == kConnectStreamPrefix || rest == "proto" || rest == "json");
  return Status(other_codec ? Code::internal : Code::unknown, "content-type \"" + type + "\"");
}

// ---- streams ------------------------------------------------------------------------------------

class StreamClientCall final : public EnvelopeClientCall {
 public:
  StreamClientCall(const CallStart& start, std::unique_ptr<WireStream> stream)
      : EnvelopeClientCall(start, std::move(stream), "connect-content-encoding",
                           kConnectAcceptEncoding) {}

 private:
  Status check_head(http::Status status, const http::Fields& fields) override {
    if (status != http::Status::ok) return http_failure(status, connect_code_from_http(status));
    return check_connect_type(fields, kConnectStreamPrefix, options().codec);
  }
  bool only_trailers() const noexcept override { return false; }

  Status take_other(const Envelope& envelope) override {
    if ((envelope.flags & ~kCompressed) != kConnectEnd) {
      return Status(Code::internal,
                    "flags " + std::to_string(envelope.flags) + " before a message");
    }
    Result<Bytes> json = plain(envelope);
    if (!json) return std::move(json).error();
    Result<ConnectEnd> read = parse_connect_end(json->text());
    if (!read) return std::move(read).error();
    http::Fields trailers;
    read->trailers.add_to(trailers);
    context().set_trailing(std::move(trailers));
    conclude(std::move(read->status));
    return Status();
  }

  void end() override {
    conclude(Status(Code::internal, "the response ends without the end of its stream"));
  }
  bool complete() const override { return false; }
};

http::RequestHead common_head(const CallStart& start, std::string_view type) {
  http::RequestHead head;
  head.method = "POST";
  head.scheme = start.wire.scheme();
  head.authority = start.wire.authority();
  head.path = start.method.path;
  head.fields.add_lower("content-type",
                        std::string(type) + std::string(name_of(start.options.codec)));
  head.fields.add_lower("user-agent", start.options.user_agent);
  head.fields.add_lower("connect-protocol-version", "1");
  if (const auto end = start.context.ends_at()) {
    head.fields.add_lower("connect-timeout-ms",
                          format_connect_timeout(*end - start.wire.runtime().now()));
  }
  start.context.request_metadata().add_to(head.fields);
  return head;
}

/// A call's request, ready to be sent: for streams the head alone.
struct Prepared {
  http::RequestHead head;
  std::optional<Bytes> body;
};

Prepared prepare_stream(const CallStart& start) {
  Prepared made{common_head(start, kConnectStreamPrefix), std::nullopt};
  made.head.fields.add_lower("connect-accept-encoding", kConnectAcceptEncoding);
  if (start.context.coding() != Coding::identity) {
    made.head.fields.add_lower("connect-content-encoding", http::name_of(start.context.coding()));
  }
  return made;
}

// ---- unary calls --------------------------------------------------------------------------------

class UnaryClientCall final : public PlainClientCall {
 public:
  using PlainClientCall::PlainClientCall;

 private:
  Task<bool> read_one() override {
    co_await read();
    co_return status_.ok();
  }

  Status decode_one(google::protobuf::Message& message) override {
    Status status = decode(options().codec, body_, message);
    return status.ok() ? status : Status(Code::internal, status.message());
  }

  /// The whole response into `body_` and `status_`.
  Task<void> read() {
    tern::Result<http::Response> head = co_await exchange().response();
    if (!head) co_return broken(head.error());
    commit();
    split_metadata(head->fields());
    Status status;
    const bool good = head->status() == http::Status::ok;
    if (good) status = check_connect_type(head->fields(), kUnaryPrefix, options().codec);
    const auto named = head->fields().find("content-encoding");
    const auto coding = coding_named(named.value_or("identity"));
    if (status.ok() && !coding) {
      status =
          Status(Code::internal, "content-encoding " + std::string(*named) + " was not asked for");
    }
    if (!status.ok()) co_return fail_locally(std::move(status));
    tern::Result<std::string> text = co_await exchange().read_all(options().max_response);
    if (!text && !text.error().is(tern::Code::limit)) co_return broken(text.error());
    if (given_up()) co_return give_up();
    Result<Bytes> plain = fail(Code::resource_exhausted, "the response is larger than its limit");
    if (text) plain = plain_of(*coding, std::move(*text));
    if (!good) {
      const bool json = media_type(head->fields()) == "application/json" && plain;
      const Code otherwise = connect_code_from_http(head->status());
      status = json ? parse_connect_error(plain->text(), otherwise)
                    : http_failure(head->status(), otherwise);
      co_return conclude(std::move(status));
    }
    if (!plain) co_return fail_locally(std::move(plain).error());
    compressed_ = *coding != Coding::identity;
    context().set_response_compressed(compressed_);
    body_ = std::move(*plain);
    conclude(Status());
  }

  void split_metadata(const http::Fields& fields) {
    http::Fields initial, trailing;
    for (const http::Field field : fields) {
      if (field.name.starts_with(kTrailerPrefix)) {
        trailing.add_lower(field.name.substr(kTrailerPrefix.size()), field.value);
      } else {
        initial.add_lower(field.name, field.value);
      }
    }
    context().set_initial(std::move(initial));
    context().set_trailing(std::move(trailing));
  }

  Bytes body_;
};

bool has_no_side_effects(const Method& method) {
  return method.descriptor->options().idempotency_level() ==
         google::protobuf::MethodOptions::NO_SIDE_EFFECTS;
}

Result<Prepared> prepare_unary(const CallStart& start, bool get) {
  const Coding coding = start.context.coding();
  Result<Bytes> bytes = encode(start.options.codec, *start.only_request, start.options.max_request);
  if (!bytes) return fail(std::move(bytes).error());
  // Nothing stays nothing: an empty message has no coding.
  const bool packed = coding != Coding::identity && !bytes->empty();
  if (packed) bytes = compress(coding, *bytes);
  Prepared made{common_head(start, kUnaryPrefix), std::nullopt};
  http::RequestHead& head = made.head;
  head.fields.add_lower("accept-encoding", kConnectAcceptEncoding);
  if (!get) {
    if (packed) head.fields.add_lower("content-encoding", http::name_of(coding));
    made.body = std::move(*bytes);
    return made;
  }
  ConnectQuery query;
  query.codec = start.options.codec;
  query.coding = packed ? coding : Coding::identity;
  query.message = bytes->text();
  query.versioned = true;
  head.method = "GET";
  head.path.append("?").append(to_string(query));
  head.fields.remove("content-type");
  head.fields.remove("connect-protocol-version");
  return made;
}

// ---- both ---------------------------------------------------------------------------------------

using Opened = Result<std::unique_ptr<ClientCall>>;

/// What is left to do when the head has been sent.
Opened begun_connect(const CallStart& start, std::optional<Bytes> body,
                     Result<std::unique_ptr<WireStream>> stream) {
  if (!stream) return fail(std::move(stream).error());
  if (start.method.pattern != Pattern::unary) {
    auto call = std::make_unique<StreamClientCall>(start, std::move(*stream));
    if (start.only_request != nullptr) call->send_only(*start.only_request);
    return call;
  }
  auto call = std::make_unique<UnaryClientCall>(start, std::move(*stream));
  // The call has the stream now, and outlives this.
  http::ClientExchange& exchange = call->exchange();
  if (body) {
    (void)exchange.finish(std::move(*body));
  } else {
    (void)exchange.finish();
  }
  return call;
}

class ConnectClientDialect final : public ClientDialect {
 public:
  explicit ConnectClientDialect(bool get) noexcept : get_(get) {}

  Task<Opened> open(const CallStart& start) const override { return open_later(start, get_); }
  std::optional<Opened> try_open(const CallStart& start) const override {
    Result<Prepared> made = prepare(start, get_);
    if (!made) return fail(std::move(made).error());
    auto stream = try_open_wire(start, made->head);
    if (!stream) return std::nullopt;
    return begun_connect(start, std::move(made->body), std::move(*stream));
  }

 private:
  static Result<Prepared> prepare(const CallStart& start, bool get) {
    if (start.method.pattern != Pattern::unary) return prepare_stream(start);
    return prepare_unary(start, get && has_no_side_effects(start.method));
  }
  static Task<Opened> open_later(CallStart start, bool get) {
    Result<Prepared> made = prepare(start, get);
    if (!made) co_return fail(std::move(made).error());
    Result<std::unique_ptr<WireStream>> stream = co_await open_wire(start, std::move(made->head));
    co_return begun_connect(start, std::move(made->body), std::move(stream));
  }

  bool get_;
};

}  // namespace

const ClientDialect& connect_client_dialect(bool get) {
  static const ConnectClientDialect kPost(false);
  static const ConnectClientDialect kGet(true);
  return get ? kGet : kPost;
}

}  // namespace tern::rpc
