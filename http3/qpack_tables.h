#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

/// What QPACK's specification gives everybody: the static table and the Huffman code.

namespace tern::http3 {

struct StaticLine {
  std::string_view name;
  std::string_view value;
};
inline constexpr std::size_t kStaticLines = 99;

/// RFC 9204 appendix A; `index` below kStaticLines.
const StaticLine& static_line(std::size_t index) noexcept;

struct StaticMatch {
  std::int8_t line = -1;  ///< of that name and value; -1: none
  std::int8_t name = -1;  ///< the first of that name
};
StaticMatch find_static(std::string_view name, std::string_view value) noexcept;

/// The string's size in Huffman code (RFC 7541 appendix B), in bytes.
std::size_t huffman_size(std::string_view text) noexcept;
/// Writes it; returns the byte after it.
std::uint8_t* huffman_encode(std::uint8_t* out, std::string_view text) noexcept;

}  // namespace tern::http3
