#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>
#include <ngtcp2/ngtcp2.h>

#include "base/check.h"
#include "transport/quic/crypto_bridge.h"
#include "transport/quic/endpoint.h"
#include "transport/quic/initial_check.h"
#include "transport/quic/library_memory.h"
#include "transport/quic/ngtcp2_bridge.h"
#include "transport/quic/stateless_packets.h"

/// How connections begin: Initials accepted, answered with Retry or refused; connects; and the
/// other packets that need no connection.

namespace tern::quic {

namespace {

constexpr std::uint64_t kConnectionRefused = 0x02;  // RFC 9000 §20.1
constexpr std::string_view kShuttingDown = "shutting down";
constexpr std::uint64_t kInvalidToken = 0x0b;
/// ngtcp2 wants at least 8 bytes in a client's first DCID (RFC 9000 §7.2).
constexpr std::size_t kFirstDcidLength = 12;
constexpr std::size_t kShortestReset = 21;
/// Long enough to pass for an ordinary short-header packet.
constexpr std::size_t kMaxResetSize = 43;

/// An address and its port as the bytes a Retry token is bound to.
std::size_t address_and_port(const udp::Address& address, std::array<std::uint8_t, 18>& out) {
  const ByteView ip = address.ip();
  std::memcpy(out.data(), ip.data(), ip.size());
  out[ip.size()] = static_cast<std::uint8_t>(address.port() >> 8);
  out[ip.size() + 1] = static_cast<std::uint8_t>(address.port() & 0xff);
  return ip.size() + 2;
}

void write_qlog(void* user_data, std::uint32_t, const void* data, std::size_t size) noexcept {
  static_cast<Connection*>(user_data)->qlog()->raw({static_cast<const char*>(data), size});
}

}  // namespace

void Endpoint::accept(const udp::Path& path, udp::Ecn ecn, MutableBytes datagram) {
  ngtcp2_pkt_hd header;
  if (options_.server_context == nullptr ||
      ngtcp2_accept(&header, datagram.data(), datagram.size()) != 0 ||
      header.type != NGTCP2_PKT_INITIAL) {
    counts_.dropped_malformed.add();
    return;
  }
  const auto& versions = options_.transport.versions;
  if (std::find(versions.begin(), versions.end(), header.version) == versions.end()) {
    send_version_negotiation(path, {header.dcid.data, header.dcid.datalen},
                             {header.scid.data, header.scid.datalen});
    return;
  }
  const std::size_t others = other_connections ? other_connections() : 0;
  if (!accepting_ || connections_.size() + others >= options_.max_connections ||
      open_handshakes_ >= options_.max_handshakes) {
    counts_.refused.add();
    send_refusal(path, header, kConnectionRefused,
                 accepting_ ? "too many connections" : kShuttingDown);
    return;
  }
  std::optional<ValidatedToken> token;
  if (header.tokenlen > 0 && options_.token_keys != nullptr) {
    const ByteView bytes(header.token, header.tokenlen);
    std::array<std::uint8_t, 18> address;
    const std::size_t size = address_and_port(path.remote, address);
    auto opened =
        tokens_.open(bytes, header.version, ByteView(address.data(), size), path.remote.ip(),
                     {header.dcid.data, header.dcid.datalen}, unix_now_);
    if (opened) {
      token = *opened;
    } else if (AddressTokens::looks_like_retry(bytes) && opened.error() != TokenRefusal::unknown) {
      counts_.dropped_token.add();
      if (stateless_full()) return;
      // For an Initial "that is otherwise valid" (RFC 9000 §8.1.3). The answer to one that was
      // damaged on its way would come from a connection ID of nobody's, in keys of nobody's.
      if (is_intact_initial(datagram)) {
        send_refusal(path, header, kInvalidToken, refusal_name(opened.error()));
      }
      return;
    }
  }
  const bool busy =
      options_.retry == RetryPolicy::when_busy && open_handshakes_ >= options_.busy_handshakes;
  if (!token && options_.token_keys != nullptr && (busy || options_.retry == RetryPolicy::always)) {
    send_retry(path, header);
    return;
  }
  Connection* connection = make_server_connection(header, path, token ? &*token : nullptr);
  if (connection == nullptr) return;
  counts_.packets_received.add();
  library_memory_->share(header.tokenlen <= AddressTokens::kMaxTokenLength);
  connection->receive(path, ecn, datagram, now_);
  library_memory_->share(true);
  if (options_.token_keys == nullptr || options_.retry == RetryPolicy::never) return;
  if (!connection->closed()) return;
  // ngtcp2 keeps a ClientHello that begins with its end for clients alone that have proved their
  // address; asked to, this one comes back with all of it within a round trip.
  const bool headless = connection->close_reason().is(Code::rejected);
  // Should that Retry be lost, OpenSSL's client does not send the ClientHello again, but PING after
  // PING, until one is answered.
  const bool nothing_of_it =
      connection->close_reason().is(Code::closed) && !token && is_intact_initial(datagram);
  if (headless || nothing_of_it) send_retry(path, header);
}

void Endpoint::refuse(Connection& connection) {
  TERN_CHECK(connection.is_server() && !connection.handshake_complete());
  if (connection.closed()) return;
  counts_.refused.add();
  connection.close_transport(kConnectionRefused, kShuttingDown);
}

Connection* Endpoint::make_server_connection(const ngtcp2_pkt_hd& header, const udp::Path& path,
                                             const ValidatedToken* token) {
  const std::uint64_t id = next_id_++;
  auto owned = std::unique_ptr<Connection>(new Connection(*this, options_.transport, true, id));
  Connection& connection = *owned;
  const TransportOptions& transport = options_.transport;
  const ConnectionId dcid = from_library(header.dcid);
  const ConnectionId scid = fresh_cid();
  const bool retried = token != nullptr && token->retry;
  connection.original_dcid_ = dcid;
  connection.known_path_ = path;
  connection.handshake_.retried = retried;

  auto crypto =
      CryptoBridge::server(options_.server_context, unix_now_, options_.early_data_context);
  if (!crypto) {
    log_.line(LogLevel::error, fmt::format("quic: no TLS session for {}: {}",
                                           path.remote.to_string(), crypto.error().to_string()));
    return nullptr;
  }
  connection.crypto_ = std::move(*crypto);
  connection.crypto_->packets().challenge_probes(random_);
  connection.crypto_->packets().watch_answers(connection.credit_);

  ngtcp2_settings settings =
      make_settings(transport, connection.mtu_probes_.sizes(), now_, random_);
  if (token != nullptr) {
    settings.token = header.token;
    settings.tokenlen = header.tokenlen;
    settings.token_type = retried ? NGTCP2_TOKEN_TYPE_RETRY : NGTCP2_TOKEN_TYPE_NEW_TOKEN;
  }
  if (options_.qlog) {
    auto sink = options_.qlog(dcid.to_string() + "_server");
    if (sink != nullptr) {
      connection.qlog_ = std::make_unique<QlogWriter>(std::move(sink), now_);
      settings.qlog_write = write_qlog;
    }
  }

  ngtcp2_transport_params params = make_transport_params(transport);
  params.original_dcid = retried ? to_library(token->original_dcid) : header.dcid;
  params.original_dcid_present = 1;
  if (retried) {
    params.retry_scid = header.dcid;
    params.retry_scid_present = 1;
  }
  const auto own_token = reset_token(scid);
  std::memcpy(params.stateless_reset_token, own_token.data(), own_token.size());
  params.stateless_reset_token_present = 1;
  ConnectionId preferred_cid;
  if (transport.preferred_v4.specified() || transport.preferred_v6.specified()) {
    preferred_cid = fresh_cid();
    params.preferred_addr_present = 1;
    params.preferred_addr.cid = to_library(preferred_cid);
    const auto preferred_token = reset_token(preferred_cid);
    std::memcpy(params.preferred_addr.stateless_reset_token, preferred_token.data(),
                preferred_token.size());
    if (transport.preferred_v4.specified()) {
      params.preferred_addr.ipv4_present = 1;
      std::memcpy(&params.preferred_addr.ipv4, transport.preferred_v4.data(),
                  sizeof params.preferred_addr.ipv4);
    }
    if (transport.preferred_v6.specified()) {
      params.preferred_addr.ipv6_present = 1;
      std::memcpy(&params.preferred_addr.ipv6, transport.preferred_v6.data(),
                  sizeof params.preferred_addr.ipv6);
    }
  }

  const ngtcp2_path library_path = to_library(path);
  const ngtcp2_cid library_scid = to_library(scid);
  const bool may_sleep = transport.rest_after > Duration();
  const int failure = connection.conn_.begin(
      *library_memory_, may_sleep, [&](ngtcp2_conn** conn, const ngtcp2_mem* memory) {
        return ngtcp2_conn_server_new(conn, &header.scid, &library_scid, &library_path,
                                      header.version, &callbacks(), &settings, &params, memory,
                                      &connection);
      });
  if (failure != 0) {
    log_.line(LogLevel::error, "quic: out of memory for a new connection");
    return nullptr;
  }
  if (transport.keep_alive > Duration()) {
    ngtcp2_conn_set_keep_alive_timeout(connection.conn_, to_library(transport.keep_alive));
  }
  // A server's attach cannot fail: it restores no remembered parameters.
  TERN_CHECK(connection.crypto_->attach(connection.conn_).has_value());

  connection.bidi_allowance_.begin(params.initial_max_streams_bidi);
  connection.uni_allowance_.begin(params.initial_max_streams_uni);
  connections_.emplace(id, std::move(owned));
  add_cid(scid, connection);
  add_cid(dcid, connection);
  if (!preferred_cid.empty()) add_cid(preferred_cid, connection);
  connection.counts_as_handshake_ = true;
  ++open_handshakes_;
  counts_.accepted.add();
  counts_.open.set(connections_.size());
  return &connection;
}

Result<Connection*> Endpoint::connect(const ConnectOptions& options, Timestamp now,
                                      UnixSeconds unix_now) {
  now_ = now;
  unix_now_ = unix_now;
  TERN_CHECK(options.context != nullptr);
  if (connections_.size() >= options_.max_connections) {
    return fail(Error::limit(
        fmt::format("{} connections are open, which is the limit", connections_.size())));
  }
  const std::uint64_t id = next_id_++;
  const TransportOptions& transport = options.transport ? *options.transport : options_.transport;
  auto owned = std::unique_ptr<Connection>(new Connection(*this, transport, false, id));
  auto opened = open_library_connection(*owned, options);
  if (!opened) {
    for (const ConnectionId& cid : owned->local_cids_) by_cid_.erase(cid);
    return fail(std::move(opened).error());
  }
  Connection& connection = *owned;
  connections_.emplace(id, std::move(owned));
  counts_.connected.add();
  counts_.open.set(connections_.size());
  mark_dirty(connection);
  connection.rearm();
  return &connection;
}

Result<void> Endpoint::open_library_connection(Connection& connection,
                                               const ConnectOptions& options) {
  const TransportOptions& transport = options.transport ? *options.transport : options_.transport;
  const Session* session = options.session ? &*options.session : nullptr;
  // A ticket and a token are good in the version they were given in (RFC 9369 §5).
  const std::uint32_t version = session != nullptr && session->quic_version != 0
                                    ? session->quic_version
                                    : transport.first_version;
  CryptoBridge::ClientOptions client;
  client.server_name = options.server_name;
  client.alpn = options.alpn;
  client.session = session;
  client.early_data = options.early_data;
  client.more_parameters = options.more_parameters;
  auto crypto = CryptoBridge::client(options.context, unix_now_, client);
  if (!crypto) return fail(std::move(crypto).error());
  connection.crypto_ = std::move(*crypto);

  std::array<std::uint8_t, kFirstDcidLength> random_dcid;
  random_.fill(random_dcid);
  const ConnectionId dcid{ByteView(random_dcid)};
  const ConnectionId scid = fresh_cid();
  connection.original_dcid_ = dcid;
  connection.known_path_ = {options.local, options.remote};

  ngtcp2_settings settings =
      make_settings(transport, connection.mtu_probes_.sizes(), now_, random_);
  std::vector<std::uint32_t> offered;
  if (options.reserved_version != 0) {
    offered = transport.versions;
    offered.push_back(options.reserved_version);
    settings.available_versions = offered.data();
    settings.available_versionslen = offered.size();
  }
  if (session != nullptr && !session->token.empty()) {
    settings.token = session->token.data();
    settings.tokenlen = session->token.size();
    settings.token_type = NGTCP2_TOKEN_TYPE_NEW_TOKEN;
  }
  if (options_.qlog) {
    auto sink = options_.qlog(dcid.to_string() + "_client");
    if (sink != nullptr) {
      connection.qlog_ = std::make_unique<QlogWriter>(std::move(sink), now_);
      settings.qlog_write = write_qlog;
    }
  }
  const ngtcp2_transport_params params = make_transport_params(transport);
  const ngtcp2_path path = to_library(connection.known_path_);
  const ngtcp2_cid library_dcid = to_library(dcid);
  const ngtcp2_cid library_scid = to_library(scid);
  const bool may_sleep = transport.rest_after > Duration();
  const int failure = connection.conn_.begin(
      *library_memory_, may_sleep, [&](ngtcp2_conn** conn, const ngtcp2_mem* memory) {
        return ngtcp2_conn_client_new(conn, &library_dcid, &library_scid, &path, version,
                                      &callbacks(), &settings, &params, memory, &connection);
      });
  if (failure != 0) {
    return fail(Error(Domain::quic, 0,
                      fmt::format("cannot open a connection: {}", ngtcp2_strerror(failure))));
  }
  if (transport.keep_alive > Duration()) {
    ngtcp2_conn_set_keep_alive_timeout(connection.conn_, to_library(transport.keep_alive));
  }
  if (auto attached = connection.crypto_->attach(connection.conn_); !attached) {
    log_.line(LogLevel::info,
              fmt::format("quic: resuming without 0-RTT: {}", attached.error().to_string()));
  }
  connection.bidi_allowance_.begin(params.initial_max_streams_bidi);
  connection.uni_allowance_.begin(params.initial_max_streams_uni);
  add_cid(scid, connection);
  return {};
}

void Endpoint::send_version_negotiation(const udp::Path& path, ByteView dcid, ByteView scid) {
  if (options_.server_context == nullptr) {
    counts_.dropped_malformed.add();
    return;
  }
  if (stateless_full()) return;
  // One reserved version keeps clients from relying on the list (RFC 9000 §15).
  std::vector<std::uint32_t> versions = options_.transport.versions;
  versions.push_back(0x0a0a0a0a | (static_cast<std::uint32_t>(random_.next()) & 0xf0f0f0f0));
  std::vector<std::uint8_t> packet(7 + dcid.size() + scid.size() + 4 * versions.size());
  const ngtcp2_ssize size = ngtcp2_pkt_write_version_negotiation(
      packet.data(), packet.size(), static_cast<std::uint8_t>(random_.next()), scid.data(),
      scid.size(), dcid.data(), dcid.size(), versions.data(), versions.size());
  if (size <= 0) return;
  packet.resize(static_cast<std::size_t>(size));
  counts_.version_negotiations.add();
  push_stateless(path, std::move(packet));
}

void Endpoint::send_retry(const udp::Path& path, const ngtcp2_pkt_hd& header) {
  if (stateless_full()) return;
  const ConnectionId retry_scid = fresh_cid();
  const ByteView original_dcid(header.dcid.data, header.dcid.datalen);
  std::array<std::uint8_t, 18> address;
  const std::size_t size = address_and_port(path.remote, address);
  const auto token = tokens_.retry(random_, header.version, ByteView(address.data(), size),
                                   original_dcid, retry_scid, unix_now_);
  std::vector<std::uint8_t> packet(NGTCP2_MAX_UDP_PAYLOAD_SIZE);
  const auto written = write_retry(packet, header.version, {header.scid.data, header.scid.datalen},
                                   retry_scid, original_dcid, token.view());
  if (!written) {
    log_.line(LogLevel::warning, fmt::format("quic: {}", written.error().to_string()));
    return;
  }
  packet.resize(*written);
  counts_.retries.add();
  push_stateless(path, std::move(packet));
}

void Endpoint::send_refusal(const udp::Path& path, const ngtcp2_pkt_hd& header, std::uint64_t code,
                            std::string_view reason) {
  if (stateless_full()) return;
  std::vector<std::uint8_t> packet(NGTCP2_MAX_UDP_PAYLOAD_SIZE);
  const auto written =
      write_initial_close(packet, header.version, {header.scid.data, header.scid.datalen},
                          {header.dcid.data, header.dcid.datalen}, code, reason);
  if (!written) return;
  packet.resize(*written);
  push_stateless(path, std::move(packet));
}

/// RFC 9000 §10.3: shorter than what it answers, so that two endpoints that lost their state do
/// not answer each other for ever.
void Endpoint::send_stateless_reset(const udp::Path& path, ByteView dcid,
                                    std::size_t received_size) {
  if (received_size <= kShortestReset || stateless_full()) return;
  const std::size_t size = std::min(received_size - 1, kMaxResetSize);
  std::vector<std::uint8_t> packet(size);
  std::array<std::uint8_t, kMaxResetSize> noise;
  random_.fill(noise);
  const auto token = reset_key_.token(dcid);
  const ngtcp2_ssize written = ngtcp2_pkt_write_stateless_reset(
      packet.data(), packet.size(), token.data(), noise.data(), size - token.size());
  if (written <= 0) return;
  packet.resize(static_cast<std::size_t>(written));
  counts_.stateless_resets.add();
  push_stateless(path, std::move(packet));
}

}  // namespace tern::quic
