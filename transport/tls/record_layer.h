#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "transport/tls/aead.h"

/// TLS 1.3 records after the handshake (RFC 8446 §5). Internal to transport/tls.

namespace tern::tls {

/// What protects one direction: an AEAD key, its nonces, and the secret that the next key comes
/// from.
class RecordKey {
 public:
  RecordKey(Aead aead, Hash hash, ByteView secret, std::uint64_t sequence);
  RecordKey(const RecordKey&) = delete;
  RecordKey& operator=(const RecordKey&) = delete;
  ~RecordKey();

  /// Records that this key has protected.
  std::uint64_t sequence() const noexcept { return sequence_; }
  /// The next generation's key (RFC 8446 §7.2), from record 0 on.
  void update();

  /// A record's text, plaintext and content type, in place; room for the tag behind it.
  void seal(MutableBytes text, ByteView header) noexcept;
  /// Text and tag, in place. False: forged.
  bool open(MutableBytes text, ByteView header) noexcept;

 private:
  using Nonce = std::array<std::uint8_t, kIvLength>;

  void derive();
  Nonce next_nonce() noexcept;

  const Aead aead_;
  const Hash hash_;
  std::size_t secret_size_;
  std::array<std::uint8_t, kMaxSecretLength> secret_{};
  std::array<std::uint8_t, kIvLength> iv_{};
  std::optional<AeadKey> key_;
  std::uint64_t sequence_;
};

/// Both directions of a connection whose handshake is complete: application data, alerts,
/// KeyUpdates. Session tickets that come are dropped. Seals into the memory that is sent, and opens
/// in the memory that was received.
class RecordLayer {
 public:
  static constexpr std::size_t kHeader = 5;
  static constexpr std::size_t kMaxPlaintext = 16 * 1024;
  static constexpr std::size_t kOverhead = kHeader + 1 + kAeadTagLength;
  /// Records that one key protects: AES-GCM's margin is 2^24.5 full ones (RFC 8446 §5.5).
  static constexpr std::uint64_t kMaxRecords = std::uint64_t{1} << 24;
  /// Records in a row that bring no application data; beyond it the peer only costs time.
  static constexpr std::size_t kMaxIdleRecords = 32;
  /// Bytes of a handshake message.
  static constexpr std::size_t kMaxHandshake = 64 * 1024;

  /// A direction's secret, and how many records of it there have been.
  struct Start {
    ByteView secret;
    std::uint64_t sequence = 0;
  };
  RecordLayer(bool client, Aead aead, Hash hash, Start read, Start write)
      : client_(client),
        read_(aead, hash, read.secret, read.sequence),
        write_(aead, hash, write.secret, write.sequence) {}

  // ---- out: what TCP is to be given

  /// All pieces in order, in as few records as hold them; they are empty afterwards.
  Bytes seal(std::span<Bytes> pieces);
  /// close_notify is 0; others are fatal.
  Bytes alert(std::uint8_t description);
  /// The peer has asked for a KeyUpdate (RFC 8446 §4.6.3); `seal` says it by itself.
  bool owes_update() const noexcept { return owes_update_; }
  Bytes key_update();

  // ---- in

  struct Step {
    enum class Kind : std::uint8_t {
      nothing,  ///< all of the input is taken; the rest of its last record is still to come
      data,     ///< application data, maybe empty
      other,    ///< a record that says nothing to the application
      closed,   ///< close_notify
      alert,    ///< a fatal one of the peer's
      failed,   ///< the peer breaks the protocol: `alert` is for it
    };
    Kind kind = Kind::nothing;
    MutableBytes data;  ///< in the input's memory or in our own; valid until the next call
    std::uint8_t alert = 0;
    const char* reason = "";
  };
  /// The next record of `input`, which loses what is taken.
  Step next(MutableBytes& input);

 private:
  enum class Type : std::uint8_t { alert = 21, handshake = 22, application_data = 23 };

  std::optional<MutableBytes> whole_record(MutableBytes& input);
  Step opened(Type type, MutableBytes content);
  Step on_alert(ByteView content);
  Step on_handshake(ByteView content);
  std::uint8_t* put(std::uint8_t* out, Type type, std::size_t size) noexcept;
  std::uint8_t* put_update(std::uint8_t* out) noexcept;

  const bool client_;
  bool owes_update_ = false;
  RecordKey read_;
  RecordKey write_;
  std::vector<std::uint8_t> partial_;    // a record whose rest is still to come
  std::vector<std::uint8_t> current_;    // the one given last, if it had come in parts
  std::vector<std::uint8_t> handshake_;  // a message whose rest is still to come
  std::size_t idle_records_ = 0;
};

}  // namespace tern::tls
