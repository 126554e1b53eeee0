#include "transport/engine/udp_socket.h"

#include <cerrno>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "transport/engine/steering.h"

namespace tern::engine {

namespace {

bool set(int fd, int level, int option, int value) noexcept {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

void set_buffer(int fd, int force_option, int option, int bytes) noexcept {
  if (bytes > 0 && !set(fd, SOL_SOCKET, force_option, bytes)) set(fd, SOL_SOCKET, option, bytes);
}

/// Options without which datagrams would still flow, though worse, are not errors: an old kernel,
/// or a sandbox that filters setsockopt, loses that feature only.
void set_receive_options(int fd, bool v6, bool wildcard, bool offload) noexcept {
  // On an IPv6 socket the IPv4 options count for IPv4-mapped traffic.
  set(fd, IPPROTO_IP, IP_RECVTOS, 1);
  if (v6) set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  // IPV6_RECVPKTINFO covers IPv4-mapped traffic too. Bound to one address, there is nothing to ask.
  if (wildcard) {
    if (v6) {
      set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    } else {
      set(fd, IPPROTO_IP, IP_PKTINFO, 1);
    }
  }
  // DF on every packet, and the kernel neither caches nor applies path MTUs: QUIC does its own
  // discovery (RFC 9000 §14.3).
  set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  if (v6) set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
  if (offload) set(fd, IPPROTO_UDP, UDP_GRO, 1);
  set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
}

}  // namespace

Result<UdpSocket> UdpSocket::open(const udp::SocketOptions& options, const EngineOptions& engine) {
  const udp::Address& bind = options.bind;
  const udp::ReusePort& group = options.reuse_port;
  if (!bind.specified()) return fail(Error::invalid("a socket needs an address to bind"));
  if (group.count == 0 || group.index >= group.count ||
      (group.worker_offset && group.count > 256)) {
    return fail(Error::invalid(
        fmt::format("socket {} of a group of {} cannot be", group.index, group.count)));
  }
  const auto failed = [&](int error, std::string_view what) {
    return fail(Error::os(error, fmt::format("{} {}", what, bind.to_string())));
  };

  const bool v6 = bind.is_v6();
  // The kernel would let another server's group of the same user be joined, and split its traffic
  // with us: the first of a group asks for the port alone before it asks to share it.
  if (group.count > 1 && group.index == 0 && bind.port() != 0) {
    udp::SocketOptions alone = options;
    alone.reuse_port = udp::ReusePort();
    if (auto free = UdpSocket::open(alone, engine); !free) return free;
  }
  const int fd = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed(errno, "socket for");
  UdpSocket socket(fd, v6);

  // An IPv6 socket serves IPv4 only as a wildcard; said each time, for a sysctl has the default.
  const bool v6_only = options.v6_only || !bind.is_wildcard();
  if (v6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6_only ? 1 : 0)) {
    return failed(errno, "IPV6_V6ONLY on");
  }
  if (group.count > 1 && !set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) {
    return failed(errno, "SO_REUSEPORT on");
  }
  if (!options.device.empty() &&
      ::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, options.device.data(),
                   static_cast<socklen_t>(options.device.size())) != 0) {
    return failed(errno, fmt::format("bind to device {}:", options.device));
  }
  set_receive_options(fd, v6, bind.is_wildcard(), engine.offload());
  if (options.unreachable) {
    socket.tells_unreachable_ =
        v6 ? set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1) : set(fd, IPPROTO_IP, IP_RECVERR, 1);
  }
  constexpr int kEct0 = static_cast<int>(udp::Ecn::ect0);
  if (set(fd, IPPROTO_IP, IP_TOS, kEct0) && (!v6 || set(fd, IPPROTO_IPV6, IPV6_TCLASS, kEct0))) {
    socket.ecn_ = udp::Ecn::ect0;
  }
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, engine.socket_receive_buffer());
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, engine.socket_send_buffer());

  if (::bind(fd, bind.data(), bind.size()) != 0) return failed(errno, "bind");
  // The first socket's program serves those that join its group.
  if (group.count > 1 && group.index == 0 && group.worker_offset) {
    if (auto attached = attach_steering(fd, *group.worker_offset, group.count); !attached) {
      return fail(std::move(attached).error());
    }
  }

  if (auto named = socket.read_local(); !named) return fail(std::move(named).error());
  return socket;
}

Result<UdpSocket> UdpSocket::adopt(int descriptor, bool group, const EngineOptions& engine) {
  UdpSocket socket(descriptor, false);
  int type = 0;
  socklen_t length = sizeof type;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_DGRAM) {
    return fail(Error::invalid("what the other process gave is no UDP socket"));
  }
  if (auto named = socket.read_local(); !named) return fail(std::move(named).error());
  if (!socket.local_.specified() || socket.local_.port() == 0) {
    return fail(Error::invalid("what the other process gave is no bound UDP socket"));
  }
  if (group && !set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1)) {
    return fail(Error::os(errno, "SO_REUSEPORT"));
  }
  // The other process may be of another version: everything is said again.
  set_receive_options(descriptor, socket.v6_, socket.local_.is_wildcard(), engine.offload());
  constexpr int kEct0 = static_cast<int>(udp::Ecn::ect0);
  if (set(descriptor, IPPROTO_IP, IP_TOS, kEct0) &&
      (!socket.v6_ || set(descriptor, IPPROTO_IPV6, IPV6_TCLASS, kEct0))) {
    socket.ecn_ = udp::Ecn::ect0;
  }
  return socket;
}

Result<void> UdpSocket::read_local() {
  sockaddr_in6 name{};
  socklen_t length = sizeof name;
  if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &length) != 0) {
    return fail(Error::os(errno, "getsockname"));
  }
  v6_ = name.sin6_family == AF_INET6;
  local_ = udp::Address::from(reinterpret_cast<const sockaddr*>(&name), length);
  return {};
}

void UdpSocket::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace tern::engine
