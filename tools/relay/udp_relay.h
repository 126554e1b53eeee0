#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/timer_heap.h"
#include "tools/relay/capture.h"
#include "tools/relay/datagram_batch.h"
#include "tools/relay/outside_addresses.h"
#include "tools/relay/paced_world.h"
#include "tools/relay/relay.h"
#include "transport/udp/network.h"

namespace tern::relay {

/// Datagrams between real sockets and the world's hosts. Internal to tools/relay.
///
/// A client (address and port) has a socket on the near host; a route has one on the far host; each
/// address and port of the NAT's outside has a real socket, its binding, towards the servers.
class UdpRelay final : private Participant {
 public:
  UdpRelay(PacedWorld& world, udp::Network& network, OutsideAddresses& outside,
           const Captures& captures, const RelayOptions& options);
  UdpRelay(const UdpRelay&) = delete;
  UdpRelay& operator=(const UdpRelay&) = delete;
  ~UdpRelay();

  Result<void> open();
  std::vector<udp::Address> addresses() const;
  /// Adds what concerns datagrams.
  void add_to(RelayStats& stats) const;

 private:
  class Client;
  class Binding;
  class Route;

  void enter() override;
  void leave() override;

  // The four steps of a datagram's way, each for what one read brought.
  void from_client(Route& route, const udp::Arrival& arrival);
  void to_server(Route& route, const udp::Arrival& arrival);
  void from_server(Binding& binding, const udp::Arrival& arrival);
  void to_client(Client& client, const udp::Arrival& arrival);

  Client* find_client(const udp::Address& address);
  Binding* find_binding(const udp::Address& outside);
  Route* route_to(const udp::Address& server) noexcept;
  bool overloaded() noexcept;
  void sweep();

  PacedWorld& world_;
  udp::Network& network_;
  const RelayOptions& options_;
  OutsideAddresses& outside_;
  Capture* const client_capture_;
  Capture* const server_capture_;
  RelayStats counted_;

  // Sockets, then the batches that refer to them: those are gone first.
  std::vector<std::unique_ptr<Route>> routes_;
  std::unordered_map<udp::Address, std::unique_ptr<Client>> clients_;
  std::unordered_map<udp::Address, std::unique_ptr<Binding>> bindings_;
  DatagramBatch into_near_;
  DatagramBatch into_far_;
  DatagramBatch out_;
  bool sweep_due_ = false;
  Timer sweep_timer_;
};

}  // namespace tern::relay
