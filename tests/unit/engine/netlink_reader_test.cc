#include "transport/engine/netlink_reader.h"

#include <cerrno>
#include <cstring>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/vectors/vector_file.h"

namespace tern::engine {
namespace {

udp::InterfaceKind by_name(const std::string& name, std::uint16_t type) {
  if (type == 772) return udp::InterfaceKind::loopback;
  return name.starts_with("wlan")   ? udp::InterfaceKind::wifi
         : name.starts_with("wwan") ? udp::InterfaceKind::cellular
                                    : udp::InterfaceKind::wired;
}

udp::Address ip_of(std::string_view text) { return *udp::Address::parse_ip(text, 0); }

/// A message with a fixed header and attributes, as the kernel lays them out.
class Message {
 public:
  template <typename Body>
  Message(std::uint16_t type, const Body& body) {
    nlmsghdr head{};
    head.nlmsg_type = type;
    put(&head, sizeof head);
    put(&body, sizeof body);
  }
  Message& attribute(std::uint16_t type, ByteView value) {
    rtattr head{};
    head.rta_type = type;
    head.rta_len = static_cast<unsigned short>(sizeof head + value.size());
    put(&head, sizeof head);
    put(value.data(), value.size());
    return *this;
  }
  Message& attribute(std::uint16_t type, std::uint32_t value) {
    std::uint8_t bytes[4];
    std::memcpy(bytes, &value, 4);
    return attribute(type, ByteView(bytes));
  }
  std::vector<std::uint8_t> bytes() const {
    auto whole = bytes_;
    const auto size = static_cast<std::uint32_t>(whole.size());
    std::memcpy(whole.data(), &size, sizeof size);
    return whole;
  }

