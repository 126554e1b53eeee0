#include "gateway/url.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "transport/udp/address.h"

namespace tern {
namespace {

constexpr std::size_t kMaxUrl = 8 * 1024;
constexpr std::string_view kScheme = "https://";

bool is_alpha(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

tl::unexpected<Error> broken(std::string_view url, std::string_view why) {
  return fail(Error::invalid("URL '" + std::string(url.substr(0, 200)) + "': " + std::string(why)));
}

/// The length of a scheme and its colon at the start of `text` (§3.1); 0 if there is none.
std::size_t scheme_length(std::string_view text) noexcept {
  if (text.empty() || !is_alpha(text[0])) return 0;
  std::size_t i = 1;
  while (i < text.size() && (is_alpha(text[i]) || is_digit(text[i]) || text[i] == '+' ||
                             text[i] == '-' || text[i] == '.')) {
    ++i;
  }
  return i < text.size() && text[i] == ':' ? i + 1 : 0;
}

bool starts_with_https(std::string_view text) noexcept {
  return text.size() >= kScheme.size() &&
         std::equal(kScheme.begin(), kScheme.end(), text.begin(),
                    [](char wanted, char c) { return lower(c) == wanted; });
}

/// Only what a :path may hold: no controls, spaces or bytes beyond ASCII.
std::optional<char> forbidden_in_path(std::string_view path) noexcept {
  for (const char c : path) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) return c;
  }
  return std::nullopt;
}

bool valid_host(std::string_view host) noexcept {
  return !host.empty() && host.size() <= 253 &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_';
         });
}

/// §5.2.4
std::string without_dot_segments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    if (path.starts_with("/./")) {
      path.remove_prefix(2);
    } else if (path == "/.") {
      path = "/";
    } else if (path.starts_with("/../") || path == "/..") {
      path = path == "/.." ? std::string_view("/") : path.substr(3);
      const std::size_t slash = out.rfind('/');
      out.resize(slash == std::string::npos ? 0 : slash);
    } else {
      const std::size_t next = path.find('/', 1);
      out += path.substr(0, next);
      path.remove_prefix(std::min(next, path.size()));
    }
  }
  return out;
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  const std::string_view whole = text;
  if (text.size() > kMaxUrl) return broken(text, "is longer than 8 KiB");
  if (starts_with_https(text)) {
    text.remove_prefix(kScheme.size());
  } else if (const std::size_t mark = text.find("://"); mark != std::string_view::npos) {
    return broken(whole, "only https:// is spoken here");
  }
  text = text.substr(0, text.find('#'));
  const std::size_t authority_end = std::min(text.find_first_of("/?"), text.size());
  std::string_view authority = text.substr(0, authority_end);
  const std::string_view path = text.substr(authority_end);
  if (authority.find('@') != std::string_view::npos) {
    return broken(whole, "holds a user name; send it as a header field instead");
  }

  Url url;
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return broken(whole, "has a [ without its ]");
    url.host = std::string(authority.substr(1, bracket - 1));
    authority.remove_prefix(bracket + 1);
    const auto address = udp::Address::parse_ip(url.host, 0);
    if (!address || !address->is_v6()) return broken(whole, "has no IPv6 address in its brackets");
    if (!authority.empty() && authority[0] != ':') return broken(whole, "has something after ]");
    port = authority;
  } else {
    const std::size_t colon = std::min(authority.find(':'), authority.size());
    url.host = std::string(authority.substr(0, colon));
    port = authority.substr(colon);
    if (url.host.empty()) return broken(whole, "has no host");
    if (!valid_host(url.host)) {
      return broken(whole, "has a host that is neither a DNS name nor an IP address (write "
                           "internationalised names as xn--…, IPv6 addresses in brackets)");
    }
  }
  std::transform(url.host.begin(), url.host.end(), url.host.begin(), lower);
  if (port.size() > 1) {
    port.remove_prefix(1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (error != std::errc() || end != port.data() + port.size() || url.port == 0) {
      return broken(whole, "has no port between 1 and 65535 after the colon");
    }
  }
  if (const auto bad = forbidden_in_path(path)) {
    return broken(whole, *bad == ' ' ? "has a space in it; write %20"
                                     : "has a character that must be percent-encoded");
  }
  url.path = path.starts_with('/') ? std::string(path) : "/" + std::string(path);
  return url;
}

Result<Url> Url::resolve(std::string_view reference) const {
  if (scheme_length(reference) != 0) return parse(reference);
  reference = reference.substr(0, reference.find('#'));
  if (reference.starts_with("//")) return parse("https:" + std::string(reference));
  if (reference.size() > kMaxUrl) return broken(reference, "is longer than 8 KiB");
  if (forbidden_in_path(reference)) return broken(reference, "is not percent-encoded");

  Url url = *this;
  const std::string_view base = std::string_view(path).substr(0, path.find('?'));
  const std::size_t query = std::min(reference.find('?'), reference.size());
  const std::string_view reference_path = reference.substr(0, query);
  std::string target;
  if (reference_path.empty()) {
    if (reference.empty()) return url;
    target = std::string(base);
  } else if (reference_path.starts_with('/')) {
    target = without_dot_segments(reference_path);
  } else {
    target = without_dot_segments(std::string(base.substr(0, base.rfind('/') + 1)) +
                                  std::string(reference_path));
  }
  url.path = target + std::string(reference.substr(query));
  return url;
}

std::string Url::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != 443) text += ":" + std::to_string(port);
  return text;
}

std::string Url::origin() const {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" +
         std::to_string(port);
}

std::string Url::to_string() const { return std::string(kScheme) + authority() + path; }

}  // namespace tern
