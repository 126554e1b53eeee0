#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "http/fields.h"
#include "http/uri.h"

namespace tern::http {

/// A cookie as RFC 6265bis §5.7 stores it.
struct Cookie {
  std::string name;
  std::string value;
  std::string domain;     ///< in lower case, without a leading dot
  bool host_only = true;  ///< for that host alone, not for those below it
  std::string path = "/";
  bool secure = false;  ///< over https alone
  bool http_only = false;
  std::optional<UnixSeconds> expires;  ///< none: with the session
};

/// Cookies of a client (RFC 6265bis): kept by domain and path, given back to whom they belong.
/// SameSite is for browsers, and not looked at. Belongs to one thread; several clients of it may
/// share one.
class CookieJar {
 public:
  static constexpr std::size_t kMaxCookies = 3000;    ///< in all; the oldest make room
  static constexpr std::size_t kMaxPerDomain = 180;   ///< likewise
  static constexpr std::size_t kMaxSize = 4096;       ///< name and value; larger ones are refused
  static constexpr std::size_t kMaxAttribute = 1024;  ///< larger ones are not looked at
  /// What goes into one request; the cookies that matched worst are left out.
  static constexpr std::size_t kMaxHeader = 16 * 1024;
  static constexpr std::int64_t kMaxAge = std::int64_t{400} * 24 * 3600;  ///< §5.5, in seconds

  CookieJar();
  CookieJar(const CookieJar&) = delete;
  CookieJar& operator=(const CookieJar&) = delete;
  ~CookieJar();

  /// The value of a `set-cookie` field of a response from `url`. False: refused, for what it says
  /// (§5.6), for a domain that is not the host's, or that is a public suffix ("co.uk").
  bool store(const Url& url, std::string_view set_cookie, UnixSeconds now);
  /// The `cookie` field of a request to `url`; empty: none.
  std::string header_for(const Url& url, UnixSeconds now);
  /// Stores what a response from `url` sets, the answer to a WebSocket's handshake included (with
  /// the URL's scheme http or https).
  void store_all(const Url& url, const Fields& response, UnixSeconds now);
  /// Adds what `header_for` gives to a request's fields, behind the cookies that they have.
  void add_to(const Url& url, Fields& request, UnixSeconds now);

  /// Adds those of a file in Netscape's format, curl's as well. Error invalid names the line.
  Result<void> load(const std::string& path, UnixSeconds now);
  /// The file, with mode 0600, replaced at once. Session cookies have the time 0, as curl's.
  Result<void> save(const std::string& path, UnixSeconds now);
  /// What `save` writes, and `load` reads.
  std::string to_text(UnixSeconds now);
  Result<void> from_text(std::string_view text, UnixSeconds now);

  std::size_t size() const noexcept { return cookies_.size(); }

 private:
  struct PublicSuffixes;

  bool is_public_suffix(const std::string& domain) const;
  void put(Cookie cookie, UnixSeconds now);
  void drop_expired(UnixSeconds now);

  std::unique_ptr<PublicSuffixes> suffixes_;
  std::list<Cookie> cookies_;  // made first first
};

/// A cookie's `expires` (RFC 6265bis §5.1.1), which is read more generously than an HTTP date.
std::optional<UnixSeconds> parse_cookie_date(std::string_view text);

}  // namespace tern::http
