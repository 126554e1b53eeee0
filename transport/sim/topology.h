#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>

#include "transport/udp/address.h"

/// Who owns which address, and which way it lies. Internal to transport/sim.

namespace tern::sim {

class Host;
struct Interface;

class Topology {
 public:
  struct Owner {
    Host* host = nullptr;
    Interface* interface = nullptr;  ///< null: the host's own address, good on every link
  };

  /// Gives `host` addresses of its own: 10.1.0.0/16 and 2001:db8:1::/64, in order of creation.
  void number(Host& host);
  /// Gives `end` new addresses: 10.64.0.0/10 and 2001:db8:2::/64. Its old ones are gone.
  void number(Interface& end);
  /// New addresses for the outside of a NAT at `end`: 198.18.0.0/15 and 2001:db8:3::/64.
  void number_outside(Interface& end, udp::Address& v4, udp::Address& v6);

  /// The owner of an IP address; host is null if nobody has it. The port does not matter.
  Owner owner(udp::Address address) const noexcept;
  /// The interface through which `from` reaches `destination`: the way with the fewest links; where
  /// several are equal the one with the smallest metric at `from`, then the oldest. Null: no way.
  Interface* route(const Host& from, const udp::Address& destination);
  /// Interfaces came, went or changed.
  void changed() noexcept { routes_.clear(); }

 private:
  struct Key {
    const Host* from;
    udp::Address destination;
    bool operator==(const Key&) const noexcept = default;
  };
  /// Of an IP address, whose last four bytes number it within its net. Each packet is asked for
  /// several times; Address::hash, which mixes every byte, was a fiftieth of a simulation.
  struct IpHash {
    std::size_t operator()(const udp::Address& address) const noexcept {
      const auto ip = address.ip();
      if (ip.size() < 4) return 0;
      std::size_t hash = ip.size() > 4 ? ip[5] : 0;
      for (const std::uint8_t byte : ip.last(4)) hash = hash << 8 | byte;
      return hash;
    }
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return IpHash()(key.destination) ^ std::hash<const Host*>()(key.from);
    }
  };
  Interface* search(const Host& from, const udp::Address& destination) const;
  static Interface* search_host(const Host& from, const Host& target, bool v6);

  // Looked up only, never iterated: their order must not matter.
  std::unordered_map<udp::Address, Owner, IpHash> owners_;
  std::unordered_map<Key, Interface*, KeyHash> routes_;
  std::uint32_t hosts_ = 0;
  std::uint32_t interfaces_ = 0;
  std::uint32_t outsides_ = 0;
};

}  // namespace tern::sim
