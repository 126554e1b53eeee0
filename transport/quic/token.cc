#include "transport/quic/token.h"

#include <algorithm>
#include <cstring>

#include <openssl/aead.h>
#ifndef OPENSSL_IS_BORINGSSL
#error "tern needs BoringSSL's headers; OpenSSL's were found"
#endif
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>

#include "base/check.h"

namespace tern::quic {
namespace {

// kind (1) ‖ key id (8) ‖ nonce (12) ‖ sealed(time (8) ‖ version (4) ‖ address ‖ odcid ‖ rscid,
// the last three with a length byte each) ‖ tag (16); AD = everything before the sealed part.
// Retry tokens are at most 1 + 20 + 12 + 33 + 21 + 21 + 16 = 124 bytes.
constexpr std::uint8_t kRetryKind = 0xb7;
constexpr std::uint8_t kNewTokenKind = 0x37;
constexpr std::size_t kIdLength = 8;
constexpr std::size_t kNonceLength = 12;
constexpr std::size_t kPrefixLength = 1 + kIdLength + kNonceLength;
constexpr std::size_t kTagLength = 16;
constexpr std::size_t kMaxAddressLength = 32;
constexpr std::size_t kMaxPlainLength = 12 + 1 + kMaxAddressLength + 2 * (1 + kMaxCidLength);
static_assert(kPrefixLength + kMaxPlainLength + kTagLength <= AddressTokens::kMaxTokenLength);

/// Machines that share keys may disagree about the time by this much.
constexpr UnixSeconds kClockSkew = 5;

class TokenCipher {
 public:
  explicit TokenCipher(const tls::RingKey& key) noexcept {
    TERN_CHECK(EVP_AEAD_CTX_init(&context_, EVP_aead_aes_128_gcm(), key.token_key.data(),
                                 key.token_key.size(), kTagLength, nullptr) == 1);
  }
  ~TokenCipher() { EVP_AEAD_CTX_cleanup(&context_); }
  TokenCipher(const TokenCipher&) = delete;
  TokenCipher& operator=(const TokenCipher&) = delete;
  const EVP_AEAD_CTX* get() const noexcept { return &context_; }

 private:
  EVP_AEAD_CTX context_;
};

AddressTokens::Token seal(const tls::KeyRing& ring, Random& random, std::uint8_t kind,
                          std::uint32_t version, ByteView address, ByteView original_dcid,
                          ByteView retry_scid, UnixSeconds now) {
  TERN_CHECK(address.size() <= kMaxAddressLength && original_dcid.size() <= kMaxCidLength &&
             retry_scid.size() <= kMaxCidLength);
  std::array<std::uint8_t, kMaxPlainLength> plain;
  std::uint8_t* end = plain.data();
  for (int shift = 56; shift >= 0; shift -= 8) {
    *end++ = static_cast<std::uint8_t>(static_cast<std::uint64_t>(now) >> shift);
  }
  for (int shift = 24; shift >= 0; shift -= 8) *end++ = static_cast<std::uint8_t>(version >> shift);
  for (const ByteView part : {address, original_dcid, retry_scid}) {
    *end++ = static_cast<std::uint8_t>(part.size());
    end = std::copy(part.begin(), part.end(), end);
  }

  const tls::KeyRing::Snapshot keys = ring.snapshot();
  const tls::RingKey& key = keys->front();
  AddressTokens::Token token;
  token.bytes[0] = kind;
  std::memcpy(&token.bytes[1], key.id.data(), kIdLength);
  random.fill(MutableBytes(token.bytes).subspan(1 + kIdLength, kNonceLength));
  const TokenCipher cipher(key);
  std::size_t sealed = 0;
  TERN_CHECK(EVP_AEAD_CTX_seal(cipher.get(), &token.bytes[kPrefixLength], &sealed,
                               token.bytes.size() - kPrefixLength, &token.bytes[1 + kIdLength],
                               kNonceLength, plain.data(),
                               static_cast<std::size_t>(end - plain.data()), token.bytes.data(),
                               kPrefixLength) == 1);
  token.size = kPrefixLength + sealed;
  return token;
}

/// The sealed part, opened. All views are into `plain`.
struct Opened {
  std::array<std::uint8_t, AddressTokens::kMaxTokenLength> plain;
  UnixSeconds issued = 0;
  std::uint32_t version = 0;
  ByteView address, original_dcid, retry_scid;

