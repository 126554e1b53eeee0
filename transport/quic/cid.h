#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/random.h"

/// Connection IDs: the value, and how ours are made and read (QUIC-LB,
/// draft-ietf-quic-load-balancers).
///
/// The layout of a connection ID that this server issues, 6 to 20 bytes, the same length for all
/// CIDs of an endpoint:
///
///     offset 0   config rotation (3 bits) ‖ length - 1 or random (5 bits)
///            1   worker index       \ together QUIC-LB's server ID: with a load balancer in front,
///            2…  machine id         / each worker is one of its servers
///            …   nonce, at least 4 bytes
///
/// The worker comes first in the server ID so that its place does not depend on the configuration:
/// `kWorkerOffset`. Without a key the bytes from offset 1 are readable, and classic BPF on the
/// SO_REUSEPORT group steers by that byte. With a key they are encrypted (AES-128), which hides
/// machine and worker from observers and unlinks the CIDs of one connection; BPF cannot decrypt, so
/// steering is left to the kernel's hash of addresses and ports, and a worker that receives a
/// stranger's packet (after a migration) reads its CID with `CidGenerator::decode` and hands it
/// over.

namespace tern::quic {

inline constexpr std::size_t kMaxCidLength = 20;  // RFC 9000 §17.2

/// A connection ID: up to 20 bytes, a plain value.
class ConnectionId {
 public:
  ConnectionId() noexcept = default;
  /// Longer views are cut at 20 bytes: check lengths where packets are parsed.
  explicit ConnectionId(ByteView bytes) noexcept
      : size_(static_cast<std::uint8_t>(std::min(bytes.size(), kMaxCidLength))) {
    if (size_ != 0) std::memcpy(bytes_.data(), bytes.data(), size_);
  }

  const std::uint8_t* data() const noexcept { return bytes_.data(); }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  ByteView view() const noexcept { return {bytes_.data(), size_}; }
  operator ByteView() const noexcept { return view(); }
  /// Lower-case hex, as logs and qlog show it.
  std::string to_string() const;

  friend bool operator==(const ConnectionId& a, const ConnectionId& b) noexcept {
    return a.size_ == b.size_ && std::memcmp(a.bytes_.data(), b.bytes_.data(), a.size_) == 0;
  }

 private:
  std::array<std::uint8_t, kMaxCidLength> bytes_{};
  std::uint8_t size_ = 0;
};

/// The codec of QUIC-LB alone: (server ID, nonce) to CID and back under one configuration.
/// Immutable and cheap to copy; may be shared between threads.
class CidCodec {
 public:
  using Key = std::array<std::uint8_t, 16>;
  static constexpr std::uint8_t kUnroutable = 0b111;  // a rotation value no configuration may have
  static constexpr std::size_t kMinNonceLength = 4;

  /// Wants rotation ≤ 6, server ID ≥ 1 byte, nonce ≥ 4 bytes, both together ≤ 19; an Error says
  /// which is not so. `key` null: plaintext. `encode_length`: the low five bits of the first octet
  /// hold the CID's length - 1, for load balancers that need it; else they are random.
  static Result<CidCodec> create(std::uint8_t rotation, std::size_t server_id_length,
                                 std::size_t nonce_length, const Key* key, bool encode_length);

  std::size_t cid_length() const noexcept { return 1 + server_id_length_ + nonce_length_; }
  std::size_t server_id_length() const noexcept { return server_id_length_; }
  std::size_t nonce_length() const noexcept { return nonce_length_; }
  std::uint8_t rotation() const noexcept { return rotation_; }
  bool encrypted() const noexcept { return cipher_ != nullptr; }

  /// `out` is cid_length() bytes; `server_id` and `nonce` have the configured lengths.
  /// `filler` gives the first octet's random bits when the length is not encoded.
  void encode(ByteView server_id, ByteView nonce, std::uint8_t filler,
              MutableBytes out) const noexcept;
  /// Reverses `encode`. False if `cid` is shorter than cid_length() or of another rotation.
  /// Without authentication any other CID decodes to something.
  bool decode(ByteView cid, MutableBytes server_id, MutableBytes nonce) const noexcept;

