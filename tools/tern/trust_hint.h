#pragma once

#include <string_view>

namespace tern::cli {

/// What to do about a certificate that is not trusted, to go behind the error's own text.
inline std::string_view trust_hint(std::string_view detail) noexcept {
  for (const std::string_view reason : {"mismatch", "expired", "not yet valid"}) {
    // No CA changes that.
    if (detail.find(reason) != std::string_view::npos) return "; trust any certificate with -k";
  }
  return "; name its CA with --cacert FILE, or trust any certificate with -k";
}

}  // namespace tern::cli
