#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <ngtcp2/ngtcp2.h>

#include "base/check.h"
#include "transport/quic/broken_rule.h"
#include "transport/quic/connection.h"
#include "transport/quic/crypto_bridge.h"
#include "transport/quic/endpoint.h"
#include "transport/quic/ngtcp2_bridge.h"
#include "transport/quic/path_watch.h"
#include "transport/tls/alert.h"

/// A connection's packets: what comes in, what goes out, what the clock does.

namespace tern::quic {

/// A packet being written, and where ngtcp2 says it is to go.
struct PacketOut {
  MutableBytes space;
  ngtcp2_path_storage path;
  ngtcp2_pkt_info info;
};

namespace {

/// Packets of one connection in one fill before the others have their turn.
constexpr std::size_t kMaxPacketsPerFill = 64;
constexpr std::size_t kMaxCloseReason = 256;
/// RFC 9002 §6.1.2: no timer needs to be finer.
constexpr Duration kTimerGranularity = std::chrono::milliseconds(1);
/// A sleep shorter than so many times what it takes to fall asleep was hardly worth waking up from
/// (docs/decisions/0031): the next time, it takes twice as long, and at most 16 times.
constexpr int kGoodSleep = 10;
constexpr std::uint8_t kMostShortSleeps = 4;
/// A packet smaller than this is no PMTUD probe, path probe or answer to one, which are padded, and
/// whatever frames were waiting besides had room in it.
constexpr std::size_t kSmallPacket = 512;
/// Later than now, and no more than that.
constexpr Duration kNextInstant = std::chrono::microseconds(1);

Error describe_close(const ngtcp2_ccerr& error) {
  const std::string reason(reinterpret_cast<const char*>(error.reason), error.reasonlen);
  switch (error.type) {
    case NGTCP2_CCERR_TYPE_APPLICATION:
      return Error(Domain::application, error.error_code, reason, Origin::remote);
    case NGTCP2_CCERR_TYPE_IDLE_CLOSE: return Error(Code::timed_out, "idle timeout");
    default: break;
  }
  constexpr std::uint64_t kCryptoError = 0x100;  // RFC 9000 §20.1
  if (error.error_code >= kCryptoError && error.error_code < kCryptoError + 0x100) {
    const auto alert = static_cast<std::uint8_t>(error.error_code - kCryptoError);
    return Error(Domain::tls, alert,
                 reason.empty() ? std::string(tls::alert_name(alert))
                                : fmt::format("{}: {}", tls::alert_name(alert), reason),
                 Origin::remote);
  }
  return Error(Domain::quic, error.error_code, reason, Origin::remote);
}

bool waits_for_old_path(const CryptoBridge& crypto, Timestamp now) noexcept {
  const OldPathFirst* const waits = crypto.packets().old_path_first();
  return waits != nullptr && waits->waits(now);
}

/// For what the old path has lost (old_path_first.h): nothing new goes out for now. Of the ten
/// packets of a first window that leaves six for new bytes, two for probes of the path, and two for
/// bytes that are sent again, since a packet of the old path may be longer than one of the new.
bool keeps_room(const CryptoBridge& crypto, ngtcp2_conn* conn, Timestamp now) noexcept {
  if (!waits_for_old_path(crypto, now)) return false;
  ngtcp2_conn_info info;
  ngtcp2_conn_get_conn_info(conn, &info);
  return info.bytes_in_flight >= info.cwnd * 7 / 12;
}

}  // namespace

void Connection::receive(const udp::Path& path, udp::Ecn ecn, ByteView datagram, Timestamp now) {
  if (closed()) return;
  ++packets_received_;
  bytes_received_ += datagram.size();
  rest_at_ = rest_time(now);
  const bool known_path = path == known_path_;
  if (known_path) credit_.received(datagram.size());
  if (!is_server_ || !handshake_complete_) crypto_->set_unix_time(endpoint_.unix_now_);
  if (!known_path && handshake_confirmed_) {
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(conn_, &info);
    crypto_->packets().make_old_path_first().may_move(Duration(info.smoothed_rtt),
                                                      Duration(ngtcp2_conn_get_pto(conn_)), now);
  }
  OldPathFirst* const old_path_first = crypto_->packets().old_path_first();
  if (old_path_first != nullptr && old_path_first->active()) old_path_first->at(now);
  const bool late = !known_path && path_watch_ != nullptr &&
                    path_watch_->comes_late(path, now, Duration(ngtcp2_conn_get_pto(conn_)));
  crypto_->packets().from_elsewhere(late);
  const ngtcp2_path library_path = to_library(late ? known_path_ : path);
  const ngtcp2_pkt_info info{static_cast<std::uint8_t>(ecn)};
  const int result = ngtcp2_conn_read_pkt(conn_, &library_path, &info, datagram.data(),
                                          datagram.size(), to_library(now));
  if (result != 0) {
    fail_with(result, now);
    return;
  }
  if (path_watch_ != nullptr && path == known_path_) {
    const auto brought = std::exchange(brought_, PathMonitor::Brought::nothing);
    if (path_watch_->monitor.received(now, brought)) emit(Event::Type::path_heard);
    if (!path_watch_->alone) pings_wanted_ = 0;
    watch(now);
  }
  note_progress();
  if (went_too_far(now)) return;
  grant_streams();  // the peer may have come near its limit
  // NAT rebinding moves the path before it is validated.
  if (is_server_ && !(path == known_path_)) path_may_have_changed_ = true;
  if (path_may_have_changed_) check_path();
  if (old_path_first != nullptr) old_path_first->stays();
  if (is_server_ && !known_path) note_other_path(path, datagram.size());
  // Otherwise when its events are taken: what they bring about goes with the acknowledgement.
  if (waiting_events_ == 0) wake();
}

/// What ngtcp2 takes without end. True: the connection is over.
bool Connection::went_too_far(Timestamp now) {
  if (crypto_->packets().non_productive().too_many(now, packets_sent_, max_non_productive_)) {
    endpoint_.counts_.limit_non_productive.add();
    close_transport(NGTCP2_PROTOCOL_VIOLATION, "too many packets that bring nothing");
  } else if (conn_.blocks_beyond() > max_blocks_) {
    endpoint_.counts_.limit_fragments.add();
    close_transport(NGTCP2_INTERNAL_ERROR, "too many gaps in what came on streams");
  } else {
    return false;
  }
  note_error();
  return true;
}

void Connection::note_progress() {
  if (handshake_complete_ && !handshake_noted_) {
    handshake_noted_ = true;
    if (counts_as_handshake_) {
      counts_as_handshake_ = false;
      --endpoint_.open_handshakes_;
    }
    make_ready();
    const HandshakeFacts facts = crypto_->facts();
    handshake_.version = ngtcp2_conn_get_negotiated_version(conn_);
    handshake_.alpn = facts.alpn;  // a refusal of 0-RTT may have changed it
    handshake_.cipher = facts.cipher;
    handshake_.group = facts.group;
    handshake_.server_name = facts.server_name;
    handshake_.resumed = facts.resumed;
    handshake_.early_data_accepted = facts.early_data_accepted;
    handshake_.peer_certificate_subject = facts.peer_certificate_subject;
    if (!is_server_) handshake_.retried = ngtcp2_conn_after_retry(conn_) != 0;
    endpoint_.counts_.handshakes_completed.add();
    if (facts.resumed) endpoint_.counts_.resumed.add();
    if (facts.early_data_accepted) endpoint_.counts_.early_data_accepted.add();
    emit(Event::Type::handshake_completed);
    if (is_server_) {
      // The client's first DCID is of no use once it has ours.
      endpoint_.remove_cid(original_dcid_, *this);
      wants_new_token_ = true;
    }
  }
  if (handshake_confirmed_ && !confirmation_noted_) {
    confirmation_noted_ = true;
    emit(Event::Type::handshake_confirmed);
  }
  if (wants_new_token_ && is_server_ && endpoint_.options_.token_keys != nullptr) {
    wants_new_token_ = false;
    const auto token =
        endpoint_.tokens_.new_token(endpoint_.random_, ngtcp2_conn_get_negotiated_version(conn_),
                                    known_path_.remote.ip(), endpoint_.unix_now_);
    ngtcp2_conn_submit_new_token(conn_, token.bytes.data(), token.size);
  }
  if (!is_server_ && !session_announced_ && crypto_->has_session()) {
    session_announced_ = true;
    emit(Event::Type::session);
  }
}

void Connection::make_ready() {
  if (ready_) return;
  ready_ = true;
  handshake_.alpn = crypto_->facts().alpn;
  emit(Event::Type::ready);
}

/// The next datagram that the path takes: first of `send_datagram`'s.
bool Connection::next_datagram(DatagramSource::Datagram& datagram) {
  for (;;) {
    if (!datagrams_.empty()) {
      datagram.payload = datagrams_.front().view();
      datagram.id = kOwnDatagram;
    } else if (datagram_source_ == nullptr ||
               !datagram_source_->next_datagram(endpoint_.now_, datagram)) {
      return false;
    }
    if (datagram.payload.size() <= max_datagram()) return true;
    datagram_done(datagram, false);  // the path has shrunk since
  }
}

void Connection::datagram_done(const DatagramSource::Datagram& datagram, bool sent) {
  if (datagram.id == kOwnDatagram) {
    datagrams_.pop();
  } else {
    datagram_source_->datagram_done(sent);
  }
}

std::ptrdiff_t Connection::write_packet(PacketOut& out, std::uint64_t now) {
  nothing_waits_ = false;
  for (DatagramSource::Datagram datagram; ready_ && next_datagram(datagram);) {
    int accepted = 0;
    const Vec piece{datagram.payload.data(), datagram.payload.size()};
    const ngtcp2_ssize written = ngtcp2_conn_writev_datagram(
        conn_, &out.path.path, &out.info, out.space.data(), out.space.size(), &accepted,
        NGTCP2_WRITE_DATAGRAM_FLAG_MORE, datagram.id, reinterpret_cast<const ngtcp2_vec*>(&piece),
        piece.size == 0 ? 0 : 1, now);  // no piece may be empty
    if (accepted != 0) datagram_done(datagram, true);
    // ngtcp2 allows no other call now: go straight on to what shares the packet.
    if (written != NGTCP2_ERR_WRITE_MORE) return written;
  }
  for (;;) {
    StreamSource::Write write;
    const bool offered =
        ready_ && !keeps_room(*crypto_, conn_, endpoint_.now_) && source_->next(write);
    nothing_waits_ = !offered;
    std::uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
    std::size_t total = 0;
    if (offered) {
      flags |= NGTCP2_WRITE_STREAM_FLAG_MORE;
      if (write.fin) flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
      for (const Vec& vec : write.data) total += vec.size;
    } else {
      write = {};
    }
    static_assert(sizeof(Vec) == sizeof(ngtcp2_vec));
    ngtcp2_ssize taken = -1;
    const ngtcp2_ssize written = ngtcp2_conn_writev_stream(
        conn_, &out.path.path, &out.info, out.space.data(), out.space.size(), &taken, flags,
        write.stream, reinterpret_cast<const ngtcp2_vec*>(write.data.data()), write.data.size(),
        now);
    if (taken >= 0) {
      const auto count = static_cast<std::size_t>(taken);
      source_->sent(write.stream, count, write.fin && count == total);
    }
    switch (written) {
      case NGTCP2_ERR_WRITE_MORE: continue;
      case NGTCP2_ERR_STREAM_DATA_BLOCKED: source_->blocked(write.stream); continue;
      case NGTCP2_ERR_STREAM_SHUT_WR:
      case NGTCP2_ERR_STREAM_NOT_FOUND: source_->gone(write.stream); continue;
      default: return written;
    }
  }
}

Connection::Written Connection::fill(MutableBytes space, std::size_t& used,
                                     std::vector<udp::Transmit>& out, Timestamp now) {
  if (closed()) return Written::idle;
  const std::uint64_t library_now = to_library(now);
  const std::size_t largest = packet_size();
  const OldPathFirst* const waits = crypto_->packets().old_path_first();
  const std::size_t quantum = ngtcp2_conn_get_send_quantum(conn_);
  PacketOut packet;
  ngtcp2_path_storage_zero(&packet.path);
  udp::Transmit* batch = nullptr;
  Written result = Written::more;
  std::size_t written_bytes = 0;
  if (owes_ping_) pings_wanted_ = std::max(pings_wanted_, 1);
  // Neither a timer, which may want two probes of loss recovery, nor a change of paths.
  const bool as_usual = handshake_confirmed_ && now < due_ && waits == nullptr &&
                        !credit_.limited() && !awaits_challenge();
  for (std::size_t count = 0; count < kMaxPacketsPerFill; ++count) {
    if (space.size() - used < largest) {
      result = Written::full;
      break;
    }
    const std::size_t room = credit_.room(largest);
    packet.space = space.subspan(used, owes_ping_ ? room_for_ping(room) : room);
    packet.info = {};
    challenge_written_ = false;
    const std::uint64_t in_flight = awaits_challenge() || owes_ping_ ? bytes_in_flight() : 0;
    if (pings_wanted_ > 0) prepare_ping();
    const std::ptrdiff_t size = write_packet(packet, library_now);
    if (pings_wanted_ > 0) settle_ping(size > 0);
    if (size < 0) {
      fail_with(static_cast<int>(size), now);
      return Written::failed;
    }
    if (size == 0) {
      if (gave_up_path() || (packet.space.size() < room && pings_wanted_ == 0)) continue;
      result = Written::idle;
      break;
    }
    note_path_response(in_flight);
    const auto length = static_cast<std::uint32_t>(size);
    const udp::Path path = from_library(packet.path.path);
    if (is_server_) note_written(path, length);
    if (awaits_challenge() && holds_back(path, bytes_in_flight() == in_flight)) continue;
    const auto ecn = static_cast<udp::Ecn>(ecn_ ? packet.info.ecn & 3 : 0);
    if (batch != nullptr && batch->ecn == ecn && length <= batch->segment_size &&
        batch->length % batch->segment_size == 0 &&
        batch->length + length <= udp::Slab::kMaxTransmit &&
        batch->length / batch->segment_size < udp::Slab::kMaxSegments && batch->path == path) {
      batch->length += length;
    } else {
      batch = &out.emplace_back();
      batch->path = path;
      batch->ecn = ecn;
      batch->offset = static_cast<std::uint32_t>(used);
      batch->length = length;
      batch->segment_size = length;
    }
    used += length;
    written_bytes += length;
    ++packets_sent_;
    if (written_bytes >= quantum) break;
    // To ask once more, for nothing, is a quarter of what the packet has cost.
    if (as_usual && nothing_waits_ && length < kSmallPacket && pings_wanted_ == 0 && !owes_ping_ &&
        !path_may_have_changed_ && path == known_path_) {
      result = Written::idle;
      break;
    }
  }
  bytes_sent_ += written_bytes;
  endpoint_.counts_.bytes_sent.add(written_bytes);
  if (!wrote_once_) {
    wrote_once_ = true;
    if (!is_server_ && crypto_->offers_early_data()) {
      // ngtcp2 opens 0-RTT streams only after its first write. The requests follow in this turn's
      // next fill, and pacing counts from there: they belong to the same flight.
      make_ready();
      return Written::more;
    }
  }
  // The new path's round trip is not known before the old one has been waited for; paced by the one
  // that ngtcp2 assumes, a packet that the old path has lost would wait longer than for its window,
  // and the window after it for the old path's round trip.
  if (waits == nullptr || (!waits->moving() && !waits->settling(now)))
    ngtcp2_conn_update_pkt_tx_time(conn_, library_now);
  if (written_bytes > 0) {
    rest_at_ = rest_time(now);
    if (path_watch_ != nullptr) watch(now);
  }
  rearm();
  return result;
}

std::size_t Connection::packet_size() const noexcept {
  if (endpoint_.now_ < small_packets_until_) return NGTCP2_MAX_UDP_PAYLOAD_SIZE;
  return mtu_probes_.largest();
}

/// The handshake is complete; ngtcp2 is about to begin with PMTUD.
void Connection::choose_mtu_probes() noexcept {
  ngtcp2_conn_info info;
  ngtcp2_conn_get_conn_info(conn_, &info);
  if (info.min_rtt > to_library(MtuProbes::kJumboRtt)) mtu_probes_.limit(MtuProbes::kEthernet);
}

void Connection::rearm() {
  Timestamp expiry = from_library(ngtcp2_conn_get_expiry(conn_));
  // With nothing to send, the pacer's next slot is of no use, and an acknowledgement may go with
  // the next answer: ngtcp2 delays it for an eighth of the round trip, which on a fast path is over
  // before the peer's next request is here.
  if (nothing_waits_ && handshake_confirmed_) {
    expiry = std::max(expiry, endpoint_.now_ + kTimerGranularity);
  }
  if (pings_wanted_ > 0) expiry = std::min(expiry, endpoint_.now_ + kNextInstant);
  // Then what was kept back goes out, for an acknowledgement to come.
  if (waits_for_old_path(*crypto_, endpoint_.now_)) {
    expiry = std::min(expiry, crypto_->packets().old_path_first()->until());
  }
  due_ = expiry;
  if (rest_at_ == kNever) rest_at_ = rest_time(endpoint_.now_);
  arm_timer();
}

void Connection::arm_timer() {
  endpoint_.timers_.arm(*this, handshake_confirmed_ ? std::min(due_, rest_at_) : due_);
}

Duration Connection::rest_delay() const noexcept { return rest_after_ * (1 << short_sleeps_); }

Timestamp Connection::rest_time(Timestamp now) const noexcept {
  return rest_after_ > Duration() ? now + rest_delay() : kNever;
}

/// True: the timer was for that alone.
bool Connection::goes_to_rest(Timestamp now) {
  if (now < rest_at_ || !handshake_confirmed_) return false;
  crypto_->rest();
  rest_at_ = rest_time(now);
  if (due_ <= now) return false;
  if (due_ >= rest_at_) {  // it is worth it
    rest_at_ = kNever;
    conn_.sleep();
    asleep_since_ = now;
    endpoint_.note_sleepers();
  }
  arm_timer();
  return true;
}

/// Whatever for: it is to go to rest again, should nothing come of it.
void Connection::woke() noexcept {
  endpoint_.counts_.woken.add();
  endpoint_.note_sleepers();
  if (closed()) return;
  if (endpoint_.now_ - asleep_since_ >= kGoodSleep * rest_after_) {
    short_sleeps_ = 0;
  } else if (short_sleeps_ < kMostShortSleeps) {
    ++short_sleeps_;
  }
  rest_at_ = rest_time(endpoint_.now_);
  arm_timer();
}

void Connection::expire(Timestamp now) {
  endpoint_.now_ = now;
  if (goes_to_rest(now)) return;
  const int result = ngtcp2_conn_handle_expiry(conn_, to_library(now));
  if (result != 0) {
    fail_with(result, now);
    return;
  }
  if (path_may_have_changed_) check_path();
  look_for_black_hole(now);
  wake();
}

void Connection::fail_with(int library_error, Timestamp) {
  switch (library_error) {
    case NGTCP2_ERR_IDLE_CLOSE:
      end(Error(Code::timed_out, "idle timeout: nothing was heard from the peer"));
      return;
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
      end(Error(Code::timed_out, "the handshake timed out"));
      return;
    case NGTCP2_ERR_DROP_CONN: end(Error::closed("dropped during the handshake")); return;
    // The first packet has a later part of the ClientHello. Endpoint::accept asks for Retry.
    case NGTCP2_ERR_RETRY:
      end(Error(Code::rejected, "a ClientHello without its beginning"));
      return;
    case NGTCP2_ERR_CLOSING: return;
    case NGTCP2_ERR_DRAINING:
      if (reset_by_peer_) {
        end(Error(Code::stateless_reset, "stateless reset: the peer lost the connection",
                  Origin::remote));
      } else {
        end(describe_close(*ngtcp2_conn_get_ccerr(conn_)));
      }
      return;
    case NGTCP2_ERR_RECV_VERSION_NEGOTIATION: {
      std::string list;
      for (const std::uint32_t version : offered_versions_) {
        list += fmt::format("{}{:#x}", list.empty() ? "" : ", ", version);
      }
      end(Error(Code::version, fmt::format("the server speaks other QUIC versions: {}", list),
                Origin::remote));
      return;
    }
    default: break;
  }
  ngtcp2_ccerr error;  // refers to `reason`
  Error reason;
  if (library_error == NGTCP2_ERR_CRYPTO) {
    reason = crypto_->failure();
    const std::uint8_t alert = ngtcp2_conn_get_tls_alert(conn_);
    ngtcp2_ccerr_set_tls_alert(&error, alert,
                               reinterpret_cast<const std::uint8_t*>(reason.detail.data()),
                               std::min(reason.detail.size(), kMaxCloseReason));
  } else {
    reason = Error(Domain::quic, 0, broken_rule(library_error));
    ngtcp2_ccerr_set_liberr(&error, library_error,
                            reinterpret_cast<const std::uint8_t*>(reason.detail.data()),
                            reason.detail.size());
    reason.code = error.error_code;
  }
  write_close(error);
  end(std::move(reason));
  note_error();
}

/// The connection was ended for what the peer sent.
void Connection::note_error() {
  endpoint_.counts_.errors.add();
  // A client's owner gets the error, and tells of it.
  if (!is_server_ || !endpoint_.log_.enabled(LogLevel::warning)) return;
  endpoint_.log_.line(LogLevel::warning,
                      fmt::format("quic connection {} with {}: closed with {}", id_,
                                  known_path_.remote.to_string(), close_reason_->detail));
}

void Connection::write_close(const ngtcp2_ccerr& error) {
  close_packet_.resize(NGTCP2_MAX_UDP_PAYLOAD_SIZE);
  ngtcp2_path_storage path;
  ngtcp2_path_storage_zero(&path);
  ngtcp2_pkt_info info;
  const ngtcp2_ssize written =
      ngtcp2_conn_write_connection_close(conn_, &path.path, &info, close_packet_.data(),
                                         close_packet_.size(), &error, to_library(endpoint_.now_));
  close_packet_.resize(written > 0 ? static_cast<std::size_t>(written) : 0);
  // Not among the stateless packets, whose number is limited: each connection has one such packet,
  // and many may end at once.
  if (!close_packet_.empty()) endpoint_.closes_.push_back({known_path_, close_packet_});
}

void Connection::end(Error reason) {
  if (closed()) return;
  close_reason_ = std::move(reason);
  if (counts_as_handshake_) {
    counts_as_handshake_ = false;
    --endpoint_.open_handshakes_;
  }
  endpoint_.timers_.disarm(*this);
  path_watch_ = nullptr;
  emit(Event::Type::closed);
  endpoint_.retire(*this);
}

}  // namespace tern::quic
