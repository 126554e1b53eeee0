#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "rpc/codec.h"
#include "rpc/compression.h"
#include "rpc/status.h"

/// The five bytes before each message of gRPC, gRPC-Web and Connect's streams: flags, and the
/// length, big-endian.

namespace tern::rpc {

inline constexpr std::size_t kEnvelopeHeader = 5;
/// The flags' bits. What the others mean is each dialect's affair.
inline constexpr std::uint8_t kCompressed = 0x01;
inline constexpr std::uint8_t kConnectEnd = 0x02;   ///< Connect: the end of a response stream
inline constexpr std::uint8_t kWebTrailers = 0x80;  ///< gRPC-Web: trailers

struct Envelope {
  std::uint8_t flags = 0;
  Bytes payload;

  bool compressed() const noexcept { return (flags & kCompressed) != 0; }
};

/// Cuts a body into its envelopes, however it was split. A payload that arrived in one piece is a
/// slice of it; one that did not is put together by one copy. Memory: what has come of one payload,
/// at most `limit` bytes, never what its header only promises.
class EnvelopeReader {
 public:
  /// Payloads longer than `limit` are RESOURCE_EXHAUSTED, as soon as their header is there.
  explicit EnvelopeReader(std::size_t limit) noexcept : limit_(limit) {}

  /// The next piece of the body. `next` has said that there is nothing more before.
  void push(Bytes piece);
  /// The next envelope, or nothing until more comes. Not called again after an error.
  Result<std::optional<Envelope>> next();
  /// Whether the body may end here: not in the middle of an envelope.
  bool at_boundary() const noexcept { return header_size_ == 0 && piece_.empty(); }

 private:
  std::size_t limit_;
  Bytes piece_;
  std::array<std::uint8_t, kEnvelopeHeader> header_{};
  std::uint8_t header_size_ = 0;  // bytes of the header that are there
  std::uint32_t length_ = 0;      // of the payload, once all of them are
  std::string gathered_;          // what has come of a payload in several pieces
};

/// Writes the header to `out`, which has room for kEnvelopeHeader bytes.
void write_envelope_header(std::uint8_t* out, std::uint8_t flags, std::uint32_t length) noexcept;
/// An envelope around a copy of `payload`.
Bytes make_envelope(std::uint8_t flags, ByteView payload);
/// A message's envelope, serialised into it. `limit` is the payload's.
Result<Bytes> encode_envelope(Codec codec, const google::protobuf::Message& message,
                              std::size_t limit);
/// The envelope of a message that is compressed on the way.
Bytes compress_envelope(Coding coding, ByteView message, std::uint8_t flags = kCompressed);

}  // namespace tern::rpc
