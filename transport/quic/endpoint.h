#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/counters.h"
#include "base/log.h"
#include "base/memory_pool.h"
#include "base/random.h"
#include "base/timer_heap.h"
#include "transport/quic/cid.h"
#include "transport/quic/connection.h"
#include "transport/quic/options.h"
#include "transport/quic/path_probe.h"
#include "transport/udp/network.h"

struct ngtcp2_pkt_hd;

namespace tern::quic {

class LibraryMemory;

/// All QUIC connections of one worker, client and server, sans-IO: datagrams and time in, packets
/// and events out. It touches no socket and no clock. Single-threaded.
///
///   receive(arrival, now) …  ►  next_event(event) until false  ►  fill(…) until false
///
/// Timers live in the heap given at construction: whoever owns that heap expires it.
class Endpoint {
 public:
  /// The heap, the random numbers, the counters and the log outlive the endpoint.
  static Result<std::unique_ptr<Endpoint>> create(EndpointOptions options, TimerHeap& timers,
                                                  Random& random, Counters& counters, LogSink& log);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  /// Feeds what a socket received. `unix_now` ages tokens, tickets and certificates.
  /// `handed_over`: another worker received it, so it is not handed on again.
  void receive(const udp::Arrival& arrival, Timestamp now, UnixSeconds unix_now,
               bool handed_over = false);
  /// ICMP said that a datagram to `remote` found nobody, or no way. Ends a client's attempt at a
  /// connection, with an Error of Domain::os, if `quoted` (the datagram's beginning) is of its
  /// first flight and the peer has not been heard of. Nothing else: an established connection
  /// cannot be ended by a forged message, and the random connection ID keeps others from forging
  /// this one.
  void unreachable(const udp::Address& remote, ByteView quoted, int error, Timestamp now);
  /// The host itself could not send on `path`: likewise, without proof.
  void cannot_send(const udp::Path& path, int error, Timestamp now);
  /// The next thing that happened. After `Event::closed`, the connection is destroyed when the next
  /// event is asked for.
  bool next_event(Event& event);
  bool has_events() const noexcept { return next_event_ < events_.size(); }
  /// Whose event is the next; nullptr without one.
  const Connection* next_connection() const noexcept {
    return has_events() ? events_[next_event_].connection : nullptr;
  }

  /// Opens a client connection. It belongs to the endpoint.
  Result<Connection*> connect(const ConnectOptions& options, Timestamp now, UnixSeconds unix_now);

  /// Client: asks whether the server at `path.remote` answers on `path`, whose local address is
  /// that of one of the endpoint's sockets; see PathProbes. Returns the probe's name.
  std::uint64_t probe(const udp::Path& path, PathProbes::Answered answered);
  /// `answered` is not called any more.
  void forget_probe(std::uint64_t probe) { probes_.forget(probe); }

  /// Writes packets into `space` and says in `out` how to send them, as many as fit. False when
  /// nobody has anything to send; true: call again with fresh space. One call serves each
  /// connection at most once, so a busy one does not starve the rest; one that has received
  /// something, only when its events were taken.
  bool fill(MutableBytes space, std::size_t& used, std::vector<udp::Transmit>& out, Timestamp now);
  bool has_work() const noexcept {
    return first_dirty_ != nullptr || !stateless_.empty() || !closes_.empty();
  }

  /// Takes datagrams whose connection ID names another worker of this machine. The bytes are valid
  /// during the call. Without it they are dropped.
  std::function<void(std::size_t worker, const udp::Arrival&)> stray;

  /// Asked about every datagram for a connection ID that nobody here knows, and about every Initial
  /// that would begin a connection: may it be another process's, that this one takes over from?
  /// True: taken. The bytes are valid during the call. Without it, such datagrams are answered with
  /// a stateless reset, or accepted.
  std::function<bool(ByteView dcid, bool initial, const udp::Arrival&)> elsewhere;

  /// Connections of the same owner's that are not here, on TCP for instance, and count as those
  /// that are here when `EndpointOptions::max_connections` is looked at. Without it: none.
  std::function<std::size_t()> other_connections;

  /// New connections use it from now on; existing ones keep what they began with.
  void set_server_context(std::shared_ptr<const tls::ServerContext> context) {
    options_.server_context = std::move(context);
  }
  /// Refuses new connections (CONNECTION_REFUSED), for draining.
  void set_accepting(bool on) noexcept { accepting_ = on; }
  /// Closes `connection`, a server's whose handshake is not complete, in the same way: the client
  /// may go elsewhere at once.
  void refuse(Connection& connection);

  /// Closes every connection with an application error code.
  void close_all(std::uint64_t code, std::string_view reason);

  std::size_t connections() const noexcept { return connections_.size(); }
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (auto& [id, connection] : connections_) visit(*connection);
  }
  const EndpointOptions& options() const noexcept { return options_; }

 private:
  friend class Connection;
  friend struct Ngtcp2Callbacks;

