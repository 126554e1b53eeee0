#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/scope.h"
#include "base/timer_heap.h"
#include "rpc/channel.h"
#include "rpc/client_call.h"
#include "rpc/client_context.h"
#include "rpc/codec.h"
#include "rpc/compression.h"
#include "rpc/envelope.h"
#include "rpc/envelope_source.h"
#include "rpc/metadata.h"
#include "rpc/open_stream.h"
#include "rpc/status_table.h"
#include "rpc/timeout.h"
#include "rpc/wire.h"

/// gRPC's client side, over HTTP/2 and HTTP/3 (gRFC G2).

namespace tern::rpc {

namespace {

constexpr std::string_view kContentType = "application/grpc";

class GrpcClientCall final : public ClientCall, private TimerNode {
 public:
  GrpcClientCall(const CallStart& start, std::unique_ptr<WireStream> stream)
      : context_(start.context),
        options_(start.options),
        stream_(std::move(stream)),
        exchange_(stream_->exchange()),
        envelopes_(exchange_, start.options.max_response) {
    context_.set_wire(exchange_.protocol());
    context_.on_cancel([this] { exchange_.abort(); });
    if (const auto end = context_.ends_at()) exchange_.runtime().timers().arm(*this, *end);
  }
  ~GrpcClientCall() { context_.on_cancel(nullptr); }

  // ---- ClientCall
  void half_close() override {
    if (!exchange_.finished()) (void)exchange_.finish();
  }

  Task<Status> finish() override {
    while (!over_) {
      std::optional<EnvelopeSource::Next> envelope;
      if (take_head()) envelope = envelopes_.try_next();
      if (!envelope && !over_) {
        co_await wait_for_head();
        if (over_) break;
        envelope.emplace(co_await envelopes_.next());
      }
      if (over_) break;
      if (*envelope && **envelope) {
        message_came_ = true;
        passed_over_ = true;
      } else {
        end_with(*envelope);
      }
    }
    co_return status_;
  }

  bool committed() const noexcept override { return message_came_ || (head_ && !trailers_only()); }
  bool refused() const noexcept override { return refused_; }

  // ---- MessageWriter
  void start() override {}

  bool put(const google::protobuf::Message& message, Compress compress) override {
    if (over_ || exchange_.outgoing().failed()) return false;
    Result<Bytes> bytes = envelope_of(message, compress);
    if (!bytes) {
      fail_locally(std::move(bytes).error());
      return false;
    }
    (void)exchange_.write(std::move(*bytes));
    return !exchange_.outgoing().failed();
  }

 private:
  // ---- MessageReader
  std::optional<bool> try_receive(google::protobuf::Message& message) override {
    if (over_) return false;
    if (!take_head()) return over_ ? std::optional<bool>(false) : std::nullopt;
    std::optional<EnvelopeSource::Next> envelope = envelopes_.try_next();
    if (!envelope) return std::nullopt;
    return accept(*envelope, message);
  }

  Task<bool> receive_later(google::protobuf::Message& message) override {
    co_await wait_for_head();
    if (over_) co_return false;
    EnvelopeSource::Next envelope = co_await envelopes_.next();
    co_return accept(envelope, message);
  }

  bool accept(EnvelopeSource::Next& envelope, google::protobuf::Message& message) {
    if (envelope && *envelope) {
      message_came_ = true;
      Status status = decode_message(**envelope, message);
      if (status.ok()) return true;
      fail_locally(std::move(status));
    } else {
      end_with(envelope);
    }
    return false;
  }

  Status decode_message(const Envelope& envelope, google::protobuf::Message& message) {
    if ((envelope.flags & ~kCompressed) != 0) {
      return Status(Code::internal,
                    "flags " + std::to_string(envelope.flags) + " before a message");
    }
    compressed_ = envelope.compressed();
    context_.set_response_compressed(compressed_);
    if (!compressed_) return decode(options_.codec, envelope.payload, message);
    if (response_coding_ == Coding::identity) {
      return Status(Code::internal, "a compressed message without grpc-encoding");
    }
    Result<Bytes> plain = decompress(response_coding_, envelope.payload, options_.max_response);
    if (!plain) return std::move(plain).error();
    return decode(options_.codec, *plain, message);
  }

  // ---- the response's head
  /// True when it is there and a gRPC response's.
  bool take_head() {
    if (over_) return false;
    if (head_) return true;
    http::ClientExchange::Head head = exchange_.response();
    if (!head.await_ready()) return false;
    look_at(head.await_resume());
    return !over_;
  }

  Task<void> wait_for_head() {
    if (over_ || head_) co_return;
    tern::Result<http::Response> head = co_await exchange_.response();
    look_at(std::move(head));
  }

  void look_at(tern::Result<http::Response> head) {
    if (!head) return broken(head.error());
    head_ = std::move(head->fields());
    if (!head_->contains("grpc-status")) context_.set_initial(*head_);
    if (head->status() != http::Status::ok) {
      Status status = find_status(*head_).value_or(
          Status(code_from_http(head->status()),
                 "HTTP status " + std::to_string(http::code(head->status()))));
      return fail_locally(std::move(status));
    }
    const std::string_view type = head_->find("content-type").value_or(std::string_view());
    if (!type.starts_with(kContentType)) {
      return fail_locally(Status(Code::unknown, "content-type \"" + std::string(type) + "\""));
    }
    std::string_view rest = type.substr(kContentType.size());
    rest = rest.substr(0, rest.find(';'));
    const bool mine =
        options_.codec == Codec::proto ? rest.empty() || rest == "+proto" : rest == "+json";
    if (!mine) {
      return fail_locally(Status(Code::internal, "content-type \"" + std::string(type) + "\""));
    }
    if (const auto encoding = head_->find("grpc-encoding")) {
      const auto coding = http::coding_of(*encoding);
      if (!coding || (*coding != Coding::identity && *coding != Coding::gzip)) {
        return fail_locally(Status(
            Code::internal, "grpc-encoding " + std::string(*encoding) + " was not asked for"));
      }
      response_coding_ = *coding;
    }
  }

