#include "transport/quic/endpoint.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <ngtcp2/ngtcp2.h>

#include "base/check.h"
#include "transport/quic/crypto_bridge.h"
#include "transport/quic/library_memory.h"
#include "transport/quic/ngtcp2_bridge.h"

namespace tern::quic {

namespace {

/// RFC 9000 §10.3: a packet shorter than this is no stateless reset.
constexpr std::size_t kMinResetSize = 21;

StatelessResetKey reset_key_of(const EndpointOptions& options, Random& random) {
  return options.reset_key != nullptr ? *options.reset_key : StatelessResetKey(random);
}

}  // namespace

/// Expires by the endpoint's timer heap and takes its connection IDs out of the table.
class Endpoint::Lingering final : public TimerNode {
 public:
  Lingering(Endpoint& endpoint, const Connection& connection)
      : endpoint_(endpoint),
        cids_(connection.local_cids_),
        path_(connection.known_path_),
        packet_(connection.close_packet_) {}

  /// The peer goes on sending: answer its 1st, 2nd, 4th, 8th … packet (RFC 9000 §10.2.1).
  void answer() {
    ++received_;
    if (!packet_.empty() && (received_ & (received_ - 1)) == 0) {
      endpoint_.push_stateless(path_, packet_);
    }
  }

 private:
  void expire(Timestamp) override {
    // The last erase destroys this object.
    const auto cids = std::move(cids_);
    Endpoint& endpoint = endpoint_;
    for (const ConnectionId& cid : cids) endpoint.lingering_.erase(cid);
  }

