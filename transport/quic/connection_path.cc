#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <ngtcp2/ngtcp2.h>

#include "transport/quic/connection.h"
#include "transport/quic/crypto_bridge.h"
#include "transport/quic/endpoint.h"
#include "transport/quic/ngtcp2_bridge.h"
#include "transport/quic/path_watch.h"

/// Which way a connection's packets take: migration, and paths that do not deliver any more.

namespace tern::quic {

namespace {
/// Base PTOs without an acknowledgement, while packets are in flight, before the path is taken for
/// a black hole to large packets.
constexpr int kBlackHolePtos = 3;
/// PMTU_RAISE_TIMER (RFC 8899 §5.1.1): when the full size may be tried again.
constexpr Duration kSmallPacketsTime = std::chrono::seconds(600);

/// Until a probe of loss recovery goes, and a challenge before it: a PTO, or what ngtcp2 1.11 makes
/// of it in a download that has needed some already (its backoff falls back to four times only).
constexpr int kUnchallengedPtos = 4;

/// Packets that are tried to be written until one must have been, or have had, a PING: the instant
/// may be that of another packet, or the congestion window full (then what fills it is to be
/// acknowledged); after a migration PATH_CHALLENGE comes first.
constexpr int kPingTries = 2;
constexpr int kPingTriesAfterMigration = 4;

}  // namespace

Result<void> Connection::migrate(const udp::Address& local, bool now_unprobed) {
  if (closed()) return fail(Error::closed("the connection is closed"));
  if (is_server_) return fail(Error::invalid("only a client migrates (RFC 9000 §9)"));
  if (!handshake_confirmed_) {
    return fail(Error::invalid("migration before the handshake is confirmed (RFC 9000 §9)"));
  }
  const udp::Path target{local, known_path_.remote};
  const ngtcp2_path path = to_library(target);
  const std::uint64_t now = to_library(endpoint_.now_);
  const int failure = now_unprobed ? ngtcp2_conn_initiate_immediate_migration(conn_, &path, now)
                                   : ngtcp2_conn_initiate_migration(conn_, &path, now);
  switch (failure) {
    case 0: break;
    case NGTCP2_ERR_CONN_ID_BLOCKED:
      return fail(Error::limit("the peer gave no spare connection ID to migrate with"));
    case NGTCP2_ERR_INVALID_STATE: {
      const ngtcp2_transport_params* theirs = ngtcp2_conn_get_remote_transport_params(conn_);
      if (theirs != nullptr && theirs->disable_active_migration != 0) {
        return fail(Error(Code::unsupported, "the server disabled active migration"));
      }
      return fail(Error::invalid("the server's preferred address is being validated"));
    }
    default:
      return fail(Error::invalid(
          fmt::format("cannot migrate to {}: {}", local.to_string(), ngtcp2_strerror(failure))));
  }
  path_may_have_changed_ = true;
  if (now_unprobed) {
    // PATH_CHALLENGE alone is a probe, which moves nobody (RFC 9000 §9.1).
    pings_wanted_ = kPingTriesAfterMigration;
    if (path_watch_ != nullptr) path_watch_->monitor.restart(endpoint_.now_);
    check_path();
  }
  wake();
  return {};
}

void Connection::rebind_local(const udp::Address& local) {
  if (closed()) return;
  const ngtcp2_addr address{const_cast<sockaddr*>(local.data()), local.size()};
  ngtcp2_conn_set_local_addr(conn_, &address);
  known_path_ = from_library(*ngtcp2_conn_get_path(conn_));
  wake();
}

void Connection::check_path() {
  path_may_have_changed_ = false;
  const udp::Path current = from_library(*ngtcp2_conn_get_path(conn_));
  if (current == known_path_) return;
  const udp::Path before = std::exchange(known_path_, current);
  small_packets_until_ = {};
  if (!handshake_complete_) return;
  // With the address ngtcp2 has changed the congestion window, and forgotten what is on its way.
  const bool elsewhere =
      is_server_ ? !before.remote.same_ip(current.remote) : !before.local.same_ip(current.local);
  if (OldPathFirst* const waits = crypto_->packets().old_path_first()) waits->moved(elsewhere);
  if (is_server_) peer_moved(before, current);
  if (path_watch_ != nullptr) path_watch_->left(before, endpoint_.now_);
  ++migrations_;
  endpoint_.counts_.migrations.add();
  emit(Event::Type::path_changed);
}

/// The client's packets come from elsewhere now, and ngtcp2 begins to validate that path, unless it
/// is the one that it would have fallen back to.
void Connection::peer_moved(const udp::Path& from, const udp::Path& to) {
  unchallenged_until_ = {};
  if (fallback_path_ == to) {
    fallback_path_ = {};
    credit_.lift();
    return;
  }
  const Duration pto(ngtcp2_conn_get_pto(conn_));
  credit_.begin(probed_.left(to, endpoint_.now_, pto));
  if (!fallback_path_.remote.specified()) fallback_path_ = from;
  unchallenged_path_ = to;
  unchallenged_until_ = endpoint_.now_ + kUnchallengedPtos * pto;
}

/// A datagram came on `path`, which was not in use before it.
void Connection::note_other_path(const udp::Path& path, std::size_t came) {
  if (path == known_path_) {
    credit_.received(came);
  } else {
    probed_.received(path, came);
  }
}

void Connection::note_written(const udp::Path& path, std::size_t size) {
  if (!(path == known_path_)) {
    probed_.sent(path, size, endpoint_.now_);
  } else if (credit_.limited()) {
    credit_.sent(size);
    if (challenge_written_) credit_.challenged(challenge_);
  }
}

/// ngtcp2 gives up the validation of the client's new path when it is asked for a packet. What it
/// had no room for may go on the old one.
bool Connection::gave_up_path() {
  if (!is_server_ || !path_may_have_changed_) return false;
  const bool limited = credit_.limited();
  check_path();
  return limited && !credit_.limited();
}

/// What a server sends first on a new path is a PATH_CHALLENGE: the sooner it is validated, the
/// sooner more than three times what came may be sent (RFC 9000 §8.2.1). ngtcp2 1.11 lets none out
/// while the congestion window is full of packets that were lost with the old path, but does send
/// an acknowledgement; that one is as good as lost, the next one says the same and more. Nothing
/// else is kept back: a probe of loss recovery gets things going again. And for no longer than that
/// takes: a client that hears nothing takes the path for dead and looks for another.
bool Connection::holds_back(const udp::Path& path, bool acknowledges_only) {
  if (!(path == unchallenged_path_)) return false;
  if (!challenge_written_ && acknowledges_only && endpoint_.now_ < unchallenged_until_) return true;
  unchallenged_until_ = {};
  return false;
}

std::uint64_t Connection::bytes_in_flight() const {
  ngtcp2_conn_info info;
  ngtcp2_conn_get_conn_info(conn_, &info);
  return info.bytes_in_flight;
}

/// The path may have shrunk below what PMTUD found, without telling us: then every full packet is
/// lost, retransmissions included. ngtcp2 1.11 does not look for that.
void Connection::look_for_black_hole(Timestamp now) {
  if (bytes_in_flight() == 0) {
    last_progress_ = now;
    return;
  }
  if (!handshake_confirmed_ || now < small_packets_until_ ||
      ngtcp2_conn_get_path_max_tx_udp_payload_size(conn_) <= NGTCP2_MAX_UDP_PAYLOAD_SIZE) {
    return;
  }
  if (now - last_progress_ > kBlackHolePtos * Duration(ngtcp2_conn_get_pto(conn_))) {
    small_packets_until_ = now + kSmallPacketsTime;
  }
}

void Connection::watch_path(std::function<bool()> expecting, bool alone) {
  if (closed() || is_server_) return;
  path_watch_ = std::make_unique<PathWatch>(endpoint_.timers_, std::move(expecting), alone,
                                            [this](Timestamp now) { saw_silence(now); });
  path_watch_->monitor.restart(endpoint_.now_);
  watch(endpoint_.now_);
}

void Connection::saw_silence(Timestamp now) {
  endpoint_.now_ = now;
  watch(now);
}

/// Does what the monitor wants, and looks again when it says.
void Connection::watch(Timestamp now) {
  if (!handshake_confirmed_ || path_watch_->rests()) return;
  ngtcp2_conn_info info;
  ngtcp2_conn_get_conn_info(conn_, &info);
  PathMonitor::Facts facts;
  facts.pto = Duration(ngtcp2_conn_get_pto(conn_));
  facts.smoothed_rtt = Duration(info.smoothed_rtt);
  facts.outstanding = info.bytes_in_flight > 0;
  facts.expecting = path_watch_->expecting();
  facts.alone = path_watch_->alone;
  if (facts.outstanding) path_watch_->monitor.sent(now);
  const PathMonitor::Next next = path_watch_->monitor.check(now, facts);
  switch (next.step) {
    case PathMonitor::Step::nothing: break;
    case PathMonitor::Step::ping: ping(); break;
    case PathMonitor::Step::silent: emit(Event::Type::path_silent); break;
  }
  path_watch_->look_again(next.again);
}

void Connection::ping() {
  if (closed() || !handshake_complete_) return;
  pings_wanted_ = std::max(pings_wanted_, kPingTries);
  wake();
}

/// ngtcp2 sends PINGs for keep-alive alone. That is due for each packet but those of the instant at
/// which another has left, for which `rearm` leaves a moment.
void Connection::prepare_ping() { ngtcp2_conn_set_keep_alive_timeout(conn_, 1); }

void Connection::settle_ping(bool written) {
  pings_wanted_ = written && pings_wanted_ <= kPingTries ? 0 : pings_wanted_ - 1;
  ngtcp2_conn_set_keep_alive_timeout(conn_, to_library(keep_alive_));
}

/// A packet was written. Behind one with a PATH_RESPONSE goes something that loss recovery looks
/// after, a PING if there is nothing else: ngtcp2 1.11 has PATH_RESPONSEs, 1200 bytes each, fill
/// the congestion window, but arms no timer for them. Were a few of them lost in a window that has
/// become small, nothing more could leave, and nothing would ever be acknowledged. With the PING,
/// the probe timer runs until something sent later is, and then they are known to be lost.
void Connection::note_path_response(std::uint64_t in_flight_before) {
  // Where the peer has moved already, as a NAT's rebinding does, the probe overtakes nothing.
  if (crypto_->packets().take_probe() && !fallback_path_.remote.specified()) {
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(conn_, &info);
    crypto_->packets().make_old_path_first().probing(
        Duration(info.smoothed_rtt), Duration(ngtcp2_conn_get_pto(conn_)), endpoint_.now_);
  }
  if (crypto_->packets().take_path_response()) {
    owes_ping_ = true;
    pings_wanted_ = std::max(pings_wanted_, kPingTries);
  } else if (owes_ping_ && bytes_in_flight() > in_flight_before) {
    owes_ping_ = false;
  }
}

/// For the next packet: so much less than `room` that the next PATH_RESPONSE does not fit but the
/// PING does, where the congestion window may have none for it afterwards.
std::size_t Connection::room_for_ping(std::size_t room) const {
  ngtcp2_conn_info info;
  ngtcp2_conn_get_conn_info(conn_, &info);
  const bool last = info.bytes_in_flight < info.cwnd &&
                    info.cwnd - info.bytes_in_flight <= NGTCP2_MAX_UDP_PAYLOAD_SIZE;
  if (!last || pings_wanted_ == 0) return room;
  // What ngtcp2 1.11 wants at least: a byte, the connection ID, a packet number of one to four,
  // the frame, and the tag.
  const std::size_t own = local_cids_.empty() ? 0 : local_cids_.front().size();
  const std::size_t cid = std::max(ngtcp2_conn_get_dcid(conn_)->datalen, own);
  return std::min(room, 1 + cid + 4 + 1 + kAeadTagLength);
}

void Connection::abandon(Error reason) { end(std::move(reason)); }

}  // namespace tern::quic
