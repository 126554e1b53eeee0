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
  while (!pieces_.empty() && pieces_.front().start + pieces_.front().bytes.size() <= begin_) {
    pieces_.pop_front();
  }
}

void SendQueue::clear() noexcept {
  pieces_.clear();
  begin_ = end_;
}

std::size_t SendQueue::gather(std::span<iovec> out) const noexcept {
  std::size_t count = 0;
  for (const Piece& piece : pieces_) {
    if (count == out.size()) break;
    const std::size_t skip =
        begin_ > piece.start ? static_cast<std::size_t>(begin_ - piece.start) : 0;
    // The kernel only reads what it sends; iovec serves receiving too.
    out[count++] = {const_cast<std::uint8_t*>(piece.bytes.data()) + skip,
                    piece.bytes.size() - skip};
  }
  return count;
}

void SendQueue::copy(std::uint64_t offset, MutableBytes out) const noexcept {
  if (out.empty()) return;
  TERN_CHECK(offset >= begin_ && offset + out.size() <= end_);
  auto piece = std::upper_bound(
      pieces_.begin(), pieces_.end(), offset,
      [](std::uint64_t wanted, const Piece& candidate) { return wanted < candidate.start; });
  --piece;
  std::size_t copied = 0;
  while (copied < out.size()) {
    const auto skip = static_cast<std::size_t>(offset + copied - piece->start);
    const std::size_t part = std::min(out.size() - copied, piece->bytes.size() - skip);
    std::memcpy(out.data() + copied, piece->bytes.data() + skip, part);
    copied += part;
    ++piece;
  }
}

}  // namespace tern::tcp
