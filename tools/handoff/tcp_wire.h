#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/bytes.h"

/// What the TCP carrier's two ends say to each other: the sizes and round trips of TLS 1.3 and the
/// multiplexing of HTTP/2, without the ciphers and without HPACK. Every frame goes in a TLS record
/// of its own, and takes as many bytes more.

namespace tern::handoff {

enum class WireType : std::uint8_t {
  client_hello,  ///< 517 bytes, as browsers pad it
  server_hello,  ///< with the certificate, 2800 bytes; resumed 230
  finished,
  request,   ///< a request line and fields, HPACK'd
  response,  ///< status, and a number: how much of an upload is there
  data,
  goaway,  ///< the sender is about to finish
};

struct WireFrame {
  WireType type{};
  bool last = false;  ///< of this stream's direction
  std::uint32_t stream = 0;
  std::uint64_t number = 0;  ///< request: the offset; response: how much is there
  std::uint32_t transfer = 0;
  std::uint32_t attempt = 0;
  std::uint32_t what = 0;  ///< request: WireRequest; response: an HTTP status
};
enum class WireRequest : std::uint32_t { download, upload, have };

/// HTTP/2's frame header is 9 bytes, a TLS record's 5, content type 1 and tag 16: 31. What the
/// model has to say besides, in the same fields everywhere, needs as much.
inline constexpr std::size_t kWireHeader = 36;
/// Of a data frame, and low_water of the streams: writers go on up to here and a frame above.
inline constexpr std::size_t kWireData = 16 * 1024;

/// The frame with `payload` (of data), or `padding` bytes behind it.
Bytes wire_header(const WireFrame& frame, std::size_t payload);
/// How many bytes follow the header of a frame that has no data.
std::size_t wire_padding(WireType type, bool resumed) noexcept;

/// Cuts a byte stream into frames.
class WireReader {
 public:
  /// The frame's header has come; then its data, in pieces as they come.
  using OnFrame = std::function<void(const WireFrame& frame, std::size_t payload)>;
  using OnData = std::function<void(const WireFrame& frame, ByteView piece, bool frame_ends)>;
  WireReader(OnFrame on_frame, OnData on_data)
      : on_frame_(std::move(on_frame)), on_data_(std::move(on_data)) {}
  void read(ByteView bytes);
  /// The next byte is of a header that has begun.
  bool in_header() const noexcept { return !header_.empty(); }

 private:
  OnFrame on_frame_;
  OnData on_data_;
  std::vector<std::uint8_t> header_;
  WireFrame frame_;
  std::size_t rest_ = 0;  // of the payload
};

}  // namespace tern::handoff
