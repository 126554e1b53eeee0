#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"

/// A certificate chain with its private key.

namespace tern::tls {

/// Immutable, shared by copies, may be used from any thread. To renew one on a running server, load
/// it again, build a new ServerContext and swap that in.
class Certificate {
 public:
  /// Reads PEM files. The chain file holds the leaf first, then the intermediates; the key may be
  /// RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519, not password protected. Errors name
  /// the file and what to do about it.
  static Result<Certificate> load(const std::string& chain_path, const std::string& key_path);
  /// The same from memory; the names stand in the errors.
  static Result<Certificate> parse(std::string_view chain_pem, std::string_view key_pem,
                                   std::string_view chain_name = "the certificate chain",
                                   std::string_view key_name = "the private key");

  /// DNS names (lower case, "*.example.com" kept) and IP addresses of the subject alternative name;
  /// the common name if there is none.
  std::span<const std::string> names() const noexcept;
  /// Does the certificate cover this host name or IP address? A wildcard stands for one label.
  bool covers(std::string_view server_name) const noexcept;

  UnixSeconds not_before() const noexcept;
  UnixSeconds not_after() const noexcept;
  /// SHA-256 of the leaf's DER: WebTransport's `serverCertificateHashes`.
  const std::array<std::uint8_t, 32>& sha256() const noexcept;
  /// Base64 of the SHA-256 of the leaf's SubjectPublicKeyInfo: Chromium's
  /// --ignore-certificate-errors-spki-list, RFC 7469 pins.
  const std::string& spki_sha256() const noexcept;
  /// "ECDSA P-256", "RSA 2048", "Ed25519".
  const std::string& key_type() const noexcept;

  struct Impl;
  const Impl& impl() const noexcept { return *impl_; }  ///< for transport/tls only

 private:
  explicit Certificate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace tern::tls
