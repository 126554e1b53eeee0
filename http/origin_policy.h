#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/message.h"

namespace tern::http {

/// Which pages of browsers may open a WebSocket or a WebTransport session. A browser sends the
/// user's cookies wherever the page comes from, so without a check any site could speak in the
/// user's name (cross-site WebSocket hijacking).
class OriginPolicy {
 public:
  /// Pages of `origin` as well: "https://app.example.org", with the port where it is not the
  /// scheme's. What cannot be parsed is never met.
  void allow(std::string origin) { origins_.push_back(std::move(origin)); }
  /// Every origin, "null" too: for services that look at no cookie.
  void allow_any() noexcept { any_ = true; }
  /// A request without an origin is refused: nothing but browsers gets in. Programs send none, and
  /// whoever writes one can send any.
  void require() noexcept { required_ = true; }

  /// Why `request` is refused; empty when it is let in. Without anything allowed only the server's
  /// own origin is: scheme and authority of the request.
  std::string refusal(const RequestHead& request) const;
  /// Whether a page of `origin`, the field's value, may connect to the server `request` names.
  bool allows(std::string_view origin, const RequestHead& request) const;

 private:
  std::vector<std::string> origins_;
  bool any_ = false;
  bool required_ = false;
};

}  // namespace tern::http
