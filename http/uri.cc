#include "http/uri.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstddef>
#include <netinet/in.h>

#include "base/ascii.h"
#include "http/escape.h"

namespace tern::http {

namespace {

constexpr std::size_t kMaxUrl = 64 * 1024;

tl::unexpected<Error> invalid(std::string_view what, std::string_view text) {
  return fail(Error::invalid(std::string(what) + ": \"" + escaped(text, 128) + "\""));
}

/// What `text` consists of (RFC 3986 appendix B); nothing is validated.
struct Parts {
  std::optional<std::string_view> scheme;
  std::optional<std::string_view> authority;
  std::string_view path;
  std::optional<std::string_view> query;
};

Parts split(std::string_view text) noexcept {
  Parts parts;
  text = text.substr(0, text.find('#'));
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos && colon > 0 && ascii::is_alpha(text[0]) &&
      std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) {
        return ascii::is_alpha(c) || ascii::is_digit(c) || c == '+' || c == '-' || c == '.';
      })) {
    parts.scheme = text.substr(0, colon);
    text.remove_prefix(colon + 1);
  }
  if (const std::size_t mark = text.find('?'); mark != std::string_view::npos) {
    parts.query = text.substr(mark + 1);
    text = text.substr(0, mark);
  }
  if (text.starts_with("//")) {
    text.remove_prefix(2);
    const std::size_t slash = std::min(text.find('/'), text.size());
    parts.authority = text.substr(0, slash);
    text.remove_prefix(slash);
  }
  parts.path = text;
  return parts;
}

/// pchar, '/', and for the query '?' (RFC 3986 §3.3, §3.4) stay; a '%' that starts no encoding, and
/// everything else, is encoded.
std::string encoded(std::string_view text, bool query) {
  constexpr std::string_view kKept = "!$&'()*+,;=:@/";
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool triplet = c == '%' && text.size() - i > 2 && ascii::hex_value(text[i + 1]) >= 0 &&
                         ascii::hex_value(text[i + 2]) >= 0;
    if (triplet || (query && c == '?')) {
      out.push_back(c);
    } else {
      append_percent_encoded(out, text.substr(i, 1), kKept);
    }
  }
  return out;
}

/// Whether the last label is a number: then the host is meant as an IPv4 address.
bool looks_like_ipv4(std::string_view host) noexcept {
  const std::string_view last = host.substr(host.rfind('.') + 1);
  return !last.empty() && std::all_of(last.begin(), last.end(), ascii::is_digit);
}

bool known_scheme(std::string_view scheme) noexcept {
  return scheme == "https" || scheme == "http";
}

/// "localhost:4433/x" reads as a scheme "localhost"; what follows tells a port.
bool port_follows(std::string_view after_colon) noexcept {
  const std::size_t size = std::min(after_colon.find_first_of("/?#"), after_colon.size());
  return size > 0 && size <= 5 &&
         std::all_of(after_colon.begin(), after_colon.begin() + static_cast<std::ptrdiff_t>(size),
                     ascii::is_digit);
}

}  // namespace

std::string remove_dot_segments(std::string_view path) {
  std::string out;
  out.reserve(path.size());
  while (!path.empty()) {
    // One "/segment" a turn.
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view piece = path.substr(0, end);
    const bool last = end == path.size();
    path.remove_prefix(end);
    if (piece == "/." || piece == "/..") {
      if (piece == "/..") out.erase(std::min(out.rfind('/'), out.size()));
      if (last) out.push_back('/');
    } else {
      out.append(piece);
    }
  }
  return out;
}

Result<Url> Url::parse(std::string_view text) {
  if (text.size() > kMaxUrl) return fail(Error::invalid("the URL is longer than 64 KiB"));
  if (text.empty()) return fail(Error::invalid("the URL is empty"));
  Parts parts = split(text);
  std::string with_scheme;
  if (!parts.authority && (!parts.scheme || port_follows(text.substr(parts.scheme->size() + 1)))) {
    with_scheme = "https://" + std::string(text);
    parts = split(with_scheme);
  }
  Url url;
  url.scheme_ = ascii::lower_case(parts.scheme.value_or("https"));
  if (!known_scheme(url.scheme_)) {
    return fail(Error(Code::unsupported, "scheme \"" + escaped(url.scheme_, 32) + "\" in \"" +
                                             escaped(text, 128) +
                                             "\": only https and http are known"));
  }
  if (!parts.authority || parts.authority->empty()) return invalid("no host in the URL", text);
  if (auto set = url.set_authority(*parts.authority); !set) return fail(set.error());
  if (!parts.path.empty()) url.path_ = remove_dot_segments(encoded(parts.path, false));
  if (parts.query) url.query_ = encoded(*parts.query, true);
  return url;
}

