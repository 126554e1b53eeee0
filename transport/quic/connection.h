#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fifo.h"
#include "base/time.h"
#include "base/timer_heap.h"
#include "transport/quic/cid.h"
#include "transport/quic/event.h"
#include "transport/quic/library_connection.h"
#include "transport/quic/mtu_probes.h"
#include "transport/quic/path_credit.h"
#include "transport/quic/path_monitor.h"
#include "transport/quic/session.h"
#include "transport/quic/stream_allowance.h"
#include "transport/quic/stream_queue.h"
#include "transport/udp/network.h"

struct ngtcp2_ccerr;

namespace tern::quic {

class CryptoBridge;
class Endpoint;
class PathWatch;
struct TransportOptions;
class QlogWriter;

/// What `Connection::stats` reports. Counters are totals since the connection began.
struct ConnectionStats {
  Duration smoothed_rtt{};
  Duration min_rtt{};
  Duration rtt_variation{};
  std::uint64_t congestion_window = 0;
  std::uint64_t bytes_in_flight = 0;
  std::uint64_t packets_sent = 0;
  std::uint64_t packets_received = 0;
  /// Numbers that the peer's later packets have passed, 0-RTT's and 1-RTT's: what was lost on the
  /// way here, and what the peer leaves out.
  std::uint64_t packets_missing = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t migrations = 0;  ///< path changes after the handshake
  std::uint64_t key_updates = 0;
  /// Key updates that the newest keys have seen which a packet of the peer's came with: it follows
  /// ours at once, and this shows it.
  std::uint64_t peer_key_generation = 0;
  std::size_t max_udp_payload = 0;  ///< what PMTUD has found
};

/// What the handshake settled. Copies, since the TLS state is freed early.
struct HandshakeInfo {
  std::uint32_t version = 0;  ///< negotiated: kVersion1 or kVersion2; 0: not QUIC, but TCP
  std::string tls_version;    ///< "TLSv1.2" or "TLSv1.3" over TCP; empty over QUIC: always 1.3
  std::string alpn;
  std::string cipher;
  std::string group;
  std::string server_name;
  bool resumed = false;
  bool early_data_accepted = false;
  bool early_data_rejected = false;
  std::string peer_certificate_subject;
  bool retried = false;  ///< the server asked for address validation by Retry
};

/// One QUIC connection, sans-IO. Owned by its `Endpoint`; references are valid until the event
/// after `Event::closed` is taken. Every call belongs to the endpoint's thread. Commands take
/// effect in packets at the next `Endpoint::fill`.
class Connection final : private TimerNode {
 public:
  ~Connection();

  bool is_server() const noexcept { return is_server_; }
  /// Unique in its endpoint for ever: for logs and maps.
  std::uint64_t id() const noexcept { return id_; }
  const HandshakeInfo& handshake() const noexcept { return handshake_; }
  bool handshake_complete() const noexcept { return handshake_complete_; }
  bool handshake_confirmed() const noexcept { return handshake_confirmed_; }
  /// Closed by us, the peer or a timeout; commands do nothing any more.
  bool closed() const noexcept { return close_reason_.has_value(); }
  /// A client's that has got nothing from its peer yet.
  bool unheard() const noexcept { return !is_server_ && !closed() && packets_received_ == 0; }
  /// Why it is over. NO_ERROR closes (QUIC 0, or HTTP/3's 0x100) are errors here too: look at the
  /// domain and code. Only after `closed`.
  const Error& close_reason() const { return *close_reason_; }
  udp::Path path() const;
  ConnectionStats stats() const;
  /// The DCID of the client's first Initial: names the connection in qlog and logs.
  const ConnectionId& original_dcid() const noexcept { return original_dcid_; }

  /// Streams. Error limit: the peer allows no more now (wait for streams_available).
  Result<StreamId> open_bidi();
  Result<StreamId> open_uni();
  /// How many the peer allows now.
  std::uint64_t bidi_left() const noexcept;
  std::uint64_t uni_left() const noexcept;
  /// Queues bytes on a stream of our default source; they are held until acknowledged. For streams
  /// that the set `StreamSource` does not schedule itself.
  void write(StreamId stream, Bytes bytes, bool fin);
  /// Bytes of `write` that no packet has taken yet.
  std::size_t unsent(StreamId stream) const noexcept;
  /// RESET_STREAM / STOP_SENDING with an application error code.
  void reset(StreamId stream, std::uint64_t code);
  void stop_sending(StreamId stream, std::uint64_t code);
  /// The application has taken `count` bytes that came on `stream`: windows open by as much.
  /// `stream_data` never opens windows by itself.
  void consumed(StreamId stream, std::size_t count);
  /// The same where the stream has ended: its own window is of no use any more.
  void credit(std::size_t count);
  /// Lets the peer open one more stream of that kind for each one that was closed: at once when it
  /// is near its limit, else together with others. Called for every peer's stream automatically at
  /// stream_closed unless `hold_streams(true)`.
  void hold_streams(bool on) noexcept { hold_streams_ = on; }
  void allow_stream(StreamId closed_stream);

