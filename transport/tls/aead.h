#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "transport/tls/ipsec_mb_gcm.h"

struct evp_aead_ctx_st;

/// What protects QUIC's packets and TLS's records: the AEADs of TLS 1.3 and the derivation of their
/// keys. Pure functions of their input. Internal to transport.

namespace tern::tls {

inline constexpr std::size_t kAeadTagLength = 16;
inline constexpr std::size_t kIvLength = 12;
inline constexpr std::size_t kMaxSecretLength = 48;  // SHA-384

enum class Aead : std::uint8_t { aes_128_gcm, aes_256_gcm, chacha20_poly1305 };
enum class Hash : std::uint8_t { sha256, sha384 };

/// HKDF-Expand-Label (RFC 8446 §7.1); `label` without "tls13 ", `context` a hash at most.
void hkdf_expand_label(MutableBytes out, Hash hash, ByteView secret, std::string_view label,
                       ByteView context = {}) noexcept;

/// Whose code an AeadKey runs.
enum class AeadBackend : std::uint8_t {
  automatic,  // ipsec_mb for AES-GCM where it is available, else boringssl
  boringssl,
  ipsec_mb,
};
/// Whether AES-GCM can be ipsec_mb's: built in, and faster than BoringSSL's on this CPU.
bool ipsec_mb_available() noexcept;

/// An AEAD with its key schedule. Allocates when it is made, never per packet; wipes the schedule
/// when it goes. Const functions may run on several threads at once.
class AeadKey {
 public:
  /// `backend` other than automatic is for tests and measurements. ipsec_mb is for AES-GCM, where
  /// ipsec_mb_available().
  AeadKey(Aead aead, ByteView key, AeadBackend backend = AeadBackend::automatic) noexcept;
  AeadKey(const AeadKey&) = delete;
  AeadKey& operator=(const AeadKey&) = delete;

  /// `nonce` is kIvLength bytes. `out` has room for plaintext + 16 bytes, and either is `plaintext`
  /// (in place) or does not overlap it.
  bool seal(std::uint8_t* out, ByteView plaintext, ByteView nonce, ByteView ad) const noexcept;
  /// `out` has room for `ciphertext`, and either is `ciphertext` (in place) or does not overlap it.
  /// False: forged or damaged; `out` holds nothing of the plaintext then.
  bool open(std::uint8_t* out, ByteView ciphertext, ByteView nonce, ByteView ad) const noexcept;

 private:
  struct BoringSslDelete {
    void operator()(evp_aead_ctx_st* context) const noexcept;
  };

  // One of the two.
  IpsecMbKeyPtr ipsec_mb_;
  std::unique_ptr<evp_aead_ctx_st, BoringSslDelete> boringssl_;
};

}  // namespace tern::tls
