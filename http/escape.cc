#include "http/escape.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/ascii.h"

namespace tern::http {

namespace {

constexpr std::string_view kUpperHex = "0123456789ABCDEF";
constexpr std::string_view kLowerHex = "0123456789abcdef";

bool is_unreserved(char c) noexcept {
  return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/// The size of the UTF-8 sequence `text` starts with; 0 if it starts with none (RFC 3629 §4).
std::size_t utf8_size(std::string_view text) noexcept {
  const auto byte = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  std::size_t size = 0;
  std::uint8_t low = 0x80;  // bounds of the second byte
  std::uint8_t high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    size = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    size = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    size = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  }
  if (size == 0 || text.size() < size || byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  return size;
}

/// U+0080 to U+009F: a terminal obeys the latter half of them as it does ESC and a letter.
bool is_c1_control(std::string_view sequence) noexcept {
  return sequence.size() == 2 && sequence[0] == '\xc2' &&
         static_cast<std::uint8_t>(sequence[1]) < 0xa0;
}

void append_hex(std::string& out, std::string_view prefix, std::uint8_t byte) {
  out.append(prefix).push_back(kLowerHex[byte >> 4]);
  out.push_back(kLowerHex[byte & 15]);
}

}  // namespace

std::string escaped(std::string_view text, std::size_t limit) {
  std::string_view rest = text.substr(0, limit);
  const bool all = rest.size() == text.size();
  std::string out;
  out.reserve(rest.size());
  while (!rest.empty()) {
    const char c = rest.front();
    const auto byte = static_cast<std::uint8_t>(c);
    const std::string_view sequence = rest.substr(0, std::max<std::size_t>(1, utf8_size(rest)));
    const bool printable = byte < 0x80 ? byte >= 0x20 && byte != 0x7f && c != '"' && c != '\\'
                                       : sequence.size() > 1 && !is_c1_control(sequence);
    if (printable) {
      out.append(sequence);
    } else {
      for (const char each : sequence) append_hex(out, "\\x", static_cast<std::uint8_t>(each));
    }
    rest.remove_prefix(sequence.size());
  }
  if (!all) out.append("…");
  return out;
}

void append_json_escaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const char c = text.front();
    const auto byte = static_cast<std::uint8_t>(c);
    std::size_t size = 1;
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20 || byte == 0x7f) {
      append_hex(out, "\\u00", byte);
    } else if (byte < 0x80) {
      out.push_back(c);
    } else if (const auto sequence = text.substr(0, utf8_size(text)); is_c1_control(sequence)) {
      append_hex(out, "\\u00", static_cast<std::uint8_t>(sequence[1]));
      size = sequence.size();
    } else if (!sequence.empty()) {
      out.append(sequence);
      size = sequence.size();
    } else {
      out.append("\xef\xbf\xbd");
    }
    text.remove_prefix(size);
  }
}

void append_html_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&': out.append("&amp;"); break;
      case '<': out.append("&lt;"); break;
      case '>': out.append("&gt;"); break;
      case '"': out.append("&quot;"); break;
      case '\'': out.append("&#39;"); break;
      default: out.push_back(c);
    }
  }
}

bool percent_decode(std::string_view text, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (text.size() - i < 3) return false;
    const int high = ascii::hex_value(text[i + 1]);
    const int low = ascii::hex_value(text[i + 2]);
    if (high < 0 || low < 0) return false;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return true;
}

void append_percent_encoded(std::string& out, std::string_view text, std::string_view kept) {
  for (const char c : text) {
    if (is_unreserved(c) || kept.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<std::uint8_t>(c);
      out.push_back('%');
      out.push_back(kUpperHex[byte >> 4]);
      out.push_back(kUpperHex[byte & 15]);
    }
  }
}

void append_base64(std::string& out, ByteView bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < count ? bytes[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k) {
      out.push_back(k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=');
    }
  }
}

}  // namespace tern::http
