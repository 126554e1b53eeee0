#include "transport/engine/interface_monitor.h"

#include <array>
#include <cerrno>
#include <fstream>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "transport/engine/netlink_reader.h"

namespace tern::engine {

namespace {

/// What the kernel puts into one datagram of a dump at most (NLMSG_GOODSIZE grows to that).
constexpr std::size_t kDatagram = 32 * 1024;
constexpr int kMaxDumpTries = 4;
/// Datagrams of one dump: beyond, the routing table is a router's, and the rest is left out.
constexpr int kMaxDumpReads = 4096;
constexpr std::uint16_t kRawIp = 519;  // ARPHRD_RAWIP: what modems without Ethernet headers have

struct Descriptor {
  explicit Descriptor(int number) noexcept : fd(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  int fd;
};

udp::InterfaceKind kind_of(const std::string& name, std::uint16_t type) {
  using Kind = udp::InterfaceKind;
  if (type == ARPHRD_LOOPBACK) return Kind::loopback;
  const std::string folder = "/sys/class/net/" + name + "/";
  struct stat facts{};
  if (::stat((folder + "phy80211").c_str(), &facts) == 0 ||
      ::stat((folder + "wireless").c_str(), &facts) == 0) {
    return Kind::wifi;
  }
  std::ifstream uevent(folder + "uevent");
  std::string line;
  while (std::getline(uevent, line)) {
    if (line == "DEVTYPE=wlan") return Kind::wifi;
    if (line == "DEVTYPE=wwan") return Kind::cellular;
    if (line == "DEVTYPE=wireguard") return Kind::other;
  }
  if (type == kRawIp) return Kind::cellular;
  return type == ARPHRD_ETHER ? Kind::wired : Kind::other;
}

/// One dump into `reader`: 0, EINTR if it has to be made again, or why not.
int dump(int fd, std::uint16_t request, unsigned char family, std::uint32_t number,
         NetlinkReader& reader) {
  struct {
    nlmsghdr head;
    rtgenmsg body;
  } message{};
  message.head.nlmsg_len = NLMSG_LENGTH(sizeof message.body);
  message.head.nlmsg_type = request;
  message.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.head.nlmsg_seq = number;
  message.body.rtgen_family = family;
  if (::send(fd, &message, message.head.nlmsg_len, 0) < 0) return errno;
  std::array<std::uint8_t, kDatagram> buffer;
  bool interrupted = false;
  for (int reads = 0; reads < kMaxDumpReads; ++reads) {
    const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);  // the answer is there
    if (size < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    const auto seen = reader.read(ByteView(buffer).first(static_cast<std::size_t>(size)));
    interrupted = interrupted || seen.interrupted;
    if (seen.error != 0) return seen.error;
    if (seen.done) return interrupted ? EINTR : 0;
  }
  return 0;
}

int dump_all(NetlinkReader& reader) {
  const Descriptor netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (netlink.fd < 0) return errno;
  struct Request {
    std::uint16_t type;
    unsigned char family;
  };
  constexpr std::array kRequests{Request{RTM_GETLINK, AF_UNSPEC}, Request{RTM_GETADDR, AF_UNSPEC},
                                 Request{RTM_GETROUTE, AF_INET}, Request{RTM_GETROUTE, AF_INET6}};
  std::uint32_t number = 0;
  for (const Request& request : kRequests) {
    const int error = dump(netlink.fd, request.type, request.family, ++number, reader);
    // A kernel without IPv6 has no such routes.
    const bool no_v6 = request.family == AF_INET6 && error == EOPNOTSUPP;
    if (error != 0 && !no_v6) return error;
  }
  return 0;
}

}  // namespace

InterfaceMonitor::~InterfaceMonitor() {
  if (fd_ >= 0) ::close(fd_);
}

Result<udp::Interfaces> InterfaceMonitor::snapshot() {
  int error = 0;
  for (int tries = 0; tries < kMaxDumpTries; ++tries) {
    NetlinkReader reader;
    error = dump_all(reader);
    // The last one is taken as it is: on a machine that never rests there is no better.
    if (error == 0 || (error == EINTR && tries + 1 == kMaxDumpTries)) {
      return reader.snapshot(kind_of);
    }
    if (error != EINTR) break;
  }
  return fail(Error::os(error, "ask the kernel for its network interfaces (netlink)"));
}

Result<udp::Address> InterfaceMonitor::source_for(const udp::Address& remote) {
  udp::Address asked = remote;
  if (asked.port() == 0) asked.set_port(443);  // any: nothing is sent
  const auto failed = [&](int error) {
    return fail(Error::os(error, "way to " + remote.ip_string()));
  };
  const Descriptor socket(
      ::socket(remote.is_v6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.fd < 0) return failed(errno);
  if (::connect(socket.fd, asked.data(), asked.size()) != 0) return failed(errno);
  sockaddr_in6 name{};
  socklen_t length = sizeof name;
  if (::getsockname(socket.fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) {
    return failed(errno);
  }
  udp::Address source = udp::Address::from(reinterpret_cast<const sockaddr*>(&name), length);
  source.set_port(0);
  return source;
}

Result<std::unique_ptr<udp::InterfaceWatch>> InterfaceMonitor::watch(
    std::function<void()> changed) {
  if (fd_ < 0) {
    if (auto opened = open(); !opened) return fail(std::move(opened).error());
  }
  return watchers_.add(std::move(changed));
}

Result<void> InterfaceMonitor::open() {
  Descriptor netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl groups{};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (netlink.fd < 0 ||
      ::bind(netlink.fd, reinterpret_cast<const sockaddr*>(&groups), sizeof groups) != 0) {
    return fail(Error::os(errno, "watch the network interfaces (netlink)"));
  }
  fd_ = std::exchange(netlink.fd, -1);
  return {};
}

bool InterfaceMonitor::reap() {
  if (fd_ < 0) return false;
  bool relevant = false;
  bool more = true;
  std::array<std::uint8_t, kDatagram> buffer;
  for (int reads = 0; reads < kMaxReads; ++reads) {
    const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == ENOBUFS) {  // some were lost
      relevant = true;
      continue;
    }
    if (size < 0) {
      more = false;
      break;
    }
    NetlinkReader reader;
    const auto seen = reader.read(ByteView(buffer).first(static_cast<std::size_t>(size)));
    relevant = relevant || seen.relevant;
  }
  if (relevant) watchers_.notify();
  return more;
}

}  // namespace tern::engine
