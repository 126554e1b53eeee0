#include "http/alt_svc.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>

#include "base/ascii.h"
#include "http/uri.h"

namespace tern::http {
namespace {

constexpr std::chrono::hours kDefaultAge(24);
/// Nobody knows what a server will be in a year.
constexpr std::uint64_t kMaxAgeSeconds = 365ull * 24 * 3600;

bool is_token_char(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

/// Cuts tokens and quoted strings (RFC 9110 §5.6) off a text.
class Cutter {
 public:
  explicit Cutter(std::string_view text) noexcept : rest_(text) {}

  void skip_blanks() noexcept {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) {
      rest_.remove_prefix(1);
    }
  }
  bool take(char c) noexcept {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool at_end() const noexcept { return rest_.empty(); }
  std::string_view token() noexcept {
    std::size_t size = 0;
    while (size < rest_.size() && is_token_char(rest_[size])) ++size;
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  /// Nothing if it does not end.
  std::optional<std::string> quoted() {
    if (!take('"')) return std::nullopt;
    std::string text;
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return text;
      if (c == '\\') {
        if (rest_.empty()) return std::nullopt;
        c = rest_.front();
        rest_.remove_prefix(1);
      }
      text += c;
    }
    return std::nullopt;
  }

 private:
  std::string_view rest_;
};

/// RFC 7838 §3: octets of ALPN names that are no token characters, and '%'.
std::optional<std::string> decoded_name(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = ascii::hex_value(text[i + 1]);
    const int low = ascii::hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

template <typename Number>
bool read_number(std::string_view text, Number& number) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

/// "[::1]:443", ":443", "alt.example.com:443"
bool read_authority(std::string_view text, AltService& service) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  if (!read_number(text.substr(colon + 1), service.port) || service.port == 0) return false;
  if (colon == 0) return true;
  // A host that a URL may have, and nothing of a URL but that.
  if (text.find_first_of("/?#") != std::string_view::npos) return false;
  const Result<Url> url = Url::parse("https://" + std::string(text));
  if (!url) return false;
  service.host = url->host();
  return true;
}

}  // namespace

AltSvc AltSvc::parse(std::string_view value) {
  AltSvc parsed;
  Cutter text(value);
  text.skip_blanks();
  Cutter only_word = text;
  if (only_word.token() == "clear") {
    only_word.skip_blanks();
    parsed.clear = only_word.at_end();
    if (parsed.clear) return parsed;
  }
  while (!text.at_end() && parsed.services.size() < kMaxAlternatives) {
    text.skip_blanks();
    if (text.take(',')) continue;  // an empty element
    AltService service;
    service.max_age = kDefaultAge;
    const std::optional<std::string> protocol = decoded_name(text.token());
    if (!text.take('=')) break;
    const std::optional<std::string> authority = text.quoted();
    if (!authority) break;
    bool good = protocol && !protocol->empty() && read_authority(*authority, service);
    if (good) service.protocol = *protocol;
    bool whole = true;
    for (;;) {
      text.skip_blanks();
      if (!text.take(';')) break;
      text.skip_blanks();
      const std::string_view name = text.token();
      if (!text.take('=')) {
        whole = false;
        break;
      }
      std::optional<std::string> quoted = text.quoted();
      const std::string setting = quoted ? *quoted : std::string(text.token());
      if (name == "ma") {
        std::uint64_t seconds = 0;
        if (read_number(std::string_view(setting), seconds)) {
          service.max_age = std::chrono::seconds(std::min(seconds, kMaxAgeSeconds));
        } else {
          good = false;
        }
      } else if (name == "persist") {
        service.persist = setting == "1";
      }
    }
    if (!whole) break;
    text.skip_blanks();
    const bool separated = text.at_end() || text.take(',');
    if (!separated) break;
    if (good) parsed.services.push_back(std::move(service));
  }
  return parsed;
}

}  // namespace tern::http
