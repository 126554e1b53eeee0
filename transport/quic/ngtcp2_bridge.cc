#include "transport/quic/ngtcp2_bridge.h"

#include <algorithm>
#include <cstring>

#include "transport/quic/connection.h"
#include "transport/quic/crypto_bridge.h"
#include "transport/quic/endpoint.h"
#include "transport/quic/path_watch.h"

namespace tern::quic {

namespace {

Connection& connection_of(void* user_data) noexcept { return *static_cast<Connection*>(user_data); }

constexpr int kOk = 0;

}  // namespace

/// C callbacks: they run inside ngtcp2_conn_read_pkt, _write_ and _handle_expiry, append an event
/// and return.
struct Ngtcp2Callbacks {
  static int handshake_completed(ngtcp2_conn*, void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    connection.handshake_complete_ = true;
    // RFC 9001 §4.1.2: a server's handshake is confirmed when it is complete; ngtcp2 calls back for
    // clients alone.
    if (connection.is_server_) connection.handshake_confirmed_ = true;
    connection.choose_mtu_probes();
    // Before any 1-RTT data: the peer's first bytes may be in the same datagram.
    if (!connection.is_server_) connection.make_ready();
    return kOk;
  }

  static int handshake_confirmed(ngtcp2_conn*, void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    connection.handshake_confirmed_ = true;
    return kOk;
  }

  static int recv_version_negotiation(ngtcp2_conn*, const ngtcp2_pkt_hd*, const std::uint32_t* list,
                                      std::size_t count, void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    connection.offered_versions_.assign(list, list + count);
    return kOk;
  }

  /// A stream of the peer's.
  static int stream_open(ngtcp2_conn*, std::int64_t stream, void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    (is_unidirectional(stream) ? connection.uni_allowance_ : connection.bidi_allowance_)
        .opened(stream);
    return kOk;
  }

