#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/varint.h"

namespace tern::webtransport {

/// Cuts what arrives into WebTransport's capsules. A WT_STREAM capsule's data is passed on as it
/// comes, for it may be longer than anybody wants to keep; any other capsule is kept until it is
/// whole. How the bytes were split makes no difference, but for the pieces of stream data.
///
///   reader.feed(piece);
///   while (auto event = reader.next()) …
class CapsuleReader {
 public:
  struct Event {
    enum class Type : std::uint8_t {
      stream_data,  ///< `id`, `bytes`, `fin`
      capsule,      ///< `id` is the capsule's type, `bytes` its payload
      too_long,     ///< a capsule of type `id` is longer than the limit; its payload is skipped
      malformed,    ///< a WT_STREAM capsule ends within its stream ID; nothing follows
    };
    Type type = Type::malformed;
    bool fin = false;  ///< the stream ends with these bytes
    std::uint64_t id = 0;
    ByteView bytes;  ///< valid until the next call
  };

  /// `max_payload`: of the capsules that are kept.
  explicit CapsuleReader(std::size_t max_payload) noexcept : max_payload_(max_payload) {}

  /// The bytes stay the caller's, and in place until `next` has returned nothing, which is also
  /// what must have happened before the next `feed`.
  void feed(ByteView bytes);
  std::optional<Event> next();
  /// No capsule has begun and not ended (RFC 9297 §3.3).
  bool at_boundary() const noexcept { return state_ == State::type && !varint_.partial(); }

 private:
  enum class State : std::uint8_t { type, length, stream_id, stream_data, payload, skip, broken };

  std::optional<Event> read_stream_id();
  Event stream_data();
  std::optional<Event> read_payload();

  std::size_t max_payload_;
  State state_ = State::type;
  VarintReader varint_;
  std::uint64_t type_ = 0;
  std::uint64_t left_ = 0;  // of the capsule's payload
  std::uint64_t stream_ = 0;
  bool first_ = false;  // nothing of the stream data has been passed on
  ByteView input_;
  std::vector<std::uint8_t> kept_;
};

}  // namespace tern::webtransport
