#include "transport/engine/control_message.h"

#include <arpa/inet.h>
#include <cstring>
#include <netinet/udp.h>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern::engine {
namespace {

/// What the kernel would put beside a datagram.
class Buffer {
 public:
  template <typename T>
  Buffer& add(int level, int type, const T& value, std::size_t size = sizeof(T)) {
    cmsghdr header{};
    header.cmsg_len = CMSG_LEN(size);
    header.cmsg_level = level;
    header.cmsg_type = type;
    std::memcpy(bytes_ + length_, &header, sizeof header);
    std::memcpy(bytes_ + length_ + CMSG_LEN(0), &value, size);
    length_ += CMSG_SPACE(size);
    return *this;
  }
  ReceivedControl decode() const { return decode_control(bytes_, length_); }
  ReceivedControl decode(std::size_t length) const { return decode_control(bytes_, length); }
  std::size_t length() const { return length_; }

 private:
  alignas(cmsghdr) std::uint8_t bytes_[kReceiveControlSize] = {};
  std::size_t length_ = 0;
};

udp::Address ip(const char* text) { return *udp::Address::parse_ip(text, 0); }

TEST(ReceivedControl, NothingIsNotEctAndOneDatagram) {
  const ReceivedControl control = Buffer().decode();
  EXPECT_EQ(control.ecn, udp::Ecn::not_ect);
  EXPECT_EQ(control.segment_size, 0U);
  EXPECT_FALSE(control.local.specified());
  EXPECT_EQ(control.dropped, 0U);
}

TEST(ReceivedControl, V4) {
  in_pktinfo info{};
  info.ipi_addr.s_addr = htonl(0x7f000009);
  info.ipi_spec_dst.s_addr = htonl(0x7f000001);
  const auto control = Buffer()
                           .add(IPPROTO_IP, IP_PKTINFO, info)
                           .add(IPPROTO_IP, IP_TOS, std::uint8_t{0xb8 | 2})
                           .add(SOL_UDP, UDP_GRO, int{1452})
                           .add(SOL_SOCKET, SO_RXQ_OVFL, std::uint32_t{17})
                           .decode();
  EXPECT_EQ(control.local, ip("127.0.0.9"));
  EXPECT_EQ(control.ecn, udp::Ecn::ect0);  // without the DSCP
  EXPECT_EQ(control.segment_size, 1452U);
  EXPECT_EQ(control.dropped, 17U);
}

TEST(ReceivedControl, V6AndMappedV4) {
  in6_pktinfo info{};
  info.ipi6_addr = in6addr_loopback;
  auto control = Buffer()
                     .add(IPPROTO_IPV6, IPV6_PKTINFO, info)
                     .add(IPPROTO_IPV6, IPV6_TCLASS, int{3})
                     .decode();
  EXPECT_EQ(control.local, ip("::1"));
  EXPECT_EQ(control.ecn, udp::Ecn::ce);

  ASSERT_EQ(inet_pton(AF_INET6, "::ffff:10.1.2.3", &info.ipi6_addr), 1);
  control = Buffer().add(IPPROTO_IPV6, IPV6_PKTINFO, info).decode();
  EXPECT_EQ(control.local, ip("10.1.2.3"));

  ASSERT_EQ(inet_pton(AF_INET6, "fe80::5", &info.ipi6_addr), 1);
  info.ipi6_ifindex = 3;
  control = Buffer().add(IPPROTO_IPV6, IPV6_PKTINFO, info).decode();
  EXPECT_EQ(control.local, ip("fe80::5%3"));
}

TEST(ReceivedControl, TruncatedAndForeignMessagesAreIgnored) {
  Buffer buffer;
  buffer.add(SOL_SOCKET, SO_TIMESTAMP, std::uint64_t{1}).add(SOL_UDP, UDP_GRO, int{1200});
  const std::size_t whole = buffer.length();
  for (std::size_t length = 0; length < whole; ++length) {
    const std::size_t size = buffer.decode(length).segment_size;
    EXPECT_TRUE(size == 0 || size == 1200) << length;
  }
  EXPECT_EQ(Buffer().add(SOL_UDP, UDP_GRO, int{-1}).decode().segment_size, 0U);
  EXPECT_EQ(Buffer().add(SOL_UDP, UDP_GRO, char{1}).decode().segment_size, 0U);
}

struct Sent {
  int level;
  int type;
  std::string value;
};

std::vector<Sent> encode(const SendControl& control) {
  alignas(cmsghdr) std::uint8_t bytes[kSendControlSize];
  msghdr header{};
  header.msg_control = bytes;
  header.msg_controllen = encode_control(control, bytes);
  EXPECT_LE(header.msg_controllen, sizeof bytes);
  std::vector<Sent> messages;
  if (header.msg_controllen == 0) return messages;
  for (cmsghdr* message = CMSG_FIRSTHDR(&header); message != nullptr;
       message = CMSG_NXTHDR(&header, message)) {
    messages.push_back({message->cmsg_level, message->cmsg_type,
                        std::string(reinterpret_cast<const char*>(CMSG_DATA(message)),
                                    message->cmsg_len - CMSG_LEN(0))});
  }
  return messages;
}

template <typename T>
std::string raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

TEST(SendControl, NothingToSayTakesNoRoom) { EXPECT_TRUE(encode(SendControl()).empty()); }

TEST(SendControl, V4) {
  const udp::Address local = ip("127.0.0.9");
  SendControl control;
  control.v4 = true;
  control.segment_size = 1452;
  control.set_ecn = true;
  control.ecn = udp::Ecn::ect0;
  control.local = &local;
  const auto sent = encode(control);
  ASSERT_EQ(sent.size(), 3U);
  EXPECT_EQ(sent[0].level, SOL_UDP);
  EXPECT_EQ(sent[0].type, UDP_SEGMENT);
  EXPECT_EQ(sent[0].value, raw(std::uint16_t{1452}));
  EXPECT_EQ(sent[1].level, IPPROTO_IP);
  EXPECT_EQ(sent[1].type, IP_TOS);
  EXPECT_EQ(sent[1].value, raw(int{2}));
  in_pktinfo info{};
  info.ipi_spec_dst.s_addr = htonl(0x7f000009);
  EXPECT_EQ(sent[2].level, IPPROTO_IP);
  EXPECT_EQ(sent[2].type, IP_PKTINFO);
  EXPECT_EQ(sent[2].value, raw(info));
}

TEST(SendControl, V6) {
  const udp::Address local = ip("fe80::5%3");
  SendControl control;
  control.segment_size = 1200;
  control.set_ecn = true;
  control.ecn = udp::Ecn::ect1;
  control.local = &local;
  const auto sent = encode(control);
  ASSERT_EQ(sent.size(), 3U);
  EXPECT_EQ(sent[1].level, IPPROTO_IPV6);
  EXPECT_EQ(sent[1].type, IPV6_TCLASS);
  EXPECT_EQ(sent[1].value, raw(int{1}));
  in6_pktinfo info{};
  ASSERT_EQ(inet_pton(AF_INET6, "fe80::5", &info.ipi6_addr), 1);
  info.ipi6_ifindex = 3;
  EXPECT_EQ(sent[2].level, IPPROTO_IPV6);
  EXPECT_EQ(sent[2].type, IPV6_PKTINFO);
  EXPECT_EQ(sent[2].value, raw(info));
}

}  // namespace
}  // namespace tern::engine
