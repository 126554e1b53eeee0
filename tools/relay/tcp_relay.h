#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "tools/relay/capture.h"
#include "tools/relay/outside_addresses.h"
#include "tools/relay/paced_world.h"
#include "tools/relay/relay.h"
#include "transport/tcp/network.h"

namespace tern::relay {

/// Byte streams between real sockets and the world's hosts. Internal to tools/relay.
///
/// A client's connection ends here, goes on as one of the near host's to the far host, whose
/// segments meet the link and the NAT, and goes on from there as a real one to the server: three
/// connections in a row, of which the simulated one has the loss and the delay.
class TcpRelay final : private Participant {
 public:
  TcpRelay(PacedWorld& world, tcp::Network& network, OutsideAddresses& outside,
           const Captures& captures, const RelayOptions& options);
  TcpRelay(const TcpRelay&) = delete;
  TcpRelay& operator=(const TcpRelay&) = delete;
  ~TcpRelay();

  /// Listens on these addresses, one for each route.
  Result<void> open(const std::vector<udp::Address>& listen);
  std::vector<udp::Address> addresses() const;
  /// Adds what concerns streams.
  void add_to(RelayStats& stats) const;

 private:
  class Pipe;
  class Route;

  void enter() override;
  void leave() override;

  void from_client(Route& route, std::unique_ptr<tcp::Stream> stream);
  void to_server(Route& route, std::unique_ptr<tcp::Stream> stream);
  void refused(const Error& error);
  Pipe& add_pipe();
  void capture();

  PacedWorld& world_;
  tcp::Network& network_;
  OutsideAddresses& outside_;
  const Captures& captures_;
  const RelayOptions& options_;
  RelayStats counted_;
  std::vector<std::unique_ptr<Route>> routes_;
  std::unordered_map<Pipe*, std::unique_ptr<Pipe>> pipes_;
  std::vector<Pipe*> touched_;  // something came from the real world
  std::vector<Pipe*> over_;
};

}  // namespace tern::relay
