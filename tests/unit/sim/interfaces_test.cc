#include "transport/udp/interfaces.h"

#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sim/raw_peer.h"

namespace tern::sim {
namespace {

using udp::InterfaceKind;

struct Phone {
  World world{1};
  Host& server = world.host("server");
  Host& phone = world.host("phone");
  Link& cellular = world.link(
      phone, server, LinkOptions().name("cellular").kind(InterfaceKind::cellular).delay(40ms));
  Link& wifi =
      world.link(phone, server, LinkOptions().name("wifi").kind(InterfaceKind::wifi).delay(10ms));
  udp::Interfaces seen() { return *phone.network().interfaces(); }
};

TEST(Interfaces, ShowTheLinksOfAHost) {
  Phone it;
  const udp::Interfaces found = it.seen();
  ASSERT_EQ(found.all.size(), 3u);
  EXPECT_EQ(found.all[0].kind, InterfaceKind::loopback);
  const udp::NetworkInterface& wifi = *found.find("wifi");
  EXPECT_EQ(wifi.kind, InterfaceKind::wifi);
  EXPECT_TRUE(wifi.up);
  EXPECT_TRUE(wifi.has(it.wifi.v4(it.phone)));
  EXPECT_TRUE(wifi.has(it.wifi.v6(it.phone)));
  EXPECT_EQ(wifi.default_v4, 600u);
  EXPECT_EQ(found.find("cellular")->default_v6, 700u);
  EXPECT_EQ(wifi.address_for(it.server.v6()), it.wifi.v6(it.phone));
}

TEST(Interfaces, TheSmallerMetricIsTheWay) {
  Phone it;
  EXPECT_EQ(*it.phone.network().source_for(it.server.v6(443)), it.wifi.v6(it.phone));
  it.wifi.take_down(it.phone);
  EXPECT_EQ(*it.phone.network().source_for(it.server.v6(443)), it.cellular.v6(it.phone));
  it.cellular.take_down(it.phone);
  const auto none = it.phone.network().source_for(it.server.v6(443));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, static_cast<std::uint64_t>(ENETUNREACH));
}

TEST(Interfaces, ChangesAreTold) {
  Phone it;
  std::vector<Duration> told;
  auto watch = *it.phone.network().watch_interfaces([&] { told.push_back(it.world.elapsed()); });
  it.world.at(10ms, [&] { it.wifi.take_down(it.phone); });
  it.world.at(20ms, [&] { it.wifi.cut(); });  // nobody tells of silence
  it.world.at(30ms, [&] {
    it.wifi.bring_up(it.phone);
    it.cellular.renumber(it.phone);
  });
  it.world.run_for(25ms);
  EXPECT_THAT(told, testing::ElementsAre(10ms));
  const udp::Interfaces down = it.seen();
  EXPECT_FALSE(down.find("wifi")->up);
  EXPECT_TRUE(down.find("wifi")->addresses.empty());
  EXPECT_FALSE(down.find("wifi")->default_v4);
  it.world.run_for(10ms);
  EXPECT_THAT(told, testing::ElementsAre(10ms, 30ms)) << "both changes at once";
  EXPECT_TRUE(it.seen().find("cellular")->has(it.cellular.v4(it.phone)));
  watch.reset();
  it.wifi.take_down(it.phone);
  it.world.run_for(10ms);
  EXPECT_EQ(told.size(), 2u);
}

TEST(Interfaces, AVanishedAddressCannotSend) {
  Phone it;
  RawPeer peer(it.phone, it.wifi.v4(it.phone));
  it.wifi.take_down(it.phone);
  peer.send(it.server.v4(443), "x");
  it.world.run_for(1ms);
  ASSERT_EQ(peer.failed.size(), 1u);
  udp::SocketOptions options;
  options.bind = it.wifi.v4(it.phone);
  const auto refused = it.phone.network().open(options, peer);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, static_cast<std::uint64_t>(EADDRNOTAVAIL));
}

}  // namespace
}  // namespace tern::sim
