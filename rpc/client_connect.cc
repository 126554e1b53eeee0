#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/message.h>

#include "base/timer_heap.h"
#include "rpc/channel.h"
#include "rpc/client_call.h"
#include "rpc/client_context.h"
#include "rpc/codec.h"
#include "rpc/compression.h"
#include "rpc/connect.h"
#include "rpc/envelope_client_call.h"
#include "rpc/metadata.h"
#include "rpc/open_stream.h"
#include "rpc/status_table.h"
#include "rpc/timeout.h"

/// Connect's client side, over every version of HTTP.

namespace tern::rpc {

namespace {

constexpr std::string_view kUnaryPrefix = "application/";
constexpr std::string_view kStreamPrefix = "application/connect+";
constexpr std::string_view kTrailerPrefix = "trailer-";

std::string_view bare_type(const http::Fields& head) noexcept {
  std::string_view type = head.find("content-type").value_or(std::string_view());
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  return type;
}

/// UNKNOWN for who does not speak the dialect at all, INTERNAL for another codec.
Status check_type(const http::Fields& head, std::string_view prefix, Codec codec) {
  const std::string_view type = bare_type(head);
  const bool alike = type.starts_with(prefix);
  const std::string_view rest = alike ? type.substr(prefix.size()) : std::string_view();
  if (alike && rest == name_of(codec)) return Status();
  const bool other_codec = alike && (prefix == kStreamPrefix || rest == "proto" || rest == "json");
  return Status(other_codec ? Code::internal : Code::unknown,
                "content-type \"" + std::string(type) + "\"");
}

// ---- streams -----------------------------------------------------------------------------------

class StreamClientCall final : public EnvelopeClientCall {
 public:
  StreamClientCall(const CallStart& start, std::unique_ptr<WireStream> stream)
      : EnvelopeClientCall(start, std::move(stream), "connect-content-encoding",
                           kConnectAcceptEncoding) {}