 private:
  struct Cipher;
  CidCodec() noexcept = default;

  std::uint8_t rotation_ = 0;
  bool encode_length_ = false;
  std::size_t server_id_length_ = 0;
  std::size_t nonce_length_ = 0;
  std::shared_ptr<const Cipher> cipher_;
};

/// A CID key as people keep it: 32 hexadecimal digits, perhaps with white space around them.
Result<CidCodec::Key> parse_cid_key(std::string_view text);
/// A machine id as people write it: 2 to 24 hexadecimal digits. 12 bytes leave room for the nonce
/// of default length.
inline constexpr std::size_t kMaxMachineId = 12;
Result<ConnectionId> parse_machine_id(std::string_view text);

/// How an endpoint's connection IDs look. All workers of a server share one, each with its own
/// `worker`; all machines behind a load balancer share rotation, lengths and key.
class CidConfig {
 public:
  /// Default 0. At most 6.
  CidConfig& rotation(std::uint8_t value) { return rotation_ = value, *this; }
  /// Names this machine to a load balancer; default empty: no load balancer, or just one machine.
  CidConfig& machine_id(ByteView id) { return machine_id_.assign(id.begin(), id.end()), *this; }
  /// This worker's index. Default 0.
  CidConfig& worker(std::uint8_t index) { return worker_ = index, *this; }
  /// Random bytes in each CID, 4 to 18. Default 6: CIDs of 8 bytes.
  CidConfig& nonce_length(std::size_t bytes) { return nonce_length_ = bytes, *this; }
  /// Encrypts everything after the first octet. Default: plaintext.
  CidConfig& key(const CidCodec::Key& key) {
    return key_ = std::make_shared<CidCodec::Key>(key), *this;
  }
  /// Default false.
  CidConfig& encode_length(bool on) { return encode_length_ = on, *this; }

 private:
  friend class CidGenerator;
  std::uint8_t rotation_ = 0;
  std::uint8_t worker_ = 0;
  bool encode_length_ = false;
  std::size_t nonce_length_ = 6;
  std::vector<std::uint8_t> machine_id_;
  std::shared_ptr<const CidCodec::Key> key_;
};

/// Makes and reads the connection IDs of one worker's endpoint. Immutable.
class CidGenerator {
 public:
  /// Where the worker's index stands in a CID, readable only if not `encrypted()`.
  static constexpr std::size_t kWorkerOffset = 1;

  static Result<CidGenerator> create(const CidConfig& config);

  /// The length of every CID made here.
  std::size_t cid_length() const noexcept { return codec_.cid_length(); }
  bool encrypted() const noexcept { return codec_.encrypted(); }
  std::uint8_t worker() const noexcept { return server_id_[0]; }

  /// A fresh CID. Collisions are possible (2^-48 by default): the endpoint's table decides.
  ConnectionId generate(Random& random) const noexcept;

  struct Decoded {
    std::uint8_t worker = 0;
    ConnectionId machine_id;  ///< 0 to 14 bytes
    ConnectionId nonce;
  };
  /// Reads a CID that a generator of this configuration made, on any worker or machine. An Error
  /// (Code::not_found) for one that is too short or of another config rotation. A client-chosen CID
  /// may decode to nonsense: check `worker` against the number of workers.
  Result<Decoded> decode(ByteView cid) const;
  /// `decode`'s worker alone, without allocation; -1 if the CID is not ours or names another
  /// machine.
  int worker_of(ByteView cid) const noexcept;

 private:
  CidGenerator(CidCodec codec, std::vector<std::uint8_t> server_id)
      : codec_(std::move(codec)), server_id_(std::move(server_id)) {}

  CidCodec codec_;
  std::vector<std::uint8_t> server_id_;  // worker ‖ machine id
};

}  // namespace tern::quic

template <>
struct std::hash<tern::quic::ConnectionId> {
  /// FNV-1a. A table keyed by CIDs that peers choose must salt it.
  std::size_t operator()(const tern::quic::ConnectionId& cid) const noexcept {
    std::uint64_t value = 0xcbf29ce484222325;
    for (const std::uint8_t byte : cid.view()) value = (value ^ byte) * 0x100000001b3;
    return value;
  }
};
