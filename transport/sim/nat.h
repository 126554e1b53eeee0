#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "transport/udp/address.h"

namespace tern::sim {

class Host;
class Link;
class World;
struct Interface;
struct Packet;

class NatOptions {
 public:
  /// A mapping that nothing left through for this long is forgotten. Default 30 s, as common home
  /// routers do for UDP (RFC 4787 §4.3 asks for two minutes).
  NatOptions& timeout(Duration idle) { return timeout_ = idle, *this; }
  /// The same for TCP, whose mappings are others. Default 2 h 4 min (RFC 5382 §5); carriers have
  /// been seen to forget after five minutes.
  NatOptions& tcp_timeout(Duration idle) { return tcp_timeout_ = idle, *this; }
  /// Packets from outside keep a mapping alive too. Default: only those from inside do.
  NatOptions& inbound_refresh(bool on = true) { return inbound_refresh_ = on, *this; }
  /// A mapping for each remote address ("symmetric NAT"). Default: one for each inside address
  /// (RFC 4787 §4.1, endpoint-independent).
  NatOptions& symmetric(bool on = true) { return symmetric_ = on, *this; }
  /// Lets in whatever hits a mapping ("full cone"). Default: only remotes that were sent to.
  NatOptions& open(bool on = true) { return open_ = on, *this; }

 private:
  friend class Nat;
  Duration timeout_ = std::chrono::seconds(30);
  Duration tcp_timeout_ = std::chrono::minutes(124);
  bool inbound_refresh_ = false;
  bool symmetric_ = false;
  bool open_ = false;
};

/// Address and port translation at one end of a link: everything that the end's host sends or
/// forwards into the link gets an outside address and port, and only answers come back. On a
/// phone's own link it stands for the carrier's NAT; on a router's uplink for a home's.
class Nat {
 public:
  Nat(const Nat&) = delete;
  Nat& operator=(const Nat&) = delete;

  /// Forgets every mapping: whoever sends next gets another port, and what comes to the old ports
  /// is dropped. The far end sees a NAT rebinding.
  void rebind();
  /// The same, and the outside address changes too.
  void rebind_address();

  const udp::Address& outside_v4() const noexcept { return outside_v4_; }
  const udp::Address& outside_v6() const noexcept { return outside_v6_; }
  /// Mappings that are still alive.
  std::size_t mappings() const;
  std::uint64_t rebindings() const noexcept { return rebindings_; }

 private:
  friend class Host;
  friend class World;
  static constexpr std::uint16_t kFirstPort = 20000;
  static constexpr std::size_t kMaxMappings = 32768;

  struct Flow {
    bool tcp = false;
    udp::Address inside;
    udp::Address remote;  // unspecified unless symmetric
    bool operator==(const Flow&) const noexcept = default;
  };
  struct FlowHash {
    std::size_t operator()(const Flow& flow) const noexcept {
      return (flow.inside.hash() * 31 + flow.remote.hash()) ^ (flow.tcp ? 1 : 0);
    }
  };
  struct Mapping {
    Flow flow;
    Timestamp used;
    std::vector<udp::Address> contacted;
  };

  Nat(World& world, Interface& end, const NatOptions& options);
  bool alive(const Mapping& mapping) const;
  /// A mapping's key: UDP and TCP have their own ports.
  static std::uint32_t key(bool tcp, std::uint16_t port) noexcept {
    return (tcp ? 0x10000U : 0U) | port;
  }
  /// Rewrites the source; false when the table is full.
  bool outbound(Packet& packet);
  /// Rewrites the destination; false when there is no mapping.
  bool inbound(Packet& packet);
  std::uint16_t free_port(bool tcp);

  World& world_;
  Interface& end_;
  NatOptions options_;
  udp::Address outside_v4_, outside_v6_;
  std::uint16_t next_port_ = kFirstPort;
  std::uint64_t rebindings_ = 0;
  // Looked up, and counted; never iterated where order could matter.
  std::unordered_map<Flow, std::uint16_t, FlowHash> ports_;
  std::unordered_map<std::uint32_t, Mapping> mappings_;
};

}  // namespace tern::sim
