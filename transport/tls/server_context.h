#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "transport/tls/certificate.h"
#include "transport/tls/key_log.h"
#include "transport/tls/key_ring.h"

struct ssl_ctx_st;

/// A server's TLS configuration.

namespace tern::tls {

enum class ClientCertificate : std::uint8_t {
  none,      ///< not asked for
  optional,  ///< asked for; a client may send none, but not a wrong one
  required,
};

class ServerContextOptions {
 public:
  /// Call once a certificate. The first is the default, for clients that send no SNI or one that
  /// nothing covers; otherwise an exact name wins over a wildcard. At least one is needed.
  ServerContextOptions& certificate(Certificate certificate);
  /// ALPN protocols in order of preference. Default {"h3"}. A client that offers none of them gets
  /// the alert no_application_protocol.
  ServerContextOptions& alpn(std::vector<std::string> protocols);
  /// mTLS: PEM of the CAs that client certificates must chain to.
  ServerContextOptions& client_ca(std::string pem, ClientCertificate mode);
  /// Session tickets are sealed with this ring. Default: no tickets, no resumption.
  ServerContextOptions& ticket_keys(std::shared_ptr<const KeyRing> keys);
  /// Seconds a ticket is good for. Default one day, at most seven (RFC 8446 §4.6.1).
  ServerContextOptions& ticket_lifetime(std::uint32_t seconds);
  /// Accept 0-RTT with tickets that allow it. Default false.
  ServerContextOptions& early_data(bool on);
  /// Only TLS_CHACHA20_POLY1305_SHA256; clients that do not offer it are refused. Default false.
  ServerContextOptions& chacha20_only(bool on);
  /// Key exchange groups in order of preference, by BoringSSL's names ("X25519", "P-256", "P-384",
  /// "X25519Kyber768Draft00"). Default "X25519:P-256:P-384".
  ServerContextOptions& groups(std::string list);
  ServerContextOptions& key_log(std::shared_ptr<KeyLog> log);

 private:
  friend class ServerContext;
  std::vector<Certificate> certificates_;
  std::vector<std::string> alpn_{"h3"};
  std::string client_ca_;
  ClientCertificate client_certificate_ = ClientCertificate::none;
  std::shared_ptr<const KeyRing> ticket_keys_;
  std::uint32_t ticket_lifetime_ = 24 * 3600;
  bool early_data_ = false;
  bool chacha20_only_ = false;
  std::string groups_ = "X25519:P-256:P-384";
  std::shared_ptr<KeyLog> key_log_;
};

/// Immutable; all workers and connections of a server share one. Reloading certificates: build a
/// new context and swap the shared_ptr; connections keep the context they began with.
class ServerContext {
 public:
  static Result<std::shared_ptr<const ServerContext>> create(const ServerContextOptions& options);
  ~ServerContext();
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;

  /// Which certificate a client that asks for `server_name` gets ("" = no SNI).
  const Certificate& certificate_for(std::string_view server_name) const noexcept;
  const std::vector<Certificate>& certificates() const noexcept;
  bool early_data() const noexcept;
  bool chacha20_only() const noexcept;

  ssl_ctx_st* native() const noexcept;  ///< for transport/ only

 private:
  struct Impl;
  friend struct ServerContextCallbacks;
  explicit ServerContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tern::tls
