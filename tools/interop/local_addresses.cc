#include "tools/interop/local_addresses.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>

namespace tern::interop {
namespace {

bool is_link_local(const udp::Address& address) noexcept {
  const ByteView ip = address.ip();
  return address.is_v6() ? ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80 : ip[0] == 169 && ip[1] == 254;
}

/// The local address of a datagram from `from` (or from anywhere) to `remote`; nothing goes out.
std::optional<udp::Address> route(const udp::Address& remote, const udp::Address* from) noexcept {
  const int fd = ::socket(remote.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  std::optional<udp::Address> local;
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if ((from == nullptr || ::bind(fd, from->data(), from->size()) == 0) &&
      ::connect(fd, remote.data(), remote.size()) == 0 &&
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) == 0) {
    local = udp::Address::from(reinterpret_cast<const sockaddr*>(&storage), size);
    local->set_port(0);
  }
  ::close(fd);
  return local;
}

}  // namespace

std::vector<udp::Address> other_local_addresses(const udp::Address& remote) {
  std::vector<udp::Address> others;
  const auto chosen = route(remote, nullptr);
  if (!chosen) return others;
  const auto offer = [&](const udp::Address& address) {
    if (!address.same_ip(*chosen) && route(remote, &address)) others.push_back(address);
  };
  // All of 127.0.0.0/8 is this host, and only 127.0.0.1 is listed.
  if (remote.is_v4() && remote.is_loopback()) offer(udp::Address::v4(0x7f000002, 0));
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return others;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0 ||
        entry->ifa_addr->sa_family != remote.data()->sa_family) {
      continue;
    }
    const socklen_t size = remote.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    const udp::Address address = udp::Address::from(entry->ifa_addr, size);
    if (address.is_loopback() == remote.is_loopback() &&
        is_link_local(address) == is_link_local(remote)) {
      offer(address);
    }
  }
  ::freeifaddrs(list);
  return others;
}

}  // namespace tern::interop
