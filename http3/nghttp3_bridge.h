#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/memory_pool.h"
#include "http/fields.h"
#include "http/message.h"
#include "http3/error_code.h"
#include "transport/quic/event.h"

struct nghttp3_conn;

namespace tern::http3 {

class RequestStream;

/// One nghttp3 connection: framing, QPACK and the scheduler. The only file that knows nghttp3.
///
/// After a function has returned an error (a negative number) only the destructor may be called.
class Nghttp3Bridge {
 public:
  /// Field lines that sessions look at themselves.
  enum class Name : std::uint8_t {
    other,
    method,
    scheme,
    authority,
    path,
    protocol,
    status,
    host,
    content_length,
    cookie,
    priority,
  };

  /// What nghttp3 calls the session back with, from inside `read`. What is about one request goes
  /// to its RequestStream; its body is also read from inside `writev`. None of them may call the
  /// bridge. Views live for the call.
  class Listener {
   public:
    /// A header section begins: whose is it? nullptr: nobody wants it.
    virtual RequestStream* find(quic::StreamId stream) noexcept = 0;
    /// Bytes that `read` had kept back are done with, or nobody's body.
    virtual void consumed(quic::StreamId stream, std::size_t count) noexcept = 0;
    /// nghttp3 wants the stream ended both ways: a malformed message, or refused after GOAWAY.
    virtual void wants_reset(quic::StreamId stream, std::uint64_t code) noexcept = 0;
    /// nghttp3 has let go of a stream; after a `close` that returned 1, this is its end.
    virtual void forgotten(RequestStream& stream) noexcept = 0;
    /// The peer's GOAWAY: nothing from `id` on is processed.
    virtual void goaway(quic::StreamId id) noexcept = 0;

   protected:
    ~Listener() = default;
  };

  /// The next part of a body. Neither bytes nor an end: `resume` says when there are.
  struct Body {
    std::size_t count = 0;  ///< vecs filled
    bool end = false;       ///< nothing follows them but, perhaps, trailers
    bool trailers = false;  ///< trailers do
  };

  struct Config {
    bool server = false;
    std::uint64_t max_field_section = 0;
    std::size_t qpack_capacity = 0;          ///< of the peer's encoder, in bytes
    std::size_t qpack_encoder_capacity = 0;  ///< of ours, at most
    std::size_t qpack_blocked_streams = 0;
    std::size_t max_streams = 0;  ///< concurrent ones of the peer
    bool extended_connect = false;
    bool datagrams = false;
  };

  /// One field line to send: views. Laid out like nghttp3_nv, so that a section is handed over as
  /// it is. nghttp3 encodes a section when it is the stream's turn; until then a `borrowed` line's
  /// text must stay where it is (its name in lower case), of any other the submit call makes a
  /// copy.
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
    friend struct Nghttp3Callbacks;
    static constexpr std::uint8_t kBorrowed = 0x02 | 0x04;  // NGHTTP3_NV_FLAG_NO_COPY_…

    const char* name_;
    const char* value_;
    std::size_t name_size_;
    std::size_t value_size_;
    std::uint8_t flags_;
  };

  /// Listener and pool outlive the bridge.
  Nghttp3Bridge(Listener& listener, MemoryPool& pool, const Config& config);
  Nghttp3Bridge(const Nghttp3Bridge&) = delete;
  Nghttp3Bridge& operator=(const Nghttp3Bridge&) = delete;
  ~Nghttp3Bridge();

  /// The connection error that a negative result stands for, and its name in nghttp3.
  static ErrorCode error_of(std::ptrdiff_t failure) noexcept;
  static std::string_view describe(std::ptrdiff_t failure) noexcept;

  void bind(quic::StreamId control, quic::StreamId encoder, quic::StreamId decoder);

  /// Bytes that came on a stream. Returns how many of them are done with; body bytes are not
  /// counted.
  std::ptrdiff_t read(quic::StreamId stream, ByteView bytes, bool fin) noexcept;
  /// The peer has ended its part with a reset, or we do not read any further.
  std::ptrdiff_t shutdown_read(quic::StreamId stream) noexcept;
  void shutdown_write(quic::StreamId stream) noexcept;
  /// QUIC is done with a stream. 0: so is nghttp3. 1: a field section in it waits for the peer's
  /// encoder stream (RFC 9204 §2.2.1); its callbacks still come, `forgotten` last. Negative for a
  /// stream that may not be closed (H3_CLOSED_CRITICAL_STREAM).
  std::ptrdiff_t close(quic::StreamId stream, std::uint64_t code) noexcept;
  /// The stream's callbacks find nobody any more.
  void disown(quic::StreamId stream) noexcept;

  /// What to send next; `stream` is -1 for nothing. Returns how many vecs were filled.
  std::ptrdiff_t writev(quic::StreamId& stream, bool& fin, std::span<quic::Vec> vecs) noexcept;
  std::ptrdiff_t sent(quic::StreamId stream, std::size_t count) noexcept;
  std::ptrdiff_t acked(quic::StreamId stream, std::uint64_t count) noexcept;
  void block(quic::StreamId stream) noexcept;
  void unblock(quic::StreamId stream) noexcept;
  void resume(quic::StreamId stream) noexcept;

  std::ptrdiff_t submit_request(RequestStream& owner, quic::StreamId stream,
                                std::span<const Line> lines, bool body) noexcept;
  std::ptrdiff_t submit_interim(quic::StreamId stream, std::span<const Line> lines) noexcept;
  /// `owner`: who gets the stream's callbacks; null where that is who does already.
  std::ptrdiff_t submit_response(RequestStream* owner, quic::StreamId stream,
                                 std::span<const Line> lines, bool body) noexcept;
  std::ptrdiff_t submit_trailers(quic::StreamId stream, std::span<const Line> lines) noexcept;

  /// Server: overrides whatever the client asks for.
  void set_priority(quic::StreamId stream, http::Priority priority) noexcept;
  /// Server: the priority in force.
  http::Priority priority(quic::StreamId stream) const noexcept;
  /// Client: sends a PRIORITY_UPDATE frame (RFC 9218 §7.2).
  void send_priority_update(quic::StreamId stream, std::string_view field_value) noexcept;

  /// Server: streams the client may have opened so far, in total.
  void set_max_client_streams(std::uint64_t total) noexcept;
  /// GOAWAY, first with the highest identifier, then with the real one (RFC 9114 §5.2).
  void submit_shutdown_notice() noexcept;
  void submit_shutdown() noexcept;

 private:
  friend struct Nghttp3Callbacks;

  Listener& listener_;
  /// Laid out like nghttp3_mem; nghttp3 keeps a pointer to it.
  struct Allocator {
    void* user_data;
    void* (*malloc)(std::size_t, void*);
    void (*free)(void*, void*);
    void* (*calloc)(std::size_t, std::size_t, void*);
    void* (*realloc)(void*, std::size_t, void*);
  } allocator_;
  nghttp3_conn* conn_ = nullptr;
  bool server_;
  bool forgot_ = false;  // nghttp3 has let go of the stream that is being closed
};

/// The nghttp3 that is linked, e.g. "1.8.0".
std::string_view nghttp3_version_text() noexcept;

}  // namespace tern::http3
