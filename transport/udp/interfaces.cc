#include "transport/udp/interfaces.h"

#include <algorithm>

namespace tern::udp {

namespace {

bool in_prefix(const Address& address, const InterfaceAddress& prefix) noexcept {
  if (address.is_v4() != prefix.address.is_v4() || address.is_v6() != prefix.address.is_v6()) {
    return false;
  }
  const ByteView left = address.ip();
  const ByteView right = prefix.address.ip();
  std::size_t bits = std::min<std::size_t>(prefix.prefix_length, left.size() * 8);
  for (std::size_t i = 0; bits > 0; ++i) {
    const std::size_t here = std::min<std::size_t>(bits, 8);
    const auto mask = static_cast<std::uint8_t>(0xff << (8 - here));
    if ((left[i] & mask) != (right[i] & mask)) return false;
    bits -= here;
  }
  return true;
}

}  // namespace

std::string_view to_string(InterfaceKind kind) noexcept {
  switch (kind) {
    case InterfaceKind::wired: return "wired";
    case InterfaceKind::wifi: return "wifi";
    case InterfaceKind::cellular: return "cellular";
    case InterfaceKind::loopback: return "loopback";
    case InterfaceKind::other: break;
  }
  return "other";
}

bool NetworkInterface::has(const Address& address) const noexcept {
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const InterfaceAddress& entry) { return entry.address.same_ip(address); });
}

Address NetworkInterface::address_for(const Address& remote) const noexcept {
  if (!up) return {};
  for (const InterfaceAddress& entry : addresses) {
    if (in_prefix(remote, entry)) return entry.address;
  }
  if (!default_for(remote)) return {};
  for (const InterfaceAddress& entry : addresses) {
    if (entry.address.is_v6() == remote.is_v6()) return entry.address;
  }
  return {};
}

const NetworkInterface* Interfaces::find(std::uint32_t index) const noexcept {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& entry) { return entry.index == index; });
  return found == all.end() ? nullptr : &*found;
}

const NetworkInterface* Interfaces::find(std::string_view name) const noexcept {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& entry) { return entry.name == name; });
  return found == all.end() ? nullptr : &*found;
}

const NetworkInterface* Interfaces::owner(const Address& address) const noexcept {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& entry) { return entry.has(address); });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace tern::udp