 private:
  Status check_head(http::Status status, const http::Fields& fields) override {
    if (status != http::Status::ok) return http_failure(status, connect_code_from_http(status));
    return check_type(fields, kStreamPrefix, options().codec);
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

Task<Result<std::unique_ptr<ClientCall>>> open_stream(CallStart start) {
  http::RequestHead head = common_head(start, kStreamPrefix);
  head.fields.add_lower("connect-accept-encoding", kConnectAcceptEncoding);
  if (start.context.coding() != Coding::identity) {
    head.fields.add_lower("connect-content-encoding", http::name_of(start.context.coding()));
  }
  Result<std::unique_ptr<WireStream>> stream = co_await open_wire(start, std::move(head));
  if (!stream) co_return fail(std::move(stream).error());
  auto call = std::make_unique<StreamClientCall>(start, std::move(*stream));
  if (start.only_request != nullptr) call->send_only(*start.only_request);
  co_return std::unique_ptr<ClientCall>(std::move(call));
}

// ---- unary calls -------------------------------------------------------------------------------

/// Its request is sent when it is made.
class UnaryClientCall final : public ClientCall, private TimerNode {
 public:
  UnaryClientCall(const CallStart& start, std::unique_ptr<WireStream> stream)
      : context_(start.context),
        options_(start.options),
        stream_(std::move(stream)),
        exchange_(stream_->exchange()) {
    context_.set_wire(exchange_.protocol());
    context_.on_cancel([this] { exchange_.abort(); });
    if (const auto end = context_.ends_at()) exchange_.runtime().timers().arm(*this, *end);
  }
  ~UnaryClientCall() override { context_.on_cancel(nullptr); }

  void half_close() override {}
  void start() override {}
  bool committed() const noexcept override { return committed_; }
  bool refused() const noexcept override { return refused_; }
  http::ClientExchange& exchange() const noexcept { return exchange_; }

  Task<Status> finish() override {
    if (!over_) {
      co_await read();
      passed_over_ = status_.ok();
    }
    co_return status_;
  }

 private:
  bool put(const google::protobuf::Message&, Compress) override { return false; }
  bool full() const noexcept override { return false; }
  Task<bool> drained() override { co_return false; }

  std::optional<bool> try_receive(google::protobuf::Message&) override {
    return over_ ? std::optional<bool>(false) : std::nullopt;
  }

  Task<bool> receive_later(google::protobuf::Message& message) override {
    co_await read();
    if (!status_.ok()) co_return false;
    Status status = decode(options_.codec, body_, message);
    if (status.ok()) co_return true;
    status_ = Status(Code::internal, status.message());
    co_return false;
  }

  /// The whole response into `body_` and `status_`.
  Task<void> read() {
    tern::Result<http::Response> head = co_await exchange_.response();
    if (!head) co_return broken(head.error());
    committed_ = true;
    split_metadata(head->fields());
    Status status;
    const bool good = head->status() == http::Status::ok;
    if (good) status = check_type(head->fields(), kUnaryPrefix, options_.codec);
    const auto named = head->fields().find("content-encoding");
    const auto coding = coding_named(named.value_or("identity"));
    if (status.ok() && !coding) {
      status =
          Status(Code::internal, "content-encoding " + std::string(*named) + " was not asked for");
    }
    if (!status.ok()) co_return fail_locally(std::move(status));
    tern::Result<std::string> text = co_await exchange_.read_all(options_.max_response);
    if (!text && !text.error().is(tern::Code::limit)) co_return broken(text.error());
    // Giving up drops what has come and was not read, even of a response that is all there.
    if (deadline_passed_ || context_.cancelled()) {
      co_return broken(Error(tern::Code::cancelled, "given up by our side"));
    }
    Result<Bytes> plain = fail(Code::resource_exhausted, "the response is larger than its limit");
    if (text) plain = plain_of(*coding, std::move(*text));
    if (!good) {
      const bool json = bare_type(head->fields()) == "application/json" && plain;
      const Code otherwise = connect_code_from_http(head->status());
      status = json ? parse_connect_error(plain->text(), otherwise)
                    : http_failure(head->status(), otherwise);
      co_return conclude(std::move(status));
    }
    if (!plain) co_return fail_locally(std::move(plain).error());
    context_.set_response_compressed(*coding != Coding::identity);
    compressed_ = *coding != Coding::identity;
    body_ = std::move(*plain);
    conclude(Status());
  }

  Result<Bytes> plain_of(Coding coding, std::string text) const {
    if (coding == Coding::identity || text.empty()) return Bytes::take(std::move(text));
    return decompress(coding, as_bytes(text), options_.max_response);
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
    context_.set_initial(std::move(initial));
    context_.set_trailing(std::move(trailing));
  }

  void broken(const Error& error) {
    refused_ = not_processed(error);
    if (context_.cancelled()) return conclude(Status(Code::cancelled, "cancelled by the caller"));
    Status status = Status::from(error);
    if (deadline_passed_) status = Status(Code::deadline_exceeded, "the deadline has passed");
    conclude(std::move(status));
  }
  void fail_locally(Status status) {
    conclude(std::move(status));
    exchange_.abort();
  }
  void conclude(Status status) {
    over_ = true;
    status_ = std::move(status);
    exchange_.runtime().timers().disarm(*this);
  }
  void expire(Timestamp) override {
    deadline_passed_ = true;
    exchange_.abort();
  }

  ClientContext& context_;
  const ChannelOptions& options_;
  std::unique_ptr<WireStream> stream_;
  http::ClientExchange& exchange_;
  Bytes body_;
  bool over_ = false;
  bool committed_ = false;
  bool refused_ = false;
  bool deadline_passed_ = false;
};

bool may_be_got(const Method& method) {
  return method.descriptor->options().idempotency_level() ==
         google::protobuf::MethodOptions::NO_SIDE_EFFECTS;
}

Task<Result<std::unique_ptr<ClientCall>>> open_unary(CallStart start, bool get) {
  const Coding coding = start.context.coding();
  Result<Bytes> bytes = encode(start.options.codec, *start.only_request, start.options.max_request);
  if (!bytes) co_return fail(std::move(bytes).error());
  // Nothing stays nothing: an empty message has no coding.
  const bool packed = coding != Coding::identity && !bytes->empty();
  if (packed) bytes = compress(coding, *bytes);
  http::RequestHead head = common_head(start, kUnaryPrefix);
  head.fields.add_lower("accept-encoding", kConnectAcceptEncoding);
  if (get) {
    ConnectQuery query;
    query.codec = start.options.codec;
    query.coding = packed ? coding : Coding::identity;
    query.message = bytes->text();
    query.versioned = true;
    head.method = "GET";
    head.path.append("?").append(to_string(query));
    head.fields.remove("content-type");
    head.fields.remove("connect-protocol-version");
  } else if (packed) {
    head.fields.add_lower("content-encoding", http::name_of(coding));
  }
  Result<std::unique_ptr<WireStream>> stream = co_await open_wire(start, std::move(head));
  if (!stream) co_return fail(std::move(stream).error());
  auto call = std::make_unique<UnaryClientCall>(start, std::move(*stream));
  // The call has the stream now, and outlives this.
  http::ClientExchange& exchange = call->exchange();
  if (get) {
    (void)exchange.finish();
  } else {
    (void)exchange.finish(std::move(*bytes));
  }
  co_return std::unique_ptr<ClientCall>(std::move(call));
}

class ConnectClientDialect final : public ClientDialect {
 public:
  explicit ConnectClientDialect(bool get) noexcept : get_(get) {}

  Task<Result<std::unique_ptr<ClientCall>>> open(const CallStart& start) const override {
    if (start.method.pattern != Pattern::unary) return open_stream(start);
    return open_unary(start, get_ && may_be_got(start.method));
  }

 private:
  bool get_;
};

}  // namespace

const ClientDialect& connect_client_dialect(bool get) {
  static const ConnectClientDialect kPost(false);
  static const ConnectClientDialect kGet(true);
  return get ? kGet : kPost;
}

}  // namespace tern::rpc
