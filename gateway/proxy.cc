#include "gateway/proxy.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <utility>

#include "http/escape.h"
#include "transport/udp/address.h"

namespace tern {
namespace {

/// curl's, where none is given.
constexpr std::uint16_t kHttpPort = 1080;
constexpr std::uint16_t kHttpsPort = 443;

/// The password stays out of it: errors are logged.
tl::unexpected<Error> no_proxy_url(std::string_view text, std::string_view why) {
  const std::size_t at = text.rfind('@');
  const std::string shown =
      at == std::string_view::npos ? std::string(text) : "…" + std::string(text.substr(at));
  return fail(Error::invalid("proxy \"" + http::escaped(shown, 128) + "\": " + std::string(why)));
}

/// Whether the first `bits` are the same.
bool same_prefix(ByteView left, ByteView right, unsigned bits) noexcept {
  const std::size_t whole = bits / 8;
  if (!std::equal(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(whole), right.begin())) {
    return false;
  }
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff00U >> rest);
  return (left[whole] & mask) == (right[whole] & mask);
}

/// An address or "address/bits", IPv6 with or without brackets.
bool excludes(std::string_view entry, const udp::Address& host) {
  std::optional<unsigned> bits;
  if (const std::size_t slash = entry.find('/'); slash != std::string_view::npos) {
    const std::string_view digits = entry.substr(slash + 1);
    unsigned value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) return false;
    bits = value;
    entry = entry.substr(0, slash);
  }
  if (entry.size() > 1 && entry.front() == '[' && entry.back() == ']') {
    entry = entry.substr(1, entry.size() - 2);
  }
  const auto address = udp::Address::parse_ip(entry, 0);
  if (!address || address->is_v4() != host.is_v4()) return false;
  const auto all = static_cast<unsigned>(host.ip().size() * 8);
  const unsigned compared = bits.value_or(all);
  return compared <= all && same_prefix(address->ip(), host.ip(), compared);
}

bool same_text(std::string_view left, std::string_view right) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [&](char a, char b) { return lower(a) == lower(b); });
}

/// The name, or one above it.
bool is_below(std::string_view host, std::string_view entry) noexcept {
  if (entry.starts_with('.')) entry.remove_prefix(1);
  if (entry.ends_with('.')) entry.remove_suffix(1);
  if (host.ends_with('.')) host.remove_suffix(1);
  if (entry.empty() || host.size() < entry.size()) return false;
  if (!same_text(host.substr(host.size() - entry.size()), entry)) return false;
  return host.size() == entry.size() || host[host.size() - entry.size() - 1] == '.';
}

}  // namespace

// ---- Proxy --------------------------------------------------------------------------------------

Result<Proxy> Proxy::parse(std::string_view text) {
  const std::size_t colon = text.find("://");
  std::string scheme(colon == std::string_view::npos ? "http" : text.substr(0, colon));
  for (char& c : scheme) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  std::string_view rest = colon == std::string_view::npos ? text : text.substr(colon + 3);
  if (scheme != "http" && scheme != "https") {
    return fail(Error(Code::unsupported, "proxy scheme \"" + http::escaped(scheme, 32) +
                                             "\": HTTP proxies alone are known (http, https)"));
  }
  rest = rest.substr(0, rest.find_first_of("/?#"));
  Proxy proxy;
  proxy.secure_ = scheme == "https";
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view info = rest.substr(0, at);
    const std::size_t split = info.find(':');
    std::string user;
    std::string password;
    const bool plain =
        http::percent_decode(info.substr(0, split), user) &&
        (split == std::string_view::npos || http::percent_decode(info.substr(split + 1), password));
    if (!plain || user.find(':') != std::string::npos) {
      return no_proxy_url(text, "its user and password are not percent-encoded as they should be");
    }
    proxy.authorization_ = "Basic ";
    http::append_base64(proxy.authorization_, as_bytes(user + ":" + password));
    rest = rest.substr(at + 1);
  }
  const auto url = http::Url::parse(scheme + "://" + std::string(rest));
  if (!url) return no_proxy_url(text, "it has no host, or no port, that could be one");
  proxy.host_ = url->host();
  const std::size_t bracket = rest.rfind(']');  // of an IPv6 address
  const std::size_t behind = bracket == std::string_view::npos ? 0 : bracket;
  const bool has_port = rest.find(':', behind) != std::string_view::npos;
  proxy.port_ = has_port ? url->port() : proxy.secure_ ? kHttpsPort : kHttpPort;
  return proxy;
}

