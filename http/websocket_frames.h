#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"
#include "base/random.h"

namespace tern::http {

/// RFC 6455 §5.2. Other numbers are reserved.
enum class WebSocketOpcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

inline bool is_control(WebSocketOpcode opcode) noexcept {
  return (static_cast<unsigned>(opcode) & 8U) != 0;
}

/// Cuts a byte stream into WebSocket frames (RFC 6455 §5.2), on wslay but for small ones that are
/// there whole, and undoes the mask. A frame's payload comes in pieces of at most 4 KiB, as it
/// arrives. Checks what one frame alone
/// shows: lengths in their shortest form and below 2^63, control frames whole and of at most 125
/// bytes. Between two frames it holds no buffer: wslay's (4 KiB) are lent by a pool of the thread.
class WebSocketFrameReader {
 public:
  struct Piece {
    WebSocketOpcode opcode = WebSocketOpcode::continuation;
    bool fin = false;
    std::uint8_t rsv = 0;  ///< RSV1 is 4, RSV2 2, RSV3 1
    bool masked = false;
    std::uint64_t length = 0;  ///< of the frame's payload
    bool first = false;        ///< of its frame
    bool last = false;
    ByteView payload;  ///< valid until the next call
  };

  WebSocketFrameReader() noexcept;
  WebSocketFrameReader(const WebSocketFrameReader&) = delete;
  WebSocketFrameReader& operator=(const WebSocketFrameReader&) = delete;
  ~WebSocketFrameReader();

  /// The bytes stay the caller's, and in place until `next` has returned nothing, which is also
  /// what must have happened before the next `feed`.
  void feed(ByteView bytes) noexcept { input_ = bytes; }
  /// The next piece; nothing when more input is needed. Error invalid for a malformed frame, then
  /// the reader is not used again.
  Result<std::optional<Piece>> next();

 private:
  friend class WebSocketCodecs;
  struct Codec;
  static constexpr std::size_t kSmall = 125;

  bool take_small(Piece& piece);

  ByteView input_;
  std::unique_ptr<Codec> codec_;
  std::uint64_t taken_ = 0;   // bytes of input_ given to wslay since it was last empty
  std::uint64_t used_ = 0;    // of those, bytes of complete frames
  std::uint64_t offset_ = 0;  // within the frame's payload
  std::array<std::uint8_t, kSmall> small_;  // a small frame's payload
};

/// A frame as it goes out: its head and, when that saves a copy, its payload apart.
struct WebSocketFrame {
  Bytes head;
  Bytes payload;
};

/// Payloads of at least this size are not copied behind their frame's head, unless they are masked.
inline constexpr std::size_t kWebSocketCopyLimit = 4096;

/// One whole frame. `mask`: the source of the masking key, for clients; null for servers.
WebSocketFrame make_websocket_frame(WebSocketOpcode opcode, bool fin, bool rsv1,
                                    const Bytes& payload, Random* mask);
/// The same for bytes that are somebody else's: copied.
Bytes make_websocket_frame(WebSocketOpcode opcode, bool fin, bool rsv1, ByteView payload,
                           Random* mask);

}  // namespace tern::http
