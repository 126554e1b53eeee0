#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

/// The bytes that transfers carry. Each transfer has its own sequence, in which every position can
/// be told from the ones near it: a byte that is lost, doubled, swapped or of another transfer is
/// found where it arrives.

namespace tern::handoff {

/// What is made and written at once.
constexpr std::size_t kPiece = 16 * 1024;

/// `size` bytes of transfer `id`, from `offset` on.
Bytes body_bytes(std::uint64_t id, std::uint64_t offset, std::size_t size);
/// Are these the bytes at that place?
bool is_body(std::uint64_t id, std::uint64_t offset, ByteView bytes) noexcept;

}  // namespace tern::handoff
