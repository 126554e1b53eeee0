#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "http/uri.h"

namespace tern::interop {

/// An endpoint to probe. A value.
struct Target {
  /// What a download asks for in place of "{size}" in `throughput`.
  static constexpr std::string_view kSizeMark = "{size}";

  explicit Target(http::Url address) : name(address.authority()), url(std::move(address)) {}

  std::string name;
  http::Url url;
  std::string alpn = "h3";         ///< or "hq-interop"
  std::optional<http::Url> retry;  ///< where the server answers with Retry; its host is `url`'s
  std::string throughput;          ///< path of a file of so many bytes, with "{size}"; may be empty
  bool insecure = false;           ///< its certificate is known not to verify
  std::string note;
};

/// A list of endpoints: {"endpoints": [{"name", "url", "retry", "throughput", "alpn", "insecure",
/// "note"} …]}, `url` alone is needed. Error invalid names the entry and what is wrong with it.
Result<std::vector<Target>> parse_targets(std::string_view json);

/// The list of public endpoints that this program was built with: interop/endpoints.json.
std::string_view public_endpoints() noexcept;

}  // namespace tern::interop
