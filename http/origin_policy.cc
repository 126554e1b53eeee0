#include "http/origin_policy.h"

#include <algorithm>
#include <optional>

#include "http/escape.h"
#include "http/uri.h"

namespace tern::http {

namespace {

/// Scheme, host and port of an origin; nothing for "null" and whatever else is none.
std::optional<Url> parse_origin(std::string_view text) {
  if (text.find("://") == std::string_view::npos) return std::nullopt;
  Result<Url> url = Url::parse(text);
  if (!url || url->target() != "/" || text.back() == '/') return std::nullopt;
  return std::move(*url);
}

}  // namespace

bool OriginPolicy::allows(std::string_view origin, const RequestHead& request) const {
  if (any_) return true;
  const std::optional<Url> from = parse_origin(origin);
  if (!from) return false;
  const auto same = [&](std::string_view other) {
    const std::optional<Url> url = parse_origin(other);
    return url && url->origin() == from->origin();
  };
  return same(request.scheme + "://" + request.authority) ||
         std::any_of(origins_.begin(), origins_.end(), same);
}

std::string OriginPolicy::refusal(const RequestHead& request) const {
  // A second origin would let a proxy and us look at different ones.
  if (const auto origin = request.fields.joined("origin")) {
    if (allows(*origin, request)) return {};
    return "connections from origin \"" + escaped(*origin, 128) + "\" are not allowed";
  }
  return required_ ? "an origin is wanted here" : std::string();
}

}  // namespace tern::http
