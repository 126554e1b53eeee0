#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tern {

/// An absolute https URL (RFC 3986), as far as a request needs it. The fragment is dropped.
struct Url {
  std::string host;  ///< lower case; IPv6 literals without brackets
  std::uint16_t port = 443;
  std::string path = "/";  ///< with the query

  /// "https://host[:port][/path][?query]"; without a scheme, https is meant. Errors are
  /// Code::invalid and say what is wrong with it.
  static Result<Url> parse(std::string_view text);
  /// What a Location field value means in a response to this URL (§5.2).
  Result<Url> resolve(std::string_view reference) const;

  /// "example.com", "[::1]:4433": the :authority of requests, without the default port.
  std::string authority() const;
  /// "example.com:443": names connections and sessions.
  std::string origin() const;
  std::string to_string() const;

  friend bool operator==(const Url&, const Url&) = default;
};

}  // namespace tern
