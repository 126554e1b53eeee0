#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "transport/sim/tcp_header.h"
#include "transport/udp/address.h"
#include "transport/udp/network.h"

/// Datagrams and segments inside the simulator. Internal to transport/sim.

namespace tern::sim {

/// A UDP datagram or TCP segment on its way. Lives in a PacketPool; whoever holds the pointer owes
/// it to the pool.
struct Packet {
  udp::Address source;
  udp::Address destination;
  udp::Ecn ecn = udp::Ecn::not_ect;
  std::uint8_t hops = 0;
  std::uint32_t epoch = 0;  ///< of the channel that carries it: a cut loses what is in flight
  bool is_tcp = false;
  bool damaged = false;  ///< a segment whose checksum will not fit; datagrams have flipped bits
  TcpHeader tcp;
  std::vector<std::uint8_t> payload;

  /// The IP packet's size: 20 or 40 bytes of IP header, 8 of UDP or what TCP's header has.
  std::size_t wire_size() const noexcept {
    return payload.size() + (destination.is_v6() ? 40 : 20) + (is_tcp ? tcp.size() : 8);
  }
};

/// Owns every packet of a world and reuses them with their buffers.
class PacketPool {
 public:
  Packet* take();
  Packet* copy(const Packet& original);
  void give(Packet* packet) noexcept;
  /// How many are on their way or wait in a socket.
  std::size_t live() const noexcept { return packets_.size() - free_.size(); }

 private:
  std::deque<Packet> packets_;  // a deque keeps addresses valid
  std::vector<Packet*> free_;
};

}  // namespace tern::sim
