#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "http/message.h"

/// Conditional requests (RFC 9110 §13).

namespace tern::http {

/// What a representation can be recognised by.
struct Validators {
  /// With its quotes, weak ones with W/ before them; empty if there is none.
  std::string_view etag;
  std::optional<UnixSeconds> last_modified;
};

enum class Precondition : std::uint8_t {
  proceed,
  not_modified,  ///< 304
  failed,        ///< 412
};

/// Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since, in the order of
/// §13.2.2, for a representation that exists. Dates that cannot be read are ignored.
Precondition evaluate_preconditions(const RequestHead& request, const Validators& validators,
                                    UnixSeconds now);

/// Whether the request's Range may be honoured: it has no If-Range, or one that names this very
/// representation (strong comparison; a date must be equal and lie in the past, §13.1.5).
bool range_applies(const RequestHead& request, const Validators& validators, UnixSeconds now);

}  // namespace tern::http