  /// A packet that belongs to no connection: version negotiation, Retry, stateless reset, refusal;
  /// or the last one of a connection.
  struct Stateless {
    udp::Path path;
    std::vector<std::uint8_t> packet;
  };
  /// What is left of a closed connection: its close packet, sent again when the peer goes on
  /// (RFC 9000 §10.2.1), for three PTOs. Without a packet (the peer closed) it only keeps its
  /// connection IDs from being answered with a stateless reset.
  class Lingering;

  Endpoint(EndpointOptions options, CidGenerator cids, TimerHeap& timers, Random& random,
           Counters& counters, LogSink& log);

  void give_up(Connection& connection, int error);
  void receive_datagram(const udp::Path& path, udp::Ecn ecn, MutableBytes datagram);
  void receive_short(const udp::Path& path, udp::Ecn ecn, MutableBytes datagram);
  bool receive_known(const ConnectionId& cid, const udp::Path& path, udp::Ecn ecn,
                     MutableBytes datagram);
  bool hand_over(ByteView dcid, const udp::Path& path, udp::Ecn ecn, MutableBytes datagram);
  bool is_elsewhere(ByteView dcid, bool initial, const udp::Path& path, udp::Ecn ecn,
                    MutableBytes datagram);
  void accept(const udp::Path& path, udp::Ecn ecn, MutableBytes datagram);
  Connection* make_server_connection(const ngtcp2_pkt_hd& header, const udp::Path& path,
                                     const ValidatedToken* token);
  Result<void> open_library_connection(Connection& connection, const ConnectOptions& options);
  void send_version_negotiation(const udp::Path& path, ByteView dcid, ByteView scid);
  void send_retry(const udp::Path& path, const ngtcp2_pkt_hd& header);
  void send_refusal(const udp::Path& path, const ngtcp2_pkt_hd& header, std::uint64_t code,
                    std::string_view reason);
  void send_stateless_reset(const udp::Path& path, ByteView dcid, std::size_t received_size);
  bool stateless_full() noexcept;
  void push_stateless(const udp::Path& path, std::vector<std::uint8_t> packet);
  static bool write_out(std::deque<Stateless>& packets, MutableBytes space, std::size_t& used,
                        std::vector<udp::Transmit>& out);

  ConnectionId fresh_cid();
  void add_cid(const ConnectionId& cid, Connection& connection);
  void remove_cid(const ConnectionId& cid, Connection& connection) noexcept;
  void add_peer_reset_token(const ConnectionId& token, Connection& connection);
  void remove_peer_reset_token(const ConnectionId& token, Connection& connection) noexcept;
  StatelessResetKey::Token reset_token(const ConnectionId& cid) const noexcept;
  void mark_dirty(Connection& connection) noexcept;
  void linger(Connection& connection, Duration how_long);
  void note_sleepers() noexcept;
  void retire(Connection& connection);
  Event& emit(Event::Type type, Connection& connection);
  void destroy(Connection& connection);

  /// Peers choose some of the CIDs in our tables, so the hash is salted.
  struct CidHash {
    std::uint64_t salt;
    std::size_t operator()(const ConnectionId& cid) const noexcept;
  };
  static constexpr std::size_t kMaxLingering = 10'000;

  EndpointOptions options_;
  CidGenerator cids_;
  TimerHeap& timers_;
  Random& random_;
  LogSink& log_;
  MemoryPool memory_;
  ChunkArena arena_;
  AddressTokens tokens_;
  StatelessResetKey reset_key_;
  std::unique_ptr<LibraryMemory> library_memory_;
  UnixSeconds unix_now_ = 0;
  Timestamp now_{};
  bool accepting_ = true;
  bool handed_over_ = false;  // the arrival being received
  std::uint64_t next_id_ = 1;
  std::size_t open_handshakes_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::unordered_map<ConnectionId, Connection*, CidHash> by_cid_;
  std::unordered_map<ConnectionId, std::shared_ptr<Lingering>, CidHash> lingering_;
  /// A stateless reset carries no connection ID, only its token at the end (RFC 9000 §10.3.1).
  std::unordered_map<ConnectionId, Connection*, CidHash> by_reset_token_;
  std::deque<Stateless> stateless_;  // at most max_stateless_packets
  std::deque<Stateless> closes_;     // one of each connection that has ended since the last `fill`
  PathProbes probes_;
  std::vector<Event> events_;
  std::size_t next_event_ = 0;
  Connection* closing_ = nullptr;  // its `closed` event was given out last
  Connection* first_dirty_ = nullptr;
  Connection* last_dirty_ = nullptr;

  struct Counts {
    explicit Counts(Counters& counters);
    Counter &datagrams_received, &packets_received, &packets_sent, &bytes_received, &bytes_sent;
    Counter &accepted, &refused, &connected, &closed, &open, &handshakes_completed, &resumed;
    Counter &early_data_accepted, &retries, &version_negotiations, &stateless_resets, &strays;
    Counter &dropped_short, &dropped_no_connection, &dropped_malformed, &dropped_token;
    Counter &migrations, &key_updates, &stateless_dropped;
    Counter &errors, &limit_non_productive, &limit_fragments, &asleep, &woken;
  } counts_;
};

}  // namespace tern::quic
