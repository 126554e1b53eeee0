#include "rpc/envelope_source.h"

#include <utility>

namespace tern::rpc {

std::optional<EnvelopeSource::Next> EnvelopeSource::try_next() {
  for (;;) {
    Next next = envelopes_.next();
    if (!next || *next) return next;
    auto read = exchange_.read();
    if (!read.await_ready()) return std::nullopt;
    std::optional<Next> end = take(read.await_resume());
    if (end) return end;
  }
}

Task<EnvelopeSource::Next> EnvelopeSource::next() {
  for (;;) {
    std::optional<Next> there = try_next();
    if (there) co_return std::move(*there);
    tern::Result<Bytes> piece = co_await exchange_.read();
    there = take(std::move(piece));
    if (there) co_return std::move(*there);
  }
}

std::optional<EnvelopeSource::Next> EnvelopeSource::take(tern::Result<Bytes> piece) {
  if (!piece) {
    broken_ = std::move(piece).error();
    return fail(Status::from(*broken_));
  }
  if (piece->empty()) {
    const bool whole = envelopes_.at_boundary() && (filter_ == nullptr || filter_->may_end());
    if (whole) return Next(std::nullopt);
    return fail(cut_short_, "the body ends within a message");
  }
  if (filter_ == nullptr) {
    envelopes_.push(std::move(*piece));
    return std::nullopt;
  }
  Result<Bytes> bytes = filter_->unwrap(std::move(*piece));
  if (!bytes) return fail(std::move(bytes).error());
  envelopes_.push(std::move(*bytes));
  return std::nullopt;
}

}  // namespace tern::rpc
