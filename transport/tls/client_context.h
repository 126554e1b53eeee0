#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "transport/tls/certificate.h"
#include "transport/tls/key_log.h"

struct ssl_ctx_st;

/// A client's TLS configuration.

namespace tern::tls {

class ClientContextOptions {
 public:
  /// Trust the CAs of this PEM file instead of the system's.
  ClientContextOptions& ca_file(std::string path);
  /// Trust the CAs of this PEM text instead of the system's.
  ClientContextOptions& ca_pem(std::string pem);
  /// Trust any certificate (curl -k). Default false.
  ClientContextOptions& insecure(bool on);
  /// What the client shows a server that asks for a certificate. Default: none.
  ClientContextOptions& certificate(Certificate certificate);
  /// Offer only TLS_CHACHA20_POLY1305_SHA256. Such a client does not resume sessions (see
  /// docs/decisions/0008). Default false.
  ClientContextOptions& chacha20_only(bool on);
  /// As ServerContextOptions::groups; the first one gets the key share. Default
  /// "X25519:P-256:P-384".
  ClientContextOptions& groups(std::string list);
  ClientContextOptions& key_log(std::shared_ptr<KeyLog> log);

 private:
  friend class ClientContext;
  std::string ca_file_;
  std::string ca_pem_;
  bool insecure_ = false;
  std::optional<Certificate> certificate_;
  bool chacha20_only_ = false;
  std::string groups_ = "X25519:P-256:P-384";
  std::shared_ptr<KeyLog> key_log_;
};

/// Immutable; all connections of a client, on any thread, share one.
class ClientContext {
 public:
  /// The system's roots.
  static constexpr const char* kSystemRoots = "/etc/ssl/certs/ca-certificates.crt";

  static Result<std::shared_ptr<const ClientContext>> create(const ClientContextOptions& options);
  ~ClientContext();
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;

  bool insecure() const noexcept;
  bool chacha20_only() const noexcept;

  ssl_ctx_st* native() const noexcept;  ///< for transport/ only

 private:
  struct Impl;
  explicit ClientContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tern::tls
