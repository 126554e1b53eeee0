#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"

/// Certificates to develop and test with: a CA of one's own and leaves signed by it.

namespace tern::tls {

/// A certificate and its private key as PEM texts.
struct Identity {
  std::string certificate;
  std::string key;

  /// Writes both files; the key's with mode 0600.
  Result<void> save(const std::string& certificate_path, const std::string& key_path) const;
  static Result<Identity> load(const std::string& certificate_path, const std::string& key_path);
};

enum class KeyType : std::uint8_t {
  ecdsa_p256,  ///< what browsers accept; its signatures vary in length by a few bytes
  ed25519,     ///< signatures of constant length, which keeps simulated runs replayable
};

class DevelopmentOptions {
 public:
  /// The time it is made at: valid from an hour before. There is no default: no clock is read here.
  explicit DevelopmentOptions(UnixSeconds now) : now_(now) {}

  /// Names and IP addresses for the leaf, besides "localhost", "127.0.0.1" and "::1".
  DevelopmentOptions& names(std::vector<std::string> names) {
    return names_ = std::move(names), *this;
  }
  /// Days of validity. Default 13: browsers take `serverCertificateHashes` up to 14.
  DevelopmentOptions& days(int days) { return days_ = days, *this; }
  DevelopmentOptions& key_type(KeyType type) { return key_type_ = type, *this; }
  /// Unique among one authority's certificates. Default: derived from the key.
  DevelopmentOptions& serial(std::uint64_t serial) { return serial_ = serial, *this; }
  /// Makes the key a function of these bytes (Ed25519 only), so that the whole certificate is one
  /// of the options. Default: a random key.
  DevelopmentOptions& seed(const std::array<std::uint8_t, 32>& seed) {
    return seed_ = std::make_shared<std::array<std::uint8_t, 32>>(seed), *this;
  }

 private:
  friend struct DevelopmentIssuer;
  UnixSeconds now_;
  std::vector<std::string> names_;
  int days_ = 13;
  KeyType key_type_ = KeyType::ecdsa_p256;
  std::uint64_t serial_ = 0;
  std::shared_ptr<const std::array<std::uint8_t, 32>> seed_;
};

/// A CA. `names` are not used; its validity should outlast its leaves (`days(3650)`).
Result<Identity> make_authority(const DevelopmentOptions& options);
/// A server (and client) certificate for the names, signed by `authority`.
Result<Identity> make_leaf(const Identity& authority, const DevelopmentOptions& options);

}  // namespace tern::tls