  /// Replaces the scheduler; nullptr restores the default one. The source outlives its use and may
  /// fall back on `default_source()`.
  void set_source(StreamSource* source) noexcept;
  StreamSource& default_source() noexcept { return queue_; }
  /// There is something to send: have the endpoint fill this connection in this turn.
  void wake() noexcept;

  /// Of a datagram that nobody is told about.
  static constexpr std::uint64_t kOwnDatagram = UINT64_MAX;
  /// RFC 9221. At most kMaxDatagrams wait; beyond it, and above max_datagram(), false.
  static constexpr std::size_t kMaxDatagrams = 256;
  bool send_datagram(Bytes payload);
  /// Largest payload that the peer and the path take now; 0 if the peer takes none.
  std::size_t max_datagram() const noexcept;
  /// Where more datagrams wait, behind those of `send_datagram`; it is asked while packets are
  /// filled (`wake`). nullptr: nowhere. The source outlives its use.
  void set_datagram_source(DatagramSource* source) noexcept { datagram_source_ = source; }

  /// CONNECTION_CLOSE with an application error code; the reason is cut at 256 bytes.
  void close(std::uint64_t code, std::string_view reason);
  /// CONNECTION_CLOSE with a transport error code (RFC 9000 §20.1).
  void close_transport(std::uint64_t code, std::string_view reason);

  /// Client: moves to `local` (a socket of the endpoint). Probes first, unless `now_unprobed`:
  /// then traffic moves at once (RFC 9000 §9.2), with a PING, so that the peer's does too. What
  /// became of it tell Event::path_changed, path_validated and path_failed. Errors: unsupported
  /// when the server disabled migration; limit when it has given no connection ID to spare;
  /// invalid before confirmation, or while its preferred address is being validated.
  Result<void> migrate(const udp::Address& local, bool now_unprobed = false);
  /// Client: from now on tells by Event::path_silent when the path in use delivers nothing any more
  /// (transport/quic/path_monitor.h); sends PINGs to find out. `expecting` says whether requests
  /// are open; it is called in the endpoint's turn. Who is `alone`, with no other path to go to, is
  /// told nothing; its PINGs let the server know where it is by now.
  void watch_path(std::function<bool()> expecting, bool alone = false);
  /// Sends a PING soon, or whatever else is acknowledged.
  void ping();
  /// Ends the connection without a word to the peer, who cannot be reached.
  void abandon(Error reason);
  /// Tells the connection that its local address changed under it without a new socket (a
  /// rebinding by our own host): not a migration, no new connection ID.
  void rebind_local(const udp::Address& local);
  Result<void> update_keys();
  /// Fills `out` with keying material of TLS (RFC 8446 §7.5), the same at both ends. Errors:
  /// invalid before the handshake is complete, or for a label of no or more than 249 bytes, or an
  /// output of none or more than 8160; closed.
  Result<void> export_keying_material(std::string_view label, ByteView context,
                                      MutableBytes out) const;

  /// Client: the newest session for resumption, once each.
  bool take_session(Session& session);

  /// qlog of this connection, or nullptr.
  QlogWriter* qlog() noexcept { return qlog_.get(); }

  /// For whoever runs the protocol on this connection.
  Application* application() noexcept { return application_.get(); }
  void set_application(std::unique_ptr<Application> application);

 private:
  friend class Endpoint;
  friend class LibraryConnection;
  friend struct Ngtcp2Callbacks;  // ngtcp2_bridge.cc

  enum class Written : std::uint8_t { idle, more, full, failed };

  Connection(Endpoint& endpoint, const TransportOptions& transport, bool is_server,
             std::uint64_t id);

