#include "rpc/client_context.h"

#include <algorithm>

#include "rpc/server_context.h"
#include "rpc/timeout.h"

namespace tern::rpc {

namespace {

/// Values that are no base64 leave the others unharmed: the call has ended well or not by itself.
const Metadata& read_once(const http::Fields& fields, std::optional<Metadata>& metadata) {
  if (!metadata) {
    Result<Metadata> read = Metadata::from(fields);
    metadata.emplace(read ? std::move(*read) : Metadata());
  }
  return *metadata;
}

Task<Result<Metadata>> with_authorization(std::string value) {
  Metadata metadata;
  if (!metadata.add("authorization", value)) {
    co_return fail(Code::unauthenticated, "the token holds what no header may");
  }
  co_return metadata;
}

}  // namespace

CallCredentials bearer_token(std::string token) {
  return [value = "Bearer " + std::move(token)](std::string_view) {
    return with_authorization(value);
  };
}

ClientContext::ClientContext(const ServerContext& handler) : deadline_(handler.deadline()) {}

void ClientContext::cancel() {
  if (cancelled_) return;
  cancelled_ = true;
  if (on_cancel_) on_cancel_();
}

const Metadata& ClientContext::initial_metadata() const {
  return read_once(initial_fields_, initial_);
}

const Metadata& ClientContext::trailing_metadata() const {
  return read_once(trailing_fields_, trailing_);
}

std::optional<Duration> ClientContext::retry_pushback() const {
  const auto value = trailing_fields_.find("grpc-retry-pushback-ms");
  if (!value) return std::nullopt;
  const auto parsed = parse_connect_timeout(*value);  // milliseconds, too
  return parsed ? *parsed : Duration(-1);
}

void ClientContext::attempt_at(const ClientContext& call, std::size_t number) {
  deadline_ = ends_at_ = call.ends_at_;
  wait_for_ready_ = call.wait_for_ready_;
  coding_ = call.coding_;
  credentials_ = call.credentials_;
  metadata_ = call.metadata_;
  attempts_ = number - 1;  // the channel counts it when it is sent
}

void ClientContext::take_results(ClientContext& attempt) {
  wire_ = std::move(attempt.wire_);
  response_compressed_ = attempt.response_compressed_;
  set_initial(std::move(attempt.initial_fields_));
  set_trailing(std::move(attempt.trailing_fields_));
}

void ClientContext::begin(Timestamp now) {
  ends_at_ = deadline_;
  if (timeout_ && *timeout_ < kNever - now) {
    ends_at_ = std::min(ends_at_.value_or(kNever), now + *timeout_);
  }
}

}  // namespace tern::rpc