  // ---- the end
  bool trailers_only() const noexcept {
    return !message_came_ && exchange_.trailers().empty() && head_->contains("grpc-status");
  }

  /// The body is over, well or not.
  void end_with(const EnvelopeSource::Next& last) {
    if (last) return end();
    if (envelopes_.broken()) return broken(*envelopes_.broken());
    fail_locally(last.error());
  }

  void end() {
    if (trailers_only()) {
      context_.set_trailing(*head_);
      return conclude(*find_status(*head_));
    }
    if (head_->contains("grpc-status")) context_.set_initial(*head_);
    context_.set_trailing(exchange_.trailers());
    const auto status = find_status(exchange_.trailers());
    conclude(status ? *status : Status(Code::internal, "the response ends without grpc-status"));
  }

  void broken(const Error& error) {
    // A reset that overtakes the end of a complete response does not harm it.
    if (head_ && find_status(exchange_.trailers())) return end();
    refused_ = not_processed(error);
    if (context_.cancelled()) return conclude(Status(Code::cancelled, "cancelled by the caller"));
    Status status = Status::from(error);
    if (deadline_passed_ || (status.code() == Code::cancelled && late())) {
      status = Status(Code::deadline_exceeded, "the deadline has passed");
    }
    conclude(std::move(status));
  }

  bool late() const noexcept {
    const auto end = context_.ends_at();
    return end && exchange_.runtime().now() >= *end;
  }

  /// We end it: the rest is not wanted.
  void fail_locally(Status status) {
    conclude(std::move(status));
    exchange_.abort();
  }

  void conclude(Status status) {
    if (over_) return;
    over_ = true;
    status_ = std::move(status);
    exchange_.runtime().timers().disarm(*this);
  }

  void expire(Timestamp) override {
    deadline_passed_ = true;
    exchange_.abort();
  }

  // ---- requests
  Result<Bytes> envelope_of(const google::protobuf::Message& message, Compress how) {
    if (context_.coding() == Coding::identity || how == Compress::never) {
      return encode_envelope(options_.codec, message, options_.max_request);
    }
    Result<Bytes> plain = encode(options_.codec, message, options_.max_request);
    if (!plain) return plain;
    return compress_envelope(context_.coding(), *plain);
  }

  bool full() const noexcept override { return exchange_.outgoing().full(); }

  Task<bool> drained() override {
    const tern::Result<void> written = co_await exchange_.write(Bytes());
    co_return written.has_value();
  }

  ClientContext& context_;
  const ChannelOptions& options_;
  std::unique_ptr<WireStream> stream_;
  http::ClientExchange& exchange_;
  EnvelopeSource envelopes_;
  std::optional<http::Fields> head_;
  Coding response_coding_ = Coding::identity;
  bool message_came_ = false;
  bool over_ = false;
  bool refused_ = false;
  bool deadline_passed_ = false;
};

http::RequestHead head_of(const CallStart& start, Timestamp now) {
  http::RequestHead head;
  head.method = "POST";
  head.scheme = start.wire.scheme();
  head.authority = start.wire.authority();
  head.path = start.method.path;
  head.fields.add_lower("content-type", start.options.codec == Codec::proto
                                            ? "application/grpc"
                                            : "application/grpc+json");
  head.fields.add_lower("te", "trailers");
  head.fields.add_lower("user-agent", start.options.user_agent);
  head.fields.add_lower("grpc-accept-encoding", kGrpcAcceptEncoding);
  if (start.context.coding() != Coding::identity) {
    head.fields.add_lower("grpc-encoding", http::name_of(start.context.coding()));
  }
  if (const auto end = start.context.ends_at()) {
    head.fields.add_lower("grpc-timeout", format_grpc_timeout(*end - now));
  }
  if (start.context.attempts() > 1) {
    head.fields.add_lower("grpc-previous-rpc-attempts",
                          std::to_string(start.context.attempts() - 1));
  }
  start.context.request_metadata().add_to(head.fields);
  return head;
}

Task<Result<std::unique_ptr<ClientCall>>> open_grpc(CallStart start) {
  http::RequestHead head = head_of(start, start.wire.runtime().now());
  Result<std::unique_ptr<WireStream>> stream = co_await open_wire(start, std::move(head));
  if (!stream) co_return fail(std::move(stream).error());
  if ((*stream)->exchange().protocol() == "http/1.1") {
    co_return fail(Code::unimplemented, "gRPC needs HTTP/2 or HTTP/3, and the server has HTTP/1.1");
  }
  auto call = std::make_unique<GrpcClientCall>(start, std::move(*stream));
  if (start.only_request != nullptr) {
    call->put(*start.only_request, Compress::as_call);
    call->half_close();
  }
  co_return std::unique_ptr<ClientCall>(std::move(call));
}

class GrpcClientDialect final : public ClientDialect {
 public:
  Task<Result<std::unique_ptr<ClientCall>>> open(const CallStart& start) const override {
    return open_grpc(start);
  }
};

}  // namespace

const ClientDialect& grpc_client_dialect() {
  static const GrpcClientDialect kDialect;
  return kDialect;
}

}  // namespace tern::rpc