  Endpoint& endpoint_;
  std::vector<ConnectionId> cids_;
  udp::Path path_;
  std::vector<std::uint8_t> packet_;
  std::uint64_t received_ = 0;
};

Endpoint::Counts::Counts(Counters& c)
    : datagrams_received(c.at("quic.datagrams_received")),
      packets_received(c.at("quic.packets_received")),
      packets_sent(c.at("quic.packets_sent")),
      bytes_received(c.at("quic.bytes_received")),
      bytes_sent(c.at("quic.bytes_sent")),
      accepted(c.at("quic.connections_accepted")),
      refused(c.at("quic.connections_refused")),
      connected(c.at("quic.connections_opened")),
      closed(c.at("quic.connections_closed")),
      open(c.at("quic.connections_open")),
      handshakes_completed(c.at("quic.handshakes_completed")),
      resumed(c.at("quic.handshakes_resumed")),
      early_data_accepted(c.at("quic.early_data_accepted")),
      retries(c.at("quic.retries_sent")),
      version_negotiations(c.at("quic.version_negotiations_sent")),
      stateless_resets(c.at("quic.stateless_resets_sent")),
      strays(c.at("quic.datagrams_handed_over")),
      dropped_short(c.at("quic.dropped.too_short")),
      dropped_no_connection(c.at("quic.dropped.no_connection")),
      dropped_malformed(c.at("quic.dropped.malformed")),
      dropped_token(c.at("quic.dropped.invalid_token")),
      migrations(c.at("quic.paths_changed")),
      key_updates(c.at("quic.key_updates")),
      stateless_dropped(c.at("quic.dropped.stateless_limit")),
      errors(c.at("quic.errors")),
      limit_non_productive(c.at("quic.limit.non_productive")),
      limit_fragments(c.at("quic.limit.fragments")),
      asleep(c.at("quic.connections_asleep")),
      woken(c.at("quic.connections_woken")) {}

std::size_t Endpoint::CidHash::operator()(const ConnectionId& cid) const noexcept {
  std::uint64_t hash = salt;
  std::uint8_t padded[24] = {};
  std::memcpy(padded, cid.data(), cid.size());
  for (std::size_t offset = 0; offset < 24; offset += 8) {
    std::uint64_t word;
    std::memcpy(&word, padded + offset, 8);
    hash = (hash ^ word) * 0x9fb21c651e98df25;
    hash ^= hash >> 32;
  }
  return static_cast<std::size_t>(hash);
}

Result<std::unique_ptr<Endpoint>> Endpoint::create(EndpointOptions options, TimerHeap& timers,
                                                   Random& random, Counters& counters,
                                                   LogSink& log) {
  auto cids = CidGenerator::create(options.cids);
  if (!cids) return fail(std::move(cids).error());
  if (options.transport.versions.empty()) {
    return fail(Error::invalid("at least one QUIC version is needed"));
  }
  return std::unique_ptr<Endpoint>(
      new Endpoint(std::move(options), std::move(*cids), timers, random, counters, log));
}

Endpoint::Endpoint(EndpointOptions options, CidGenerator cids, TimerHeap& timers, Random& random,
                   Counters& counters, LogSink& log)
    : options_(std::move(options)),
      cids_(std::move(cids)),
      timers_(timers),
      random_(random),
      log_(log),
      tokens_(options_.token_keys),
      reset_key_(reset_key_of(options_, random)),
      library_memory_(std::make_unique<LibraryMemory>(memory_)),
      by_cid_(16, CidHash{random.next()}),
      lingering_(16, CidHash{random.next()}),
      by_reset_token_(16, CidHash{random.next()}),
      counts_(counters) {}

Endpoint::~Endpoint() {
  // Applications may still look at their connections while they go.
  for (auto& [id, connection] : connections_) connection->application_.reset();
}

Event& Endpoint::emit(Event::Type type, Connection& connection) {
  Event& event = events_.emplace_back();
  event.type = type;
  event.connection = &connection;
  ++connection.waiting_events_;
  return event;
}

bool Endpoint::next_event(Event& event) {
  if (closing_ != nullptr) {
    Connection& dying = *closing_;
    closing_ = nullptr;
    destroy(dying);
  }
  if (next_event_ == events_.size()) {
    events_.clear();
    next_event_ = 0;
    return false;
  }
  event = std::move(events_[next_event_++]);
  Connection& connection = *event.connection;
  if (--connection.waiting_events_ == 0) connection.wake();
  switch (event.type) {
    case Event::Type::stream_acked: connection.queue_.acked(event.stream, event.value); break;
    case Event::Type::stream_writable:
      connection.queue_.writable(event.stream);
      connection.wake();
      break;
    case Event::Type::stream_closed:
      event.size = connection.queue_.forget(event.stream);
      if (!connection.hold_streams_) connection.allow_stream(event.stream);
      break;
    case Event::Type::key_updated: counts_.key_updates.add(); break;
    case Event::Type::closed: closing_ = &connection; break;
    default: break;
  }
  return true;
}

void Endpoint::receive(const udp::Arrival& arrival, Timestamp now, UnixSeconds unix_now,
                       bool handed_over) {
  now_ = now;
  unix_now_ = unix_now;
  handed_over_ = handed_over;
  MutableBytes rest = arrival.bytes;
  TERN_CHECK(arrival.segment_size > 0 || rest.empty());
  while (!rest.empty()) {
    const std::size_t size = std::min(arrival.segment_size, rest.size());
    counts_.datagrams_received.add();
    counts_.bytes_received.add(size);
    receive_datagram(arrival.path, arrival.ecn, rest.first(size));
    rest = rest.subspan(size);
  }
}

void Endpoint::unreachable(const udp::Address& remote, ByteView quoted, int error, Timestamp now) {
  now_ = now;
  ngtcp2_version_cid header;
  if (quoted.empty() || (quoted[0] & 0x80) == 0 ||
      ngtcp2_pkt_decode_version_cid(&header, quoted.data(), quoted.size(), 0) != 0) {
    return;
  }
  const ConnectionId dcid(ByteView(header.dcid, header.dcidlen));
  for (auto& [id, connection] : connections_) {
    if (connection->path().remote == remote && connection->unheard() &&
        connection->original_dcid() == dcid) {
      give_up(*connection, error);
      return;
    }
  }
}

void Endpoint::cannot_send(const udp::Path& path, int error, Timestamp now) {
  now_ = now;
  for (auto& [id, connection] : connections_) {
    if (connection->path() == path && connection->unheard()) give_up(*connection, error);
  }
}

void Endpoint::give_up(Connection& connection, int error) {
  const bool refused = error == ECONNREFUSED;
  connection.end(refused ? Error(Domain::os, ECONNREFUSED, "nobody listens on that UDP port")
                         : Error(Domain::os, static_cast<std::uint64_t>(error),
                                 Error::os(error, "").detail.substr(2)));
}

void Endpoint::receive_datagram(const udp::Path& path, udp::Ecn ecn, MutableBytes datagram) {
  if ((datagram[0] & 0x80) == 0) {
    receive_short(path, ecn, datagram);
    return;
  }
  if (probes_.receive(path, datagram, now_)) return;
  ngtcp2_version_cid header;
  const int decoded =
      ngtcp2_pkt_decode_version_cid(&header, datagram.data(), datagram.size(), cids_.cid_length());
  if (decoded == NGTCP2_ERR_VERSION_NEGOTIATION) {
    send_version_negotiation(path, {header.dcid, header.dcidlen}, {header.scid, header.scidlen});
    return;
  }
  if (decoded != 0 || header.dcidlen > kMaxCidLength) {
    counts_.dropped_malformed.add();
    return;
  }
  const ConnectionId dcid(ByteView(header.dcid, header.dcidlen));
  if (receive_known(dcid, path, ecn, datagram)) return;
  constexpr std::uint8_t kTypeMask = 0x30;
  // The Initial type is 0b00 in version 1 and 0b01 in version 2 (RFC 9369 §3.2).
  const std::uint8_t initial = header.version == kVersion2 ? 0x10 : 0x00;
  if ((datagram[0] & kTypeMask) == initial) {
    if (!is_elsewhere(dcid, true, path, ecn, datagram)) accept(path, ecn, datagram);
  } else if (!hand_over(dcid, path, ecn, datagram) &&
             !is_elsewhere(dcid, false, path, ecn, datagram)) {
    counts_.dropped_no_connection.add();
  }
}

void Endpoint::receive_short(const udp::Path& path, udp::Ecn ecn, MutableBytes datagram) {
  if (datagram.size() < 1 + cids_.cid_length()) {
    counts_.dropped_short.add();
    return;
  }
  const ConnectionId dcid(ByteView(datagram).subspan(1, cids_.cid_length()));
  if (receive_known(dcid, path, ecn, datagram)) return;
  if (datagram.size() >= kMinResetSize && !by_reset_token_.empty()) {
    const ConnectionId token(ByteView(datagram).last(NGTCP2_STATELESS_RESET_TOKENLEN));
    if (const auto found = by_reset_token_.find(token); found != by_reset_token_.end()) {
      // On the path in use alone: over another one it answers what was under way there, to a
      // connection ID that is retired by now, and such tokens no longer count (RFC 9000 §10.3.1).
      // ngtcp2 lets them count for three PTOs more.
      if (found->second->path() == path) {
        found->second->receive(path, ecn, datagram, now_);
      } else {
        counts_.dropped_no_connection.add();
      }
      return;
    }
  }
  if (hand_over(dcid, path, ecn, datagram) || is_elsewhere(dcid, false, path, ecn, datagram)) {
    return;
  }
  counts_.dropped_no_connection.add();
  if (options_.reset_key != nullptr) send_stateless_reset(path, dcid, datagram.size());
}

bool Endpoint::receive_known(const ConnectionId& cid, const udp::Path& path, udp::Ecn ecn,
                             MutableBytes datagram) {
  if (const auto found = by_cid_.find(cid); found != by_cid_.end()) {
    counts_.packets_received.add();
    found->second->receive(path, ecn, datagram, now_);
    return true;
  }
  if (const auto found = lingering_.find(cid); found != lingering_.end()) {
    found->second->answer();
    return true;
  }
  return false;
}

bool Endpoint::hand_over(ByteView dcid, const udp::Path& path, udp::Ecn ecn,
                         MutableBytes datagram) {
  if (options_.workers < 2 || handed_over_ || !stray) return false;
  const int worker = cids_.worker_of(dcid);
  if (worker < 0 || worker == cids_.worker() ||
      static_cast<std::size_t>(worker) >= options_.workers) {
    return false;
  }
  counts_.strays.add();
  udp::Arrival arrival;
  arrival.path = path;
  arrival.ecn = ecn;
  arrival.bytes = datagram;
  arrival.segment_size = datagram.size();
  stray(static_cast<std::size_t>(worker), arrival);
  return true;
}

bool Endpoint::is_elsewhere(ByteView dcid, bool initial, const udp::Path& path, udp::Ecn ecn,
                            MutableBytes datagram) {
  if (!elsewhere) return false;
  udp::Arrival arrival;
  arrival.path = path;
  arrival.ecn = ecn;
  arrival.bytes = datagram;
  arrival.segment_size = datagram.size();
  return elsewhere(dcid, initial, arrival);
}

bool Endpoint::fill(MutableBytes space, std::size_t& used, std::vector<udp::Transmit>& out,
                    Timestamp now) {
  now_ = now;
  if (!write_out(closes_, space, used, out) || !write_out(stateless_, space, used, out)) {
    return true;
  }
  // Up to the one that is last now: who has more to send goes to the end and waits its turn.
  const Connection* last = last_dirty_;
  while (first_dirty_ != nullptr) {
    Connection& connection = *first_dirty_;
    first_dirty_ = connection.next_dirty_;
    if (first_dirty_ == nullptr) last_dirty_ = nullptr;
    connection.next_dirty_ = nullptr;
    connection.dirty_ = false;
    const std::size_t before = out.size();
    const Connection::Written written = connection.fill(space, used, out, now);
    for (std::size_t i = before; i < out.size(); ++i) {
      counts_.packets_sent.add((out[i].length + out[i].segment_size - 1) / out[i].segment_size);
    }
    if (written == Connection::Written::more || written == Connection::Written::full) {
      mark_dirty(connection);
    }
    if (written == Connection::Written::full || &connection == last) break;
  }
  return has_work();
}

/// False: there is no room for all of them.
bool Endpoint::write_out(std::deque<Stateless>& packets, MutableBytes space, std::size_t& used,
                         std::vector<udp::Transmit>& out) {
  while (!packets.empty()) {
    const Stateless& packet = packets.front();
    if (space.size() - used < packet.packet.size()) return false;
    std::memcpy(space.data() + used, packet.packet.data(), packet.packet.size());
    udp::Transmit& transmit = out.emplace_back();
    transmit.path = packet.path;
    transmit.offset = static_cast<std::uint32_t>(used);
    transmit.length = transmit.segment_size = static_cast<std::uint32_t>(packet.packet.size());
    used += packet.packet.size();
    packets.pop_front();
  }
  return true;
}

void Endpoint::mark_dirty(Connection& connection) noexcept {
  if (connection.dirty_) return;
  connection.dirty_ = true;
  connection.next_dirty_ = nullptr;
  if (last_dirty_ != nullptr) {
    last_dirty_->next_dirty_ = &connection;
  } else {
    first_dirty_ = &connection;
  }
  last_dirty_ = &connection;
}

ConnectionId Endpoint::fresh_cid() {
  for (;;) {
    const ConnectionId cid = cids_.generate(random_);
    if (!by_cid_.contains(cid) && !lingering_.contains(cid)) return cid;
  }
}

void Endpoint::add_cid(const ConnectionId& cid, Connection& connection) {
  by_cid_[cid] = &connection;
  connection.local_cids_.push_back(cid);
}

void Endpoint::remove_cid(const ConnectionId& cid, Connection& connection) noexcept {
  const auto found = by_cid_.find(cid);
  if (found == by_cid_.end() || found->second != &connection) return;
  by_cid_.erase(found);
  std::erase(connection.local_cids_, cid);
}

void Endpoint::add_peer_reset_token(const ConnectionId& token, Connection& connection) {
  by_reset_token_[token] = &connection;
  connection.peer_reset_tokens_.push_back(token);
}

void Endpoint::remove_peer_reset_token(const ConnectionId& token, Connection& connection) noexcept {
  const auto found = by_reset_token_.find(token);
  if (found != by_reset_token_.end() && found->second == &connection) by_reset_token_.erase(found);
  std::erase(connection.peer_reset_tokens_, token);
}

StatelessResetKey::Token Endpoint::reset_token(const ConnectionId& cid) const noexcept {
  return reset_key_.token(cid);
}

/// The connection is over, though its events are still to be taken: its connection IDs linger.
void Endpoint::retire(Connection& connection) {
  for (const ConnectionId& cid : connection.local_cids_) by_cid_.erase(cid);
  while (!connection.peer_reset_tokens_.empty()) {
    remove_peer_reset_token(ConnectionId(connection.peer_reset_tokens_.back()), connection);
  }
  counts_.closed.add();
  const Error& reason = connection.close_reason();
  // One that never began has nothing to say either, and its client's next try is another.
  const bool never_began = connection.is_server() && !connection.handshake_complete() &&
                           connection.close_packet_.empty();
  const bool silent = reason.is(Code::timed_out) || reason.is(Code::stateless_reset);
  if (silent || never_began || !connection.conn_.exists() || connection.local_cids_.empty() ||
      lingering_.size() + connection.local_cids_.size() > kMaxLingering) {
    return;
  }
  const auto entry = std::make_shared<Lingering>(*this, connection);
  for (const ConnectionId& cid : connection.local_cids_) lingering_[cid] = entry;
  timers_.arm(*entry, now_ + 3 * Duration(ngtcp2_conn_get_pto(connection.conn_)));
}

void Endpoint::destroy(Connection& connection) {
  if (connection.dirty_) {
    Connection** link = &first_dirty_;
    Connection* previous = nullptr;
    while (*link != &connection) {
      previous = *link;
      link = &(*link)->next_dirty_;
    }
    *link = connection.next_dirty_;
    if (last_dirty_ == &connection) last_dirty_ = previous;
  }
  connections_.erase(connection.id());
  counts_.open.set(connections_.size());
  note_sleepers();
}

/// Some have gone to sleep, or woken up, or were asleep when they were destroyed.
void Endpoint::note_sleepers() noexcept { counts_.asleep.set(library_memory_->packed()); }

void Endpoint::close_all(std::uint64_t code, std::string_view reason) {
  for (auto& [id, connection] : connections_) connection->close(code, reason);
}

std::uint64_t Endpoint::probe(const udp::Path& path, PathProbes::Answered answered) {
  std::uint64_t id = 0;
  push_stateless(path, probes_.make(path, fresh_cid(), random_, std::move(answered), id));
  return id;
}

/// Asked before such a packet is made: in a flood, what is not sent must not cost its keys either.
bool Endpoint::stateless_full() noexcept {
  if (stateless_.size() < options_.max_stateless_packets) return false;
  counts_.stateless_dropped.add();
  return true;
}

void Endpoint::push_stateless(const udp::Path& path, std::vector<std::uint8_t> packet) {
  if (!stateless_full()) stateless_.push_back({path, std::move(packet)});
}

}  // namespace tern::quic
