#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/time.h"

/// What comes out of a QUIC connection, and how stream data goes in.

namespace tern::quic {

class Connection;

/// RFC 9000 §2.1: bit 0 says who opened it (0 client), bit 1 whether it is unidirectional.
using StreamId = std::int64_t;

constexpr bool is_unidirectional(StreamId stream) noexcept { return (stream & 2) != 0; }
constexpr bool is_server_initiated(StreamId stream) noexcept { return (stream & 1) != 0; }

inline constexpr std::uint32_t kVersion1 = 0x00000001;  // RFC 9000
inline constexpr std::uint32_t kVersion2 = 0x6b3343cf;  // RFC 9369

/// Taken from `Endpoint::next_event`, in the order things happened on each connection.
struct Event {
  enum class Type : std::uint8_t {
    /// The ALPN protocol is known and streams may be opened: on a server with the first flight of
    /// its handshake, on a client when the handshake is complete, or before its first flight leaves
    /// when it resumes with 0-RTT. First event of every connection that gets so far.
    ready,
    handshake_completed,  ///< RFC 9001 §4.1.1; the peer has proved its address
    handshake_confirmed,  ///< RFC 9001 §4.1.2; migration and key update are possible
    /// Client: the server did not take 0-RTT. Every stream opened so far is gone without a trace
    /// and must be opened again; comes before handshake_completed.
    early_data_rejected,
    stream_data,  ///< `stream`, `data` (in order), `fin`, `early`
    /// `stream`: `value` more bytes, in order, need not be kept any longer. Left out where
    /// stream_closed follows at once, which says so of all of them.
    stream_acked,
    stream_writable,  ///< `stream` was blocked by its flow control and may send again
    /// The peer gave up sending on `stream`; `value` is its error code, `size` all that it has
    /// sent.
    stream_reset,
    /// Both directions are done and acknowledged; the last of a `stream`. `value` is the code of
    /// the
    /// first reset or STOP_SENDING, from either side; 0 without one. The peer's STOP_SENDING shows
    /// earlier only as StreamSource::gone, since ngtcp2 does not report it. `size`: bytes given to
    /// Connection::write that never left.
    stream_closed,
    streams_available,  ///< the peer lets us open more streams
    datagram,           ///< `data`: a DATAGRAM frame's payload (RFC 9221)
    session,            ///< client: `Connection::take_session` has something
    path_changed,       ///< Connection::path() has moved (migration or NAT rebinding, validated)
    path_validated,     ///< client: the path that `migrate` asked for works
    path_failed,  ///< client: it does not; after an unprobed migration it is in use all the same
    path_silent,  ///< client: what is in use delivers nothing (Connection::watch_path)
    path_heard,   ///< client: it was silent, and is not any more
    /// 1-RTT keys changed (RFC 9001 §6). The peer's updates are reported late, when ngtcp2 prepares
    /// the keys after them (three PTOs).
    key_updated,
    closed,  ///< the connection is over; Connection::close_reason() says why. Last event
  };

  Type type;
  bool fin = false;
  bool early = false;  ///< arrived in 0-RTT, and the handshake is not complete: may be a replay
  Connection* connection = nullptr;  ///< valid until the event after `closed` is asked for
  StreamId stream = -1;
  std::uint64_t value = 0;
  std::uint64_t size = 0;
  Bytes data;
};

/// A piece of memory to send. Laid out like ngtcp2_vec, nghttp3_vec and iovec.
struct Vec {
  const std::uint8_t* data;
  std::size_t size;
};

/// Decides what a connection sends next on its streams: the scheduler. Asked while packets are
/// filled, never between; must not call back into the connection from these calls.
class StreamSource {
 public:
  struct Write {
    StreamId stream = -1;
    std::span<const Vec> data;  ///< from the stream's first unsent byte; valid until it is acked
    bool fin = false;           ///< `data` ends the stream
  };

  /// What to send next. False: nothing. `data` may be empty only with `fin`. It is asked again
  /// after each `sent`, `blocked` or `gone`; what was offered and not sent must be offered again.
  virtual bool next(Write& write) = 0;
  /// `count` bytes (and the end, if `fin`) of the offered data are in a packet. Keep the bytes
  /// until `Event::stream_acked`.
  virtual void sent(StreamId stream, std::size_t count, bool fin) = 0;
  /// The stream's flow control is used up: do not offer it until `Event::stream_writable`.
  virtual void blocked(StreamId stream) = 0;
  /// The stream is closed or reset: drop what is queued on it.
  virtual void gone(StreamId stream) = 0;

 protected:
  ~StreamSource() = default;
};

/// Has datagrams to send (RFC 9221) that may still be given up, because they have become too old
/// for instance. Asked while packets are filled, never between; must not call back into the
/// connection from these calls.
class DatagramSource {
 public:
  struct Datagram {
    ByteView payload;      ///< valid until `datagram_done`
    std::uint64_t id = 0;  ///< for `datagram_lost`; not UINT64_MAX
  };
  /// The next one. False: there is none now. The same may be offered again when the packet had no
  /// room for it.
  virtual bool next_datagram(Timestamp now, Datagram& datagram) = 0;
  /// The one offered last is in a packet; or not `sent`: it is larger than the path takes now.
  virtual void datagram_done(bool sent) = 0;
  /// A packet with a datagram of that ID was declared lost (RFC 9002 §6.1).
  virtual void datagram_lost(std::uint64_t id) = 0;

 protected:
  ~DatagramSource() = default;
};

/// A protocol on one connection (HTTP/3, hq-interop). Owned by the bound endpoint from `ready` to
/// `closed`.
class Application {
 public:
  virtual ~Application() = default;
  /// In the drain phase of a turn: change state and wake coroutines, never run application code.
  virtual void handle(const Event& event) = 0;
};

}  // namespace tern::quic
