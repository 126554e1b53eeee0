#include "transport/tcp/send_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace tern::tcp {

void SendQueue::push(Bytes bytes) {
  if (bytes.empty()) return;
  const std::size_t size = bytes.size();
  pieces_.push_back({end_, std::move(bytes)});
  end_ += size;
}

void SendQueue::pop_until(std::uint64_t offset) noexcept {
  TERN_CHECK(offset <= end_);
  if (offset <= begin_) return;
  begin_ = offset;
  while (head_ < pieces_.size() && pieces_[head_].start + pieces_[head_].bytes.size() <= begin_) {
    pieces_[head_++].bytes = Bytes();
  }
  // Each piece is moved at most once for each time its place is half the vector's.
  if (2 * head_ >= pieces_.size()) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

void SendQueue::clear() noexcept {
  pieces_ = {};
  head_ = 0;
  begin_ = end_;
}

std::size_t SendQueue::gather(std::span<iovec> out) const noexcept {
  std::size_t count = 0;
  for (std::size_t i = head_; i < pieces_.size() && count < out.size(); ++i) {
    const Piece& piece = pieces_[i];
    const auto skip =
        begin_ > piece.start ? static_cast<std::size_t>(begin_ - piece.start) : std::size_t{0};
    // The kernel only reads what it sends; iovec serves receiving too.
    auto* start = const_cast<std::uint8_t*>(piece.bytes.data()) + skip;
    out[count++] = {start, piece.bytes.size() - skip};
  }
  return count;
}

void SendQueue::copy(std::uint64_t offset, MutableBytes out) const noexcept {
  if (out.empty()) return;
  TERN_CHECK(offset >= begin_ && offset + out.size() <= end_);
  auto piece = std::upper_bound(
      pieces_.begin() + static_cast<std::ptrdiff_t>(head_), pieces_.end(), offset,
      [](std::uint64_t wanted, const Piece& candidate) { return wanted < candidate.start; });
  --piece;
  for (std::size_t copied = 0; copied < out.size(); ++piece) {
    const auto skip = static_cast<std::size_t>(offset + copied - piece->start);
    const std::size_t part = std::min(out.size() - copied, piece->bytes.size() - skip);
    std::memcpy(out.data() + copied, piece->bytes.data() + skip, part);
    copied += part;
  }
}

}  // namespace tern::tcp
