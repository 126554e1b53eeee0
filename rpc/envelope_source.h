#pragma once

#include <cstddef>
#include <optional>

#include "base/error.h"
#include "base/task.h"
#include "http/exchange.h"
#include "rpc/envelope.h"
#include "rpc/status.h"

namespace tern::rpc {

/// The envelopes of a body as it comes in. For the adapters, of either side.
class EnvelopeSource {
 public:
  using Next = Result<std::optional<Envelope>>;

  /// The exchange outlives it. `limit` as EnvelopeReader's.
  EnvelopeSource(http::detail::Ends& exchange, std::size_t limit) noexcept
      : exchange_(exchange), envelopes_(limit) {}

  /// The next envelope if it is there, an empty one at the body's end; INTERNAL when that is within
  /// an envelope. Nothing: more has to come first.
  std::optional<Next> try_next();
  /// The same, waiting.
  Task<Next> next();
  /// What ended the body before its end, if that was it (the status is made of it).
  const std::optional<Error>& broken() const noexcept { return broken_; }

 private:
  Next at_end() const;
  Next failed(Error error);

  http::detail::Ends& exchange_;
  EnvelopeReader envelopes_;
  std::optional<Error> broken_;
};

}  // namespace tern::rpc
