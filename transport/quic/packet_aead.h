#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "transport/quic/packet_protection.h"

namespace tern::quic {

class PacketWatch;
class RestingKeys;

/// What ngtcp2 holds as the context of an AEAD. The key schedule (a kilobyte of libipsec-mb's) is
/// made for the first packet: ngtcp2 holds the keys of the next phase all along, and few
/// connections last until ours are used. Internal to transport/quic.
class PacketAead {
 public:
  PacketAead(Aead algorithm, ByteView key) noexcept;
  ~PacketAead();
  PacketAead(const PacketAead&) = delete;
  PacketAead& operator=(const PacketAead&) = delete;

  const AeadKey& key() noexcept {
    if (!key_) [[unlikely]]
      make_key();
    return *key_;
  }

  bool has_schedule() const noexcept { return key_.has_value(); }

  // Of keys that open 0-RTT and 1-RTT packets: who is told of them, and what gives their number.
  PacketWatch* watch = nullptr;
  std::uint64_t generation = 0;  // key updates before them
  std::array<std::uint8_t, kIvLength> iv{};
  PacketWatch* seal_watch = nullptr;  // of keys that seal 1-RTT packets: who looks at them first

 private:
  friend class RestingKeys;
  void make_key() noexcept;

  std::optional<AeadKey> key_;
  RestingKeys* list_ = nullptr;
  PacketAead* next_ = nullptr;
  bool rests_ = false;  // it had a schedule when the list was put to rest
  Aead algorithm_;
  std::uint8_t length_;
  std::array<std::uint8_t, 32> bytes_;
};

/// The keys of one connection's 0-RTT and 1-RTT packets, which go to rest together and are back
/// together: would the next phase's key be made when a packet seems to need it, the time that takes
/// would tell whether a forged one has the next phase (RFC 9001 §6.3, §9.5). Outlives them.
class RestingKeys {
 public:
  RestingKeys() = default;
  RestingKeys(const RestingKeys&) = delete;
  RestingKeys& operator=(const RestingKeys&) = delete;

  void add(PacketAead& key) noexcept;
  void remove(PacketAead& key) noexcept;
  /// Frees the schedules.
  void rest() noexcept;
  /// Makes those that there were.
  void wake() noexcept;

 private:
  PacketAead* first_ = nullptr;
};

}  // namespace tern::quic
