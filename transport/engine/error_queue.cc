#include "transport/engine/error_queue.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>  // before linux/errqueue.h, which uses timespec
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace tern::engine {

namespace {

/// 0 unless a router or host said "destination unreachable".
int unreachable_error(const sock_extended_err& extended) noexcept {
  constexpr std::uint8_t kV4DestinationUnreachable = 3;  // RFC 792
  constexpr std::uint8_t kV6DestinationUnreachable = 1;  // RFC 4443 §3.1
  const bool told =
      (extended.ee_origin == SO_EE_ORIGIN_ICMP && extended.ee_type == kV4DestinationUnreachable) ||
      (extended.ee_origin == SO_EE_ORIGIN_ICMP6 && extended.ee_type == kV6DestinationUnreachable);
  const int error = static_cast<int>(extended.ee_errno);
  return told && is_unreachable(error) ? error : 0;
}

}  // namespace

bool is_unreachable(int error) noexcept {
  switch (error) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENONET:
    case ENOPROTOOPT:
    case EACCES:  // administratively prohibited
      return true;
    default: return false;
  }
}

bool next_error(int fd, QueuedError& error) noexcept {
  error.error = 0;
  error.quoted.size = 0;
  sockaddr_in6 name{};
  iovec data{error.quoted.data.data(), error.quoted.data.size()};
  // The extended error and the address of who told it.
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(sock_extended_err) + sizeof(sockaddr_in6)) + 128];
  msghdr message{};
  message.msg_name = &name;
  message.msg_namelen = sizeof name;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t size = 0;
  do {
    size = ::recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return false;
  error.quoted.size = std::min(static_cast<std::size_t>(size), error.quoted.data.size());
  error.remote = udp::Address::from(reinterpret_cast<const sockaddr*>(&name), message.msg_namelen);
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    const bool extended = (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
                          (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR);
    if (!extended || part->cmsg_len < CMSG_LEN(sizeof(sock_extended_err))) continue;
    sock_extended_err value;
    std::memcpy(&value, CMSG_DATA(part), sizeof value);
    error.error = unreachable_error(value);
  }
  return true;
}

}  // namespace tern::engine
