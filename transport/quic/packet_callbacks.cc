#include "transport/quic/packet_callbacks.h"

#include "transport/quic/packet_watch.h"

namespace tern::quic {
namespace {

/// The packet number that `nonce` was made with (RFC 9001 §5.3).
std::uint64_t packet_number(const std::uint8_t* nonce, const PacketAead& aead) noexcept {
  std::uint64_t number = 0;
  for (std::size_t i = kIvLength - 8; i < kIvLength; ++i) {
    number = number << 8 | static_cast<std::uint8_t>(nonce[i] ^ aead.iv[i]);
  }
  return number;
}

int open_packet(std::uint8_t* dest, const ngtcp2_crypto_aead*,
                const ngtcp2_crypto_aead_ctx* context, const std::uint8_t* ciphertext,
                std::size_t ciphertext_length, const std::uint8_t* nonce, std::size_t nonce_length,
                const std::uint8_t* ad, std::size_t ad_length) noexcept {
  auto& aead = *static_cast<PacketAead*>(context->native_handle);
  const bool opened = aead.key().open(dest, {ciphertext, ciphertext_length}, {nonce, nonce_length},
                                      {ad, ad_length});
  if (!opened) return NGTCP2_ERR_DECRYPT;
  if (aead.watch != nullptr) {
    aead.watch->opened(packet_number(nonce, aead), {dest, ciphertext_length - kAeadTagLength},
                       aead.generation);
  }
  return 0;
}

void delete_aead(ngtcp2_conn*, ngtcp2_crypto_aead_ctx* context, void*) noexcept {
  delete static_cast<PacketAead*>(context->native_handle);
}

void delete_cipher(ngtcp2_conn*, ngtcp2_crypto_cipher_ctx* context, void*) noexcept {
  delete static_cast<HeaderKey*>(context->native_handle);
}

}  // namespace

ngtcp2_crypto_ctx crypto_context(CipherSuite suite) noexcept {
  ngtcp2_crypto_ctx context{};
  context.aead.max_overhead = kAeadTagLength;
  context.max_encryption = suite.max_encryption();
  context.max_decryption_failure = suite.max_decryption_failure();
  return context;
}

int seal_packet(std::uint8_t* dest, const ngtcp2_crypto_aead*,
                const ngtcp2_crypto_aead_ctx* context, const std::uint8_t* plaintext,
                std::size_t plaintext_length, const std::uint8_t* nonce, std::size_t nonce_length,
                const std::uint8_t* ad, std::size_t ad_length) noexcept {
  auto& aead = *static_cast<PacketAead*>(context->native_handle);
  if (aead.seal_watch != nullptr && dest == plaintext) {
    aead.seal_watch->sealing(packet_number(nonce, aead), {dest, plaintext_length});
  }
  const bool sealed =
      aead.key().seal(dest, {plaintext, plaintext_length}, {nonce, nonce_length}, {ad, ad_length});
  return sealed ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

int mask_header(std::uint8_t* dest, const ngtcp2_crypto_cipher*,
                const ngtcp2_crypto_cipher_ctx* context, const std::uint8_t* sample) noexcept {
  static_cast<const HeaderKey*>(context->native_handle)->mask(dest, sample);
  return 0;
}

void install_packet_callbacks(ngtcp2_callbacks& callbacks) noexcept {
  callbacks.encrypt = seal_packet;
  callbacks.decrypt = open_packet;
  callbacks.hp_mask = mask_header;
  callbacks.delete_crypto_aead_ctx = delete_aead;
  callbacks.delete_crypto_cipher_ctx = delete_cipher;
}

}  // namespace tern::quic
