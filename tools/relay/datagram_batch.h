#pragma once

#include <cstddef>
#include <vector>

#include "base/bytes.h"
#include "transport/udp/network.h"

namespace tern::relay {

/// Gathers datagrams for a network's sockets and hands them over in as few sends as order allows:
/// equal-sized neighbours to one receiver leave as one segmented send (GSO). Internal to
/// tools/relay.
class DatagramBatch {
 public:
  /// The network outlives this object.
  explicit DatagramBatch(udp::Network& network) noexcept : network_(network) {}
  DatagramBatch(const DatagramBatch&) = delete;
  DatagramBatch& operator=(const DatagramBatch&) = delete;
  ~DatagramBatch() { flush(); }

  /// False: every send buffer of the network is in use, and the datagram is lost. Until `flush` the
  /// socket must live.
  bool add(udp::Socket& socket, const udp::Path& path, udp::Ecn ecn, ByteView datagram);
  /// Sends everything, in the order in which it was added.
  void flush();

 private:
  bool extends(const udp::Socket& socket, const udp::Path& path, udp::Ecn ecn,
               std::size_t size) const noexcept;
  void end_transmit();

  udp::Network& network_;
  std::vector<udp::Slab*> full_;
  udp::Slab* slab_ = nullptr;
  std::size_t used_ = 0;
  // The send that is being put together: at the end of the slab. No socket: none is.
  udp::Socket* socket_ = nullptr;
  udp::Transmit transmit_;
  std::size_t segments_ = 0;
  bool complete_ = false;  // it ends with a shorter one
};

}  // namespace tern::relay
