#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "http/uri.h"

namespace tern {

/// An HTTP proxy (RFC 9110 §3.7), as people name it. A value.
class Proxy {
 public:
  /// "http://user:password@proxy.example:3128", "https://…" for TLS to the proxy itself. Without a
  /// scheme http is meant; without a port 1080, or 443 for https, as in curl. User and password may
  /// be percent-encoded. Error invalid for what is none, unsupported for other schemes (SOCKS).
  static Result<Proxy> parse(std::string_view text);

  /// TLS to the proxy.
  bool secure() const noexcept { return secure_; }
  const std::string& host() const noexcept { return host_; }
  std::uint16_t port() const noexcept { return port_; }
  /// `proxy-authorization` of RFC 7617: "Basic …"; empty without a user. A secret.
  const std::string& authorization() const noexcept { return authorization_; }
  /// "http://proxy.example:3128", without user and password.
  std::string name() const;

  friend bool operator==(const Proxy&, const Proxy&) = default;

 private:
  Proxy() = default;
  bool secure_ = false;
  std::string host_;
  std::uint16_t port_ = 0;
  std::string authorization_;
};

/// Which requests go through which proxy. https:// URLs, and http:// ones that are to go in HTTP/2,
/// are tunnelled (CONNECT, RFC 9110 §9.3.6): the proxy sees the host's name and nothing else. Other
/// http:// requests are the proxy's to forward (RFC 9112 §3.2.2). What goes through a proxy goes
/// over TCP: no HTTP/3, unless `quic_around`. Names are resolved by the proxy.
class ProxyOptions {
 public:
  /// curl's variables: `http_proxy` (lower case only: a CGI program's HTTP_PROXY is a request's),
  /// `https_proxy`, HTTPS_PROXY, `all_proxy`, ALL_PROXY, `no_proxy`, NO_PROXY. `variable` is
  /// `getenv` with a string for a result. An Error names the variable.
  static Result<ProxyOptions> from_environment(
      const std::function<std::optional<std::string>(const char*)>& variable);

  /// For every URL. Default: none.
  ProxyOptions& all(Proxy proxy);
  ProxyOptions& http(Proxy proxy);
  ProxyOptions& https(Proxy proxy);
  /// Hosts that are reached without one, in curl's words: names separated by commas or blanks, each
  /// of which stands for everything below it, too (a leading dot changes nothing); IP addresses,
  /// perhaps with a prefix's length ("10.0.0.0/8", "fd00::/8"); "*" alone: every host.
  ProxyOptions& except(std::string hosts);
  /// HTTP/3 is tried past the proxy, by those clients that would try it without one. Default false:
  /// where there is a proxy, it is usually wanted that nothing goes around it.
  ProxyOptions& quic_around(bool on);
  bool quic_around() const noexcept { return quic_around_; }
  /// Whom to trust for https:// proxies. Default: what the system trusts.
  ProxyOptions& ca_file(std::string path);
  ProxyOptions& ca_pem(std::string pem);
  const std::string& ca_file() const noexcept { return ca_file_; }
  const std::string& ca_pem() const noexcept { return ca_pem_; }
  /// Trusts any certificate of a proxy. Default false.
  ProxyOptions& insecure(bool on);
  bool insecure() const noexcept { return insecure_; }

  /// The one for that URL.
  std::optional<Proxy> proxy_for(const http::Url& url) const;

 private:
  bool is_excepted(const http::Url& url) const;

  std::optional<Proxy> all_;
  std::optional<Proxy> http_;
  std::optional<Proxy> https_;
  std::string except_;
  bool quic_around_ = false;
  std::string ca_file_;
  std::string ca_pem_;
  bool insecure_ = false;
};

}  // namespace tern
