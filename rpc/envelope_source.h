#pragma once

#include <cstddef>
#include <optional>

#include "base/error.h"
#include "base/task.h"
#include "http/exchange.h"
#include "rpc/envelope.h"
#include "rpc/status.h"

namespace tern::rpc {

/// What lies between a body and its envelopes: gRPC-Web's base64.
class EnvelopeFilter {
 public:
  virtual Result<Bytes> unwrap(Bytes piece) = 0;
  /// Whether the body may end here.
  virtual bool may_end() const = 0;

 protected:
  ~EnvelopeFilter() = default;
};

/// The envelopes of a body as it comes in. For the adapters, of either side; lives in the call.
class EnvelopeSource {
 public:
  using Next = Result<std::optional<Envelope>>;

  /// The exchange and the filter (null: none) outlive it. `limit` as EnvelopeReader's; `cut_short`
  /// is the code for a body that ends within an envelope.
  EnvelopeSource(http::detail::Ends& exchange, std::size_t limit, EnvelopeFilter* filter = nullptr,
                 Code cut_short = Code::internal) noexcept
      : exchange_(exchange), filter_(filter), envelopes_(limit), cut_short_(cut_short) {}

  /// The next envelope if it is there, an empty one at the body's end. Nothing: more has to come
  /// first.
  std::optional<Next> try_next();
  /// The same, waiting.
  Task<Next> next();
  /// What ended the body before its end, if that was it (the status is made of it).
  const std::optional<Error>& broken() const noexcept { return broken_; }

 private:
  /// What a piece of the body is by itself; nothing: look for envelopes again.
  std::optional<Next> take(tern::Result<Bytes> piece);

  http::detail::Ends& exchange_;
  EnvelopeFilter* filter_;
  EnvelopeReader envelopes_;
  Code cut_short_;
  std::optional<Error> broken_;
};

}  // namespace tern::rpc
