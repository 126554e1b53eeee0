#include "transport/engine/control_message.h"

#include <cstring>
#include <netinet/udp.h>

#ifndef SO_RXQ_OVFL
#define SO_RXQ_OVFL 40
#endif

namespace tern::engine {

namespace {

template <typename T>
T read(const cmsghdr* message) noexcept {
  T value{};
  if (message->cmsg_len >= CMSG_LEN(sizeof(T))) {
    std::memcpy(&value, CMSG_DATA(message), sizeof value);
  }
  return value;
}

/// TOS comes as one byte, TCLASS as an int; ECN is the low two bits of either (RFC 3168 §5).
udp::Ecn read_ecn(const cmsghdr* message) noexcept {
  const auto byte = message->cmsg_len >= CMSG_LEN(sizeof(int))
                        ? static_cast<unsigned>(read<int>(message))
                        : static_cast<unsigned>(read<std::uint8_t>(message));
  return static_cast<udp::Ecn>(byte & 3);
}

/// Appends one control message at `end`; returns the new end.
template <typename T>
std::size_t append(void* buffer, std::size_t end, int level, int type, const T& value) noexcept {
  auto* start = static_cast<char*>(buffer) + end;
  cmsghdr header{};
  header.cmsg_len = CMSG_LEN(sizeof value);
  header.cmsg_level = level;
  header.cmsg_type = type;
  std::memcpy(start, &header, sizeof header);
  std::memcpy(start + CMSG_LEN(0), &value, sizeof value);
  return end + CMSG_SPACE(sizeof value);
}

}  // namespace

ReceivedControl decode_control(const void* control, std::size_t length) noexcept {
  ReceivedControl received;
  msghdr header{};
  header.msg_control = const_cast<void*>(control);
  header.msg_controllen = length;
  for (cmsghdr* message = CMSG_FIRSTHDR(&header); message != nullptr;
       message = CMSG_NXTHDR(&header, message)) {
    switch (message->cmsg_level) {
      case SOL_UDP:
        if (message->cmsg_type == UDP_GRO) {
          const int size = read<int>(message);
          if (size > 0) received.segment_size = static_cast<std::size_t>(size);
        }
        break;
      case IPPROTO_IP:
        if (message->cmsg_type == IP_TOS) {
          received.ecn = read_ecn(message);
        } else if (message->cmsg_type == IP_PKTINFO) {
          // ipi_addr: the header's destination address.
          const auto info = read<in_pktinfo>(message);
          received.local = udp::Address::v4(ntohl(info.ipi_addr.s_addr), 0);
        }
        break;
      case IPPROTO_IPV6:
        if (message->cmsg_type == IPV6_TCLASS) {
          received.ecn = read_ecn(message);
        } else if (message->cmsg_type == IPV6_PKTINFO) {
          const auto info = read<in6_pktinfo>(message);
          const std::uint32_t scope =
              IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
          received.local = udp::Address::v6(info.ipi6_addr, 0, scope);
        }
        break;
      case SOL_SOCKET:
        if (message->cmsg_type == SO_RXQ_OVFL) received.dropped = read<std::uint32_t>(message);
        break;
      default: break;
    }
  }
  return received;
}

std::size_t encode_control(const SendControl& control, void* buffer) noexcept {
  std::size_t end = 0;
  if (control.segment_size != 0) {
    end = append(buffer, end, SOL_UDP, UDP_SEGMENT, control.segment_size);
  }
  if (control.set_ecn) {
    const int tos = static_cast<int>(control.ecn);
    end = control.v4 ? append(buffer, end, IPPROTO_IP, IP_TOS, tos)
                     : append(buffer, end, IPPROTO_IPV6, IPV6_TCLASS, tos);
  }
  if (control.local != nullptr) {
    const auto* address = control.local->data();
    if (control.v4) {
      in_pktinfo info{};
      info.ipi_spec_dst = reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
      end = append(buffer, end, IPPROTO_IP, IP_PKTINFO, info);
    } else {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
      in6_pktinfo info{};
      info.ipi6_addr = v6->sin6_addr;
      info.ipi6_ifindex = v6->sin6_scope_id;
      end = append(buffer, end, IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
  }
  return end;
}

}  // namespace tern::engine
