#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "base/scope.h"
#include "base/timer_heap.h"
#include "gateway/broadcast.h"
#include "gateway/client_options.h"
#include "gateway/http3_knowledge.h"
#include "gateway/network_sources.h"
#include "gateway/origin_connection.h"
#include "gateway/quic_origin_connection.h"
#include "gateway/service_records.h"
#include "gateway/tcp_origin_connection.h"
#include "http/fallback/context.h"
#include "http3/context.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/tls/client_context.h"
#include "transport/udp/interfaces.h"

namespace tern {

/// What a client owns: its endpoint with a socket for each address family, and its connections.
class ClientPool {
 public:
  /// Closed connections that connections() still shows.
  static constexpr std::size_t kMaxRemembered = 16;
  /// Connections opened for one request at most.
  static constexpr int kMaxConnects = 4;
  /// HTTP/1.1 connections to one origin, which take one request at a time each.
  static constexpr std::size_t kMaxSerial = 6;
  /// Connections at most when another one is wanted for a WebSocket of its own.
  static constexpr std::size_t kMaxConnections = 4096;

  ClientPool(Runtime& runtime, udp::Network& network, ClientOptions options);
  ClientPool(const ClientPool&) = delete;
  ClientPool& operator=(const ClientPool&) = delete;
  ~ClientPool();

  /// A connection that takes a new request to this origin, established if need be.
  Task<Result<std::shared_ptr<OriginConnection>>> acquire(http::Url url);
  /// The connection to `origin`, which is the URL's, if it takes a request beside others now.
  std::shared_ptr<OriginConnection> try_acquire(const http::Url& url, const std::string& origin);

  /// What a WebSocket may run on still.
  enum class WebSocketRung : std::uint8_t {
    any,       ///< whatever connection requests take
    over_tcp,  ///< HTTP/2, beside a connection of HTTP/3
    http1,     ///< a connection of its own
  };
  /// A connection for one WebSocket handshake. One of HTTP/1.1 is nobody else's from now on.
  Task<Result<std::shared_ptr<OriginConnection>>> acquire_for_websocket(http::Url url,
                                                                        WebSocketRung from);
  /// The server has no WebSockets in that `version` of HTTP, "h3" for instance: what else there is
  /// to try; nothing: that was the last.
  std::optional<WebSocketRung> next_rung(const std::shared_ptr<OriginConnection>& failed,
                                         std::string_view version);

  /// What a WebTransport session may run on still.
  enum class SessionRung : std::uint8_t {
    any,    ///< whatever connection requests take
    http3,  ///< HTTP/3, even if requests take another
    http2,  ///< HTTP/2, beside a connection of HTTP/3 perhaps
    websocket,
  };
  /// A connection for a session, but for a WebSocket's. It may be one of HTTP/1.1, which has none.
  Task<Result<std::shared_ptr<OriginConnection>>> acquire_for_session(http::Url url,
                                                                      SessionRung rung);
  /// The server has no sessions there: what there is to try next.
  SessionRung next_rung(const std::shared_ptr<OriginConnection>& failed);

  /// Makes endpoint and TLS context at the first use, and says what is wrong with the options.
  Result<void> prepare();
  /// A local address to connect from: of the best network for `remote`, or of the `choice`th best.
  Result<udp::Address> local_for(const udp::Address& remote, std::size_t choice = 0);
  /// The address that the options want to send from, if any, is of the same IP version.
  bool may_send_to(const udp::Address& remote) const noexcept {
    return !options.local_address_ || options.local_address_->is_v4() == remote.is_v4();
  }
  /// How many `choice`s there are; 0 for a remote that connections follow no network to.
  std::size_t networks_to(const udp::Address& remote);
  /// `device`: packets leave through that interface even where the routing table prefers another.
  Result<udp::Address> bind(const udp::Address& address, const std::string& device = {});
  /// The same for an address of an interface, or a wildcard.
  Result<udp::Address> bind_like(const udp::Address& address);
  /// Closes the sockets that no connection uses any more, but for the shared ones, in
  /// kSocketLinger: until then packets arrive that were on their way, and close packets leave.
  void close_unused_sockets_soon();
  static constexpr Duration kSocketLinger = std::chrono::seconds(1);
  /// Connections follow the network.
  bool follows() const noexcept { return watch_ != nullptr; }
  /// It was on a network, and is on none.
  bool lost_its_networks() const noexcept { return was_online_ && !online(); }

  /// Where a TCP connection to `remote` is to begin, in the `choice`th best network; an unspecified
  /// address: the system chooses.
  Result<NetworkSource> tcp_source_for(const udp::Address& remote, std::size_t choice);
  /// TLS to https:// proxies; made at the first use.
  Result<std::shared_ptr<const tls::ClientContext>> proxy_tls();
  /// A response that came over TCP says where else its origin is.
  void heard_alt_svc(const OriginConnection& connection, std::string_view value);

