#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tern::http {

/// An absolute http or https URL, ready to be requested: host in lower case, dot segments removed,
/// what a request target may not hold percent-encoded (RFC 3986), the fragment dropped. A value.
class Url {
 public:
  /// "https://example.org:8443/a b?q#f". Without a scheme https is meant, as "example.org/a". What
  /// is wrong with a text is an Error invalid that names it; other schemes are Error unsupported.
  /// Names are ASCII (an internationalised one in its xn-- form); user names and passwords are
  /// refused.
  static Result<Url> parse(std::string_view text);
  /// What `reference` (a Location field, a link) means on a page of this URL (RFC 3986 §5.2).
  Result<Url> resolve(std::string_view reference) const;

  /// "https" or "http".
  const std::string& scheme() const noexcept { return scheme_; }
  /// A name, or an IP address (IPv6 without brackets).
  const std::string& host() const noexcept { return host_; }
  /// Whether the host is an IP address, which is not resolved and not sent as SNI.
  bool host_is_ip() const noexcept { return host_is_ip_; }
  /// The one given, or the scheme's.
  std::uint16_t port() const noexcept;
  /// Starts with '/'.
  const std::string& path() const noexcept { return path_; }
  /// Without its '?'; nothing when there is none.
  const std::optional<std::string>& query() const noexcept { return query_; }

  /// "example.org", "[::1]:4433": `:authority`, without the port where it is the scheme's.
  std::string authority() const;
  /// Path and query: `:path`.
  std::string target() const;
  /// Scheme and authority: what cookies, caches and connections are kept by.
  std::string origin() const { return scheme_ + "://" + authority(); }
  std::string to_string() const { return origin() + target(); }

  friend bool operator==(const Url&, const Url&) = default;

 private:
  Url() = default;
  Result<void> set_authority(std::string_view text);
  Result<void> set_host(std::string_view text);
  Result<void> set_port(std::string_view text);

  std::string scheme_;
  std::string host_;
  bool host_is_ip_ = false;
  std::uint16_t port_ = 0;  // 0: the scheme's
  std::string path_ = "/";
  std::optional<std::string> query_;
};

/// Removes "." and ".." segments from an absolute path (RFC 3986 §5.2.4); ".." at the top is
/// dropped.
std::string remove_dot_segments(std::string_view path);

}  // namespace tern::http