std::string Proxy::name() const {
  const bool v6 = host_.find(':') != std::string::npos;
  return std::string(secure_ ? "https://" : "http://") + (v6 ? "[" + host_ + "]" : host_) + ":" +
         std::to_string(port_);
}

// ---- ProxyOptions -------------------------------------------------------------------------------

Result<ProxyOptions> ProxyOptions::from_environment(
    const std::function<std::optional<std::string>(const char*)>& variable) {
  ProxyOptions options;
  const auto first_of = [&](std::initializer_list<const char*> names,
                            std::optional<Proxy>& out) -> Result<void> {
    for (const char* name : names) {
      const std::optional<std::string> value = variable(name);
      if (!value || value->empty()) continue;
      auto parsed = Proxy::parse(*value);
      if (!parsed) {
        Error error = std::move(parsed).error();
        error.detail = std::string(name) + ": " + error.detail;
        return fail(std::move(error));
      }
      out = std::move(*parsed);
      return {};
    }
    return {};
  };
  Result<void> read = first_of({"http_proxy"}, options.http_);
  if (read) read = first_of({"https_proxy", "HTTPS_PROXY"}, options.https_);
  if (read) read = first_of({"all_proxy", "ALL_PROXY"}, options.all_);
  if (!read) return fail(std::move(read).error());
  for (const char* name : {"no_proxy", "NO_PROXY"}) {
    if (std::optional<std::string> hosts = variable(name); hosts && !hosts->empty()) {
      options.except_ = std::move(*hosts);
      break;
    }
  }
  return options;
}

ProxyOptions& ProxyOptions::all(Proxy proxy) {
  all_ = std::move(proxy);
  return *this;
}

ProxyOptions& ProxyOptions::http(Proxy proxy) {
  http_ = std::move(proxy);
  return *this;
}

ProxyOptions& ProxyOptions::https(Proxy proxy) {
  https_ = std::move(proxy);
  return *this;
}

ProxyOptions& ProxyOptions::except(std::string hosts) {
  except_ = std::move(hosts);
  return *this;
}

ProxyOptions& ProxyOptions::quic_around(bool on) {
  quic_around_ = on;
  return *this;
}

ProxyOptions& ProxyOptions::ca_file(std::string path) {
  ca_file_ = std::move(path);
  return *this;
}

ProxyOptions& ProxyOptions::ca_pem(std::string pem) {
  ca_pem_ = std::move(pem);
  return *this;
}

ProxyOptions& ProxyOptions::insecure(bool on) {
  insecure_ = on;
  return *this;
}

std::optional<Proxy> ProxyOptions::proxy_for(const http::Url& url) const {
  const std::optional<Proxy>& own = url.scheme() == "http" ? http_ : https_;
  const std::optional<Proxy>& proxy = own ? own : all_;
  if (!proxy || is_excepted(url)) return std::nullopt;
  return proxy;
}

bool ProxyOptions::is_excepted(const http::Url& url) const {
  if (except_ == "*") return true;
  const auto address = udp::Address::parse_ip(url.host(), 0);
  std::string_view rest = except_;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find_first_of(", \t"), rest.size());
    const std::string_view entry = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (entry.empty()) continue;
    if (address ? excludes(entry, *address) : is_below(url.host(), entry)) return true;
  }
  return false;
}

}  // namespace tern
