#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace tern::http {

/// Where else an origin's content is served (RFC 7838): one alternative of an `alt-svc` field.
struct AltService {
  std::string protocol;  ///< its ALPN name, percent-decoded: "h3"
  std::string host;      ///< empty: the origin's own
  std::uint16_t port = 0;
  Duration max_age{};    ///< `ma`, by default a day
  bool persist = false;  ///< good on other networks as well
  friend bool operator==(const AltService&, const AltService&) = default;
};

struct AltSvc {
  /// Forget what was known of the origin.
  bool clear = false;
  /// As the server prefers them; at most kMaxAlternatives.
  std::vector<AltService> services;
  static constexpr std::size_t kMaxAlternatives = 16;

  /// The value of an `alt-svc` field or ALTSVC frame. An alternative that is malformed is left out,
  /// as is everything after one whose end cannot be found.
  static AltSvc parse(std::string_view value);
};

}  // namespace tern::http
