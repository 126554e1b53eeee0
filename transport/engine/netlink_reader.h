#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "transport/udp/interfaces.h"

namespace tern::engine {

/// Reads rtnetlink messages (rtnetlink(7)): the answers to dumps of links, addresses and routes, of
/// which it makes a snapshot, and notifications, of which it only says whether they matter.
/// Sans-IO; trusts no length in what it reads, and skips what it does not know.
class NetlinkReader {
 public:
  /// Of each kind; what comes beyond is left out.
  static constexpr std::size_t kMaxEntries =
      udp::Interfaces::kMaxInterfaces * udp::Interfaces::kMaxAddresses;

  /// What one datagram was.
  struct Seen {
    bool relevant = false;     ///< an interface, an address or a default route came, went, changed
    bool done = false;         ///< the dump is complete
    bool interrupted = false;  ///< something changed during the dump: it may contradict itself
    int error = 0;             ///< the kernel refused the request: errno
  };
  Seen read(ByteView datagram);

  /// Of what was read since the beginning. `kind_of` is asked once for each interface, with its
  /// name and ARPHRD_ type.
  using KindOf = std::function<udp::InterfaceKind(const std::string& name, std::uint16_t type)>;
  udp::Interfaces snapshot(const KindOf& kind_of) const;

 private:
  struct Link {
    std::uint32_t index;
    std::uint16_t type;
    bool up;
    std::string name;
  };
  struct Address {
    std::uint32_t index;
    bool temporary;
    udp::InterfaceAddress entry;
  };
  struct DefaultRoute {
    std::uint32_t index;
    bool v6;
    std::uint32_t metric;
  };

  void read_link(ByteView body);
  void read_address(ByteView body);
  bool read_route(ByteView body);
  void add_route(std::uint32_t index, bool v6, std::uint32_t metric);

  std::vector<Link> links_;
  std::vector<Address> addresses_;
  std::vector<DefaultRoute> routes_;
};

}  // namespace tern::engine
