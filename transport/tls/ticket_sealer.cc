#include "transport/tls/ticket_sealer.h"

#include <algorithm>
#include <cstring>

#include <openssl/aead.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "transport/tls/handshake_state.h"

namespace tern::tls {
namespace {

constexpr std::size_t kIdLength = 8;
constexpr std::size_t kNonceLength = 12;
constexpr std::size_t kTagLength = 16;
constexpr std::size_t kPrefixLength = kIdLength + kNonceLength;

struct AdditionalData {
  explicit AdditionalData(const SSL* ssl) noexcept {
    const auto* state = static_cast<const HandshakeState*>(SSL_get_app_data(ssl));
    const std::uint32_t version = state != nullptr ? state->quic_version : 0;
    std::memcpy(bytes, "tern ticket", 11);
    for (int i = 0; i < 4; ++i) bytes[11 + i] = static_cast<std::uint8_t>(version >> (24 - 8 * i));
  }
  std::uint8_t bytes[15];
};

class Cipher {
 public:
  explicit Cipher(const RingKey& key) noexcept {
    valid_ = EVP_AEAD_CTX_init(&context_, EVP_aead_aes_256_gcm(), key.ticket_key.data(),
                               key.ticket_key.size(), kTagLength, nullptr) == 1;
  }
  ~Cipher() { EVP_AEAD_CTX_cleanup(&context_); }
  Cipher(const Cipher&) = delete;
  Cipher& operator=(const Cipher&) = delete;
  explicit operator bool() const noexcept { return valid_; }
  const EVP_AEAD_CTX* get() const noexcept { return &context_; }

 private:
  EVP_AEAD_CTX context_;
  bool valid_ = false;
};

std::size_t max_overhead(SSL*) noexcept { return kPrefixLength + kTagLength; }

int seal(SSL* ssl, std::uint8_t* out, std::size_t* out_length, std::size_t max_length,
         const std::uint8_t* in, std::size_t in_length) noexcept {
  if (max_length < in_length + kPrefixLength + kTagLength) return 0;
  const auto keys = ticket_keys_of(ssl).snapshot();
  const Cipher cipher(keys->front());
  if (!cipher) return 0;
  const AdditionalData ad(ssl);
  // `in` may be `out`: the sealed bytes go behind the prefix only after the move.
  std::memmove(out + kPrefixLength, in, in_length);
  std::memcpy(out, keys->front().id.data(), kIdLength);
  RAND_bytes(out + kIdLength, kNonceLength);
  std::size_t sealed = 0;
  if (EVP_AEAD_CTX_seal(cipher.get(), out + kPrefixLength, &sealed, max_length - kPrefixLength,
                        out + kIdLength, kNonceLength, out + kPrefixLength, in_length, ad.bytes,
                        sizeof(ad.bytes)) != 1) {
    return 0;
  }
  *out_length = kPrefixLength + sealed;
  return 1;
}

ssl_ticket_aead_result_t open(SSL* ssl, std::uint8_t* out, std::size_t* out_length,
                              std::size_t max_length, const std::uint8_t* in,
                              std::size_t in_length) noexcept {
  if (in_length < kPrefixLength + kTagLength) return ssl_ticket_aead_ignore_ticket;
  const auto keys = ticket_keys_of(ssl).snapshot();
  const auto key = std::find_if(keys->begin(), keys->end(), [&](const RingKey& candidate) {
    return std::memcmp(candidate.id.data(), in, kIdLength) == 0;
  });
  if (key == keys->end()) return ssl_ticket_aead_ignore_ticket;
  const Cipher cipher(*key);
  const AdditionalData ad(ssl);
  std::uint8_t nonce[kNonceLength];
  std::memcpy(nonce, in + kIdLength, kNonceLength);
  const std::size_t sealed_length = in_length - kPrefixLength;
  if (max_length < sealed_length) return ssl_ticket_aead_ignore_ticket;
  std::memmove(out, in + kPrefixLength, sealed_length);
  if (!cipher || EVP_AEAD_CTX_open(cipher.get(), out, out_length, max_length, nonce, kNonceLength,
                                   out, sealed_length, ad.bytes, sizeof(ad.bytes)) != 1) {
    ERR_clear_error();
    return ssl_ticket_aead_ignore_ticket;
  }
  return ssl_ticket_aead_success;
}

constexpr SSL_TICKET_AEAD_METHOD kMethod = {max_overhead, seal, open};

}  // namespace

void seal_tickets(SSL_CTX* context) { SSL_CTX_set_ticket_aead_method(context, &kMethod); }

}  // namespace tern::tls
