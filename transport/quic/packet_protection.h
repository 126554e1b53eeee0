#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include <openssl/aes.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "tern needs BoringSSL's headers; OpenSSL's were found"
#endif

#include "base/bytes.h"
#include "transport/quic/event.h"
#include "transport/tls/aead.h"

/// QUIC packet protection (RFC 9001 §5, RFC 9369 §3.3): key derivation, header protection, the keys
/// of Retry; the AEAD is transport/tls's. Pure functions of their input. Internal to
/// transport/quic.

namespace tern::quic {

using tls::Aead;
using tls::AeadBackend;
using tls::AeadKey;
using tls::Hash;
using tls::hkdf_expand_label;
using tls::ipsec_mb_available;
using tls::kAeadTagLength;
using tls::kIvLength;
using tls::kMaxSecretLength;

inline constexpr std::size_t kSampleLength = 16;

/// A TLS 1.3 cipher suite as packet protection sees it.
struct CipherSuite {
  Aead aead = Aead::aes_128_gcm;
  Hash hash = Hash::sha256;

  std::size_t key_length() const noexcept { return aead == Aead::aes_128_gcm ? 16 : 32; }
  std::size_t secret_length() const noexcept { return hash == Hash::sha256 ? 32 : 48; }
  /// How many packets one key may protect, and how many forgeries it may see (RFC 9001 §6.6).
  std::uint64_t max_encryption() const noexcept;
  std::uint64_t max_decryption_failure() const noexcept;

  /// 0x1301, 0x1302, 0x1303; nothing for others.
  static std::optional<CipherSuite> from_tls(std::uint16_t suite) noexcept;
  bool operator==(const CipherSuite&) const = default;
};
/// Initial packets: AES-128-GCM and SHA-256.
inline constexpr CipherSuite kInitialSuite{Aead::aes_128_gcm, Hash::sha256};

using Secret = std::array<std::uint8_t, kMaxSecretLength>;  // secret_length() of it are used

/// Fixed memory for keys: what one secret gives.
struct PacketKeys {
  std::array<std::uint8_t, 32> key{};  // key_length() of it
  std::array<std::uint8_t, 32> hp{};   // key_length() of it
  std::array<std::uint8_t, kIvLength> iv{};
  std::size_t key_length = 0;

  ByteView key_view() const noexcept { return {key.data(), key_length}; }
  ByteView hp_view() const noexcept { return {hp.data(), key_length}; }
  ~PacketKeys();
};

/// Initial secrets (RFC 9001 §5.2, RFC 9369 §3.3.1); the first 32 bytes are used. `version` other
/// than v2 is treated as v1.
struct InitialSecrets {
  Secret client{}, server{};
};
InitialSecrets initial_secrets(std::uint32_t version, ByteView client_dcid) noexcept;

/// key, iv and hp of a traffic secret, with the labels of `version`.
PacketKeys derive_packet_keys(std::uint32_t version, CipherSuite suite, ByteView secret) noexcept;
/// The next generation's secret ("quic ku"); header protection keys do not change.
void derive_next_secret(MutableBytes out, std::uint32_t version, Hash hash,
                        ByteView secret) noexcept;

/// The fixed key of Retry's integrity tag (RFC 9001 §5.8, RFC 9369 §3.3.3).
ByteView retry_key(std::uint32_t version) noexcept;

/// Header protection (RFC 9001 §5.4).
class HeaderKey {
 public:
  HeaderKey(Aead aead, ByteView key) noexcept;
  ~HeaderKey();

  /// 5 bytes of mask from a 16-byte sample.
  void mask(std::uint8_t* out, const std::uint8_t* sample) const noexcept;

 private:
  bool chacha20_;
  union {
    AES_KEY aes_;
    std::uint8_t chacha_key_[32];
  };
};

}  // namespace tern::quic
