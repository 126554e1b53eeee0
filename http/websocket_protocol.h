#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/random.h"
#include "http/utf8.h"
#include "http/websocket_deflate.h"
#include "http/websocket_frames.h"

namespace tern::http {

/// RFC 6455 §7.4.1, with the codes IANA has added. Applications take 3000 to 4999.
namespace websocket_code {
inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kUnsupportedData = 1003;
inline constexpr std::uint16_t kNone = 1005;      ///< never sent: a close frame without a code
inline constexpr std::uint16_t kAbnormal = 1006;  ///< never sent: no close frame came
inline constexpr std::uint16_t kInvalidData = 1007;
inline constexpr std::uint16_t kPolicy = 1008;
inline constexpr std::uint16_t kTooBig = 1009;
inline constexpr std::uint16_t kInternalError = 1011;
}  // namespace websocket_code

/// May stand in a close frame: 1000 to 1003, 1007 to 1014, 3000 to 4999.
bool valid_close_code(std::uint16_t code) noexcept;

/// The rules of RFC 6455 and RFC 7692 for one end of a WebSocket, without I/O, time or coroutines:
/// bytes in, events out, and frames for what is to be sent. `http::WebSocket` drives it.
class WebSocketProtocol {
 public:
  enum class Role : std::uint8_t { client, server };

  struct Limits {
    /// Bytes of a message, inflated. 0: none.
    std::uint64_t max_message = 16 * 1024 * 1024;
    std::uint64_t max_ratio = 200;
    std::uint64_t ratio_grace = 1024 * 1024;
  };
  /// Fragments without payload in one message; more is 1008.
  static constexpr std::size_t kMaxEmptyFragments = 100;

  struct Event {
    enum class Type : std::uint8_t {
      part,  ///< of a message
      ping,
      pong,
      close,  ///< the peer's close frame; nothing comes after it
      /// The peer broke a rule: the connection is to be failed with `code` (RFC 6455 §7.1.7).
      /// Nothing comes after it.
      failure,
    };
    Type type = Type::part;
    bool text = false;  ///< part: of a text message
    bool last = false;  ///< part: the message's end
    ByteView payload;   ///< valid until the next call
    std::uint16_t code = 0;
    std::string reason;  ///< close: the peer's; failure: for the log and the close frame
  };

  /// `random`: the source of masking keys, outlives this. `deflate`: what was agreed on, if so.
  WebSocketProtocol(Role role, Limits limits, Random& random,
                    std::optional<WebSocketDeflateAgreement> deflate,
                    const WebSocketDeflateOptions& deflate_options);

  // ---- in
  /// The bytes stay the caller's, and in place until `next` has returned nothing.
  void feed(ByteView bytes) noexcept;
  std::optional<Event> next();

  // ---- out
  /// A message, or a part of one (`first`, `last`). Compresses it where that was agreed on and is
  /// worth it.
  WebSocketFrame message(bool text, const Bytes& payload, bool first, bool last);
  /// At most 125 bytes.
  Bytes control(WebSocketOpcode opcode, ByteView payload);
  /// kNone: without a code. The reason is cut to 123 bytes, at a character.
  Bytes close(std::uint16_t code, std::string_view reason);

 private:
  using Piece = WebSocketFrameReader::Piece;

  Event failure(std::uint16_t code, std::string reason);
  std::optional<Event> check_head(const Piece& piece);
  std::optional<Event> take_data(const Piece& piece);
  std::optional<Event> take_control(const Piece& piece);
  Event take_close();
  std::optional<Event> inflated();
  /// What all of a message's pieces have to go through.
  Event deliver(ByteView payload, bool last);

  Role role_;
  bool over_ = false;        // closed or failed
  bool in_message_ = false;  // between a message's first frame and its last
  bool text_ = false;
  bool compressed_ = false;
  bool inflating_ = false;        // the inflater may have more
  bool message_ends_ = false;     // with what the inflater has
  bool part_compressed_ = false;  // out: the message that is being sent in parts
  std::uint8_t control_size_ = 0;
  std::uint16_t empty_fragments_ = 0;
  std::uint64_t wire_size_ = 0;  // of the message, so far
  std::uint64_t size_ = 0;       // inflated
  Limits limits_;
  Utf8Validator utf8_;
  WebSocketFrameReader reader_;
  std::array<std::uint8_t, 125> control_;
  Random* random_;
  std::size_t threshold_;
  std::optional<WebSocketInflater> inflater_;
  std::optional<WebSocketDeflater> deflater_;
};

}  // namespace tern::http
