#include "transport/tls/aead.h"

#include <algorithm>

#include <openssl/aead.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/hkdf.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "tern needs BoringSSL's headers; OpenSSL's were found"
#endif

#include "base/check.h"

namespace tern::tls {
namespace {

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

void hkdf_expand_label(MutableBytes out, Hash hash, ByteView secret, std::string_view label,
                       ByteView context) noexcept {
  // struct { uint16 length; opaque label<7..255> = "tls13 " + label; opaque context<0..255>; }
  constexpr std::string_view kPrefix = "tls13 ";
  std::uint8_t info[2 + 1 + 255 + 1 + kMaxSecretLength];
  TERN_CHECK(kPrefix.size() + label.size() <= 255 && context.size() <= kMaxSecretLength);
  std::uint8_t* end = info;
  *end++ = static_cast<std::uint8_t>(out.size() >> 8);
  *end++ = static_cast<std::uint8_t>(out.size());
  *end++ = static_cast<std::uint8_t>(kPrefix.size() + label.size());
  end = std::copy(kPrefix.begin(), kPrefix.end(), end);
  end = std::copy(label.begin(), label.end(), end);
  *end++ = static_cast<std::uint8_t>(context.size());
  end = std::copy(context.begin(), context.end(), end);
  TERN_CHECK(HKDF_expand(out.data(), out.size(), digest(hash), secret.data(), secret.size(), info,
                         static_cast<std::size_t>(end - info)) == 1);
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

void AeadKey::BoringSslDelete::operator()(evp_aead_ctx_st* context) const noexcept {
  EVP_AEAD_CTX_free(context);
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

}  // namespace tern::tls
