#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/random.h"
#include "base/time.h"

/// Secrets that rotate: what seals session tickets and address validation tokens.

namespace tern::tls {

/// One secret of a ring with the keys derived from it.
struct RingKey {
  std::array<std::uint8_t, 8> id{};  ///< derived from the secret; written into what it seals
  std::array<std::uint8_t, 32> secret{};
  UnixSeconds created = 0;
  std::array<std::uint8_t, 32> ticket_key{};  ///< AES-256-GCM, TLS session tickets
  std::array<std::uint8_t, 16> token_key{};   ///< AES-128-GCM, Retry and NEW_TOKEN tokens

  static RingKey from_secret(const std::array<std::uint8_t, 32>& secret, UnixSeconds created);
};

/// The current secret, which seals, and the previous ones, which still open. All workers of a
/// server share one ring, so a ticket or token from one is good at all; machines share a ring by
/// its file. What a dropped key sealed is worth nothing any more: the client does a full handshake,
/// its address is validated again. Thread-safe: readers take an immutable snapshot.
class KeyRing {
 public:
  static constexpr std::size_t kMaxKeys = 4;  ///< current + previous

  /// One fresh key.
  KeyRing(Random& random, UnixSeconds now);
  KeyRing(const KeyRing&) = delete;
  KeyRing& operator=(const KeyRing&) = delete;

  /// Makes a fresh key the current one and drops the oldest beyond kMaxKeys. Rotating every
  /// lifetime / (kMaxKeys - 1) keeps everything valid for its whole life.
  void rotate(Random& random, UnixSeconds now);

  using Snapshot = std::shared_ptr<const std::vector<RingKey>>;  ///< newest first, never empty
  Snapshot snapshot() const;

  /// A text form: a version line, then "<secret in hex> <created>" a key, newest first.
  std::string serialize() const;
  static Result<std::shared_ptr<KeyRing>> parse(std::string_view text,
                                                std::string_view name = "the key file");
  /// The file form, mode 0600, replaced atomically.
  Result<void> save(const std::string& path) const;
  static Result<std::shared_ptr<KeyRing>> load(const std::string& path);
  /// Takes the keys of another ring over, e.g. of a file that has been rotated elsewhere.
  void replace(const KeyRing& other);

 private:
  KeyRing() = default;

  mutable std::mutex mutex_;
  Snapshot keys_;
};

}  // namespace tern::tls
