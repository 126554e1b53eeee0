#include "transport/quic/packet_protection.h"

#include <cstring>

#include <openssl/chacha.h>
#include <openssl/digest.h>
#include <openssl/err.h>
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

const EVP_MD* digest(Hash hash) noexcept {
  return hash == Hash::sha256 ? EVP_sha256() : EVP_sha384();
}

const EVP_AEAD* cipher(Aead aead) noexcept {
  switch (aead) {
    case Aead::aes_128_gcm: return EVP_aead_aes_128_gcm();
    case Aead::aes_256_gcm: return EVP_aead_aes_256_gcm();
    case Aead::chacha20_poly1305: break;
  }
  return EVP_aead_chacha20_poly1305();
}

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

void hkdf_expand_label(MutableBytes out, Hash hash, ByteView secret,
                       std::string_view label) noexcept {
  // struct { uint16 length; opaque label<7..255> = "tls13 " + label; opaque context<0..255>; }
  constexpr std::string_view kPrefix = "tls13 ";
  std::uint8_t info[64];
  TERN_CHECK(kPrefix.size() + label.size() + 4 <= sizeof(info));
  std::uint8_t* end = info;
  *end++ = static_cast<std::uint8_t>(out.size() >> 8);
  *end++ = static_cast<std::uint8_t>(out.size());
  *end++ = static_cast<std::uint8_t>(kPrefix.size() + label.size());
  end =
      static_cast<std::uint8_t*>(std::memcpy(end, kPrefix.data(), kPrefix.size())) + kPrefix.size();
  end = static_cast<std::uint8_t*>(std::memcpy(end, label.data(), label.size())) + label.size();
  *end++ = 0;
  TERN_CHECK(HKDF_expand(out.data(), out.size(), digest(hash), secret.data(), secret.size(), info,
                         static_cast<std::size_t>(end - info)) == 1);
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

bool ipsec_mb_available() noexcept { return ipsec_mb::available(); }

AeadKey::AeadKey(Aead aead, ByteView key, AeadBackend backend) noexcept {
  const bool gcm = aead != Aead::chacha20_poly1305;
  if (backend == AeadBackend::automatic) {
    backend = gcm && ipsec_mb::available() ? AeadBackend::ipsec_mb : AeadBackend::boringssl;
  }
  if (backend == AeadBackend::ipsec_mb) {
    TERN_CHECK(gcm && ipsec_mb::available());
    TERN_CHECK(key.size() == (aead == Aead::aes_128_gcm ? 16u : 32u));
    ipsec_mb_ = ipsec_mb::make_key(key);
  } else {
    boringssl_.reset(EVP_AEAD_CTX_new(cipher(aead), key.data(), key.size(), kAeadTagLength));
    TERN_CHECK(boringssl_ != nullptr);
  }
}

bool AeadKey::seal(std::uint8_t* out, ByteView plaintext, ByteView nonce,
                   ByteView ad) const noexcept {
  TERN_CHECK(nonce.size() == kIvLength);
  if (ipsec_mb_) {
    ipsec_mb::seal(*ipsec_mb_, out, plaintext, nonce.data(), ad);
    return true;
  }
  std::size_t length = 0;
  return EVP_AEAD_CTX_seal(boringssl_.get(), out, &length, plaintext.size() + kAeadTagLength,
                           nonce.data(), nonce.size(), plaintext.data(), plaintext.size(),
                           ad.data(), ad.size()) == 1;
}

bool AeadKey::open(std::uint8_t* out, ByteView ciphertext, ByteView nonce,
                   ByteView ad) const noexcept {
  TERN_CHECK(nonce.size() == kIvLength);
  if (ipsec_mb_) return ipsec_mb::open(*ipsec_mb_, out, ciphertext, nonce.data(), ad);
  std::size_t length = 0;
  if (EVP_AEAD_CTX_open(boringssl_.get(), out, &length, ciphertext.size(), nonce.data(),
                        nonce.size(), ciphertext.data(), ciphertext.size(), ad.data(),
                        ad.size()) == 1) [[likely]] {
    return true;
  }
  ERR_clear_error();  // a forged packet must leave nothing behind for the next TLS call to find
  return false;
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
