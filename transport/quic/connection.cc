#include "transport/quic/connection.h"

#include <algorithm>

#include <fmt/format.h>
#include <ngtcp2/ngtcp2.h>

#include "base/check.h"
#include "transport/quic/crypto_bridge.h"
#include "transport/quic/endpoint.h"
#include "transport/quic/ngtcp2_bridge.h"
#include "transport/quic/path_watch.h"

namespace tern::quic {

namespace {
constexpr std::size_t kMaxReason = 256;
/// Type, length (2 bytes) and the AEAD's and header's share of a packet around a DATAGRAM payload.
constexpr std::size_t kDatagramOverhead = 3 + 1 + kMaxCidLength + 4 + 16;
/// Blocks of memory that ngtcp2 may have of a connection beside its slot. It takes one for each gap
/// in what has come on a stream, and of those 5,000 a stream: with the windows that we give, half a
/// million, 80 bytes each. A connection that carries all that it may has a few thousand blocks, of
/// data out of order for the most; one whose peer may open more streams, some more for each.
constexpr std::size_t kMaxBlocks = 64 * 1024;
constexpr std::uint64_t kBlocksOfAStream = 8;
constexpr std::uint64_t kMostStreams = 1 << 20;

std::size_t blocks_for(const TransportOptions& transport) {
  const std::uint64_t streams = std::min(transport.max_bidi_streams, kMostStreams) +
                                std::min(transport.max_uni_streams, kMostStreams);
  return kMaxBlocks + streams * kBlocksOfAStream;
}

}  // namespace

Connection::Connection(Endpoint& endpoint, const TransportOptions& transport, bool is_server,
                       std::uint64_t id)
    : endpoint_(endpoint),
      conn_(*this),
      source_(&queue_),
      id_(id),
      mtu_probes_(transport.max_udp_payload),
      keep_alive_(transport.keep_alive),
      rest_after_(transport.rest_after),
      max_non_productive_(transport.max_non_productive_packets),
      max_blocks_(blocks_for(transport)),
      is_server_(is_server),
      ecn_(transport.ecn) {}

Connection::~Connection() {
  application_.reset();
  conn_.end();
}

void Connection::set_application(std::unique_ptr<Application> application) {
  application_ = std::move(application);
}

udp::Path Connection::path() const { return known_path_; }

ConnectionStats Connection::stats() const {
  ConnectionStats stats;
  stats.packets_sent = packets_sent_;
  stats.packets_received = packets_received_;
  stats.bytes_sent = bytes_sent_;
  stats.bytes_received = bytes_received_;
  stats.migrations = migrations_;
  stats.key_updates = key_updates_;
  if (crypto_ != nullptr) {
    stats.packets_missing = crypto_->packets().missing();
    stats.peer_key_generation = crypto_->packets().rx_generation();
  }
  if (!conn_.exists()) return stats;
  ngtcp2_conn_info info;
  ngtcp2_conn_get_conn_info(conn_, &info);
  stats.smoothed_rtt = Duration(info.smoothed_rtt);
  stats.min_rtt = info.min_rtt == UINT64_MAX ? Duration() : Duration(info.min_rtt);
  stats.rtt_variation = Duration(info.rttvar);
  stats.congestion_window = info.cwnd;
  stats.bytes_in_flight = info.bytes_in_flight;
  stats.max_udp_payload =
      std::min(packet_size(), ngtcp2_conn_get_path_max_tx_udp_payload_size(conn_));
  return stats;
}

Event& Connection::emit(Event::Type type) { return endpoint_.emit(type, *this); }

Result<StreamId> Connection::open_bidi() {
  if (closed()) return fail(Error::closed("the connection is closed"));
  StreamId stream = -1;
  if (ngtcp2_conn_open_bidi_stream(conn_, &stream, nullptr) != 0) {
    return fail(Error::limit("the peer allows no more bidirectional streams now"));
  }
  return stream;
}

Result<StreamId> Connection::open_uni() {
  if (closed()) return fail(Error::closed("the connection is closed"));
  StreamId stream = -1;
  if (ngtcp2_conn_open_uni_stream(conn_, &stream, nullptr) != 0) {
    return fail(Error::limit("the peer allows no more unidirectional streams now"));
  }
  return stream;
}

std::uint64_t Connection::bidi_left() const noexcept {
  return closed() ? 0 : ngtcp2_conn_get_streams_bidi_left(conn_);
}

std::uint64_t Connection::uni_left() const noexcept {
  return closed() ? 0 : ngtcp2_conn_get_streams_uni_left(conn_);
}

void Connection::write(StreamId stream, Bytes bytes, bool fin) {
  if (closed()) return;
  queue_.write(stream, std::move(bytes), fin);
  wake();
}

std::size_t Connection::unsent(StreamId stream) const noexcept { return queue_.unsent(stream); }

void Connection::reset(StreamId stream, std::uint64_t code) {
  if (closed()) return;
  queue_.gone(stream);
  ngtcp2_conn_shutdown_stream_write(conn_, 0, stream, code);
  wake();
}

void Connection::stop_sending(StreamId stream, std::uint64_t code) {
  if (closed()) return;
  ngtcp2_conn_shutdown_stream_read(conn_, 0, stream, code);
  wake();
}

void Connection::consumed(StreamId stream, std::size_t count) {
  if (closed() || count == 0) return;
  ngtcp2_conn_extend_max_stream_offset(conn_, stream, count);
  ngtcp2_conn_extend_max_offset(conn_, count);
  wake();
}

void Connection::credit(std::size_t count) {
  if (closed() || count == 0) return;
  ngtcp2_conn_extend_max_offset(conn_, count);
  wake();
}

void Connection::allow_stream(StreamId closed_stream) {
  if (closed() || is_server_initiated(closed_stream) == is_server_) return;
  (is_unidirectional(closed_stream) ? uni_allowance_ : bidi_allowance_).closed();
  grant_streams();
}

void Connection::grant_streams() {
  const std::uint64_t bidi = bidi_allowance_.take();
  const std::uint64_t uni = uni_allowance_.take();
  if (bidi > 0) ngtcp2_conn_extend_max_streams_bidi(conn_, bidi);
  if (uni > 0) ngtcp2_conn_extend_max_streams_uni(conn_, uni);
  if (bidi > 0 || uni > 0) wake();
}

void Connection::set_source(StreamSource* source) noexcept {
  source_ = source != nullptr ? source : &queue_;
}

void Connection::wake() noexcept {
  if (!closed()) endpoint_.mark_dirty(*this);
}

bool Connection::send_datagram(Bytes payload) {
  if (closed() || payload.size() > max_datagram() || datagrams_.size() >= kMaxDatagrams) {
    return false;
  }
  datagrams_.push(std::move(payload));
  wake();
  return true;
}

std::size_t Connection::max_datagram() const noexcept {
  if (closed() || !ready_) return 0;
  const ngtcp2_transport_params* params = ngtcp2_conn_get_remote_transport_params(conn_);
  if (params == nullptr || params->max_datagram_frame_size <= 3) return 0;
  const std::size_t fits =
      std::min(packet_size(), ngtcp2_conn_get_path_max_tx_udp_payload_size(conn_)) -
      kDatagramOverhead;
  return std::min<std::size_t>(fits, params->max_datagram_frame_size - 3);
}

void Connection::close(std::uint64_t code, std::string_view reason) {
  if (closed()) return;
  reason = reason.substr(0, kMaxReason);
  ngtcp2_ccerr error;
  ngtcp2_ccerr_set_application_error(
      &error, code, reinterpret_cast<const std::uint8_t*>(reason.data()), reason.size());
  write_close(error);
  end(Error(Domain::application, code, std::string(reason)));
}

void Connection::close_transport(std::uint64_t code, std::string_view reason) {
  if (closed()) return;
  reason = reason.substr(0, kMaxReason);
  ngtcp2_ccerr error;
  ngtcp2_ccerr_set_transport_error(
      &error, code, reinterpret_cast<const std::uint8_t*>(reason.data()), reason.size());
  write_close(error);
  end(Error(Domain::quic, code, std::string(reason)));
}

Result<void> Connection::update_keys() {
  if (closed()) return fail(Error::closed("the connection is closed"));
  // ngtcp2 takes for granted that its handshake is over. Data that a server sends before it has
  // heard the end of it is delivered earlier, and HANDSHAKE_DONE, if the server breaks the rules;
  // but no next keys are prepared then.
  if (key_preparations_ == 0 ||
      ngtcp2_conn_initiate_key_update(conn_, to_library(endpoint_.now_)) != 0) {
    return fail(Error::invalid(
        "a key update is possible once the handshake is confirmed and the last one acknowledged"));
  }
  note_key_update();
  wake();
  return {};
}

Result<void> Connection::export_keying_material(std::string_view label, ByteView context,
                                                MutableBytes out) const {
  if (closed()) return fail(Error::closed("the connection is closed"));
  return crypto_->export_keying_material(label, context, out);
}

void Connection::note_key_update() {
  ++key_updates_;
  emit(Event::Type::key_updated).value = key_updates_;
}

bool Connection::take_session(Session& session) {
  if (crypto_ == nullptr || !crypto_->take_session(session)) return false;
  session.token = new_token_;
  if (!crypto_->has_session()) session_announced_ = false;
  return true;
}

}  // namespace tern::quic
