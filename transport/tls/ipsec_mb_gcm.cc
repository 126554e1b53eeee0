#include "transport/tls/ipsec_mb_gcm.h"

#include <cstring>

#include <openssl/mem.h>

#include "base/check.h"
#include "transport/tls/aead.h"

#ifdef TERN_HAVE_IPSEC_MB

#include <intel-ipsec-mb.h>

namespace tern::tls {
namespace {

/// The direct interface for one key length. These functions take no manager and keep no state
/// between calls: all they work on is the key, read only, and a context on the caller's stack.
struct GcmFunctions {
  aes_gcm_pre_t expand = nullptr;
  aes_gcm_enc_dec_t seal = nullptr;
  aes_gcm_enc_dec_t open = nullptr;
};

/// What the manager, which knows the CPU, chose; the manager itself serves only queued jobs.
struct Implementation {
  Implementation() noexcept {
    IMB_MGR* manager = alloc_mb_mgr(0);
    if (manager == nullptr) return;
    IMB_ARCH arch = IMB_ARCH_NONE;
    init_mb_mgr_auto(manager, &arch);
    // From AVX2 on it is faster than BoringSSL at every packet size; before, about the same.
    if (imb_get_errno(manager) == 0 && arch >= IMB_ARCH_AVX2 &&
        (manager->features & IMB_FEATURE_SELF_TEST_PASS) != 0) {
      aes_128 = {manager->gcm128_pre, manager->gcm128_enc, manager->gcm128_dec};
      aes_256 = {manager->gcm256_pre, manager->gcm256_enc, manager->gcm256_dec};
    }
    free_mb_mgr(manager);
  }

  bool usable() const noexcept { return aes_128.seal != nullptr; }

  GcmFunctions aes_128, aes_256;
};

const Implementation& implementation() noexcept {
  static const Implementation chosen;
  return chosen;
}

}  // namespace

struct IpsecMbKey {
  gcm_key_data schedule;
  GcmFunctions functions;
};

void IpsecMbKeyDelete::operator()(const IpsecMbKey* key) const noexcept {
  auto* owned = const_cast<IpsecMbKey*>(key);
  OPENSSL_cleanse(&owned->schedule, sizeof(owned->schedule));
  delete owned;
}

namespace ipsec_mb {

bool available() noexcept { return implementation().usable(); }

IpsecMbKeyPtr make_key(ByteView key) noexcept {
  TERN_CHECK(available() && (key.size() == 16 || key.size() == 32));
  auto* made = new IpsecMbKey;
  made->functions = key.size() == 16 ? implementation().aes_128 : implementation().aes_256;
  made->functions.expand(key.data(), &made->schedule);
  return IpsecMbKeyPtr(made);
}

void seal(const IpsecMbKey& key, std::uint8_t* out, ByteView plaintext, const std::uint8_t* nonce,
          ByteView ad) noexcept {
  gcm_context_data context;
  key.functions.seal(&key.schedule, &context, out, plaintext.data(), plaintext.size(), nonce,
                     ad.data(), ad.size(), out + plaintext.size(), kAeadTagLength);
}

bool open(const IpsecMbKey& key, std::uint8_t* out, ByteView ciphertext, const std::uint8_t* nonce,
          ByteView ad) noexcept {
  if (ciphertext.size() >= kAeadTagLength) [[likely]] {
    const std::size_t length = ciphertext.size() - kAeadTagLength;
    gcm_context_data context;
    std::uint8_t tag[kAeadTagLength];
    key.functions.open(&key.schedule, &context, out, ciphertext.data(), length, nonce, ad.data(),
                       ad.size(), tag, kAeadTagLength);
    if (CRYPTO_memcmp(tag, ciphertext.data() + length, kAeadTagLength) == 0) [[likely]]
      return true;
  }
  // It decrypts before it knows the tag: what it wrote must not be mistaken for a packet.
  if (!ciphertext.empty()) std::memset(out, 0, ciphertext.size());
  return false;
}

}  // namespace ipsec_mb
}  // namespace tern::tls

#else

namespace tern::tls {

void IpsecMbKeyDelete::operator()(const IpsecMbKey*) const noexcept { TERN_CHECK(false); }

namespace ipsec_mb {

bool available() noexcept { return false; }

IpsecMbKeyPtr make_key(ByteView) noexcept {
  TERN_CHECK(available());
  return nullptr;
}

void seal(const IpsecMbKey&, std::uint8_t*, ByteView, const std::uint8_t*, ByteView) noexcept {
  TERN_CHECK(available());
}

bool open(const IpsecMbKey&, std::uint8_t*, ByteView, const std::uint8_t*, ByteView) noexcept {
  TERN_CHECK(available());
  return false;
}

}  // namespace ipsec_mb
}  // namespace tern::tls

#endif
