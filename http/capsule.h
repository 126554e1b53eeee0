#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

/// The capsule protocol (RFC 9297 §3.2): type, length and payload, one after the other, on the data
/// stream of an extended CONNECT.

namespace tern::http {

/// HTTP datagrams on a reliable stream (§3.5).
inline constexpr std::uint64_t kDatagramCapsule = 0x00;

/// Appends one capsule.
void append_capsule(std::string& out, std::uint64_t type, ByteView payload);
/// The capsule by itself, ready for `Exchange::write`.
Bytes capsule(std::uint64_t type, ByteView payload);

/// Cuts a stream of bytes into capsules; how the bytes were split makes no difference.
///
///   decoder.feed(piece);
///   while (auto capsule = decoder.next()) …
///
/// Nothing on the wire is malformed for this decoder, except that the stream may end in the middle
/// of a capsule: then `at_boundary` is false (§3.3: a malformed message). Capsules whose payload is
/// longer than the limit are skipped without being kept and reported without their payload, so the
/// caller can tell a type it does not know (ignored, §3.2) from one it cannot do without.
class CapsuleDecoder {
 public:
  static constexpr std::size_t kDefaultMaxPayload = 64 * 1024;

  explicit CapsuleDecoder(std::size_t max_payload = kDefaultMaxPayload) noexcept
      : max_payload_(max_payload) {}

  struct Capsule {
    std::uint64_t type = 0;
    std::uint64_t length = 0;  ///< as announced
    ByteView payload;          ///< valid until the next call; empty when too long
    bool too_long = false;     ///< reported when its header has come; the payload is skipped
  };

  /// The bytes stay the caller's, and in place until `next` has returned nothing, which is also
  /// what must have happened before the next `feed`.
  void feed(ByteView bytes);
  std::optional<Capsule> next();
  /// No capsule has begun and not ended.
  bool at_boundary() const noexcept;
  /// Bytes kept of an incomplete capsule: at most its header and max_payload.
  std::size_t buffered() const noexcept { return partial_.size(); }

 private:
  std::size_t max_payload_;
  ByteView input_;                     // not looked at yet
  std::vector<std::uint8_t> partial_;  // header and payload of a capsule that came in pieces
  bool partial_done_ = false;          // partial_ was handed out
  std::uint64_t skip_ = 0;             // payload bytes still to be skipped
};

}  // namespace tern::http