 private:
  void put(const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::uint8_t*>(data);
    bytes_.insert(bytes_.end(), begin, begin + size);
    bytes_.resize((bytes_.size() + 3) / 4 * 4);
  }
  std::vector<std::uint8_t> bytes_;
};

std::vector<std::uint8_t> link(int index, const std::string& name, unsigned flags) {
  ifinfomsg body{};
  body.ifi_index = index;
  body.ifi_type = 1;
  body.ifi_flags = flags;
  const std::string with_end = name + '\0';
  return Message(RTM_NEWLINK, body).attribute(IFLA_IFNAME, as_bytes(with_end)).bytes();
}

TEST(NetlinkReader, ReadsWhatAKernelSaid) {
  const test::VectorFile vectors("tests/vectors/netlink/dumps.txt");
  NetlinkReader reader;
  for (const char* name : {"links", "addresses", "routes_v4", "routes_v6"}) {
    const auto seen = reader.read(vectors[name]);
    EXPECT_TRUE(seen.done) << name;
    EXPECT_TRUE(seen.relevant) << name;
    EXPECT_EQ(seen.error, 0) << name;
  }
  const udp::Interfaces found = reader.snapshot(by_name);
  ASSERT_EQ(found.all.size(), 7u);

  const udp::NetworkInterface& loopback = *found.find("lo");
  EXPECT_EQ(loopback.index, 1u);
  EXPECT_TRUE(loopback.up);
  EXPECT_TRUE(loopback.has(ip_of("127.0.0.1")));
  EXPECT_TRUE(loopback.has(ip_of("::1")));

  const udp::NetworkInterface& wifi = *found.find("wlan0");
  EXPECT_EQ(wifi.kind, udp::InterfaceKind::wifi);
  EXPECT_TRUE(wifi.up);
  ASSERT_EQ(wifi.addresses.size(), 2u) << "neither the deprecated nor the link-local one";
  EXPECT_EQ(wifi.addresses[0].address, ip_of("192.0.2.10"));
  EXPECT_EQ(wifi.addresses[0].prefix_length, 24);
  EXPECT_EQ(wifi.addresses[1].address, ip_of("2001:db8:1::10"));
  EXPECT_EQ(wifi.default_v4, 600u) << "the route in table 77 is not for everybody";
  EXPECT_EQ(wifi.default_v6, 1024u);

  const udp::NetworkInterface& modem = *found.find("wwan0");
  ASSERT_EQ(modem.addresses.size(), 1u) << "2001:db8:2::7 was tentative";
  EXPECT_EQ(modem.addresses[0].address, ip_of("198.51.100.7")) << "not its peer's";
  EXPECT_EQ(modem.default_v4, 700u);
  EXPECT_FALSE(modem.default_v6);

  EXPECT_FALSE(found.find("eth8")->up) << "switched off";
  EXPECT_FALSE(found.find("eth9")->up) << "no carrier";

  const udp::Address server = ip_of("203.0.113.1");
  EXPECT_EQ(wifi.address_for(server), ip_of("192.0.2.10"));
  EXPECT_EQ(modem.address_for(server), ip_of("198.51.100.7"));
  EXPECT_FALSE(modem.address_for(ip_of("2001:db8:ffff::1")).specified());
  EXPECT_EQ(found.owner(ip_of("192.0.2.10")), &wifi);
  EXPECT_EQ(found.owner(server), nullptr);
}

TEST(NetlinkReader, SaysWhatMatters) {
  NetlinkReader reader;
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_type = RTN_UNICAST;
  route.rtm_dst_len = 24;
  EXPECT_FALSE(reader.read(Message(RTM_NEWROUTE, route).attribute(RTA_OIF, 2u).bytes()).relevant);
  route.rtm_dst_len = 0;
  EXPECT_TRUE(reader.read(Message(RTM_DELROUTE, route).attribute(RTA_OIF, 2u).bytes()).relevant);
  EXPECT_TRUE(reader.read(Message(RTM_DELADDR, ifaddrmsg{}).bytes()).relevant);
  EXPECT_TRUE(reader.read(Message(RTM_DELLINK, ifinfomsg{}).bytes()).relevant);
  EXPECT_FALSE(reader.read(Message(RTM_NEWNEIGH, ifinfomsg{}).bytes()).relevant);
  const std::int32_t refused = -EPERM;
  const auto seen = reader.read(Message(NLMSG_ERROR, refused).bytes());
  EXPECT_TRUE(seen.done);
  EXPECT_EQ(seen.error, EPERM);
}

TEST(NetlinkReader, SeveralDefaultRoutesAndPrivateAddresses) {
  NetlinkReader reader;
  reader.read(link(2, "eth0", IFF_UP | IFF_RUNNING));
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_type = RTN_UNICAST;
  for (const std::uint32_t metric : {300u, 100u, 200u}) {
    reader.read(Message(RTM_NEWROUTE, route)
                    .attribute(RTA_OIF, 2u)
                    .attribute(RTA_PRIORITY, metric)
                    .bytes());
  }
  ifaddrmsg address{};
  address.ifa_family = AF_INET6;
  address.ifa_index = 2;
  address.ifa_prefixlen = 64;
  const auto fixed = ip_of("2001:db8::1");
  const auto temporary = ip_of("2001:db8::2");
  reader.read(Message(RTM_NEWADDR, address).attribute(IFA_ADDRESS, fixed.ip()).bytes());
  reader.read(Message(RTM_NEWADDR, address)
                  .attribute(IFA_ADDRESS, temporary.ip())
                  .attribute(IFA_FLAGS, std::uint32_t{IFA_F_TEMPORARY})
                  .bytes());
  const udp::Interfaces found = reader.snapshot(by_name);
  ASSERT_EQ(found.all.size(), 1u);
  EXPECT_EQ(found.all[0].default_v4, 100u);
  ASSERT_EQ(found.all[0].addresses.size(), 2u);
  EXPECT_EQ(found.all[0].addresses[0].address, temporary) << "RFC 8981";
}

TEST(NetlinkReader, TablesAreBounded) {
  NetlinkReader reader;
  for (int i = 1; i <= 1000; ++i) reader.read(link(i, "veth" + std::to_string(i), IFF_UP));
  EXPECT_EQ(reader.snapshot(by_name).all.size(), udp::Interfaces::kMaxInterfaces);
}

TEST(NetlinkReader, TrustsNoLength) {
  const test::VectorFile vectors("tests/vectors/netlink/dumps.txt");
  Random random(7);
  for (const char* name : {"links", "addresses", "routes_v4", "routes_v6"}) {
    const std::vector<std::uint8_t> whole = vectors[name];
    for (std::size_t size = 0; size < std::min<std::size_t>(whole.size(), 1000); ++size) {
      // A heap block of just that size, so that the sanitizer sees one byte too many.
      const std::vector<std::uint8_t> cut(whole.begin(),
                                          whole.begin() + static_cast<std::ptrdiff_t>(size));
      NetlinkReader reader;
      reader.read(cut);
    }
    for (int round = 0; round < 500; ++round) {
      std::vector<std::uint8_t> damaged = whole;
      for (int i = 0; i < 20; ++i) {
        damaged[random.below(damaged.size())] = static_cast<std::uint8_t>(random.next());
      }
      NetlinkReader reader;
      reader.read(damaged);
      EXPECT_LE(reader.snapshot(by_name).all.size(), udp::Interfaces::kMaxInterfaces);
    }
  }
}

}  // namespace
}  // namespace tern::engine
