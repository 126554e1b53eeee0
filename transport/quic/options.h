#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "transport/quic/cid.h"
#include "transport/quic/event.h"
#include "transport/quic/qlog.h"
#include "transport/quic/session.h"
#include "transport/quic/token.h"
#include "transport/tls/client_context.h"
#include "transport/tls/server_context.h"
#include "transport/udp/address.h"

/// Options of endpoints and connections, with their defaults. Fluent, so that they can be written
/// next to a `co_await` (gcc 12).

namespace tern::quic {

enum class Congestion : std::uint8_t { cubic, bbr, reno };

/// Whether a server makes clients prove their address with a Retry (RFC 9000 §8.1.2).
enum class RetryPolicy : std::uint8_t {
  when_busy,  ///< when more handshakes are open than EndpointOptions::busy_handshakes
  always,
  never,
};

/// What both roles may set for a connection: transport parameters and recovery.
struct TransportOptions {
  /// Connection ends after this much silence; the smaller of both sides' counts. 0: never.
  Duration idle_timeout = std::chrono::seconds(30);
  /// The handshake must be complete by then.
  Duration handshake_timeout = std::chrono::seconds(10);
  /// PING after this much silence, to keep NAT bindings and the connection; 0: none.
  Duration keep_alive{};
  /// A connection that has sent and received nothing for so long gives back what memory it can do
  /// without until it does; 0: never (docs/decisions/0031).
  Duration rest_after = std::chrono::seconds(1);
  Duration initial_rtt = std::chrono::milliseconds(333);  // RFC 9002 §6.2.2
  /// What the peer may send before we consume; grow with the path up to the max_ values.
  std::uint64_t initial_window = 1024 * 1024;        // whole connection
  std::uint64_t initial_stream_window = 512 * 1024;  // each stream
  std::uint64_t max_window = 24 * 1024 * 1024;
  std::uint64_t max_stream_window = 16 * 1024 * 1024;
  /// Streams the peer may have open at once.
  std::uint64_t max_bidi_streams = 128;
  std::uint64_t max_uni_streams = 16;
  /// Largest DATAGRAM frame we take (RFC 9221); 0: none.
  std::uint64_t max_datagram_frame = 65535;
  std::uint64_t active_connection_ids = 4;
  /// Packets of the peer's in ten seconds that want an acknowledgement and bring nothing (PING,
  /// PATH_CHALLENGE, NEW_CONNECTION_ID …), beyond as many as we send: RFC 9000 §21.9. Then
  /// PROTOCOL_VIOLATION. Honest peers send a few a second.
  std::uint64_t max_non_productive_packets = 1000;
  /// Largest UDP payload we send, found by PMTUD from 1200 up: 1452 is what Ethernet takes with
  /// IPv6, 8952 the same with jumbo frames, as in data centres and on loopback
  /// (docs/decisions/0011).
  std::size_t max_udp_payload = 8952;
  bool pmtud = true;
  bool ecn = true;
  Congestion congestion = Congestion::cubic;
  bool disable_active_migration = false;
  /// Versions we speak, best first. A client starts with `first_version`, and servers switch by
  /// compatible version negotiation (RFC 9368) to their own favourite of what it offers.
  std::vector<std::uint32_t> versions{kVersion1, kVersion2};
  std::uint32_t first_version = kVersion1;
  /// Server: offered to clients to move to after the handshake (RFC 9000 §9.6).
  udp::Address preferred_v4;
  udp::Address preferred_v6;
};

struct EndpointOptions {
  TransportOptions transport;
  CidConfig cids;
  /// Null: no stateless reset, tokens or server role.
  std::shared_ptr<const StatelessResetKey> reset_key;
  std::shared_ptr<const tls::KeyRing> token_keys;
  /// Set: accepts connections. Swapped for a new one to reload certificates.
  std::shared_ptr<const tls::ServerContext> server_context;
  /// Application state that decides whether 0-RTT from an older ticket is still good.
  std::vector<std::uint8_t> early_data_context;
  RetryPolicy retry = RetryPolicy::when_busy;
  std::size_t busy_handshakes = 1000;
  std::size_t max_handshakes = 10'000;      ///< beyond it new Initials get CONNECTION_REFUSED
  std::size_t max_connections = 100'000;    ///< likewise
  std::size_t max_stateless_packets = 256;  ///< Retry, VN, resets a turn; more are dropped
  std::size_t workers = 1;                  ///< packets for others' CIDs go to `stray`
  QlogOpener qlog;
};

struct ConnectOptions {
  std::shared_ptr<const tls::ClientContext> context;
  udp::Address local;  ///< of one of the endpoint's sockets; its IP may be a wildcard
  udp::Address remote;
  std::string server_name;  ///< for SNI and the certificate
  std::vector<std::string> alpn{"h3"};
  std::optional<Session> session;
  bool early_data = false;
  std::optional<TransportOptions> transport;  ///< else the endpoint's
  /// More transport parameters, encoded (RFC 9000 §18): sent after ours as they are, at most 16
  /// KiB. For those that servers have to ignore (§18.1); a kilobyte makes the ClientHello two
  /// packets.
  std::vector<std::uint8_t> more_parameters;
  /// A reserved version (RFC 9000 §15) to list in version_information (RFC 9368), which servers
  /// have to ignore, too. 0: none.
  std::uint32_t reserved_version = 0;
};

}  // namespace tern::quic
