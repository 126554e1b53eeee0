// Proxies and hosts without one, as people write them into variables. What is read can be connected
// to, its name reads back as itself and keeps the password out, and a complaint does as well.
// Input: a proxy, a line feed, a list of hosts as in no_proxy, a line feed, a URL.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "gateway/proxy.h"

namespace {

using namespace tern;

std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

void check_proxy(const Proxy& proxy) {
  TERN_CHECK(!proxy.host().empty() && proxy.port() != 0);
  TERN_CHECK(proxy.name().find('@') == std::string::npos);
  const auto again = Proxy::parse(proxy.name());
  TERN_CHECK(again && again->host() == proxy.host() && again->port() == proxy.port());
  TERN_CHECK(again->secure() == proxy.secure() && again->authorization().empty());
  for (const char c : proxy.authorization()) TERN_CHECK(c >= ' ' && c < 0x7f);
}

/// What no_proxy says of a host does not depend on where else a proxy is set, nor on the port.
void check_exceptions(const Proxy& proxy, std::string_view hosts, std::string_view text) {
  const auto url = http::Url::parse(text);
  if (!url) return;
  const auto by_all = ProxyOptions().all(proxy).except(std::string(hosts)).proxy_for(*url);
  const auto by_each =
      ProxyOptions().http(proxy).https(proxy).except(std::string(hosts)).proxy_for(*url);
  TERN_CHECK(by_all == by_each);
  // Its own name excepts any host, and everybody.
  const auto own = ProxyOptions().all(proxy).except("x, " + url->host()).proxy_for(*url);
  TERN_CHECK(!own);
  TERN_CHECK(!ProxyOptions().all(proxy).except("*").proxy_for(*url));
  TERN_CHECK(ProxyOptions().all(proxy).proxy_for(*url) == proxy);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = as_text(ByteView(data, size));
  const std::string proxy(next_line(text));
  const std::string_view hosts = next_line(text);
  const auto read =
      ProxyOptions::from_environment([&](const char* name) -> std::optional<std::string> {
        return std::string_view(name) == "ALL_PROXY" ? std::optional(proxy) : std::nullopt;
      });
  const auto parsed = Proxy::parse(proxy);
  TERN_CHECK(proxy.empty() || read.has_value() == parsed.has_value());
  if (!parsed) {
    TERN_CHECK(!parsed.error().detail.empty());
    return 0;
  }
  check_proxy(*parsed);
  check_exceptions(*parsed, hosts, text);
  return 0;
}
