#include "rpc/envelope_source.h"

#include <utility>

namespace tern::rpc {

std::optional<EnvelopeSource::Next> EnvelopeSource::try_next() {
  for (;;) {
    Next next = envelopes_.next();
    if (!next || *next) return next;
    auto read = exchange_.read();
    if (!read.await_ready()) return std::nullopt;
    tern::Result<Bytes> piece = read.await_resume();
    if (!piece) return failed(std::move(piece).error());
    if (piece->empty()) return at_end();
    envelopes_.push(std::move(*piece));
  }
}

Task<EnvelopeSource::Next> EnvelopeSource::next() {
  for (;;) {
    std::optional<Next> there = try_next();
    if (there) co_return std::move(*there);
    tern::Result<Bytes> piece = co_await exchange_.read();
    if (!piece) co_return failed(std::move(piece).error());
    if (piece->empty()) co_return at_end();
    envelopes_.push(std::move(*piece));
  }
}

EnvelopeSource::Next EnvelopeSource::at_end() const {
  if (envelopes_.at_boundary()) return std::optional<Envelope>();
  return fail(Code::internal, "the body ends within a message");
}

EnvelopeSource::Next EnvelopeSource::failed(Error error) {
  broken_ = std::move(error);
  return fail(Status::from(*broken_));
}

}  // namespace tern::rpc
