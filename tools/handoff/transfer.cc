#include "tools/handoff/transfer.h"

#include <algorithm>

#include "tools/handoff/body.h"

namespace tern::handoff {

std::uint64_t Transfer::made(Duration now) const noexcept {
  if (message_ == 0) return size_;
  const auto periods = static_cast<std::uint64_t>((now - live_from_) / period_);
  return std::min(size_, message_ * (1 + periods));
}

Duration Transfer::more_at(Duration now) const noexcept {
  if (made(now) == size_) return Duration::max();
  return live_from_ + ((now - live_from_) / period_ + 1) * period_;
}

bool Transfer::deliver(Duration now, ByteView piece) {
  if (piece.size() > size_ - delivered_ || !is_body(id_, delivered_, piece)) return false;
  note_gap(now);
  delivered_ += piece.size();
  return true;
}

void Transfer::note_gap(Duration now) {
  const Duration since = delivered_ == 0 ? Duration::zero() : now - last_;
  const Duration gap = std::max(since - period_, Duration::zero());
  if (gap > longest_stall_) {
    longest_stall_ = gap;
    longest_stall_at_ = last_;
  }
  if (gap >= kNoticeable) stalled_ += gap;
  last_ = now;
}

void Transfer::held_up(Duration from, Duration until) noexcept {
  if (from > held_until_) held_from_ = from;
  const Duration already = std::max(from, held_until_);
  if (until > already) held_ += until - already;
  held_until_ = std::max(held_until_, until);
  longest_held_ = std::max(longest_held_, held_until_ - held_from_);
}

std::string_view name(Transfer::Kind kind) noexcept {
  switch (kind) {
    case Transfer::Kind::download: return "download";
    case Transfer::Kind::upload: return "upload";
    case Transfer::Kind::request: return "request";
    case Transfer::Kind::call: return "call";
  }
  return "";
}

}  // namespace tern::handoff
