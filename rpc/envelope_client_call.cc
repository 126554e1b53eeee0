#include "rpc/envelope_client_call.h"

#include <string>
#include <utility>

#include "rpc/codec.h"
#include "rpc/status_table.h"

namespace tern::rpc {

Status http_failure(http::Status status, Code code) {
  return Status(code, "HTTP status " + std::to_string(http::code(status)));
}

EnvelopeClientCall::EnvelopeClientCall(const CallStart& start, std::unique_ptr<WireStream> stream,
                                       std::string_view encoding, std::string_view codings)
    : context_(start.context),
      options_(start.options),
      stream_(std::move(stream)),
      exchange_(stream_->exchange()),
      envelopes_(exchange_, start.options.max_response),
      encoding_(encoding),
      codings_(codings) {
  context_.set_wire(exchange_.protocol());
  context_.on_cancel([this] { exchange_.abort(); });
  if (const auto end = context_.ends_at()) exchange_.runtime().timers().arm(*this, *end);
}

EnvelopeClientCall::~EnvelopeClientCall() { context_.on_cancel(nullptr); }

void EnvelopeClientCall::half_close() {
  if (!exchange_.finished()) (void)exchange_.finish();
}

bool EnvelopeClientCall::try_finish() {
  while (!over_ && take_head()) {
    std::optional<EnvelopeSource::Next> envelope = envelopes_.try_next();
    if (!envelope) break;
    pass_over(*envelope);
  }
  return over_;
}

Task<Status> EnvelopeClientCall::finish() {
  while (!try_finish()) {
    co_await wait_for_head();
    if (over_) break;
    EnvelopeSource::Next envelope = co_await envelopes_.next();
    pass_over(envelope);
  }
  co_return status_;
}

void EnvelopeClientCall::pass_over(const EnvelopeSource::Next& envelope) {
  if (!envelope || !*envelope) {
    take_end(envelope);
  } else if (((*envelope)->flags & ~kCompressed) != 0) {
    Status status = take_other(**envelope);
    if (!status.ok()) fail_locally(std::move(status));
  } else {
    message_came_ = true;
    passed_over_ = true;
  }
}

// ---- responses ----------------------------------------------------------------------------------

std::optional<bool> EnvelopeClientCall::try_receive(google::protobuf::Message& message) {
  if (over_) return false;
  if (!take_head()) return over_ ? std::optional<bool>(false) : std::nullopt;
  std::optional<EnvelopeSource::Next> envelope = envelopes_.try_next();
  if (!envelope) return std::nullopt;
  return accept(*envelope, message);
}

Task<bool> EnvelopeClientCall::receive_later(google::protobuf::Message& message) {
  if (!over_ && !head_) {
    tern::Result<http::Response> head = co_await exchange_.response();
    look_at(std::move(head));
  }
  std::optional<bool> received = try_receive(message);
  if (received) co_return *received;
  EnvelopeSource::Next envelope = co_await envelopes_.next();
  co_return accept(envelope, message);
}

bool EnvelopeClientCall::accept(EnvelopeSource::Next& envelope,
                                google::protobuf::Message& message) {
  if (!envelope || !*envelope) {
    take_end(envelope);
    return false;
  }
  if (((*envelope)->flags & ~kCompressed) != 0) {
    Status status = take_other(**envelope);
    if (!status.ok()) fail_locally(std::move(status));
    return false;
  }
  message_came_ = true;
  Status status = decode_message(**envelope, message);
  if (status.ok()) return true;
  fail_locally(std::move(status));
  return false;
}

Status EnvelopeClientCall::decode_message(const Envelope& envelope,
                                          google::protobuf::Message& message) {
  compressed_ = envelope.compressed();
  context_.set_response_compressed(compressed_);
  Result<Bytes> bytes = plain(envelope);
  if (!bytes) return std::move(bytes).error();
  Status status = decode(options_.codec, *bytes, message);
  // What a server writes wrongly is no fault of the arguments.
  if (status.code() == Code::invalid_argument) return Status(Code::internal, status.message());
  return status;
}

Result<Bytes> EnvelopeClientCall::plain(const Envelope& envelope) const {
  if (!envelope.compressed()) return envelope.payload;
  if (response_coding_ == Coding::identity) {
    return fail(Code::internal, "a compressed message without " + std::string(encoding_));
  }
  return decompress(response_coding_, envelope.payload, options_.max_response);
}

// ---- the response's head ------------------------------------------------------------------------

/// True when it is there and as it should be.
bool EnvelopeClientCall::take_head() {
  if (over_) return false;
  if (head_) return true;
  http::ClientExchange::Head head = exchange_.response();
  if (!head.await_ready()) return false;
  look_at(head.await_resume());
  return !over_;
}

Task<void> EnvelopeClientCall::wait_for_head() {
  if (over_ || head_) co_return;
  tern::Result<http::Response> head = co_await exchange_.response();
  look_at(std::move(head));
}

void EnvelopeClientCall::look_at(tern::Result<http::Response> head) {
  if (!head) return broken(head.error());
  head_ = std::move(head->fields());
  if (!head_->contains("grpc-status")) context_.set_initial(*head_);
  Status status = check_head(head->status(), *head_);
  if (status.ok()) status = read_coding();
  if (!status.ok()) fail_locally(std::move(status));
}

Status EnvelopeClientCall::read_coding() {
  const auto named = head_->find(encoding_);
  if (!named) return Status();
  const auto coding = coding_named(*named);
  if (!coding || !lists(codings_, *coding)) {
    return Status(Code::internal,
                  std::string(encoding_) + " " + std::string(*named) + " was not asked for");
  }
  response_coding_ = *coding;
  return Status();
}

// ---- the end ------------------------------------------------------------------------------------

/// The body is over, well or not.
void EnvelopeClientCall::take_end(const EnvelopeSource::Next& last) {
  // Giving up drops what has come and was not read, even of a response that is all there.
  if (last && !complete() && (deadline_passed_ || context_.cancelled())) {
    return broken(Error(tern::Code::cancelled, "given up by our side"));
  }
  if (last) return end();
  if (envelopes_.broken()) return broken(*envelopes_.broken());
  fail_locally(last.error());
}

void EnvelopeClientCall::broken(const Error& error) {
  // A reset that overtakes the end of a complete response does not harm it.
  if (head_ && complete()) return end();
  refused_ = not_processed(error);
  if (context_.cancelled()) return conclude(Status(Code::cancelled, "cancelled by the caller"));
  Status status = Status::from(error);
  if (deadline_passed_ || (status.code() == Code::cancelled && late())) {
    status = Status(Code::deadline_exceeded, "the deadline has passed");
  }
  conclude(std::move(status));
}

bool EnvelopeClientCall::late() const noexcept {
  const auto end_at = context_.ends_at();
  return end_at && exchange_.runtime().now() >= *end_at;
}

void EnvelopeClientCall::fail_locally(Status status) {
  conclude(std::move(status));
  exchange_.abort();
}

void EnvelopeClientCall::conclude(Status status) {
  if (over_) return;
  over_ = true;
  status_ = std::move(status);
  exchange_.runtime().timers().disarm(*this);
}

void EnvelopeClientCall::expire(Timestamp) {
  deadline_passed_ = true;
  exchange_.abort();
}

// ---- requests -----------------------------------------------------------------------------------

bool EnvelopeClientCall::put(const google::protobuf::Message& message, Compress compress) {
  if (over_ || exchange_.outgoing().failed()) return false;
  Result<Bytes> bytes = envelope_of(message, compress);
  if (!bytes) {
    fail_locally(std::move(bytes).error());
    return false;
  }
  (void)exchange_.write(std::move(*bytes));
  return !exchange_.outgoing().failed();
}

Result<Bytes> EnvelopeClientCall::envelope_of(const google::protobuf::Message& message,
                                              Compress how) {
  if (context_.coding() == Coding::identity || how == Compress::never) {
    return encode_envelope(options_.codec, message, options_.max_request);
  }
  Result<Bytes> bytes = encode(options_.codec, message, options_.max_request);
  if (!bytes) return bytes;
  return compress_envelope(context_.coding(), *bytes);
}

Task<bool> EnvelopeClientCall::drained() {
  const tern::Result<void> written = co_await exchange_.write(Bytes());
  co_return written.has_value();
}

}  // namespace tern::rpc