  /// The server has answered that it wants HTTP/1.1: its origin gets no other connections for a
  /// while, and this one no further requests. False where the options rule that out.
  bool step_down_to_http1(OriginConnection& connection);

  /// A request is made, and earns a part of a repetition. Whether there is one left, which is
  /// taken.
  void earn_retry() noexcept;
  bool spend_retry() noexcept;
  /// A request goes to another connection, without being paid for: it earns nothing there.
  void note_move() noexcept;
  /// What is about no connection.
  void tell(ClientEvent::Type type, std::string text) const;

  void forget(OriginConnection& connection);
  /// Makes a connection to the same origin that goes through another interface than `avoided`. When
  /// it is there, it takes the place of the old one, should that still be stranded.
  void replace(QuicOriginConnection& connection, std::uint32_t avoided);
  /// Those that are open or being established.
  const std::vector<std::shared_ptr<OriginConnection>>& connections() const noexcept {
    return all_;
  }

  Runtime& runtime;
  udp::Network& network;
  ClientOptions options;
  std::shared_ptr<SessionCache> sessions;
  std::shared_ptr<const tls::ClientContext> tls;
  http3::Context http3;
  fallback::Context fallback;
  ServiceRecords services;
  std::unique_ptr<quic::BoundEndpoint> endpoint;
  udp::Interfaces interfaces;  ///< as they were when they last changed
  /// Where new connections of each family begin that follow no network.
  std::optional<udp::Address> local_v4;
  std::optional<udp::Address> local_v6;
  bool closed = false;
  std::deque<ClientConnectionInfo> remembered;

 private:
  void watch_networks();
  bool online() const noexcept;
  void networks_changed();
  void close_unused_sockets();

  /// What an origin has.
  struct Origin {
    std::shared_ptr<OriginConnection> current;  ///< where new requests go
    /// HTTP/1.1 beside it.
    std::vector<std::shared_ptr<OriginConnection>> serial;
    /// An attempt at HTTP/3, beside the requests that TCP serves meanwhile perhaps.
    std::shared_ptr<QuicOriginConnection> climbing;
    /// HTTP/2 beside HTTP/3, for WebSockets and sessions that the server does not have there.
    std::shared_ptr<OriginConnection> beside;
    /// It has none in HTTP/2 either.
    bool websockets_in_http1 = false;
    /// It has no WebTransport in HTTP/2.
    bool sessions_in_websockets = false;
    /// It failed, for want of an answer.
    bool silent = false;
  };
  /// The first connection to an origin, on its way; whoever wants one waits for it.
  struct Race {
    explicit Race(Runtime& runtime) : changed(runtime) {}
    Broadcast changed;
    bool over = false;
    std::optional<Error> error;
  };
  Task<void> run(std::shared_ptr<Race> race, http::Url url);
  std::shared_ptr<OriginConnection> begin_quic(const http::Url& url);
  std::shared_ptr<OriginConnection> begin_tcp(const http::Url& url, bool http1_only = false);
  /// No request goes there any more but the one that is about to.
  void set_apart(const std::shared_ptr<OriginConnection>& connection);
  Task<Result<std::shared_ptr<OriginConnection>>> acquire_beside(http::Url url);
  Task<Result<std::shared_ptr<OriginConnection>>> acquire_http3(http::Url url);
  Task<Result<std::shared_ptr<OriginConnection>>> connect_alone(http::Url url);
  Task<void> climb(std::shared_ptr<QuicOriginConnection> connection);
  void settle(const std::shared_ptr<OriginConnection>& connection);
  bool may_quic(const http::Url& url) const;
  bool wants_quic(const http::Url& url);
  bool wants_tcp(const http::Url& url) const noexcept;
  void climb_if_offered(const http::Url& url);
  void note_silence(const std::string& origin);
  Task<Result<std::shared_ptr<OriginConnection>>> free_serial(
      std::shared_ptr<OriginConnection> first);
  /// Names the network in use.
  std::string network_name() const;

  Task<void> establish(std::shared_ptr<OriginConnection> connection);
  Task<void> succeed(std::shared_ptr<QuicOriginConnection> old,
                     std::shared_ptr<QuicOriginConnection> successor);
  /// Makes room by closing one that has no request.
  void close_idle();

  std::shared_ptr<const tls::ClientContext> proxy_tls_;
  double retry_budget_;
  Counter& requests_;
  Counter& retries_;
  Counter& retries_unpaid_;
  Counter& moves_;
  std::unique_ptr<udp::InterfaceWatch> watch_;
  bool was_online_ = false;
  Timer socket_timer_;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::string, Origin> by_origin_;
  std::unordered_map<std::string, std::shared_ptr<Race>> races_;
  Broadcast established_;  // some connection is, or has failed
  Http3Knowledge knowledge_;
  std::vector<std::shared_ptr<OriginConnection>> all_;  // until they are closed
  Scope scope_;                                         // last: its tasks use everything above
};

}  // namespace tern
