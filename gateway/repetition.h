#pragma once

#include <cstddef>
#include <cstdint>

#include "gateway/retry_policy.h"

namespace tern {

/// How a request ended that got no answer, as far as sending it again depends on it.
struct RequestFailure {
  bool idempotent = false;       ///< its method is (RFC 9110 §9.2.2)
  bool refused = false;          ///< the server has certainly not processed it
  bool connection_over = false;  ///< its connection takes no more requests
  bool waited = false;           ///< it was never sent: others went before it, and were answered
  bool lost = false;             ///< ClientStream::path_lost
  bool broke = false;            ///< its connection did, for whatever reason
  bool unsent = false;           ///< nobody was there to send it to
};

enum class Repetition : std::uint8_t {
  none,     ///< the failure stands
  moves,    ///< at once, on another connection; costs nothing
  at_once,  ///< paid from the budget; only a second one waits
  later,    ///< paid from the budget, after a wait
};

/// The one rule for all protocols, after the `tries`th sending; RetryPolicy says it in words.
Repetition repetition(const RetryPolicy& policy, const RequestFailure& failure,
                      std::size_t tries) noexcept;

}  // namespace tern