  bool read(const tls::KeyRing& ring, ByteView token) noexcept {
    if (token.size() < kPrefixLength + kTagLength || token.size() > plain.size()) return false;
    const tls::KeyRing::Snapshot keys = ring.snapshot();
    const auto key = std::find_if(keys->begin(), keys->end(), [&](const tls::RingKey& candidate) {
      return std::memcmp(candidate.id.data(), token.data() + 1, kIdLength) == 0;
    });
    if (key == keys->end()) return false;
    const TokenCipher cipher(*key);
    std::size_t length = 0;
    if (EVP_AEAD_CTX_open(cipher.get(), plain.data(), &length, plain.size(),
                          token.data() + 1 + kIdLength, kNonceLength, token.data() + kPrefixLength,
                          token.size() - kPrefixLength, token.data(), kPrefixLength) != 1) {
      ERR_clear_error();
      return false;
    }
    return parse(ByteView(plain).first(length));
  }

 private:
  bool parse(ByteView rest) noexcept {
    if (rest.size() < 12) return false;
    std::uint64_t time = 0;
    for (int i = 0; i < 8; ++i) time = time << 8 | rest[static_cast<std::size_t>(i)];
    for (int i = 8; i < 12; ++i) version = version << 8 | rest[static_cast<std::size_t>(i)];
    issued = static_cast<UnixSeconds>(time);
    rest = rest.subspan(12);
    for (ByteView* part : {&address, &original_dcid, &retry_scid}) {
      if (rest.empty() || rest[0] >= rest.size()) return false;
      *part = rest.subspan(1, rest[0]);
      rest = rest.subspan(1 + part->size());
    }
    return rest.empty();
  }
};

bool same(ByteView a, ByteView b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

AddressTokens::Token AddressTokens::retry(Random& random, std::uint32_t version, ByteView address,
                                          ByteView original_dcid, ByteView retry_scid,
                                          UnixSeconds now) const {
  return seal(*keys_, random, kRetryKind, version, address, original_dcid, retry_scid, now);
}

AddressTokens::Token AddressTokens::new_token(Random& random, std::uint32_t version,
                                              ByteView address, UnixSeconds now) const {
  return seal(*keys_, random, kNewTokenKind, version, address, {}, {}, now);
}

bool AddressTokens::looks_like_retry(ByteView token) noexcept {
  return !token.empty() && token[0] == kRetryKind;
}

tl::expected<ValidatedToken, TokenRefusal> AddressTokens::open(ByteView token,
                                                               std::uint32_t version,
                                                               ByteView address_and_port,
                                                               ByteView address, ByteView dcid,
                                                               UnixSeconds now) const {
  const auto refuse = [](TokenRefusal why) { return tl::unexpected<TokenRefusal>(why); };
  Opened opened;
  if (!opened.read(*keys_, token)) return refuse(TokenRefusal::unknown);
  const bool retry = token[0] == kRetryKind;
  const UnixSeconds lifetime = retry ? kRetryLifetime : kNewTokenLifetime;
  if (now > opened.issued + lifetime || now < opened.issued - kClockSkew) {
    return refuse(TokenRefusal::expired);
  }
  if (!same(opened.address, retry ? address_and_port : address))
    return refuse(TokenRefusal::address);
  if (opened.version != version) return refuse(TokenRefusal::version);
  if (retry && !same(opened.retry_scid, dcid)) return refuse(TokenRefusal::dcid);
  ValidatedToken valid;
  valid.retry = retry;
  valid.original_dcid = ConnectionId(opened.original_dcid);
  valid.retry_scid = ConnectionId(opened.retry_scid);
  valid.issued = opened.issued;
  return valid;
}

std::string_view refusal_name(TokenRefusal refusal) noexcept {
  switch (refusal) {
    case TokenRefusal::unknown: return "unknown";
    case TokenRefusal::expired: return "expired";
    case TokenRefusal::address: return "for another address";
    case TokenRefusal::version: return "for another version";
    case TokenRefusal::dcid: break;
  }
  return "for another connection ID";
}

StatelessResetKey::Token StatelessResetKey::token(ByteView cid) const noexcept {
  std::uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  TERN_CHECK(HMAC(EVP_sha256(), key_.data(), key_.size(), cid.data(), cid.size(), digest,
                  &length) != nullptr);
  Token token;
  std::memcpy(token.data(), digest, token.size());
  return token;
}

}  // namespace tern::quic
