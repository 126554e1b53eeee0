#include "transport/sim/host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sim/raw_peer.h"

namespace tern::sim {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

udp::Path path(const udp::Address& local, const udp::Address& remote) {
  udp::Path result;
  result.local = local;
  result.remote = remote;
  return result;
}

TEST(Host, TwoLinksLeadToTheSameServer) {
  World world(1);
  Host& server = world.host("server");
  Host& phone = world.host("phone");
  Link& wifi = world.link(phone, server, LinkOptions().delay(10ms));
  Link& cellular = world.link(phone, server, LinkOptions().delay(60ms));
  RawPeer answering(server, any_v4(443));
  answering.echo();
  RawPeer peer(phone, any_v4());
  const udp::Address to = server.v4(443);

  peer.send(to, "default");
  world.run_for(1s);
  peer.send(path(cellular.v4(phone), to), "cellular", udp::Ecn::not_ect, 8);
  world.run_for(1s);
  ASSERT_THAT(peer.received, SizeIs(2));
  EXPECT_EQ(peer.received[0].at, 20ms);
  EXPECT_EQ(peer.received[0].path.remote, to);
  EXPECT_TRUE(peer.received[0].path.local.same_ip(wifi.v4(phone)));
  EXPECT_EQ(peer.received[1].at, 1s + 120ms);
  EXPECT_EQ(peer.received[1].path.remote, to);
  EXPECT_TRUE(peer.received[1].path.local.same_ip(cellular.v4(phone)));
  EXPECT_EQ(answering.received[1].path.local, to);
}

TEST(Host, TheNextLinkIsUsedWhenAnInterfaceGoesDown) {
  World world(1);
  Host& server = world.host("server");
  Host& phone = world.host("phone");
  Link& wifi = world.link(phone, server, LinkOptions().delay(10ms));
  world.link(phone, server, LinkOptions().delay(60ms));
  RawPeer answering(server, any_v4(443));
  RawPeer peer(phone, any_v4());
  peer.send(server.v4(443), "on the wire");
  world.run_for(1ms);
  wifi.take_down(phone);
  peer.send(server.v4(443), "cellular");
  peer.send(path(wifi.v4(phone), server.v4(443)), "wifi", udp::Ecn::not_ect, 4);
  world.run_for(1s);
  ASSERT_THAT(answering.received, SizeIs(2)) << "what had left the phone arrives";
  EXPECT_EQ(answering.received[1].at, 61ms);
  ASSERT_THAT(peer.failed, SizeIs(1));
  EXPECT_EQ(peer.failed[0].error, ENETUNREACH);

  wifi.bring_up(phone);
  peer.send(server.v4(443), "wifi again");
  world.run_for(1s);
  EXPECT_EQ(answering.received.back().at, 1001ms + 10ms);
}

TEST(Host, RenumberingTakesTheOldAddressAway) {
  World world(1);
  Host& server = world.host("server");
  Host& phone = world.host("phone");
  Link& link = world.link(phone, server);
  RawPeer answering(server, any_v4(443));
  answering.echo();
  RawPeer peer(phone, any_v4());
  const udp::Address old = link.v4(phone);
  link.renumber(phone);
  EXPECT_FALSE(old.same_ip(link.v4(phone)));
  peer.send(path(old, server.v4(443)), "old", udp::Ecn::not_ect, 3);
  peer.send(server.v4(443), "new");
  world.run_for(1s);
  ASSERT_THAT(peer.failed, SizeIs(1));
  EXPECT_EQ(peer.failed[0].error, EADDRNOTAVAIL);
  ASSERT_THAT(peer.received, SizeIs(1));
  EXPECT_TRUE(peer.received[0].path.local.same_ip(link.v4(phone)));
  udp::Address gone = old;
  gone.set_port(peer.local().port());
  answering.send(gone, "to the old address");
  world.run_for(1s);
  EXPECT_THAT(peer.received, SizeIs(1));
  ASSERT_THAT(answering.failed, SizeIs(1));
  EXPECT_EQ(answering.failed[0].error, ENETUNREACH);
}

TEST(Host, Ipv6AndDualStack) {
  World world(1);
  Host& server = world.host("server");
  Host& client = world.host("client");
  world.link(client, server);
  RawPeer both(server, any_v6(443));
  both.echo();
  RawPeer four(client, any_v4());
  RawPeer six(client, any_v6());
  four.send(server.v4(443), "four");
  six.send(server.v6(443), "six");
  six.send(server.v4(443), "four from a dual-stack socket");
  four.send(server.v6(443), "no");
  world.run_for(1s);
  ASSERT_THAT(both.received, SizeIs(3));
  EXPECT_EQ(both.received[0].path.local, server.v4(443));
  EXPECT_EQ(both.received[1].path.local, server.v6(443));
  EXPECT_TRUE(both.received[2].path.remote.is_v4());
  EXPECT_THAT(four.received, SizeIs(1));
  EXPECT_THAT(six.received, SizeIs(2));
  ASSERT_THAT(four.failed, SizeIs(1));
  EXPECT_EQ(four.failed[0].error, EAFNOSUPPORT);
}

TEST(Host, LinksCanCarryOneFamilyOnly) {
  World world(1);
  Host& server = world.host("server");
  Host& client = world.host("client");
  world.link(client, server, LinkOptions().v6_only());
  RawPeer answering(server, any_v6(443));
  RawPeer peer(client, any_v6());
  peer.send(server.v4(443), "four");
  peer.send(server.v6(443), "six");
  world.run_for(1s);
  ASSERT_THAT(answering.received, SizeIs(1));
  EXPECT_EQ(answering.received[0].text, "six");
  ASSERT_THAT(peer.failed, SizeIs(1));
  EXPECT_EQ(peer.failed[0].error, ENETUNREACH);
}

TEST(Host, LoopbackReachesTheHostItself) {
  World world(1);
  Host& host = world.host("a");
  RawPeer answering(host, any_v4(443));
  answering.echo();
  RawPeer peer(host, any_v4());
  peer.send(udp::Address::v4(INADDR_LOOPBACK, 443), "loopback");
  peer.send(host.v4(443), "own address");
  world.run_for(1s);
  ASSERT_THAT(peer.received, SizeIs(2));
  EXPECT_EQ(peer.received[0].path.remote, udp::Address::v4(INADDR_LOOPBACK, 443));
  EXPECT_EQ(peer.received[1].path.remote, host.v4(443));
}

TEST(Host, RoutersForward) {
  World world(1);
  Host& server = world.host("server");
  Host& phone = world.host("phone");
  Host& other = world.host("other");
  Host& router = world.router("router");
  Link& access = world.link(phone, router, LinkOptions().delay(5ms));
  world.link(other, router, LinkOptions().delay(7ms));
  world.link(router, server, LinkOptions().delay(20ms));
  RawPeer answering(server, any_v4(443));
  answering.echo();
  RawPeer peer(phone, any_v4(1000));
  RawPeer third(other, any_v4());
  peer.send(server.v4(443), "x");
  udp::Address phone_address = access.v4(phone, 1000);
  third.send(phone_address, "y");
  world.run_for(1s);
  ASSERT_THAT(peer.received, SizeIs(2));
  EXPECT_EQ(peer.received[0].at, 12ms);
  EXPECT_EQ(peer.received[1].at, 50ms);
}

TEST(Host, EndHostsDoNotForward) {
  World world(1);
  Host& a = world.host("a");
  Host& b = world.host("b");
  Host& c = world.host("c");
  world.link(a, b);
  world.link(b, c);
  RawPeer peer(a, any_v4());
  RawPeer target(c, any_v4(443));
  peer.send(c.v4(443), "x");
  world.run_for(1s);
  EXPECT_THAT(target.received, IsEmpty());
  ASSERT_THAT(peer.failed, SizeIs(1));
  EXPECT_EQ(peer.failed[0].error, ENETUNREACH);
}

TEST(Host, NobodyListening) {
  Pair pair{LinkOptions()};
  pair.server.close();
  pair.send(10);
  pair.world.run_for(1s);
  EXPECT_EQ(pair.world.host("server").dropped_for(Verdict::no_socket), 1u);
}

TEST(Host, PoweredOffIsSilent) {
  Pair pair{LinkOptions()};
  pair.server.echo();
  Host& server = pair.world.host("server");
  server.power_off();
  pair.send(10);
  pair.server.send(pair.link.v4(pair.world.host("client"), pair.client.local().port()), "x");
  pair.world.run_for(1s);
  EXPECT_THAT(pair.client.received, IsEmpty());
  EXPECT_THAT(pair.server.received, IsEmpty());
  EXPECT_EQ(server.dropped_for(Verdict::host_down), 2u);
  server.power_on();
  pair.send(10);
  pair.world.run_for(1s);
  EXPECT_THAT(pair.client.received, SizeIs(1));
}

TEST(Host, ReceiveBufferHasALimit) {
  World world(1);
  Host& server = world.host("server");
  Host& client = world.host("client");
  client.slabs(8);
  world.link(client, server, LinkOptions().delay(1ms));
  server.receive_buffer(2500);
  RawPeer receiver(server, any_v4(443));
  RawPeer sender(client, any_v4());
  // All arrive at the same instant, before the server turns.
  for (int i = 0; i < 4; ++i) sender.send(server.v4(443), std::string(1000, 'x'));
  world.run_for(1s);
  EXPECT_THAT(receiver.received, SizeIs(2));
  EXPECT_EQ(server.dropped_for(Verdict::buffer_full), 2u);
}

TEST(Host, ClosingASocketDropsWhatItHasNotRead) {
  Pair pair(LinkOptions().delay(1ms));
  pair.world.host("client").slabs(16);
  udp::Path path;
  path.remote = pair.server_address;
  for (int i = 0; i < 10; ++i) {
    pair.client.send(path, std::string(60 * 10, 'x'), udp::Ecn::not_ect, 10);
  }
  // 600 datagrams at one instant are more than one turn takes.
  pair.world.at(1ms, [&] { pair.server.close(); });
  pair.world.run_for(1s);
  const std::uint64_t closed = pair.world.host("server").dropped_for(Verdict::closed);
  EXPECT_GT(closed, 0u);
  EXPECT_EQ(pair.server.received.size() + closed, 600u);
  pair.client.close();
  EXPECT_THAT(pair.world.leaks(), IsEmpty());
}

}  // namespace
}  // namespace tern::sim
