#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <openssl/base.h>
#ifndef OPENSSL_IS_BORINGSSL
#error "tern needs BoringSSL's headers; OpenSSL's were found"
#endif
#include <openssl/evp.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "transport/tls/certificate.h"
#include "transport/tls/key_log.h"

/// What this room's sources share of BoringSSL. Internal to transport/tls.

namespace tern::tls {

struct Certificate::Impl {
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> chain;  // leaf first
  bssl::UniquePtr<X509> leaf;
  bssl::UniquePtr<EVP_PKEY> key;
  std::vector<std::string> names;
  UnixSeconds not_before = 0;
  UnixSeconds not_after = 0;
  std::array<std::uint8_t, 32> sha256{};
  std::string spki_sha256;
  std::string key_type;
};

/// The text of BoringSSL's oldest queued error, "" if none; empties the queue.
std::string take_error();

/// What a context's callbacks find as its app data. Base of both contexts' Impl.
struct ContextState {
  bssl::UniquePtr<SSL_CTX> context;
  std::shared_ptr<KeyLog> key_log;
};

/// Makes `state.context`, as both sides want it: TLS 1.3 only, time from ScopedTime, groups, key
/// log.
Result<void> make_context(ContextState& state, const std::string& groups);
/// Chain and key for all connections of the context.
Result<void> use_certificate(SSL_CTX* context, const Certificate& certificate);
/// Adds every certificate of `pem` to the context's trusted ones; `name` stands in errors.
/// Their count, at least 1, is the result.
Result<std::size_t> trust(SSL_CTX* context, std::string_view pem, const std::string& name);
/// The verify callback that writes HandshakeState::verify_failure.
int explain_verification(int ok, X509_STORE_CTX* store);

/// All certificates of a PEM text; an Error that names the text if there is none or one is broken.
Result<std::vector<bssl::UniquePtr<X509>>> read_certificates(std::string_view pem,
                                                             std::string_view name);
/// DNS names and IP addresses a certificate is for.
std::vector<std::string> names_of(X509* certificate);
bool is_ip_address(const std::string& text) noexcept;

}  // namespace tern::tls
