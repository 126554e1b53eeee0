#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "transport/udp/address.h"

/// The seam for byte streams: TCP as `transport/engine` (the kernel's, through io_uring or epoll)
/// and `transport/sim` (a model, over simulated links) give it. `udp::Network::tcp()` has it, for
/// datagrams and streams share one loop; the first call of it adds "tcp.…" to the network's
/// counters, so it comes before other threads read them.
///
/// Nothing here calls back from inside a call: sinks hear from `Driver::reap` only. From there they
/// may do everything, destroying the stream or listener at hand included. All of it belongs to the
/// network's thread; streams and listeners die before their network (docs/decisions/0014).
///
/// Errors a stream ends with are `Domain::os`, and `code` is
///   ECONNREFUSED (origin remote)  nobody listens there
///   ECONNRESET   (origin remote)  the peer, or a box on the way, broke the connection off
///   ETIMEDOUT    (origin local)   no answer: to SYNs, to data, or to keep-alive probes
///   ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, ENETDOWN …  no way there from here

namespace tern::tcp {

class Listener;
class Stream;

/// The Error of a connection to `remote` that ended with this errno value. For those who implement
/// the seam.
Error stream_error(int number, const udp::Address& remote);

/// Who takes what happens to a stream. Outlives the stream, or the stream is given another.
class StreamSink {
 public:
  /// A connection asked for stands. The first call, unless it is `failed`; accepted streams do not
  /// get it.
  virtual void connected(Stream&) {}
  /// The peer's bytes, in order. They belong to the network and are valid during the call; they may
  /// be modified (decrypted in place). Not called while the stream is paused.
  virtual void receive(Stream& stream, MutableBytes bytes) = 0;
  /// The peer has finished (FIN): nothing more will be received. Writing goes on as before.
  virtual void end_of_stream(Stream& stream) = 0;
  /// `queued()` has fallen to `StreamOptions::low_water` or below after it had been above.
  virtual void writable(Stream&) {}
  /// The connection is over, or never stood; the last call. What was queued is dropped.
  virtual void failed(Stream& stream, const Error& error) = 0;

 protected:
  ~StreamSink() = default;
};

/// What TCP knows of a connection. Bytes count the stream's bytes, without headers.
struct StreamInfo {
  Duration rtt{0};           ///< smoothed; 0 before the first sample
  Duration rtt_variance{0};  ///< RFC 6298's RTTVAR
  Duration min_rtt{0};
  std::uint64_t congestion_window = 0;  ///< bytes
  std::uint64_t in_flight = 0;          ///< bytes sent and not acknowledged
  std::uint64_t bytes_sent = 0;         ///< retransmissions included
  std::uint64_t bytes_acknowledged = 0;
  std::uint64_t bytes_received = 0;  ///< in order
  std::uint64_t bytes_retransmitted = 0;
  std::uint64_t segments_retransmitted = 0;
  std::uint32_t mss = 0;  ///< bytes of a full segment, options taken off
};

/// A connected pair of byte streams, or one that is being connected. Owned by whoever made or
/// accepted it.
///
/// Destruction without `finish` breaks the connection off as `reset` does: half a message must not
/// look like a whole one. After `finish` it does not hurry anything: what is queued is still sent,
/// and what comes is read and thrown away until the peer has finished too, for at most
/// `StreamOptions::linger`; what is left then is reset. So a stream may be dropped right after its
/// last `write` and `finish`.
class Stream {
 public:
  virtual ~Stream() = default;

  virtual const udp::Address& local() const noexcept = 0;  ///< unspecified until connected
  virtual const udp::Address& remote() const noexcept = 0;
  /// Nobody on the way can read or change what goes over it: TLS.
  virtual bool secure() const noexcept { return false; }
  /// Fills `out` with keying material of TLS (RFC 8446 §7.5, RFC 5705), the same at both ends; to
  /// be had when the handshake is complete. Errors: unsupported without TLS, and with a TLS 1.2
  /// peer that does not know the extended master secret; invalid: a label of no or more than 249
  /// bytes, an output of none or more than 8160, or it is too early.
  virtual Result<void> export_keying_material(std::string_view /*label*/, ByteView /*context*/,
                                              MutableBytes /*out*/) const {
    return fail(Error(Code::unsupported, "there is no keying material without TLS"));
  }