  // connection_io.cc
  void receive(const udp::Path& path, udp::Ecn ecn, ByteView datagram, Timestamp now);
  Written fill(MutableBytes space, std::size_t& used, std::vector<udp::Transmit>& out,
               Timestamp now);
  std::ptrdiff_t write_packet(struct PacketOut& out, std::uint64_t now);
  bool next_datagram(DatagramSource::Datagram& datagram);
  void datagram_done(const DatagramSource::Datagram& datagram, bool sent);
  void expire(Timestamp now) override;
  void rearm();
  void arm_timer();
  void fail_with(int library_error, Timestamp now);
  void note_error();
  void write_close(const ngtcp2_ccerr& error);
  void end(Error reason);
  void check_path();
  void peer_moved(const udp::Path& from, const udp::Path& to);
  bool awaits_challenge() const noexcept { return unchallenged_until_ != Timestamp(); }
  void note_other_path(const udp::Path& path, std::size_t came);
  void note_written(const udp::Path& path, std::size_t size);
  bool gave_up_path();
  bool went_too_far(Timestamp now);
  bool holds_back(const udp::Path& path, bool acknowledges_only);
  std::uint64_t bytes_in_flight() const;
  void note_progress();
  std::size_t packet_size() const noexcept;
  void choose_mtu_probes() noexcept;
  void look_for_black_hole(Timestamp now);
  // connection_path.cc
  void prepare_ping();
  void settle_ping(bool written);
  void note_path_response(std::uint64_t in_flight_before);
  std::size_t room_for_ping(std::size_t room) const;
  void watch(Timestamp now);
  void saw_silence(Timestamp now);
  void make_ready();
  void grant_streams();
  Timestamp rest_time(Timestamp now) const noexcept;
  bool goes_to_rest(Timestamp now);
  void woke() noexcept;
  Duration rest_delay() const noexcept;

  // ngtcp2_bridge.cc
  Event& emit(Event::Type type);
  void note_key_update();

  Endpoint& endpoint_;
  std::unique_ptr<CryptoBridge> crypto_;
  LibraryConnection conn_;
  StreamQueue queue_;  // the default source
  StreamSource* source_;
  DatagramSource* datagram_source_ = nullptr;
  std::unique_ptr<Application> application_;
  std::unique_ptr<QlogWriter> qlog_;
  Fifo<Bytes> datagrams_;
  std::vector<ConnectionId> local_cids_;
  std::vector<ConnectionId> peer_reset_tokens_;  // of the CIDs we send to; 16 bytes each
  std::vector<std::uint8_t> new_token_;
  std::optional<Error> close_reason_;
  std::vector<std::uint8_t> close_packet_;
  std::vector<std::uint32_t> offered_versions_;  // client: from a Version Negotiation packet
  HandshakeInfo handshake_;
  ConnectionId original_dcid_;
  std::uint64_t id_;
  std::uint64_t migrations_ = 0;
  std::uint64_t key_updates_ = 0;
  std::uint64_t packets_sent_ = 0;
  std::uint64_t packets_received_ = 0;
  std::uint64_t bytes_sent_ = 0;
  std::uint64_t bytes_received_ = 0;
  std::uint64_t key_preparations_ = 0;
  Timestamp last_progress_{};   // when the peer last acknowledged something, or nothing waited
  Timestamp due_ = kNever;      // when ngtcp2's timer is
  Timestamp rest_at_ = kNever;  // when it may rest, unless something is sent or received
  Timestamp asleep_since_{};
  Timestamp small_packets_until_{};  // a PMTU black hole was found (RFC 8899 §4.3)
  udp::Path known_path_;
  udp::Path fallback_path_;         // server: the last that was validated, while known_path_ is not
  udp::Path unchallenged_path_;     // server: nothing goes there before a PATH_CHALLENGE …
  Timestamp unchallenged_until_{};  // … for so long
  PathCredit credit_;               // server: to known_path_, while that is not validated
  PathCredit::Challenge challenge_{};  // the newest
  ProbedPath probed_;
  MtuProbes mtu_probes_;
  std::unique_ptr<PathWatch> path_watch_;
  PathMonitor::Brought brought_ = PathMonitor::Brought::nothing;  // the datagram being read
  Duration keep_alive_;
  Duration rest_after_;
  std::uint64_t max_non_productive_;
  std::size_t max_blocks_;
  int pings_wanted_ = 0;
  StreamAllowance bidi_allowance_;
  StreamAllowance uni_allowance_;
  Connection* next_dirty_ = nullptr;  // the endpoint's list of connections to fill
  std::size_t waiting_events_ = 0;    // in the endpoint's queue
  std::uint8_t short_sleeps_ = 0;     // in a row
  bool is_server_;
  bool ecn_;
  bool dirty_ = false;
  bool ready_ = false;
  bool handshake_complete_ = false;
  bool handshake_confirmed_ = false;
  bool hold_streams_ = false;
  bool wrote_once_ = false;
  bool nothing_waits_ = false;        // the source had nothing when it was last asked
  bool counts_as_handshake_ = false;  // in the endpoint's open_handshakes_
  bool reset_by_peer_ = false;        // a stateless reset arrived
  bool path_may_have_changed_ = false;
  bool challenge_written_ = false;  // into the packet being made
  bool owes_ping_ = false;          // behind a PATH_RESPONSE
  bool handshake_noted_ = false;
  bool confirmation_noted_ = false;
  bool wants_new_token_ = false;
  bool session_announced_ = false;
};

}  // namespace tern::quic
