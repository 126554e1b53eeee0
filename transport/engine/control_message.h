#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <netinet/in.h>
#include <sys/socket.h>

#include "transport/udp/address.h"
#include "transport/udp/network.h"

/// The control messages (cmsg) that go with datagrams: segment size, ECN, local address.

namespace tern::engine {

/// Room for everything that may come with one received batch: local address (IPv6 form, and IPv4
/// form), TOS and TCLASS, GRO's segment size, the socket's count of drops.
inline constexpr std::size_t kReceiveControlSize = 192;
/// Room for segment size, ECN and local address of one send.
inline constexpr std::size_t kSendControlSize =
    CMSG_SPACE(sizeof(std::uint16_t)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(in6_pktinfo));

struct ReceivedControl {
  udp::Address local;  ///< unspecified if the kernel did not say; port 0
  udp::Ecn ecn = udp::Ecn::not_ect;
  std::size_t segment_size = 0;  ///< 0: one datagram
  std::uint32_t dropped = 0;     ///< of this socket so far, for want of buffer space; 0: not told
};

ReceivedControl decode_control(const void* control, std::size_t length) noexcept;

struct SendControl {
  std::uint16_t segment_size = 0;  ///< 0: no segmentation
  bool set_ecn = false;            ///< else the socket's default goes out
  udp::Ecn ecn = udp::Ecn::not_ect;
  const udp::Address* local = nullptr;  ///< null: the kernel chooses
  bool v4 = false;                      ///< the family on the wire
};

/// Writes to `buffer` (kSendControlSize bytes, aligned as cmsghdr); returns the length, 0 for none.
std::size_t encode_control(const SendControl& control, void* buffer) noexcept;

}  // namespace tern::engine
