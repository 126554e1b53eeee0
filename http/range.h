#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Range requests (RFC 9110 §14).

namespace tern::http {

struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t length = 0;  ///< > 0
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

struct RangeSelection {
  enum class Answer : std::uint8_t {
    whole,          ///< 200: no range that is to be honoured
    partial,        ///< 206 with `ranges`
    unsatisfiable,  ///< 416
  };
  Answer answer = Answer::whole;
  std::vector<ByteRange> ranges;  ///< in the order asked for
};

/// Ranges in one request; more are answered with the whole.
inline constexpr std::size_t kMaxRanges = 16;

/// Reads a `range` field value for a representation of `size` bytes. Malformed values, other units
/// than bytes, more than kMaxRanges ranges, and sets that overlap or ask for more than there is
/// (§14.2: not worth honouring) give the whole.
RangeSelection select_ranges(std::string_view value, std::uint64_t size);

/// "bytes 0-499/1234"
std::string content_range(const ByteRange& range, std::uint64_t size);

}  // namespace tern::http
