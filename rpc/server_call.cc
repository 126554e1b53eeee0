#include "rpc/server_call.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>

#include "rpc/compression.h"
#include "rpc/timeout.h"

namespace tern::rpc {

Status handler_threw() { return Status(Code::internal, "the handler failed"); }

Result<Duration> grpc_timeout_of(const http::Exchange& exchange, Code malformed) {
  const auto value = exchange.request().fields.find("grpc-timeout");
  if (!value) return Duration::max();
  const auto parsed = parse_grpc_timeout(*value);
  if (!parsed) return fail(malformed, "grpc-timeout \"" + std::string(*value) + "\"");
  return *parsed;
}

Task<void> take_rest(http::Exchange& exchange) {
  constexpr std::size_t kLittle = std::size_t{16} * 1024;
  const auto announced = exchange.request().fields.find("content-length");
  if (!announced) co_return;
  std::size_t size = 0;
  const char* const end = announced->data() + announced->size();
  const auto read = std::from_chars(announced->data(), end, size);
  if (read.ec != std::errc() || read.ptr != end || size > kLittle) co_return;
  const tern::Result<std::string> dropped = co_await exchange.read_all(kLittle);
  (void)dropped;
}

void add_cors(const Dispatcher& dispatcher, const http::Exchange& exchange, http::Fields& fields) {
  if (const http::Cors* cors = dispatcher.options().cors()) {
    cors->apply(exchange.request(), fields);
  }
}

EnvelopeCall::EnvelopeCall(http::Exchange& exchange, const Dispatcher& dispatcher,
                           const Endpoint& endpoint, const EnvelopeStyle& style, Codec codec,
                           EnvelopeFilter* filter)
    : exchange_(exchange),
      dispatcher_(dispatcher),
      endpoint_(endpoint),
      style_(style),
      codec_(codec),
      envelopes_(exchange, dispatcher.options().max_request(), filter, style.cut_short),
      context_(*this, style.dialect) {}

// ---- beginning and end --------------------------------------------------------------------------

Status EnvelopeCall::begin() {
  context_.compress(dispatcher_.options().compression());
  if (Status status = begin_coding(); !status.ok()) return status;
  const Result<Duration> said = timeout();
  if (!said) return said.error();
  const Duration limit = std::min(*said, dispatcher_.options().max_duration());
  Status status = context_.check_metadata();
  if (status.ok()) status = dispatcher_.admit(context_);
  if (status.ok() && limit <= Duration::zero()) {
    // Over before it has begun: a refusal, which waits for a small request as the others do.
    status = Status(Code::deadline_exceeded, "the deadline has passed");
  }
  if (status.ok() && limit != Duration::max()) {
    context_.set_timeout(limit, [](ServerContext& context) {
      static_cast<Context&>(context).call.deadline_passed();
    });
  }
  return status;
}

Status EnvelopeCall::begin_coding() {
  const auto encoding = exchange_.request().fields.find(style_.encoding);
  if (!encoding) return Status();
  const auto coding = coding_named(*encoding);
  if (!coding || !lists(style_.codings, *coding)) {
    unknown_encoding_ = true;
    return Status(Code::unimplemented, std::string(style_.encoding) + " " + std::string(*encoding) +
                                           " is not among " + std::string(style_.codings));
  }
  request_coding_ = *coding;
  return Status();
}

Task<Status> EnvelopeCall::receive_only(google::protobuf::Message& message) {
  const bool first = co_await receive(message);
  if (!first) {
    co_return status_.ok() ? Status(Code::unimplemented, "there is no request message") : status_;
  }
  context_.set_request_compressed(compressed_);
  std::optional<EnvelopeSource::Next> envelope = envelopes_.try_next();
  if (!envelope) {
    envelope.emplace(co_await envelopes_.next());
  }
  if (!*envelope) co_return why(*envelope);
  if (**envelope) co_return Status(Code::unimplemented, "there is more than one request message");
  co_return Status();
}

void EnvelopeCall::finish(const google::protobuf::Message& response) {
  if (put(response, Compress::as_call)) {
    end(Status());
  } else {
    end(send_status_);
  }
}

void EnvelopeCall::end(Status status) {
  // The deadline has ended the call, or the caller has gone.
  if (over()) return;
  if (status.ok() && !send_status_.ok()) status = send_status_;
  const bool head_due =
      !exchange_.responded() && !status.ok() && context_.initial_metadata().empty();
  if (!head_due) start();
  send_end(status, head_due);
}

void EnvelopeCall::start() {
  if (exchange_.responded()) return;
  http::Response response(http::Status::ok);
  response.fields(head_fields());
  const auto accepted = exchange_.request().fields.find(style_.accept_encoding);
  if (context_.coding() != Coding::identity && accepted &&
      lists(style_.codings, context_.coding()) && lists(*accepted, context_.coding())) {
    response_coding_ = context_.coding();
    response.field(style_.encoding, http::name_of(response_coding_));
  }
  context_.initial_metadata().add_to(response.fields());
  add_cors(dispatcher_, exchange_, response.fields());
  (void)exchange_.start(std::move(response));
}

// ---- request messages ---------------------------------------------------------------------------

std::optional<bool> EnvelopeCall::try_receive(google::protobuf::Message& message) {
  if (ended_) return false;
  std::optional<EnvelopeSource::Next> envelope = envelopes_.try_next();
  if (!envelope) return std::nullopt;
  return accept(*envelope, message);
}

Task<bool> EnvelopeCall::receive_later(google::protobuf::Message& message) {
  const EnvelopeSource::Next envelope = co_await envelopes_.next();
  co_return accept(envelope, message);
}

Status EnvelopeCall::why(const EnvelopeSource::Next& envelope) const {
  const bool gone = envelopes_.broken() && context_.cancelled();
  return gone ? context_.cancellation() : envelope.error();
}

/// What `receive` returns for that envelope.
bool EnvelopeCall::accept(const EnvelopeSource::Next& envelope,
                          google::protobuf::Message& message) {
  if (envelope && *envelope) {
    const Status status = decode_message(**envelope, message);
    if (status.ok()) return true;
    status_ = status;
  } else if (!envelope) {
    status_ = why(envelope);
  }
  ended_ = true;
  return false;
}

Status EnvelopeCall::decode_message(const Envelope& envelope, google::protobuf::Message& message) {
  if ((envelope.flags & ~kCompressed) != 0) {
    return Status(Code::internal, "flags " + std::to_string(envelope.flags) + " before a message");
  }
  compressed_ = envelope.compressed();
  if (!compressed_) return decode(codec_, envelope.payload, message);
  if (request_coding_ == Coding::identity) {
    return Status(Code::internal, "a compressed message without " + std::string(style_.encoding));
  }
  Result<Bytes> plain =
      decompress(request_coding_, envelope.payload, dispatcher_.options().max_request());
  if (!plain) return std::move(plain).error();
  return decode(codec_, *plain, message);
}

// ---- response messages --------------------------------------------------------------------------

bool EnvelopeCall::put(const google::protobuf::Message& message, Compress compress) {
  if (over() || !send_status_.ok()) return false;
  Result<Bytes> bytes = envelope_of(message, compress);
  if (!bytes) {
    send_status_ = std::move(bytes).error();
    return false;
  }
  start();
  (void)exchange_.write(wrap(std::move(*bytes)));
  return !exchange_.outgoing().failed();
}

Result<Bytes> EnvelopeCall::envelope_of(const google::protobuf::Message& message, Compress how) {
  if (!exchange_.responded()) start();  // settles the coding
  const std::size_t limit = dispatcher_.options().max_response();
  if (response_coding_ == Coding::identity || how == Compress::never) {
    return encode_envelope(codec_, message, limit);
  }
  Result<Bytes> plain = encode(codec_, message, limit);
  if (!plain) return plain;
  return compress_envelope(response_coding_, *plain);
}

Task<bool> EnvelopeCall::drained() {
  // An empty piece sends nothing, and waits like any other.
  const tern::Result<void> written = co_await exchange_.write(Bytes());
  co_return written.has_value();
}

}  // namespace tern::rpc
