#include "tools/tern/call_target.h"

#include <utility>

#include <fmt/format.h>

namespace tern::cli {
namespace {

/// Takes the last segment of a path off it; empty when there is none.
std::string take_last(std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {};
  std::string last = path.substr(slash + 1);
  path.erase(slash);
  return last;
}

Result<http::Url> parse_url(std::string_view text) {
  Result<http::Url> url = http::Url::parse(text);
  if (url && url->query()) {
    return fail(Error::invalid(
        fmt::format("'{}' has a query; a call's URL ends with /pkg.Service/Method", text)));
  }
  return url;
}

}  // namespace

Result<CallTarget> CallTarget::of_call(std::string_view text) {
  Result<http::Url> url = parse_url(text);
  if (!url) return fail(std::move(url).error());
  std::string path = url->path();
  std::string method = take_last(path);
  std::string service = take_last(path);
  if (service.empty() || method.empty()) {
    return fail(Error::invalid(fmt::format(
        "'{}' names no method; write URL/pkg.Service/Method (`tern call --list {}` shows the "
        "services)",
        text, url->origin())));
  }
  return CallTarget{std::move(*url), std::move(path), std::move(service), std::move(method)};
}

Result<CallTarget> CallTarget::of_server(std::string_view text) {
  Result<http::Url> url = parse_url(text);
  if (!url) return fail(std::move(url).error());
  std::string path = url->path();
  std::string service = take_last(path);
  return CallTarget{std::move(*url), std::move(path), std::move(service), {}};
}

}  // namespace tern::cli
