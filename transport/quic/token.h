#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "base/random.h"
#include "base/time.h"
#include "transport/quic/cid.h"
#include "transport/tls/key_ring.h"

/// What a server hands out instead of keeping state: address validation tokens (RFC 9000 §8.1) and
/// stateless reset tokens (RFC 9000 §10.3).

namespace tern::quic {

/// What a valid token proves.
struct ValidatedToken {
  bool retry = false;          ///< from a Retry packet; else from a NEW_TOKEN frame
  ConnectionId original_dcid;  ///< Retry only: the DCID of the client's first Initial
  ConnectionId retry_scid;     ///< Retry only: the SCID of our Retry packet
  UnixSeconds issued = 0;
};

/// Why a token is not accepted. A bad Retry token closes the connection with INVALID_TOKEN; a bad
/// NEW_TOKEN token only leaves the address unvalidated (RFC 9000 §8.1.2, §8.1.3).
enum class TokenRefusal : std::uint8_t {
  unknown,  ///< not one of ours, or its key has been rotated away: treat as if there were none
  expired,
  address,  ///< it was given to another address
  version,  ///< it was given in another QUIC version (RFC 9369 §5)
  dcid,     ///< a Retry token on an Initial that does not carry the Retry's SCID
};

/// Seals and opens address validation tokens with a key ring (AES-128-GCM). A token is bound to the
/// client's address, the QUIC version and the time; Retry tokens also to both connection IDs.
/// `address` is any canonical byte form of it: for Retry the IP address with the port, for
/// NEW_TOKEN the IP address alone (the port changes between connections). Immutable, thread-safe.
class AddressTokens {
 public:
  static constexpr std::size_t kMaxTokenLength = 128;
  static constexpr UnixSeconds kRetryLifetime = 10;  ///< a Retry is answered at once
  static constexpr UnixSeconds kNewTokenLifetime = 24 * 3600;

  struct Token {
    std::array<std::uint8_t, kMaxTokenLength> bytes{};
    std::size_t size = 0;
    ByteView view() const noexcept { return {bytes.data(), size}; }
  };

  explicit AddressTokens(std::shared_ptr<const tls::KeyRing> keys) : keys_(std::move(keys)) {}

  /// Addresses longer than 32 bytes are a programming error.
  Token retry(Random& random, std::uint32_t version, ByteView address, ByteView original_dcid,
              ByteView retry_scid, UnixSeconds now) const;
  Token new_token(Random& random, std::uint32_t version, ByteView address, UnixSeconds now) const;

  /// Was the token made by `retry` (by its first byte, before any key is tried)?
  static bool looks_like_retry(ByteView token) noexcept;

  /// Checks a token from an Initial packet of `version` with destination CID `dcid`. Both address
  /// forms are given since the token says which it holds.
  tl::expected<ValidatedToken, TokenRefusal> open(ByteView token, std::uint32_t version,
                                                  ByteView address_and_port, ByteView address,
                                                  ByteView dcid, UnixSeconds now) const;

 private:
  std::shared_ptr<const tls::KeyRing> keys_;
};

std::string_view refusal_name(TokenRefusal refusal) noexcept;

/// Derives stateless reset tokens from one static key, so that a server which lost all state still
/// can reset its connections: HMAC-SHA-256(key, CID), cut to 16 bytes. All workers, and machines
/// that may receive each other's packets, share the key. Immutable.
class StatelessResetKey {
 public:
  using Token = std::array<std::uint8_t, 16>;

  explicit StatelessResetKey(const std::array<std::uint8_t, 32>& key) noexcept : key_(key) {}
  explicit StatelessResetKey(Random& random) noexcept { random.fill(key_); }

  Token token(ByteView cid) const noexcept;

 private:
  std::array<std::uint8_t, 32> key_{};
};

}  // namespace tern::quic
