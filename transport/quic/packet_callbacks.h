#pragma once

#include <cstddef>
#include <cstdint>

#include <ngtcp2/ngtcp2.h>

#include "base/bytes.h"
#include "transport/quic/packet_aead.h"
#include "transport/quic/packet_protection.h"

/// Packet protection as ngtcp2 wants it: keys the way it holds them, and what it calls for each
/// packet. Internal to transport/quic.

namespace tern::quic {

class PacketWatch;

ngtcp2_crypto_ctx crypto_context(CipherSuite suite) noexcept;

/// Contexts on their way to ngtcp2: freed here unless ngtcp2 took them over.
class KeyPair {
 public:
  KeyPair(std::uint32_t version, CipherSuite suite, ByteView secret)
      : keys_(derive_packet_keys(version, suite, secret)) {
    aead_.native_handle = new PacketAead(suite.aead, keys_.key_view());
    header_.native_handle = new HeaderKey(suite.aead, keys_.hp_view());
  }
  ~KeyPair() {
    if (taken_) return;
    delete static_cast<PacketAead*>(aead_.native_handle);
    delete static_cast<HeaderKey*>(header_.native_handle);
  }
  KeyPair(const KeyPair&) = delete;
  KeyPair& operator=(const KeyPair&) = delete;

  /// `watch` looks at the packets they open.
  void watch_opening(PacketWatch& watch, RestingKeys& keys) noexcept {
    auto& aead = *static_cast<PacketAead*>(aead_.native_handle);
    aead.watch = &watch;
    aead.iv = keys_.iv;
    keys.add(aead);
  }

  /// `watch` looks at the packets they seal.
  void watch_sealing(PacketWatch& watch, RestingKeys& keys) noexcept {
    auto& aead = *static_cast<PacketAead*>(aead_.native_handle);
    aead.seal_watch = &watch;
    aead.iv = keys_.iv;
    keys.add(aead);
  }

  const ngtcp2_crypto_aead_ctx* aead() const noexcept { return &aead_; }
  const ngtcp2_crypto_cipher_ctx* header() const noexcept { return &header_; }
  const std::uint8_t* iv() const noexcept { return keys_.iv.data(); }
  /// ngtcp2's install functions take the contexts over only if they return 0.
  bool taken(int result) noexcept { return taken_ = result == 0; }

 private:
  PacketKeys keys_;
  ngtcp2_crypto_aead_ctx aead_{};
  ngtcp2_crypto_cipher_ctx header_{};
  bool taken_ = false;
};

struct InitialKeys {
  InitialKeys(std::uint32_t version, ByteView dcid, bool server)
      : InitialKeys(version, initial_secrets(version, dcid), server) {}

  KeyPair rx, tx;

 private:
  InitialKeys(std::uint32_t version, const InitialSecrets& secrets, bool server)
      : rx(version, kInitialSuite, ByteView(server ? secrets.client : secrets.server).first(32)),
        tx(version, kInitialSuite, ByteView(server ? secrets.server : secrets.client).first(32)) {}
};

// Two of the callbacks, for packets of no connection: 0 is success.
int seal_packet(std::uint8_t* dest, const ngtcp2_crypto_aead*,
                const ngtcp2_crypto_aead_ctx* context, const std::uint8_t* plaintext,
                std::size_t plaintext_length, const std::uint8_t* nonce, std::size_t nonce_length,
                const std::uint8_t* ad, std::size_t ad_length) noexcept;
int mask_header(std::uint8_t* dest, const ngtcp2_crypto_cipher*,
                const ngtcp2_crypto_cipher_ctx* context, const std::uint8_t* sample) noexcept;

/// Fills: encrypt, decrypt, hp_mask, delete_crypto_aead_ctx, delete_crypto_cipher_ctx.
void install_packet_callbacks(ngtcp2_callbacks& callbacks) noexcept;

}  // namespace tern::quic
