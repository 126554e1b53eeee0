#include "http3/message_rules.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "http/message.h"

namespace tern::http3 {

namespace {

// Where a byte may be.
constexpr std::uint8_t kToken = 1;  // RFC 9110 §5.6.2, but for upper-case letters
constexpr std::uint8_t kUpper = 2;
constexpr std::uint8_t kInAuthority = 4;  // RFC 3986 §3.2, without user information
constexpr std::uint8_t kInScheme = 8;     // RFC 3986 §3.1, behind the first

constexpr std::array<std::uint8_t, 256> kBytes = [] {
  std::array<std::uint8_t, 256> table{};
  const auto mark = [&](std::string_view bytes, std::uint8_t kind) {
    for (const char c : bytes) {
      auto& entry = table[static_cast<unsigned char>(c)];
      entry = static_cast<std::uint8_t>(entry | kind);
    }
  };
  constexpr std::string_view kDigits = "0123456789";
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
  constexpr std::string_view kCapitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  mark(kDigits, kToken | kInAuthority | kInScheme);
  mark(kLetters, kToken | kInAuthority | kInScheme);
  mark(kCapitals, kUpper | kInAuthority | kInScheme);
  mark("!#$%&'*+-.^_`|~", kToken);
  mark("!$%&'()*+,-.:;=[]_~", kInAuthority);
  mark("+-.", kInScheme);
  return table;
}();

/// Every byte is of one of those kinds.
bool all_of(std::string_view text, std::uint8_t kinds) noexcept {
  return std::all_of(text.begin(), text.end(), [kinds](char c) {
    return (kBytes[static_cast<unsigned char>(c)] & kinds) != 0;
  });
}

constexpr std::uint64_t repeat(std::uint8_t byte) noexcept { return 0x0101010101010101u * byte; }

/// Whether one of eight bytes is below `limit` (at most 0x80) or a DEL.
constexpr bool has_control(std::uint64_t bytes, std::uint8_t limit) noexcept {
  const std::uint64_t below = (bytes - repeat(limit)) & ~bytes;
  const std::uint64_t without = bytes ^ repeat(0x7f);
  const std::uint64_t deleted = (without - repeat(1)) & ~without;
  return ((below | deleted) & repeat(0x80)) != 0;
}

/// No byte below `limit` and no DEL.
bool no_control(std::string_view text, std::uint8_t limit) noexcept {
  std::uint64_t bytes = 0;
  while (text.size() >= sizeof(bytes)) {
    std::memcpy(&bytes, text.data(), sizeof(bytes));
    if (has_control(bytes, limit)) return false;
    text.remove_prefix(sizeof(bytes));
  }
  bytes = repeat('x');
  std::memcpy(&bytes, text.data(), text.size());
  return !has_control(bytes, limit);
}

bool blank(char c) noexcept { return c == ' ' || c == '\t'; }

/// RFC 9110 §5.5: neither control characters but the tab, nor blanks at an end.
bool valid_value(std::string_view value) noexcept {
  if (value.empty()) return true;
  if (blank(value.front()) || blank(value.back())) return false;
  if (no_control(value, 0x20)) return true;
  return std::none_of(value.begin(), value.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

bool valid_path(std::string_view path) noexcept { return no_control(path, 0x21); }

bool valid_method(std::string_view method) noexcept { return all_of(method, kToken | kUpper); }

bool valid_scheme(std::string_view scheme) noexcept {
  const auto first = static_cast<unsigned char>(scheme.empty() ? '0' : scheme.front() | 0x20);
  return first >= 'a' && first <= 'z' && all_of(scheme, kInScheme);
}

bool equal_ignoring_case(std::string_view text, std::string_view lower) noexcept {
  return text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b;
         });
}

}  // namespace

void MessageRules::begin(Kind kind, bool connect, bool protocol) noexcept {
  kind_ = kind;
  seen_ = static_cast<std::uint16_t>((connect ? kConnect : 0) | (protocol ? kProtocolAllowed : 0));
  if (!trailers()) {
    content_length_ = -1;
    status_ = 0;
  }
}

/// A pseudo-header, or host, that has a value and comes for the first time.
bool MessageRules::once(std::uint16_t which, std::string_view value) noexcept {
  if ((seen_ & which) != 0 || value.empty()) return false;
  seen_ = static_cast<std::uint16_t>(seen_ | which);
  return true;
}

MessageRules::Verdict MessageRules::line(const FieldLine& line) noexcept {
  if (line.text.empty()) return Verdict::malformed;
  if (line.text.front() == ':') return pseudo(line);
  seen_ |= kFields;
  switch (line.name) {
    case FieldName::other:
      if (!all_of(line.text, kToken)) return Verdict::malformed;
      break;
    case FieldName::host:
      if (kind_ != Kind::request) break;
      return all_of(line.value, kInAuthority) && once(kHost, line.value) ? Verdict::take
                                                                         : Verdict::malformed;
    case FieldName::content_length: return length(line.value);
    case FieldName::connection_specific: return Verdict::malformed;
    case FieldName::te:
      return equal_ignoring_case(line.value, "trailers") ? Verdict::take : Verdict::malformed;
    case FieldName::priority: seen_ |= kPriority; break;
    default: break;
  }
  // RFC 9114 §10.3: names and values that HTTP/1.1 could not carry are how messages are smuggled.
  return valid_value(line.value) ? Verdict::take : Verdict::malformed;
}

/// RFC 9114 §4.3: before all other lines, each once, and no other than these.
MessageRules::Verdict MessageRules::pseudo(const FieldLine& line) noexcept {
  if (trailers() || (seen_ & kFields) != 0) return Verdict::malformed;
  const std::string_view value = line.value;
  if (kind_ == Kind::response) {
    return line.name == FieldName::status ? status(value) : Verdict::malformed;
  }
  bool fine = false;
  switch (line.name) {
    case FieldName::method:
      fine = valid_method(value) && once(kMethod, value);
      if (value == "CONNECT") seen_ |= kConnect;
      if (value == "OPTIONS") seen_ |= kOptions;
      break;
    case FieldName::scheme:
      fine = valid_scheme(value) && once(kScheme, value);
      if (equal_ignoring_case(value, "https") || equal_ignoring_case(value, "http")) {
        seen_ |= kHttpScheme;
      }
      break;
    case FieldName::authority: fine = all_of(value, kInAuthority) && once(kAuthority, value); break;
    case FieldName::path:
      fine = valid_path(value) && once(kPath, value);
      if (value.starts_with('/')) seen_ |= kAbsolutePath;
      if (value == "*") seen_ |= kAsterisk;
      break;
    case FieldName::protocol:
      fine = (seen_ & kProtocolAllowed) != 0 && valid_value(value) && once(kProtocol, value);
      break;
    default: break;
  }
  return fine ? Verdict::take : Verdict::malformed;
}

MessageRules::Verdict MessageRules::status(std::string_view value) noexcept {
  if (value.size() != 3) return Verdict::malformed;
  int number = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return Verdict::malformed;
    number = number * 10 + (c - '0');
  }
  // RFC 9114 §4.5: HTTP/3 has no 101.
  if (number < 100 || number == 101 || !once(kStatus, value)) return Verdict::malformed;
  status_ = number;
  return Verdict::take;
}

