#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/uio.h>
#include <vector>

#include "base/bytes.h"

namespace tern::tcp {

/// What was written to a stream and is not done with yet: slices in order, held by reference. Bytes
/// are counted from the first that was ever pushed. For those who implement the seam.
class SendQueue {
 public:
  void push(Bytes bytes);
  /// Drops what lies before `offset`, which is at most `end()`.
  void pop_until(std::uint64_t offset) noexcept;
  void clear() noexcept;

  std::uint64_t begin() const noexcept { return begin_; }
  std::uint64_t end() const noexcept { return end_; }
  std::size_t size() const noexcept { return static_cast<std::size_t>(end_ - begin_); }
  bool empty() const noexcept { return begin_ == end_; }

  /// Describes the first bytes in as many entries as there are slices or room; returns how many.
  std::size_t gather(std::span<iovec> out) const noexcept;
  /// Copies `out.size()` bytes from `offset` on; all of them must be in the queue.
  void copy(std::uint64_t offset, MutableBytes out) const noexcept;

 private:
  struct Piece {
    std::uint64_t start;
    Bytes bytes;
  };
  // Those before head_ are done with and empty; the one at head_ may begin before begin_. A vector,
  // for most streams are idle most of the time and an empty one takes no memory.
  std::vector<Piece> pieces_;
  std::size_t head_ = 0;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace tern::tcp
