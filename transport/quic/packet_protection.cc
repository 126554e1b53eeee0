#include "transport/quic/packet_protection.h"

#include <cstring>

#include <openssl/chacha.h>
#include <openssl/digest.h>
#include <openssl/hkdf.h>
#include <openssl/mem.h>

#include "base/check.h"

namespace tern::quic {
namespace {

constexpr std::uint8_t kSaltV1[] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                                    0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
constexpr std::uint8_t kSaltV2[] = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
                                    0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9};
constexpr std::uint8_t kRetryKeyV1[] = {0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a,
                                        0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e};
constexpr std::uint8_t kRetryKeyV2[] = {0x8f, 0xb4, 0xb0, 0x1b, 0x56, 0xac, 0x48, 0xe2,
                                        0x60, 0xfb, 0xcb, 0xce, 0xad, 0x7c, 0xcc, 0x92};

}  // namespace

std::uint64_t CipherSuite::max_encryption() const noexcept {
  // ChaCha20-Poly1305's limit lies beyond the number of packets a connection can send.
  return aead == Aead::chacha20_poly1305 ? std::uint64_t{1} << 62 : std::uint64_t{1} << 23;
}

std::uint64_t CipherSuite::max_decryption_failure() const noexcept {
  return aead == Aead::chacha20_poly1305 ? std::uint64_t{1} << 36 : std::uint64_t{1} << 52;
}

std::optional<CipherSuite> CipherSuite::from_tls(std::uint16_t suite) noexcept {
  switch (suite) {
    case 0x1301: return CipherSuite{Aead::aes_128_gcm, Hash::sha256};
    case 0x1302: return CipherSuite{Aead::aes_256_gcm, Hash::sha384};
    case 0x1303: return CipherSuite{Aead::chacha20_poly1305, Hash::sha256};
    default: return std::nullopt;
  }
}

PacketKeys::~PacketKeys() {
  OPENSSL_cleanse(key.data(), key.size());
  OPENSSL_cleanse(hp.data(), hp.size());
}

InitialSecrets initial_secrets(std::uint32_t version, ByteView client_dcid) noexcept {
  const ByteView salt = version == kVersion2 ? ByteView(kSaltV2) : ByteView(kSaltV1);
  std::uint8_t initial[EVP_MAX_MD_SIZE];
  std::size_t length = 0;
  TERN_CHECK(HKDF_extract(initial, &length, EVP_sha256(), client_dcid.data(), client_dcid.size(),
                          salt.data(), salt.size()) == 1);
  InitialSecrets secrets;
  hkdf_expand_label(MutableBytes(secrets.client).first(32), Hash::sha256, {initial, length},
                    "client in");
  hkdf_expand_label(MutableBytes(secrets.server).first(32), Hash::sha256, {initial, length},
                    "server in");
  return secrets;
}

PacketKeys derive_packet_keys(std::uint32_t version, CipherSuite suite, ByteView secret) noexcept {
  const bool v2 = version == kVersion2;
  PacketKeys keys;
  keys.key_length = suite.key_length();
  hkdf_expand_label({keys.key.data(), keys.key_length}, suite.hash, secret,
                    v2 ? "quicv2 key" : "quic key");
  hkdf_expand_label(keys.iv, suite.hash, secret, v2 ? "quicv2 iv" : "quic iv");
  hkdf_expand_label({keys.hp.data(), keys.key_length}, suite.hash, secret,
                    v2 ? "quicv2 hp" : "quic hp");
  return keys;
}

void derive_next_secret(MutableBytes out, std::uint32_t version, Hash hash,
                        ByteView secret) noexcept {
  hkdf_expand_label(out, hash, secret, version == kVersion2 ? "quicv2 ku" : "quic ku");
}

ByteView retry_key(std::uint32_t version) noexcept {
  return version == kVersion2 ? ByteView(kRetryKeyV2) : ByteView(kRetryKeyV1);
}

HeaderKey::HeaderKey(Aead aead, ByteView key) noexcept
    : chacha20_(aead == Aead::chacha20_poly1305) {
  if (chacha20_) {
    TERN_CHECK(key.size() == sizeof(chacha_key_));
    std::memcpy(chacha_key_, key.data(), key.size());
  } else {
    TERN_CHECK(AES_set_encrypt_key(key.data(), static_cast<unsigned>(key.size() * 8), &aes_) == 0);
  }
}

HeaderKey::~HeaderKey() {
  if (chacha20_) {
    OPENSSL_cleanse(chacha_key_, sizeof(chacha_key_));
  } else {
    OPENSSL_cleanse(&aes_, sizeof(aes_));
  }
}

void HeaderKey::mask(std::uint8_t* out, const std::uint8_t* sample) const noexcept {
  if (chacha20_) {
    // sample = counter (little endian, 4 bytes) ‖ nonce (12 bytes)
    static constexpr std::uint8_t kZeros[5] = {};
    const std::uint32_t counter =
        static_cast<std::uint32_t>(sample[0]) | static_cast<std::uint32_t>(sample[1]) << 8 |
        static_cast<std::uint32_t>(sample[2]) << 16 | static_cast<std::uint32_t>(sample[3]) << 24;
    CRYPTO_chacha_20(out, kZeros, sizeof(kZeros), chacha_key_, sample + 4, counter);
    return;
  }
  std::uint8_t block[AES_BLOCK_SIZE];
  AES_encrypt(sample, block, &aes_);
  std::memcpy(out, block, 5);
}

}  // namespace tern::quic
