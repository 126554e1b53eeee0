#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transport/udp/address.h"

/// The networks that this machine is on, as the system knows them: what a client needs to follow
/// them. `Network::interfaces` takes the snapshot, `Network::watch_interfaces` tells of changes.

namespace tern::udp {

enum class InterfaceKind : std::uint8_t { wired, wifi, cellular, loopback, other };

/// "wired", "wifi", "cellular", "loopback", "other"
std::string_view to_string(InterfaceKind kind) noexcept;

struct InterfaceAddress {
  Address address;  ///< port 0
  std::uint8_t prefix_length = 0;
  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) noexcept = default;
};

/// A network interface. A value; nothing in it changes by itself.
struct NetworkInterface {
  std::uint32_t index = 0;  ///< the system's number for it; a new interface never has an old one's
  std::string name;         ///< "wlan0"; fits SocketOptions::device
  InterfaceKind kind = InterfaceKind::other;
  bool up = false;  ///< switched on, and connected to something
  /// Those that new sockets may be bound to: IPv6 addresses still being checked for duplicates
  /// (tentative), on their way out (deprecated) or link-local are not among them. Temporary IPv6
  /// addresses (RFC 8981) come first, else the system's order.
  std::vector<InterfaceAddress> addresses;
  /// The metric of the default route through here; unset: there is none. Smaller is preferred.
  std::optional<std::uint32_t> default_v4;
  std::optional<std::uint32_t> default_v6;

  /// The metric of the default route for the family of `remote`.
  const std::optional<std::uint32_t>& default_for(const Address& remote) const noexcept {
    return remote.is_v6() ? default_v6 : default_v4;
  }
  bool has(const Address& address) const noexcept;
  /// The address from which a packet to `remote` would leave here: one whose prefix `remote` is in,
  /// else, with a default route, the first of the family. Unspecified: it cannot go this way, as
  /// far as the snapshot shows.
  Address address_for(const Address& remote) const noexcept;
  friend bool operator==(const NetworkInterface&, const NetworkInterface&) noexcept = default;
};

/// All of them, by index. At most kMaxInterfaces with kMaxAddresses each; what the system has
/// beyond that is left out.
struct Interfaces {
  static constexpr std::size_t kMaxInterfaces = 256;
  static constexpr std::size_t kMaxAddresses = 64;

  std::vector<NetworkInterface> all;

  /// Null: there is none. Valid while this object is unchanged.
  const NetworkInterface* find(std::uint32_t index) const noexcept;
  const NetworkInterface* find(std::string_view name) const noexcept;
  /// The one that has the address; ports do not matter.
  const NetworkInterface* owner(const Address& address) const noexcept;
  friend bool operator==(const Interfaces&, const Interfaces&) noexcept = default;
};

/// Keeps a `Network::watch_interfaces` going; destroy it to end that. Goes before the network.
class InterfaceWatch {
 public:
  virtual ~InterfaceWatch() = default;
};

}  // namespace tern::udp
