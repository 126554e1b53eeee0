#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/memory_pool.h"
#include "http/fallback/http2_code.h"
#include "http/fallback/options.h"
#include "http/message.h"

struct nghttp2_session;

namespace tern::fallback {

class Http2Stream;

using Http2StreamId = std::int32_t;

/// One nghttp2 session: framing, HPACK, flow control and the scheduler of RFC 9218. The only file
/// that knows nghttp2. nghttp2 decides which frame is next and makes it (`send`); the payloads of
/// DATA frames do not pass through it, so that a body goes into the stream by reference.
///
/// After `receive` or `send` has returned an error (a negative number) only the destructor may be
/// called.
class Http2Bridge {
 public:
  struct Frame {
    std::uint8_t type = 0;
    Http2StreamId stream = 0;
  };

  /// What nghttp2 calls back with, from inside `receive` and `send`. What is about one request goes
  /// to its Http2Stream. None of them may call `receive` or `send`. Views live for the call.
  class Listener {
   public:
    /// Server: a request begins. nullptr: it is refused.
    virtual Http2Stream* begin_request(Http2StreamId id) noexcept = 0;
    /// nghttp2 has let go of a stream; `stream` hears no more of it.
    virtual void stream_closed(Http2Stream& stream, Http2Code code) noexcept = 0;
    /// A RST_STREAM of ours goes out, whoever asked for it.
    virtual void reset_sent(Http2StreamId id, Http2Code code) noexcept = 0;
    /// A DATA frame: its header, then the next `size` bytes of the stream's body. False: no room
    /// for more after this one.
    virtual bool put_data(Http2Stream& stream, ByteView header, std::size_t size) noexcept = 0;
    /// An entry of the peer's SETTINGS that HTTP/2 itself does not know; `settings` follows.
    virtual void setting(std::uint16_t id, std::uint32_t value) noexcept = 0;
    /// The peer's SETTINGS, or its acknowledgement of ours.
    virtual void settings(bool acknowledged) noexcept = 0;
    virtual void goaway(Http2StreamId last, Http2Code code, ByteView debug) noexcept = 0;
    /// nghttp2 ends the connection, because the peer broke the protocol; this goes out now.
    /// `reason` is nghttp2's, and may be empty; `frame` the one it was at where it has said so,
    /// else of stream 0.
    virtual void goaway_sent(Http2Code code, std::string_view reason,
                             const Frame& frame) noexcept = 0;

   protected:
    ~Listener() = default;
  };

  /// The next part of a body. Neither bytes nor an end: `resume` says when there are.
  struct Body {
    std::size_t size = 0;
    bool end = false;       ///< nothing follows but, perhaps, trailers
    bool trailers = false;  ///< trailers do; they are submitted when the end has been told
  };

  struct Config {
    bool server = false;
    std::uint32_t stream_window = 0;
    std::uint32_t connection_window = 0;
    std::uint32_t max_frame = 0;
    std::size_t hpack_capacity = 0;
    std::uint64_t max_field_section = 0;
    std::uint32_t max_streams = 0;  ///< concurrent ones of the peer
    std::size_t max_unsent_acks = 0;
    bool extended_connect = false;
    std::span<const Setting> extra_settings;  ///< for the constructor's time; a server's
  };

  /// One field line to send: views. Laid out like nghttp2_nv, so that a section is handed over as
  /// it is. nghttp2 encodes a section when its turn has come; until then a `borrowed` line's text
  /// must stay where it is (its name in lower case), of any other the submit call makes a copy.
  class Line {
   public:
    Line(std::string_view name, std::string_view value, bool borrowed = false) noexcept
        : name_(name.data()),
          value_(value.data()),
          name_size_(name.size()),
          value_size_(value.size()),
          flags_(borrowed ? kBorrowed : 0) {}
    std::string_view name() const noexcept { return {name_, name_size_}; }
    std::string_view value() const noexcept { return {value_, value_size_}; }

   private:
    friend struct Http2Callbacks;
    static constexpr std::uint8_t kBorrowed = 0x02 | 0x04;  // NGHTTP2_NV_FLAG_NO_COPY_…

    const char* name_;
    const char* value_;
    std::size_t name_size_;
    std::size_t value_size_;
    [[maybe_unused]] std::uint8_t flags_;  // read by nghttp2 alone
  };

  /// Queues our SETTINGS and the connection's window. Listener and pool outlive the bridge.
  Http2Bridge(Listener& listener, MemoryPool& pool, const Config& config);
  Http2Bridge(const Http2Bridge&) = delete;
  Http2Bridge& operator=(const Http2Bridge&) = delete;
  ~Http2Bridge();

  /// The connection error that a negative result stands for, and why, for people.
  static Http2Code code_of(std::ptrdiff_t failure) noexcept;
  static std::string_view describe(std::ptrdiff_t failure) noexcept;

  /// A client's, once it has use for them.
  void submit_settings(std::span<const Setting> extra_settings) noexcept;

  /// The peer's bytes; all of them are taken.
  std::ptrdiff_t receive(ByteView bytes) noexcept;
  /// The next bytes to send, valid until the next call. 0: nothing more now, or `put_data` has
  /// returned false.
  std::ptrdiff_t send(const std::uint8_t*& bytes) noexcept;
  /// There is something that `send` would give, apart from bodies that wait for flow control.
  bool wants_to_send() const noexcept;

  /// Client: returns the stream's identifier, or an error.
  std::ptrdiff_t submit_request(Http2Stream& owner, std::span<const Line> lines,
                                bool body) noexcept;
  std::ptrdiff_t submit_interim(Http2StreamId id, std::span<const Line> lines) noexcept;
  std::ptrdiff_t submit_response(Http2StreamId id, std::span<const Line> lines, bool body) noexcept;
  std::ptrdiff_t submit_trailers(Http2StreamId id, std::span<const Line> lines) noexcept;
  void reset(Http2StreamId id, Http2Code code) noexcept;
  /// A body that had neither bytes nor an end has one of them now.
  void resume(Http2StreamId id) noexcept;
  /// Body bytes are done with: flow control may open by as much, both the stream's and the
  /// connection's, or only the latter.
  void consumed(Http2StreamId id, std::size_t count) noexcept;
  void consumed_connection(std::size_t count) noexcept;

  /// Server: overrides whatever the client asks for.
  void set_priority(Http2StreamId id, http::Priority priority) noexcept;
  /// Client: sends a PRIORITY_UPDATE frame (RFC 9218 §7.1).
  void send_priority_update(Http2StreamId id, std::string_view field_value) noexcept;

  /// GOAWAY, first with the highest identifier, then with the real one (RFC 9113 §6.8).
  void submit_shutdown_notice() noexcept;
  void submit_goaway() noexcept;
  /// Server: the last request that was begun; 0: none.
  Http2StreamId last_processed() const noexcept;

  /// What the peer allows to send now; may be negative.
  std::int32_t stream_window(Http2StreamId id) const noexcept;
  std::int32_t connection_window() const noexcept;
  /// What the peer may still send on it.
  std::int32_t receive_window(Http2StreamId id) const noexcept;
  /// What the peer has announced, or the protocol's default. 2^32-1: no limit.
  std::uint32_t peer_max_streams() const noexcept;
  std::uint32_t peer_field_limit() const noexcept;
  bool peer_extended_connect() const noexcept;

 private:
  friend struct Http2Callbacks;

  Listener& listener_;
  nghttp2_session* session_ = nullptr;
  Http2Stream* section_owner_ = nullptr;  // whose field section is being read
  Frame frame_;                           // that is read, or was found to be wrong
};

}  // namespace tern::fallback