MessageRules::Verdict MessageRules::length(std::string_view value) noexcept {
  // RFC 9110 §6.5.1: framing has no place in trailers.
  if (trailers()) return Verdict::leave_out;
  if (kind_ == Kind::response) {
    // RFC 9110 §8.6. Some servers say of a 204 that it has no content.
    if (status_ == 204) {
      if (content_length_ != -1 || value != "0") return Verdict::malformed;
      content_length_ = 0;
      return Verdict::leave_out;
    }
    const bool tunnel = (seen_ & kConnect) != 0 && status_ / 100 == 2;
    if (status_ / 100 == 1 || tunnel) return Verdict::leave_out;
  }
  const auto number = http::parse_content_length(value);
  if (content_length_ != -1 || !number) return Verdict::malformed;
  content_length_ = static_cast<std::int64_t>(*number);
  return Verdict::take;
}

bool MessageRules::complete() noexcept {
  if (trailers()) return true;
  if (kind_ == Kind::response) return (seen_ & kStatus) != 0;
  const auto has = [this](std::uint16_t which) { return (seen_ & which) == which; };
  if (has(kConnect) && !has(kProtocol)) {
    // RFC 9114 §4.4. Its content is the tunnel's.
    content_length_ = -1;
    return has(kMethod | kAuthority) && !has(kScheme) && !has(kPath);
  }
  if (!has(kMethod | kScheme | kPath) || (!has(kAuthority) && !has(kHost))) return false;
  if (has(kProtocol) && (!has(kConnect) || !has(kAuthority))) return false;
  return !has(kHttpScheme) || has(kAbsolutePath) || (has(kOptions) && has(kAsterisk));
}

}  // namespace tern::http3
