#include "http/range.h"

#include <algorithm>
#include <optional>

#include "base/ascii.h"

namespace tern::http {

namespace {

constexpr std::uint64_t kHuge = UINT64_MAX / 16;

/// Digits; values that are too large for any file all become kHuge.
std::optional<std::uint64_t> position(std::string_view digits) noexcept {
  if (digits.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = std::min(value * 10 + static_cast<std::uint64_t>(c - '0'), kHuge);
  }
  return value;
}

struct Spec {
  bool suffix = false;
  std::uint64_t first = 0;  // of a suffix: its length
  std::uint64_t last = kHuge;
};

std::optional<Spec> parse_spec(std::string_view text) noexcept {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view before = text.substr(0, dash);
  const std::string_view after = text.substr(dash + 1);
  Spec spec;
  spec.suffix = before.empty();
  const auto first = position(spec.suffix ? after : before);
  if (!first) return std::nullopt;
  spec.first = *first;
  if (!spec.suffix && !after.empty()) {
    const auto last = position(after);
    if (!last || *last < *first) return std::nullopt;
    spec.last = *last;
  }
  return spec;
}

bool overlap(std::vector<ByteRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const ByteRange& a, const ByteRange& b) { return a.first < b.first; });
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].first + ranges[i - 1].length) return true;
  }
  return false;
}

bool is_bytes(std::string_view unit) noexcept {
  constexpr std::string_view kBytes = "bytes";
  return unit.size() == kBytes.size() && std::equal(unit.begin(), unit.end(), kBytes.begin(),
                                                    [](char a, char b) { return (a | 0x20) == b; });
}

}  // namespace

RangeSelection select_ranges(std::string_view value, std::uint64_t size) {
  RangeSelection whole;
  const std::size_t equals = value.find('=');
  if (equals == std::string_view::npos || !is_bytes(value.substr(0, equals))) return whole;
  value.remove_prefix(equals + 1);

  RangeSelection selection;
  std::size_t asked = 0;
  for (bool more = true; more;) {
    const std::size_t comma = value.find(',');
    const std::string_view element = ascii::trimmed(value.substr(0, comma));
    more = comma != std::string_view::npos;
    if (more) value.remove_prefix(comma + 1);
    if (element.empty()) continue;  // §5.6.1.2
    const auto spec = parse_spec(element);
    if (!spec || ++asked > kMaxRanges) return whole;
    ByteRange range;
    if (spec->suffix) {
      if (size == 0) return whole;  // satisfiable, but content-range cannot say so
      range.length = std::min(spec->first, size);
      range.first = size - range.length;
    } else if (spec->first < size) {
      range.first = spec->first;
      range.length = std::min(spec->last, size - 1) - spec->first + 1;
    }
    if (range.length > 0) selection.ranges.push_back(range);
  }
  if (asked == 0) return whole;
  if (selection.ranges.empty()) {
    selection.answer = RangeSelection::Answer::unsatisfiable;
    return selection;
  }
  if (overlap(selection.ranges)) return whole;
  selection.answer = RangeSelection::Answer::partial;
  return selection;
}

std::string content_range(const ByteRange& range, std::uint64_t size) {
  return "bytes " + std::to_string(range.first) + "-" +
         std::to_string(range.first + range.length - 1) + "/" + std::to_string(size);
}

}  // namespace tern::http
