#include "examples/chat/text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "base/bytes.h"
#include "http/utf8.h"

namespace tern::chat {

namespace {

constexpr std::size_t kMaxAccents = 4;

/// The character at the front of text that is UTF-8, and how many bytes it has.
std::pair<char32_t, std::size_t> first_character(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto rest = [&](std::size_t i) { return static_cast<char32_t>(byte(i) & 0x3f); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xe0) return {static_cast<char32_t>(lead & 0x1f) << 6 | rest(1), 2};
  if (lead < 0xf0) return {static_cast<char32_t>(lead & 0x0f) << 12 | rest(1) << 6 | rest(2), 3};
  return {static_cast<char32_t>(lead & 0x07) << 18 | rest(1) << 12 | rest(2) << 6 | rest(3), 4};
}

struct Range {
  char32_t first;
  char32_t last;
};

template <std::size_t kCount>
bool within(char32_t character, const std::array<Range, kCount>& ranges) noexcept {
  return std::any_of(ranges.begin(), ranges.end(), [&](const Range& range) {
    return range.first <= character && character <= range.last;
  });
}

// Controls; invisible characters but the joiners, which writing and emoji need; directions; tags.
constexpr std::array<Range, 11> kUnwanted = {{{0x00, 0x1f},
                                              {0x7f, 0x9f},
                                              {0xad, 0xad},
                                              {0x61c, 0x61c},
                                              {0x200b, 0x200b},
                                              {0x200e, 0x200f},
                                              {0x2028, 0x202e},
                                              {0x2060, 0x206f},
                                              {0xfeff, 0xfeff},
                                              {0xfff9, 0xfffb},
                                              {0xe0000, 0xe007f}}};
constexpr std::array<Range, 5> kAccents = {
    {{0x300, 0x36f}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe20, 0xfe2f}}};

/// At most `limit` characters of `text`, cleaned. `breaks`: line breaks stay.
std::optional<std::string> clean(std::string_view text, bool breaks, std::size_t limit) {
  if (!http::is_utf8(as_bytes(text))) return std::nullopt;
  std::string out;
  std::size_t count = 0;
  std::size_t accents = 0;
  while (!text.empty() && count < limit) {
    const auto [character, size] = first_character(text);
    const std::string_view bytes = text.substr(0, size);
    text.remove_prefix(size);
    const bool blank = character == ' ' || character == '\t' || character == '\n';
    if (blank && !(breaks && character == '\n')) {
      // In a name one space is enough.
      if (breaks || (!out.empty() && out.back() != ' ')) out.push_back(' '), ++count;
      accents = 0;
      continue;
    }
    if (!blank && within(character, kUnwanted)) continue;
    accents = within(character, kAccents) ? accents + 1 : 0;
    if (accents > kMaxAccents) continue;
    out.append(bytes);
    ++count;
  }
  const std::size_t first = out.find_first_not_of(" \n");
  if (first == std::string::npos) return std::nullopt;
  out.erase(out.find_last_not_of(" \n") + 1);
  out.erase(0, first);
  return out;
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 0x20) : c; }

}  // namespace

std::optional<std::string> clean_name(std::string_view text) {
  // What is behind so many bytes cannot be within the limit of characters.
  constexpr std::size_t kMostBytes = 4 * kMaxName * (kMaxAccents + 1);
  if (text.size() > kMostBytes) {
    std::size_t end = kMostBytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text = text.substr(0, end);
  }
  return clean(text, false, kMaxName);
}

std::optional<std::string> clean_text(std::string_view text) {
  if (text.size() > kMaxText) return std::nullopt;
  return clean(text, true, SIZE_MAX);
}

bool same_name(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace tern::chat
