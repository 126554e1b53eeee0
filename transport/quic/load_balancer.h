#pragma once

#include <cstddef>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "transport/quic/cid.h"
#include "transport/udp/address.h"

namespace tern::quic {

/// Which machine behind a layer-4 load balancer a datagram is for (QUIC-LB,
/// draft-ietf-quic-load-balancers §5). Sans-IO and stateless: the answer comes from the datagram
/// alone, so a client that changes its address stays with its machine, any number of balancers
/// agree, and a restarted one knows as much as before. Immutable; may be shared between threads.
///
/// It reads the connection IDs of tern's servers: the server ID is worker ‖ machine id, and the
/// worker is the machine's own affair.
class LoadBalancer {
 public:
  static constexpr std::size_t kMaxMachines = 256;

  /// `cids` is what the machines have (rotation, nonce length, key, and a machine id of the length
  /// that all have: 1 byte or more). `machines` are their ids; the place in this list is the
  /// answer. Error invalid: none or too many, of different lengths, or the same twice.
  static Result<LoadBalancer> create(CidConfig cids, std::vector<ConnectionId> machines);

  struct Route {
    std::size_t machine = 0;
    /// The connection ID said so. Else it is a client's own (in its first flight), of another
    /// configuration or no QUIC at all, and the choice is a hash: of the connection ID in a long
    /// header, so that all of a first flight goes to one machine; of the client's address else.
    bool by_connection_id = false;
  };
  Route route(ByteView datagram, const udp::Address& client) const noexcept;

  std::size_t machines() const noexcept { return machines_.size(); }

 private:
  LoadBalancer(CidGenerator cids, std::vector<ConnectionId> machines)
      : cids_(std::move(cids)), machines_(std::move(machines)) {}
  std::size_t hashed(ByteView bytes) const noexcept;

  CidGenerator cids_;
  std::vector<ConnectionId> machines_;
};

}  // namespace tern::quic
