#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "transport/udp/address.h"
#include "transport/udp/network.h"

namespace tern::relay {

/// Which address of this machine stands for each outside address that the simulated NAT has had.
/// Internal to tools/relay.
class OutsideAddresses {
 public:
  /// The network outlives this object.
  OutsideAddresses(udp::Network& network, std::uint64_t seed) : network_(network), random_(seed) {}

  /// Addresses to take, in turn. Without any for a family: the one that the kernel would take; and
  /// towards a server on 127.0.0.0/8, after that a random one of its /24 each time. Fails with one
  /// that this machine does not have.
  Result<void> give(const udp::Address& address);
  /// `server` is one that will be sent to.
  Result<void> serve(const udp::Address& server);
  /// Can the address change, for servers of that family?
  bool can_change(bool v6) const noexcept;

  /// The machine's address, port 0, for the NAT's `outside`: each new one gets the next.
  udp::Address real(const udp::Address& outside);

 private:
  /// Old ones whose sockets are gone may be forgotten: a binding keeps its own.
  static constexpr std::size_t kMaxRemembered = 256;

  struct Known {
    udp::Address outside;
    udp::Address real;
  };
  std::vector<udp::Address> candidates(bool v6) const;
  udp::Address another_loopback(const udp::Address& last);

  udp::Network& network_;
  Random random_;
  std::vector<udp::Address> given_;
  std::vector<udp::Address> natural_;  // of the kernel, one a family
  std::vector<udp::Address> servers_;
  std::vector<Known> known_;
  std::size_t taken_v4_ = 0;
  std::size_t taken_v6_ = 0;
};

}  // namespace tern::relay
