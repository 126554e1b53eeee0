#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"

/// AES-GCM by libipsec-mb (docs/decisions/0009-aes-gcm-by-libipsec-mb.md). Without that library in
/// the build, or on a CPU it does not make faster, available() is false and nothing else may be
/// called. Used by AeadKey alone, whose functions say what the arguments may be.

namespace tern::tls {

/// Key schedule and powers of H: a kilobyte. Immutable; wiped when it goes.
struct IpsecMbKey;
struct IpsecMbKeyDelete {
  void operator()(const IpsecMbKey* key) const noexcept;
};
using IpsecMbKeyPtr = std::unique_ptr<const IpsecMbKey, IpsecMbKeyDelete>;

namespace ipsec_mb {

/// Decided once for the process, on the first call; thread-safe.
bool available() noexcept;

/// 16 or 32 bytes.
IpsecMbKeyPtr make_key(ByteView key) noexcept;

/// Ciphertext and tag to `out`; `nonce` is 12 bytes.
void seal(const IpsecMbKey& key, std::uint8_t* out, ByteView plaintext, const std::uint8_t* nonce,
          ByteView ad) noexcept;
/// False: too short, forged or damaged, and `out` is zeros.
bool open(const IpsecMbKey& key, std::uint8_t* out, ByteView ciphertext, const std::uint8_t* nonce,
          ByteView ad) noexcept;

}  // namespace ipsec_mb
}  // namespace tern::tls
