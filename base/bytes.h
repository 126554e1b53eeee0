#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Byte views and reference-counted byte slices.

namespace tern {

/// A view of bytes somebody else owns. Where a view comes from says how long it lives.
using ByteView = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

inline ByteView as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// An immutable slice of a reference-counted block: a pointer, a length and a share of the owner.
/// Copying copies no bytes. Blocks may be shared between threads (the count is atomic; the bytes
/// never change while shared). Sixteen bytes of payload view plus one pointer.
class Bytes {
 public:
  Bytes() noexcept = default;
  Bytes(const Bytes& other) noexcept
      : owner_(other.owner_), data_(other.data_), size_(other.size_) {
    retain();
  }
  Bytes(Bytes&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Bytes& operator=(const Bytes& other) noexcept {
    Bytes copy(other);
    swap(copy);
    return *this;
  }
  Bytes& operator=(Bytes&& other) noexcept {
    if (this == &other) return *this;
    release();
    owner_ = std::exchange(other.owner_, nullptr);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  ~Bytes() { release(); }

  /// Copies `view` into a block of its own.
  static Bytes copy(ByteView view);
  static Bytes copy(std::string_view text) { return copy(as_bytes(text)); }
  /// Takes the string or vector over; its bytes are not copied.
  static Bytes take(std::string&& text);
  static Bytes take(std::vector<std::uint8_t>&& bytes);
  /// Bytes that live as long as the program (literals, embedded files). Owns nothing.
  static Bytes literal(std::string_view text) noexcept {
    return Bytes(nullptr, reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  }
  /// A block of `size` bytes that `fill(MutableBytes)` writes once, before anybody shares it.
  /// `fill` returns how many bytes it wrote (at most `size`).
  template <typename Fill>
  static Bytes make(std::size_t size, Fill&& fill) {
    Block* block = allocate(size);
    const std::size_t written = fill(MutableBytes(block->payload(), size));
    return Bytes(block, block->payload(), written);
  }

  const std::uint8_t* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  const std::uint8_t* begin() const noexcept { return data_; }
  const std::uint8_t* end() const noexcept { return data_ + size_; }
  std::uint8_t operator[](std::size_t index) const noexcept { return data_[index]; }
  ByteView view() const noexcept { return {data_, size_}; }
  operator ByteView() const noexcept { return view(); }
  std::string_view text() const noexcept { return as_text(view()); }

  /// A part of this slice, sharing its block. Clamped to the slice's end.
  Bytes slice(std::size_t offset, std::size_t length = SIZE_MAX) const noexcept {
    if (offset > size_) offset = size_;
    if (length > size_ - offset) length = size_ - offset;
    Bytes part(*this);
    part.data_ += offset;
    part.size_ = length;
    return part;
  }
  /// A sub-slice given as a view into this slice (a parser's output). `part` must lie inside.
  Bytes slice(ByteView part) const noexcept {
    return slice(static_cast<std::size_t>(part.data() - data_), part.size());
  }
  void remove_prefix(std::size_t count) noexcept {
    if (count > size_) count = size_;
    data_ += count;
    size_ -= count;
  }
  void swap(Bytes& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

 private:
  friend class ChunkArena;

  /// The shared part. `destroy` frees the block and whatever holds its bytes.
  struct Block {
    std::atomic<std::uint32_t> count{1};
    void (*destroy)(Block*) noexcept = nullptr;
    std::uint8_t* payload() noexcept { return reinterpret_cast<std::uint8_t*>(this + 1); }
  };

  Bytes(Block* owner, const std::uint8_t* data, std::size_t size) noexcept
      : owner_(owner), data_(data), size_(size) {}

  static Block* allocate(std::size_t payload_size);
  void retain() const noexcept {
    if (owner_ != nullptr) owner_->count.fetch_add(1, std::memory_order_relaxed);
  }
  void release() noexcept {
    if (owner_ != nullptr && owner_->count.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      owner_->destroy(owner_);
    }
  }

  Block* owner_ = nullptr;
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Copies many small pieces into shared blocks, so that what arrives packet by packet costs one
/// copy and, every `chunk_size` bytes, one allocation. A slice keeps its whole chunk alive, so a
/// holder of one byte may pin `chunk_size` bytes: callers bound what they hold accordingly.
/// Single-threaded; the slices may go anywhere.
class ChunkArena {
 public:
  static constexpr std::size_t kDefaultChunkSize = 16 * 1024;

  explicit ChunkArena(std::size_t chunk_size = kDefaultChunkSize) noexcept
      : chunk_size_(chunk_size) {}

  /// Copies `view` into the current chunk, or into a new one when it does not fit.
  Bytes copy(ByteView view);
  /// Appends `view` to `tail` in place when `tail` is the arena's latest slice and there is room
  /// (`tail` grows); otherwise returns false and changes nothing.
  bool extend(Bytes& tail, ByteView view) noexcept;

 private:
  std::size_t chunk_size_;
  Bytes chunk_;  // keeps the current block alive
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
};

}  // namespace tern
