#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"

/// permessage-deflate (RFC 7692), on zlib: what is negotiated, and the two directions.

namespace tern::http {

/// What we want of permessage-deflate. Fluent.
class WebSocketDeflateOptions {
 public:
  /// Offered by clients, accepted by servers. Default true.
  WebSocketDeflateOptions& enabled(bool on) & { return enabled_ = on, *this; }
  WebSocketDeflateOptions&& enabled(bool on) && { return std::move(enabled(on)); }
  /// Messages may refer to those before them, in both directions. Compresses small messages better
  /// and costs each connection its windows: up to 300 KiB. Default false: an idle connection has no
  /// zlib state, and no message's secrets shape the length of another one (CRIME).
  WebSocketDeflateOptions& context_takeover(bool on) & { return takeover_ = on, *this; }
  WebSocketDeflateOptions&& context_takeover(bool on) && { return std::move(context_takeover(on)); }
  /// log2 of our compressor's window, 9 to 15. Default 15 (32 KiB).
  WebSocketDeflateOptions& window_bits(int bits) & { return window_bits_ = bits, *this; }
  WebSocketDeflateOptions&& window_bits(int bits) && { return std::move(window_bits(bits)); }
  /// The same for the peer's compressor, 8 to 15, and so of our decompressor's memory. A server
  /// asks it of clients that can. Default 15.
  WebSocketDeflateOptions& peer_window_bits(int bits) & { return peer_window_bits_ = bits, *this; }
  WebSocketDeflateOptions&& peer_window_bits(int bits) && {
    return std::move(peer_window_bits(bits));
  }
  /// zlib's level, 1 to 9. Default 5.
  WebSocketDeflateOptions& level(int level) & { return level_ = level, *this; }
  WebSocketDeflateOptions&& level(int level) && { return std::move(this->level(level)); }
  /// Messages of less are sent as they are. Default 256 bytes.
  WebSocketDeflateOptions& threshold(std::size_t bytes) & { return threshold_ = bytes, *this; }
  WebSocketDeflateOptions&& threshold(std::size_t bytes) && { return std::move(threshold(bytes)); }
  /// A received message may inflate to so many times its compressed size, once it is larger than
  /// `grace`; beyond it is a bomb: 1009. Defaults 200, and 1 MiB.
  WebSocketDeflateOptions& max_ratio(std::uint64_t ratio) & { return max_ratio_ = ratio, *this; }
  WebSocketDeflateOptions&& max_ratio(std::uint64_t ratio) && {
    return std::move(max_ratio(ratio));
  }
  WebSocketDeflateOptions& grace(std::uint64_t bytes) & { return grace_ = bytes, *this; }
  WebSocketDeflateOptions&& grace(std::uint64_t bytes) && { return std::move(grace(bytes)); }

  bool enabled() const noexcept { return enabled_; }
  bool context_takeover() const noexcept { return takeover_; }
  int window_bits() const noexcept { return window_bits_; }
  int peer_window_bits() const noexcept { return peer_window_bits_; }
  int level() const noexcept { return level_; }
  std::size_t threshold() const noexcept { return threshold_; }
  std::uint64_t max_ratio() const noexcept { return max_ratio_; }
  std::uint64_t grace() const noexcept { return grace_; }

 private:
  bool enabled_ = true;
  bool takeover_ = false;
  int window_bits_ = 15;
  int peer_window_bits_ = 15;
  int level_ = 5;
  std::size_t threshold_ = 256;
  std::uint64_t max_ratio_ = 200;
  std::uint64_t grace_ = 1024 * 1024;
};

/// What was agreed on, from one side's view.
struct WebSocketDeflateAgreement {
  bool send_takeover = true;     ///< our messages may refer to earlier ones
  bool receive_takeover = true;  ///< the peer's may
  int send_window_bits = 15;     ///< zlib cannot compress with 8: then we send uncompressed
  int receive_window_bits = 15;
  friend bool operator==(const WebSocketDeflateAgreement&,
                         const WebSocketDeflateAgreement&) = default;
};

/// What a server makes of `sec-websocket-extensions` (all lines joined): the first offer of
/// permessage-deflate that it can accept (RFC 7692 §5.1), and its answer. Nothing, when there is
/// none; Error invalid when the value cannot be read (RFC 6455 §9.1: 400).
struct WebSocketDeflateAnswer {
  WebSocketDeflateAgreement agreement;
  std::string field;
};
Result<std::optional<WebSocketDeflateAnswer>> accept_deflate(
    std::string_view offers, const WebSocketDeflateOptions& options);
/// A client's offer.
std::string offer_deflate(const WebSocketDeflateOptions& options);
/// What a client makes of the server's answer to it; nothing for an empty one. Error invalid for
/// what was not offered: the connection fails (RFC 6455 §4.1, RFC 7692 §7.1).
Result<std::optional<WebSocketDeflateAgreement>> confirm_deflate(
    std::string_view answer, const WebSocketDeflateOptions& options);

/// Compresses messages. Without takeover zlib's state is lent by the thread for each message.
class WebSocketDeflater {
 public:
  WebSocketDeflater(int window_bits, int level, bool takeover) noexcept;
  WebSocketDeflater(WebSocketDeflater&&) noexcept;
  WebSocketDeflater& operator=(WebSocketDeflater&&) noexcept;
  ~WebSocketDeflater();

  /// Appends the compressed form of a message's next piece (RFC 7692 §7.2.1); `last`: its end.
  void deflate(ByteView piece, bool last, std::string& out);

  struct Stream;

 private:
  int window_bits_;
  int level_;
  bool takeover_;
  std::unique_ptr<Stream> stream_;
};

/// Decompresses messages, a bounded piece at a time.
class WebSocketInflater {
 public:
  WebSocketInflater(int window_bits, bool takeover) noexcept;
  WebSocketInflater(WebSocketInflater&&) noexcept;
  WebSocketInflater& operator=(WebSocketInflater&&) noexcept;
  ~WebSocketInflater();

  /// The next compressed bytes; `last`: the message ends with them. They stay the caller's, in
  /// place until `next` has returned nothing.
  void feed(ByteView piece, bool last);
  /// At most 16 KiB of the message, valid until the next call; nothing when more input is needed or
  /// the message is complete. Error invalid for what is no deflate data.
  Result<std::optional<ByteView>> next();

  struct Stream;

 private:
  int window_bits_;
  bool takeover_;
  ByteView input_;
  bool last_ = false;
  bool bad_ = false;       // no deflate data, to be told next
  bool complete_ = false;  // the tail ended a block
  std::size_t tail_ = 0;   // bytes of the tail that were given
  std::unique_ptr<Stream> stream_;
};

}  // namespace tern::http