  static int recv_stream_data(ngtcp2_conn*, std::uint32_t flags, std::int64_t stream, std::uint64_t,
                              const std::uint8_t* data, std::size_t size, void* user_data,
                              void*) noexcept {
    Connection& connection = connection_of(user_data);
    Endpoint& endpoint = connection.endpoint_;
    const bool fin = (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;
    const bool early = (flags & NGTCP2_STREAM_DATA_FLAG_0RTT) != 0;
    if (connection.path_watch_ != nullptr && !is_unidirectional(stream)) {
      connection.brought_ = fin ? PathMonitor::Brought::last_data : PathMonitor::Brought::data;
    }
    const ByteView view(data, size);
    if (endpoint.has_events()) {
      Event& last = endpoint.events_.back();
      if (last.type == Event::Type::stream_data && last.connection == &connection &&
          last.stream == stream && !last.fin && last.early == early &&
          endpoint.arena_.extend(last.data, view)) {
        last.fin = fin;
        return kOk;
      }
    }
    Event& event = connection.emit(Event::Type::stream_data);
    event.stream = stream;
    event.fin = fin;
    event.early = early;
    event.data = endpoint.arena_.copy(view);
    return kOk;
  }

  static int acked_stream_data_offset(ngtcp2_conn*, std::int64_t stream, std::uint64_t,
                                      std::uint64_t size, void* user_data, void*) noexcept {
    Connection& connection = connection_of(user_data);
    Endpoint& endpoint = connection.endpoint_;
    connection.last_progress_ = endpoint.now_;
    if (endpoint.has_events()) {
      Event& last = endpoint.events_.back();
      if (last.type == Event::Type::stream_acked && last.connection == &connection &&
          last.stream == stream) {
        last.value += size;
        return kOk;
      }
    }
    Event& event = connection.emit(Event::Type::stream_acked);
    event.stream = stream;
    event.value = size;
    return kOk;
  }

  static int stream_close(ngtcp2_conn*, std::uint32_t flags, std::int64_t stream,
                          std::uint64_t code, void* user_data, void*) noexcept {
    Connection& connection = connection_of(user_data);
    Endpoint& endpoint = connection.endpoint_;
    Event* event = nullptr;
    if (endpoint.has_events()) {
      Event& last = endpoint.events_.back();
      const bool acked = last.type == Event::Type::stream_acked && last.stream == stream &&
                         last.connection == &connection;
      if (acked) {  // the last that was missing: to be closed says it as well
        event = &last;
        event->type = Event::Type::stream_closed;
      }
    }
    if (event == nullptr) event = &connection.emit(Event::Type::stream_closed);
    event->stream = stream;
    event->value = (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0 ? code : 0;
    return kOk;
  }

  static int stream_reset(ngtcp2_conn*, std::int64_t stream, std::uint64_t size, std::uint64_t code,
                          void* user_data, void*) noexcept {
    Event& event = connection_of(user_data).emit(Event::Type::stream_reset);
    event.stream = stream;
    event.value = code;
    event.size = size;
    return kOk;
  }

  static int extend_max_stream_data(ngtcp2_conn*, std::int64_t stream, std::uint64_t,
                                    void* user_data, void*) noexcept {
    connection_of(user_data).emit(Event::Type::stream_writable).stream = stream;
    return kOk;
  }

  static int extend_max_local_streams(ngtcp2_conn*, std::uint64_t, void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    if (connection.ready_) connection.emit(Event::Type::streams_available);
    return kOk;
  }

  static int recv_stateless_reset(ngtcp2_conn*, const ngtcp2_pkt_stateless_reset*,
                                  void* user_data) noexcept {
    connection_of(user_data).reset_by_peer_ = true;
    return kOk;
  }

  static void rand(std::uint8_t* out, std::size_t size, const ngtcp2_rand_ctx* context) noexcept {
    static_cast<Random*>(context->native_handle)->fill({out, size});
  }

  static int get_new_connection_id(ngtcp2_conn*, ngtcp2_cid* cid, std::uint8_t* token, std::size_t,
                                   void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    Endpoint& endpoint = connection.endpoint_;
    const ConnectionId fresh = endpoint.fresh_cid();
    *cid = to_library(fresh);
    const auto reset_token = endpoint.reset_token(fresh);
    std::memcpy(token, reset_token.data(), reset_token.size());
    endpoint.add_cid(fresh, connection);
    return kOk;
  }

  static int remove_connection_id(ngtcp2_conn*, const ngtcp2_cid* cid, void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    connection.endpoint_.remove_cid(from_library(*cid), connection);
    return kOk;
  }

  static int path_validation(ngtcp2_conn*, std::uint32_t flags, const ngtcp2_path* path,
                             const ngtcp2_path*, ngtcp2_path_validation_result result,
                             void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    connection.path_may_have_changed_ = true;
    const bool validated = result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS;
    if (validated && (flags & NGTCP2_PATH_VALIDATION_FLAG_NEW_TOKEN) != 0) {
      connection.wants_new_token_ = true;
    }
    if (connection.is_server_) {
      if (!validated) return kOk;
      // One of two paths is good now: the one in use, or the one that is about to be.
      const udp::Path good = from_library(*path);
      connection.fallback_path_ = good == connection.known_path_ ? udp::Path() : good;
      if (good == connection.known_path_) connection.credit_.lift();
      return kOk;
    }
    if ((flags & NGTCP2_PATH_VALIDATION_FLAG_PREFERRED_ADDR) != 0) return kOk;
    // An aborted one made room for the next.
    if (validated) {
      connection.emit(Event::Type::path_validated);
    } else if (result == NGTCP2_PATH_VALIDATION_RESULT_FAILURE) {
      connection.emit(Event::Type::path_failed);
    }
    return kOk;
  }

  static int select_preferred_addr(ngtcp2_conn* conn, ngtcp2_path* out,
                                   const ngtcp2_preferred_addr* preferred,
                                   void* user_data) noexcept {
    (void)user_data;
    // Same family as the path in use, so that our socket can reach it.
    const ngtcp2_path* current = ngtcp2_conn_get_path(conn);
    if (current->remote.addr->sa_family == AF_INET && preferred->ipv4_present != 0) {
      out->remote.addrlen = sizeof preferred->ipv4;
      std::memcpy(out->remote.addr, &preferred->ipv4, sizeof preferred->ipv4);
    } else if (current->remote.addr->sa_family == AF_INET6 && preferred->ipv6_present != 0) {
      out->remote.addrlen = sizeof preferred->ipv6;
      std::memcpy(out->remote.addr, &preferred->ipv6, sizeof preferred->ipv6);
    }
    return kOk;
  }

  static int dcid_status(ngtcp2_conn*, ngtcp2_connection_id_status_type type, std::uint64_t,
                         const ngtcp2_cid*, const std::uint8_t* token, void* user_data) noexcept {
    if (token == nullptr) return kOk;
    Connection& connection = connection_of(user_data);
    const ConnectionId key(ByteView(token, NGTCP2_STATELESS_RESET_TOKENLEN));
    if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE) {
      connection.endpoint_.add_peer_reset_token(key, connection);
    } else {
      connection.endpoint_.remove_peer_reset_token(key, connection);
    }
    return kOk;
  }

  static int recv_new_token(ngtcp2_conn*, const std::uint8_t* token, std::size_t size,
                            void* user_data) noexcept {
    connection_of(user_data).new_token_.assign(token, token + size);
    return kOk;
  }

  static int recv_datagram(ngtcp2_conn*, std::uint32_t flags, const std::uint8_t* data,
                           std::size_t size, void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    Event& event = connection.emit(Event::Type::datagram);
    event.early = (flags & NGTCP2_DATAGRAM_FLAG_0RTT) != 0;
    event.data = connection.endpoint_.arena_.copy(ByteView(data, size));
    return kOk;
  }

  static int lost_datagram(ngtcp2_conn*, std::uint64_t id, void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    if (id != Connection::kOwnDatagram && connection.datagram_source_ != nullptr) {
      connection.datagram_source_->datagram_lost(id);
    }
    return kOk;
  }

  static int get_path_challenge_data(ngtcp2_conn*, std::uint8_t* data, void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    static_assert(std::tuple_size_v<PathCredit::Challenge> == NGTCP2_PATH_CHALLENGE_DATALEN);
    connection.endpoint_.random_.fill(connection.challenge_);
    std::memcpy(data, connection.challenge_.data(), connection.challenge_.size());
    connection.challenge_written_ = true;
    return kOk;
  }

  static int recv_tx_key(ngtcp2_conn*, ngtcp2_encryption_level level, void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    // A server may send from here on (RFC 9001 §5.7, 0.5-RTT); the ALPN protocol is settled.
    if (connection.is_server_ && level == NGTCP2_ENCRYPTION_LEVEL_1RTT) connection.make_ready();
    return kOk;
  }

  static int tls_early_data_rejected(ngtcp2_conn*, void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    connection.handshake_.early_data_rejected = true;
    connection.queue_.clear();
    connection.emit(Event::Type::early_data_rejected);
    return kOk;
  }

  /// ngtcp2 prepares the next keys when the handshake is confirmed, and again after each update.
  static int update_key(ngtcp2_conn* conn, std::uint8_t* rx_secret, std::uint8_t* tx_secret,
                        ngtcp2_crypto_aead_ctx* rx_context, std::uint8_t* rx_iv,
                        ngtcp2_crypto_aead_ctx* tx_context, std::uint8_t* tx_iv,
                        const std::uint8_t* current_rx_secret,
                        const std::uint8_t* current_tx_secret, std::size_t secret_size,
                        void* user_data) noexcept {
    Connection& connection = connection_of(user_data);
    // Our own updates are counted when we begin them, the peer's here.
    if (connection.key_preparations_++ > connection.key_updates_) connection.note_key_update();
    return crypto_update_key(conn, rx_secret, tx_secret, rx_context, rx_iv, tx_context, tx_iv,
                             current_rx_secret, current_tx_secret, secret_size, user_data);
  }

  static inline ngtcp2_update_key crypto_update_key = nullptr;

  static ngtcp2_callbacks make() {
    ngtcp2_callbacks all{};
    CryptoBridge::install(all);
    crypto_update_key = all.update_key;
    all.update_key = update_key;
    all.handshake_completed = handshake_completed;
    all.handshake_confirmed = handshake_confirmed;
    all.recv_version_negotiation = recv_version_negotiation;
    all.stream_open = stream_open;
    all.recv_stream_data = recv_stream_data;
    all.acked_stream_data_offset = acked_stream_data_offset;
    all.stream_close = stream_close;
    all.stream_reset = stream_reset;
    all.extend_max_stream_data = extend_max_stream_data;
    all.extend_max_local_streams_bidi = extend_max_local_streams;
    all.extend_max_local_streams_uni = extend_max_local_streams;
    all.recv_stateless_reset = recv_stateless_reset;
    all.rand = rand;
    all.get_new_connection_id = get_new_connection_id;
    all.remove_connection_id = remove_connection_id;
    all.path_validation = path_validation;
    all.select_preferred_addr = select_preferred_addr;
    all.dcid_status = dcid_status;
    all.recv_new_token = recv_new_token;
    all.recv_datagram = recv_datagram;
    all.lost_datagram = lost_datagram;
    all.get_path_challenge_data = get_path_challenge_data;
    all.recv_tx_key = recv_tx_key;
    all.tls_early_data_rejected = tls_early_data_rejected;
    return all;
  }
};

const ngtcp2_callbacks& callbacks() {
  static const ngtcp2_callbacks all = Ngtcp2Callbacks::make();
  return all;
}

ngtcp2_settings make_settings(const TransportOptions& options,
                              std::span<const std::uint16_t> mtu_probes, Timestamp now,
                              Random& random) {
  ngtcp2_settings settings;
  ngtcp2_settings_default(&settings);
  settings.initial_ts = to_library(now);
  settings.initial_rtt = to_library(options.initial_rtt);
  settings.handshake_timeout = to_library(options.handshake_timeout);
  settings.max_tx_udp_payload_size =
      std::max<std::size_t>(options.max_udp_payload, NGTCP2_MAX_UDP_PAYLOAD_SIZE);
  settings.max_window = options.max_window;
  settings.max_stream_window = options.max_stream_window;
  settings.no_pmtud = options.pmtud && !mtu_probes.empty() ? 0 : 1;
  settings.pmtud_probes = mtu_probes.data();
  settings.pmtud_probeslen = mtu_probes.size();
  settings.preferred_versions = options.versions.data();
  settings.preferred_versionslen = options.versions.size();
  settings.available_versions = options.versions.data();
  settings.available_versionslen = options.versions.size();
  settings.rand_ctx.native_handle = &random;
  switch (options.congestion) {
    case Congestion::cubic: settings.cc_algo = NGTCP2_CC_ALGO_CUBIC; break;
    case Congestion::bbr: settings.cc_algo = NGTCP2_CC_ALGO_BBR; break;
    case Congestion::reno: settings.cc_algo = NGTCP2_CC_ALGO_RENO; break;
  }
  return settings;
}

ngtcp2_transport_params make_transport_params(const TransportOptions& options) {
  ngtcp2_transport_params params;
  ngtcp2_transport_params_default(&params);
  params.initial_max_data = options.initial_window;
  params.initial_max_stream_data_bidi_local = options.initial_stream_window;
  params.initial_max_stream_data_bidi_remote = options.initial_stream_window;
  params.initial_max_stream_data_uni = options.initial_stream_window;
  params.initial_max_streams_bidi = options.max_bidi_streams;
  params.initial_max_streams_uni = options.max_uni_streams;
  params.max_idle_timeout = to_library(options.idle_timeout);
  params.active_connection_id_limit =
      std::max<std::uint64_t>(options.active_connection_ids,
                              NGTCP2_DEFAULT_ACTIVE_CONNECTION_ID_LIMIT) +
      kSpareConnectionIds;
  params.max_datagram_frame_size = options.max_datagram_frame;
  params.disable_active_migration = options.disable_active_migration ? 1 : 0;
  params.grease_quic_bit = 1;  // RFC 9287
  return params;
}

ngtcp2_transport_params announced_parameters(const ngtcp2_transport_params& params) noexcept {
  ngtcp2_transport_params announced = params;
  announced.active_connection_id_limit -= kSpareConnectionIds;
  return announced;
}

}  // namespace tern::quic