Result<Url> Url::resolve(std::string_view reference) const {
  if (reference.size() > kMaxUrl) return fail(Error::invalid("the URL is longer than 64 KiB"));
  const Parts parts = split(reference);
  if (parts.scheme) {
    const std::string scheme = ascii::lower_case(*parts.scheme);
    if (known_scheme(scheme) && !parts.authority) return invalid("no host in the URL", reference);
    return parse(reference);
  }
  Url url = *this;
  if (parts.authority) {
    if (auto set = url.set_authority(*parts.authority); !set) return fail(set.error());
    url.path_ = "/";
    url.query_.reset();
  }
  const std::string path = encoded(parts.path, false);
  if (path.starts_with('/')) {
    url.path_ = remove_dot_segments(path);
  } else if (!path.empty()) {
    const std::string folder = url.path_.substr(0, url.path_.rfind('/') + 1);
    url.path_ = remove_dot_segments(folder + path);
  }
  if (parts.query) {
    url.query_ = encoded(*parts.query, true);
  } else if (!path.empty()) {
    url.query_.reset();
  }
  return url;
}

Result<void> Url::set_authority(std::string_view text) {
  if (text.find('@') != std::string_view::npos) {
    // Not repeated here: it may hold a password.
    return fail(Error::invalid(
        "a user name or password in the URL: send it in a field 'authorization' instead"));
  }
  port_ = 0;
  if (text.empty()) return fail(Error::invalid("the URL has no host"));
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return invalid("no ']' after the IPv6 address", text);
    if (auto set = set_host(text.substr(0, end + 1)); !set) return set;
    text.remove_prefix(end + 1);
    if (text.empty()) return {};
    if (text.front() != ':') return invalid("neither a port nor a path after ']'", text);
    return set_port(text.substr(1));
  }
  const std::size_t colon = text.find(':');
  if (text.find(':', std::min(colon, text.size() - 1) + 1) != std::string_view::npos) {
    return invalid("an IPv6 address goes between brackets", text);
  }
  if (auto set = set_host(text.substr(0, colon)); !set) return set;
  if (colon == std::string_view::npos) return {};
  return set_port(text.substr(colon + 1));
}

Result<void> Url::set_host(std::string_view text) {
  if (text.empty()) return fail(Error::invalid("the URL has no host"));
  if (text.starts_with('[')) {
    const std::string inside(text.substr(1, text.size() - 2));
    in6_addr address;
    std::array<char, INET6_ADDRSTRLEN> canonical;
    if (inside.find('\0') != std::string::npos ||
        ::inet_pton(AF_INET6, inside.c_str(), &address) != 1 ||
        ::inet_ntop(AF_INET6, &address, canonical.data(), canonical.size()) == nullptr) {
      return invalid("not an IPv6 address", text);
    }
    host_ = canonical.data();
    host_is_ip_ = true;
    return {};
  }
  host_is_ip_ = false;
  host_ = ascii::lower_case(text);
  for (const char c : text) {
    if (static_cast<signed char>(c) < 0) {
      return invalid("the host is not ASCII; write its xn-- form", text);
    }
    if (!ascii::is_alpha(c) && !ascii::is_digit(c) && c != '-' && c != '.' && c != '_') {
      return invalid("a host may not hold '" + escaped(std::string_view(&c, 1)) + "'", text);
    }
  }
  std::string_view labels(host_);
  if (labels.ends_with('.')) labels.remove_suffix(1);
  if (labels.size() > 253) return invalid("the host is longer than 253 characters", text);
  for (bool more = true; more;) {
    const std::size_t dot = labels.find('.');
    const std::string_view label = labels.substr(0, dot);
    if (label.empty()) return invalid("the host has an empty label", text);
    if (label.size() > 63) return invalid("a label of the host is longer than 63 characters", text);
    more = dot != std::string_view::npos;
    if (more) labels.remove_prefix(dot + 1);
  }
  if (looks_like_ipv4(host_)) {
    in_addr address;
    if (::inet_pton(AF_INET, host_.c_str(), &address) != 1) {
      return invalid("not an IPv4 address", text);
    }
    host_is_ip_ = true;
  }
  return {};
}

Result<void> Url::set_port(std::string_view text) {
  if (text.empty()) return {};
  unsigned value = 0;
  for (const char c : text) {
    if (!ascii::is_digit(c)) return invalid("the port is not a number", text);
    value = std::min(value * 10 + static_cast<unsigned>(c - '0'), 65536u);
  }
  if (value == 0 || value > 65535) return invalid("the port is not between 1 and 65535", text);
  port_ = static_cast<std::uint16_t>(value);
  if (port_ == (scheme_ == "https" ? 443 : 80)) port_ = 0;
  return {};
}

std::uint16_t Url::port() const noexcept {
  if (port_ != 0) return port_;
  return scheme_ == "https" ? 443 : 80;
}

std::string Url::authority() const {
  const bool v6 = host_.find(':') != std::string::npos;
  std::string text = v6 ? "[" + host_ + "]" : host_;
  if (port_ != 0) text.append(":").append(std::to_string(port_));
  return text;
}

std::string Url::target() const { return query_ ? path_ + "?" + *query_ : path_; }

}  // namespace tern::http
