#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "base/scope.h"
#include "base/timer_heap.h"
#include "gateway/client_connection.h"
#include "gateway/client_options.h"
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

  ClientPool(Runtime& runtime, udp::Network& network, ClientOptions options);
  ClientPool(const ClientPool&) = delete;
  ClientPool& operator=(const ClientPool&) = delete;
  ~ClientPool();

  /// A connection that takes a new request to this origin, established if need be.
  Task<Result<std::shared_ptr<ClientConnection>>> acquire(http::Url url);

  /// Makes endpoint and TLS context at the first use, and says what is wrong with the options.
  Result<void> prepare();
  /// A local address to connect from: of the best network for `remote`, or of the `choice`th best.
  Result<udp::Address> local_for(const udp::Address& remote, std::size_t choice = 0);
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

  void forget(ClientConnection& connection);
  /// Makes a connection to the same origin that goes through another interface than `avoided`. When
  /// it is there, it takes the place of the old one, should that still be stranded.
  void replace(ClientConnection& connection, std::uint32_t avoided);
  /// Those that are open or being established.
  const std::vector<std::shared_ptr<ClientConnection>>& connections() const noexcept {
    return all_;
  }

  Runtime& runtime;
  udp::Network& network;
  ClientOptions options;
  std::shared_ptr<SessionCache> sessions;
  std::shared_ptr<const tls::ClientContext> tls;
  http3::Context http3;
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
  Task<void> establish(std::shared_ptr<ClientConnection> connection);
  Task<void> succeed(std::shared_ptr<ClientConnection> old,
                     std::shared_ptr<ClientConnection> successor);
  /// Makes room by closing one that has no request.
  void close_idle();

  std::unique_ptr<udp::InterfaceWatch> watch_;
  bool was_online_ = false;
  Timer socket_timer_;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::string, std::shared_ptr<ClientConnection>> by_origin_;
  std::vector<std::shared_ptr<ClientConnection>> all_;  // until they are closed
  Scope scope_;                                         // last: its tasks use everything above
};

}  // namespace tern