  /// Gives the stream another sink, from now on. An accepted stream has none and is paused until it
  /// is given its first one.
  virtual void attach(StreamSink& sink) = 0;

  /// Queues bytes by reference; they go to TCP at the end of the turn, all writes of a turn in one
  /// gathered send, and earlier when there are many. May be called before `connected`. Refused
  /// whole, with nothing queued: Code::closed after `finish`, `reset` or failure; Code::limit when
  /// `queued()` would exceed `StreamOptions::max_queued`. Empty bytes do nothing.
  virtual Result<void> write(Bytes bytes) = 0;
  /// The same for several pieces, in order; a TLS stream puts them into as few records as it can.
  /// What was refused, and what comes after it, stays in `pieces`.
  virtual Result<void> write(std::span<Bytes> pieces);
  /// Bytes written that TCP has not taken yet, because its own buffer is full: how far the peer or
  /// the path is behind. Who writes more than a little waits for `StreamSink::writable` when this
  /// is above `StreamOptions::low_water`.
  virtual std::size_t queued() const noexcept = 0;
  /// What `StreamOptions::low_water` is for this stream.
  virtual std::size_t low_water() const noexcept = 0;
  /// Nothing will be written any more: FIN after the last byte queued. Receiving goes on.
  virtual void finish() = 0;
  /// Breaks off at once (RST): what is queued, and what TCP has not sent yet, is dropped. No sink
  /// hears from the stream again, and all that is left to do is to destroy it.
  virtual void reset() = 0;

  /// No more `receive` and no `end_of_stream` until `resume`: what comes stays in TCP's receive
  /// buffer, which closes the window when it is full, and at most
  /// `Network::kMaxHeldBytes` beside it. Failures are still told.
  virtual void pause() = 0;
  virtual void resume() = 0;
  virtual bool paused() const noexcept = 0;

  /// After `end_of_stream`: the peer meant it to end there. False for a TLS stream whose peer said
  /// no close_notify before it finished: anybody on the way can do that.
  virtual bool ended_cleanly() const noexcept { return true; }

  /// As of now; for a connection that has failed, as of its end.
  virtual StreamInfo info() const = 0;
};

/// Probes on a connection that is silent, to find out that the peer is gone (RFC 9293 §3.8.4).
struct KeepAlive {
  Duration idle = std::chrono::minutes(2);       ///< silence before the first probe
  Duration interval = std::chrono::seconds(15);  ///< between probes
  std::uint32_t probes = 4;                      ///< unanswered ones that end it, ETIMEDOUT
};

/// What may be chosen for each stream, made or accepted. Times are in whole seconds for KeepAlive
/// and whole milliseconds else; less is rounded up.
class StreamOptions {
 public:
  /// TCP_NODELAY: small writes are not held back for others to join them. Default on, for a turn's
  /// writes are gathered anyway.
  StreamOptions& no_delay(bool on) { return no_delay_ = on, *this; }
  /// Default: none.
  StreamOptions& keep_alive(const KeepAlive& probes) { return keep_alive_ = probes, *this; }
  /// How long sent bytes may stay unacknowledged before the connection fails with ETIMEDOUT
  /// (TCP_USER_TIMEOUT, RFC 5482). Default 0: the system's, on Linux 15 retransmissions, some
  /// 15 minutes.
  StreamOptions& user_timeout(Duration limit) { return user_timeout_ = limit, *this; }
  /// How long a finished stream lives on after its destruction; see Stream. Default 10 s.
  StreamOptions& linger(Duration limit) { return linger_ = limit, *this; }
  /// Default 64 KiB.
  StreamOptions& low_water(std::size_t bytes) { return low_water_ = bytes, *this; }
  /// Default 4 MiB.
  StreamOptions& max_queued(std::size_t bytes) { return max_queued_ = bytes, *this; }
  /// Unsent bytes that TCP itself takes from the queue (TCP_NOTSENT_LOWAT): the less, the later is
  /// decided what comes next on the connection; below the product of bandwidth and a turn's length
  /// it costs throughput. Default 128 KiB.
  StreamOptions& unsent_low_water(std::size_t bytes) { return unsent_low_water_ = bytes, *this; }

