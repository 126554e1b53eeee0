// Datagrams as they come from NETLINK_ROUTE, or as a kernel never sends them.

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "transport/engine/netlink_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tern::engine::NetlinkReader reader;
  reader.read({data, size});
  const tern::udp::Interfaces found = reader.snapshot(
      [](const std::string&, std::uint16_t) { return tern::udp::InterfaceKind::other; });
  TERN_CHECK(found.all.size() <= tern::udp::Interfaces::kMaxInterfaces);
  const auto remote = tern::udp::Address::v4(0x08080808, 53);
  for (const tern::udp::NetworkInterface& interface : found.all) {
    TERN_CHECK(!interface.name.empty() && interface.index != 0);
    TERN_CHECK(interface.addresses.size() <= tern::udp::Interfaces::kMaxAddresses);
    const tern::udp::Address source = interface.address_for(remote);
    TERN_CHECK(!source.specified() || source.is_v4());
  }
  return 0;
}
