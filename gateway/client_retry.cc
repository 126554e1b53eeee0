#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "gateway/client.h"
#include "gateway/client_pool.h"
#include "gateway/origin_connection.h"
#include "gateway/repetition.h"
#include "http/date.h"

/// Whether a client sends a request again (docs/fallback.md, "Sending again").

namespace tern {
namespace {

/// RFC 9110 §10.2.3: seconds, or a date.
std::optional<Duration> retry_after(const http::Response& head, UnixSeconds now) {
  const auto field = head.fields().find("retry-after");
  if (!field) return std::nullopt;
  std::int64_t seconds = 0;
  const char* const end = field->data() + field->size();
  const auto [stop, error] = std::from_chars(field->data(), end, seconds);
  if (error != std::errc() || stop != end || seconds < 0) {
    const auto date = http::parse_http_date(*field, now);
    if (!date) return std::nullopt;
    seconds = std::max<std::int64_t>(0, *date - now);
  }
  constexpr std::int64_t kLongest = 365 * 24 * 3600;
  return std::chrono::seconds(std::min(seconds, kLongest));
}

bool is_transient(int status) noexcept {
  return status == 408 || status == 429 || status == 502 || status == 503 || status == 504;
}

/// The connection went away, for whatever reason.
bool connection_broke(const Error& error) noexcept {
  return error.is(Code::closed) || error.is(Code::stateless_reset) || error.is(Code::timed_out) ||
         error.domain == Domain::quic || error.domain == Domain::os ||
         (error.domain == Domain::application && error.origin == Origin::remote);
}

}  // namespace

Repetition repetition(const RetryPolicy& policy, const RequestFailure& failure,
                      std::size_t tries) noexcept {
  if (policy.tries() <= 1) return Repetition::none;
  if (failure.refused && failure.connection_over) {
    if (failure.waited) return Repetition::moves;
    return tries < Client::kMaxSends ? Repetition::moves : Repetition::none;
  }
  if (tries >= policy.tries()) return Repetition::none;
  if (failure.unsent && policy.on_transient()) return Repetition::later;
  const bool once = policy.on_close() && tries == 1;
  const bool broke = failure.broke && (once || policy.on_transient());
  const bool safe = failure.idempotent && (failure.lost || broke);
  return failure.refused || safe ? Repetition::at_once : Repetition::none;
}

std::optional<Duration> Client::may_repeat(const ClientRequest& request, std::size_t tries,
                                           const Error& error, const ClientStream* stream) {
  RequestFailure failure;
  failure.idempotent = http::is_idempotent(request.method_);
  failure.refused = error.is(Code::rejected);
  failure.unsent = stream == nullptr && (error.is(Code::timed_out) || error.domain == Domain::os);
  if (stream != nullptr) {
    failure.connection_over = !stream->connection_->usable();
    // Over HTTP/1.1 they queue. Where the server parts with a connection after each answer, the
    // last one of a hundred moves more often than anything would be sent.
    failure.waited =
        stream->exchange_->protocol() == "http/1.1" && stream->connection_->answers() > 0;
    failure.lost = stream->path_lost();
    failure.broke = connection_broke(error);
    if (wants_http1(error) && pool_->step_down_to_http1(*stream->connection_)) {
      failure.refused = failure.connection_over = true;
    }
  }
  return repeat(request, failure, tries, error.to_string(),
                stream == nullptr ? nullptr : stream->connection_.get());
}

std::optional<Duration> Client::repeat(const ClientRequest& request, const RequestFailure& failure,
                                       std::size_t tries, const std::string& why,
                                       const OriginConnection* connection) {
  const Repetition how = repetition(pool_->options.retry(), failure, tries);
  if (how == Repetition::none) return std::nullopt;
  if (how == Repetition::moves) {
    pool_->note_move();
  } else if (!pool_->spend_retry()) {
    return std::nullopt;
  }
  Duration wait{};
  if (how == Repetition::at_once) wait = pause(tries - 1);
  if (how == Repetition::later) wait = pause(tries);
  tell_repetition(request, wait, why, connection);
  return wait;
}

Task<bool> Client::may_repeat_handshake(const ClientRequest& request,
                                        const OriginConnection& connection, std::size_t tries,
                                        const Error& error) {
  RequestFailure failure;
  failure.refused = true;
  failure.connection_over = !connection.usable();
  const std::optional<Duration> wait =
      repeat(request, failure, tries, error.to_string(), &connection);
  if (wait && *wait > Duration::zero()) co_await pool_->runtime.sleep(*wait);
  co_return wait.has_value();
}

std::optional<Duration> Client::may_repeat(const ClientRequest& request, std::size_t tries,
                                           const http::Response& head, const ClientStream& stream) {
  const RetryPolicy& policy = pool_->options.retry();
  const int status = http::code(head.status());
  if (!policy.on_transient() || !is_transient(status) || !http::is_idempotent(request.method_)) {
    return std::nullopt;
  }
  const auto asked = retry_after(head, pool_->runtime.unix_seconds());
  if (asked && *asked > policy.longest_retry_after()) return std::nullopt;
  if (tries >= policy.tries() || !pool_->spend_retry()) return std::nullopt;
  const Duration wait = std::max(pause(tries), asked.value_or(Duration::zero()));
  tell_repetition(request, wait, "status " + std::to_string(status), stream.connection_.get());
  return wait;
}

/// Before the `times`th repetition that waits; 0: this one does not.
Duration Client::pause(std::size_t times) {
  if (times == 0) return Duration::zero();
  const RetryPolicy& policy = pool_->options.retry();
  Duration backoff = policy.first_wait();
  for (std::size_t i = 1; i < times && backoff < policy.longest_wait(); ++i) backoff *= 2;
  backoff = std::min(backoff, policy.longest_wait());
  // Clients that failed together do not come back together.
  const double share = 0.5 + pool_->runtime.random().unit() / 2;
  return std::chrono::duration_cast<Duration>(backoff * share);
}

void Client::tell_repetition(const ClientRequest& request, Duration wait, const std::string& why,
                             const OriginConnection* connection) const {
  std::string text = request.method_ + " " + request.url_;
  if (wait > Duration::zero()) {
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    text += " in " + std::to_string(milliseconds) + " ms";
  }
  text += ": " + why;
  if (connection != nullptr) {
    connection->tell(ClientEvent::Type::retried, std::move(text));
  } else {
    pool_->tell(ClientEvent::Type::retried, std::move(text));
  }
}

}  // namespace tern
