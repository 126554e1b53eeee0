#pragma once

#include <chrono>
#include <cstddef>

#include "base/time.h"

namespace tern {

/// When a client sends a request again; one rule for HTTP/3, HTTP/2 and HTTP/1.1.
///
/// - Its connection takes no more requests (GOAWAY, `connection: close`, it has ended), and the
///   server has certainly not processed it: it moves to another connection, at once, whatever its
///   method, until it was sent Client::kMaxSends times; what only waited, over HTTP/1.1, as often
///   as connections end that have answered others. It costs nothing: the server is not in trouble.
/// - The server refuses the request alone (REFUSED_STREAM, H3_REQUEST_REJECTED: RFC 9113 §8.7,
///   RFC 9114 §4.1.1), as one that is busy does: sent again, whatever its method.
/// - Its connection was lost with its network, or, over TCP, had served others and ended: sent
///   again if it is idempotent (RFC 9110 §9.2.2).
/// - What `on_close` and `on_transient` allow.
///
/// All but the first is sent `tries` times at most, moves included, and paid from a budget that all
/// requests of the client share: a server in trouble is not asked several times as much. A body
/// goes along, as ClientRequest::body has it; one that streams is its caller's to send again.
class RetryPolicy {
 public:
  /// How often a request is sent at most, the first time included. Default 4; 1: never again, nor
  /// does it move.
  RetryPolicy& tries(std::size_t most) { return tries_ = most, *this; }
  std::size_t tries() const noexcept { return tries_; }
  /// Idempotent requests whose connection broke under them, whatever the reason, once. Default
  /// false.
  RetryPolicy& on_close(bool on) { return on_close_ = on, *this; }
  bool on_close() const noexcept { return on_close_; }
  /// What may be over soon: idempotent requests that are answered with 408, 429, 502, 503 or 504,
  /// or whose connection breaks; all that found nobody who answers. Default false.
  RetryPolicy& on_transient(bool on) { return on_transient_ = on, *this; }
  bool on_transient() const noexcept { return on_transient_; }

  /// The wait before a request is sent again: `first`, doubled each time, `longest` at most; of it
  /// a random part, at least half. What was refused or lost its connection goes again at once the
  /// first time; what moves, each time. Default 100 ms and 10 s.
  RetryPolicy& wait(Duration first, Duration longest) {
    first_wait_ = first;
    longest_wait_ = longest;
    return *this;
  }
  Duration first_wait() const noexcept { return first_wait_; }
  Duration longest_wait() const noexcept { return longest_wait_; }
  /// `retry-after` (RFC 9110 §10.2.3) is waited for, if it asks for no more than that: else the
  /// response stands. Default 30 s.
  RetryPolicy& longest_retry_after(Duration most) { return longest_retry_after_ = most, *this; }
  Duration longest_retry_after() const noexcept { return longest_retry_after_; }

  /// The budget: `most` repetitions to begin with and to save up to, and `each` for every request
  /// that is made. Default 10 and 0.1: in the long run one request in ten may be sent again.
  RetryPolicy& budget(double most, double each) {
    budget_ = most;
    budget_each_ = each;
    return *this;
  }
  double budget() const noexcept { return budget_; }
  double budget_each() const noexcept { return budget_each_; }

 private:
  std::size_t tries_ = 4;
  bool on_close_ = false;
  bool on_transient_ = false;
  Duration first_wait_ = std::chrono::milliseconds(100);
  Duration longest_wait_ = std::chrono::seconds(10);
  Duration longest_retry_after_ = std::chrono::seconds(30);
  double budget_ = 10;
  double budget_each_ = 0.1;
};

}  // namespace tern