  bool no_delay() const noexcept { return no_delay_; }
  const std::optional<KeepAlive>& keep_alive() const noexcept { return keep_alive_; }
  Duration user_timeout() const noexcept { return user_timeout_; }
  Duration linger() const noexcept { return linger_; }
  std::size_t low_water() const noexcept { return low_water_; }
  std::size_t max_queued() const noexcept { return max_queued_; }
  std::size_t unsent_low_water() const noexcept { return unsent_low_water_; }

 private:
  bool no_delay_ = true;
  std::optional<KeepAlive> keep_alive_;
  Duration user_timeout_{0};
  Duration linger_ = std::chrono::seconds(10);
  std::size_t low_water_ = 64 * 1024;
  std::size_t max_queued_ = 4 * 1024 * 1024;
  std::size_t unsent_low_water_ = 128 * 1024;
};

struct ConnectOptions {
  udp::Address remote;
  /// The address to connect from; unspecified: the system chooses. Port 0: it chooses the port.
  udp::Address local;
  std::string device;  ///< SO_BINDTODEVICE / the simulator's link; empty: any
  /// Time to connect in, else ETIMEDOUT. The first SYN is repeated after 1 s, 3 s, 7 s, 15 s …
  Duration timeout = std::chrono::seconds(10);
  StreamOptions stream;
};

/// Who takes what a listener accepts. Outlives the listener.
class ListenSink {
 public:
  /// A client has connected. It is the sink's now: attach a StreamSink, or drop it.
  virtual void accepted(Listener& listener, std::unique_ptr<Stream> stream) = 0;
  /// The system cannot accept (EMFILE, ENFILE, ENOBUFS, ENOMEM). Clients wait in the backlog; it is
  /// tried again when a stream of this network closes, and after a second at the latest.
  virtual void accept_failed(Listener&, const Error&) {}

 protected:
  ~ListenSink() = default;
};

/// A group of listeners on one address, one for each worker, which the kernel spreads clients over
/// by a hash of addresses and ports. Opened in the order of `index`.
struct ReusePort {
  std::uint32_t index = 0;
  std::uint32_t count = 1;  ///< 1: no SO_REUSEPORT
};

struct ListenOptions {
  udp::Address bind;  ///< port 0: the system chooses
  ReusePort reuse_port;
  bool v6_only = false;          ///< an IPv6 wildcard takes IPv4 as well unless set
  std::string device;            ///< SO_BINDTODEVICE / the simulator's link; empty: any
  std::uint32_t backlog = 1024;  ///< clients that wait to be accepted; the system may allow fewer
  /// Streams of this listener that may be open at once; further clients wait in the backlog.
  std::size_t max_streams = 10'000;
  StreamOptions stream;  ///< of what is accepted
};

/// A bound, listening socket. Owned by whoever opened it; closing is destruction, which resets the
/// clients in its backlog. Accepted streams live on.
class Listener {
 public:
  virtual ~Listener() = default;
  /// The bound address, with the real port where 0 was asked for.
  virtual const udp::Address& local() const noexcept = 0;
  /// Accepted streams that are not closed yet, those that linger included.
  virtual std::size_t open_streams() const noexcept = 0;
};

class Network {
 public:
  /// What a paused stream may hold outside of TCP's own buffer.
  static constexpr std::size_t kMaxHeldBytes = 4 * 1024 * 1024;

  virtual ~Network() = default;

  virtual Result<std::unique_ptr<Listener>> listen(const ListenOptions& options,
                                                   ListenSink& sink) = 0;
  /// Begins to connect; `StreamSink::connected` or `failed` follows. What is wrong with the
  /// options or the host itself (no such device or local address, no route, no descriptors) is an
  /// Error at once.
  virtual Result<std::unique_ptr<Stream>> connect(const ConnectOptions& options,
                                                  StreamSink& sink) = 0;
};

}  // namespace tern::tcp
