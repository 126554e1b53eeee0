#include "transport/sim/nat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sim/raw_peer.h"

namespace tern::sim {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

struct NatPair {
  explicit NatPair(const NatOptions& options = NatOptions())
      : nat(world.nat(phone, link, options)) {}

  World world{1};
  Host& phone = world.host("phone");
  Host& server_host = world.host("server");
  Link& link = world.link(phone, server_host, LinkOptions().delay(1ms));
  Nat& nat;
  RawPeer client{phone, any_v4()};
  RawPeer server{server_host, any_v4(443)};
  udp::Address to = server_host.v4(443);

  udp::Address seen() const { return server.received.back().path.remote; }
  /// From the address that the client sent to.
  void answer(const udp::Address& remote, std::string_view text) {
    udp::Path path;
    path.local = to;
    path.remote = remote;
    server.send(path, text, udp::Ecn::not_ect, text.size());
  }
};

TEST(Nat, TranslatesBothWays) {
  NatPair pair;
  pair.server.echo();
  pair.client.send(pair.to, "hello");
  pair.world.run_for(1s);
  ASSERT_THAT(pair.server.received, SizeIs(1));
  EXPECT_TRUE(pair.seen().same_ip(pair.nat.outside_v4()));
  EXPECT_NE(pair.seen().port(), pair.client.local().port());
  ASSERT_THAT(pair.client.received, SizeIs(1));
  EXPECT_EQ(pair.client.received[0].path.remote, pair.to);
  EXPECT_TRUE(pair.client.received[0].path.local.same_ip(pair.link.v4(pair.phone)));
}

TEST(Nat, TranslatesIpv6) {
  NatPair pair;
  RawPeer server(pair.server_host, any_v6(444));
  server.echo();
  RawPeer client(pair.phone, any_v6());
  client.send(pair.server_host.v6(444), "hello");
  pair.world.run_for(1s);
  ASSERT_THAT(client.received, SizeIs(1));
  EXPECT_TRUE(server.received[0].path.remote.same_ip(pair.nat.outside_v6()));
}

TEST(Nat, KeepsAMappingWhileItIsUsed) {
  NatPair pair(NatOptions().timeout(10s));
  pair.client.send(pair.to, "1");
  pair.world.run_for(9s);
  const udp::Address first = pair.seen();
  pair.client.send(pair.to, "2");
  pair.world.run_for(9s);
  EXPECT_EQ(pair.seen(), first);
  pair.answer(first, "inbound does not refresh");
  pair.world.run_for(2s);
  EXPECT_EQ(pair.nat.mappings(), 0u);
  pair.client.send(pair.to, "3");
  pair.world.run_for(1s);
  EXPECT_NE(pair.seen().port(), first.port());
}

TEST(Nat, InboundCanRefresh) {
  NatPair pair(NatOptions().timeout(10s).inbound_refresh());
  pair.client.send(pair.to, "1");
  pair.world.run_for(9s);
  pair.answer(pair.seen(), "2");
  pair.world.run_for(9s);
  EXPECT_EQ(pair.nat.mappings(), 1u);
}

TEST(Nat, RebindingGivesANewPortAndForgetsTheOld) {
  NatPair pair;
  pair.client.send(pair.to, "1");
  pair.world.run_for(1s);
  const udp::Address old = pair.seen();
  pair.nat.rebind();
  pair.answer(old, "to the old port");
  pair.world.run_for(1s);
  EXPECT_THAT(pair.client.received, IsEmpty());
  EXPECT_EQ(pair.phone.dropped_for(Verdict::nat), 1u);
  pair.client.send(pair.to, "2");
  pair.world.run_for(1s);
  EXPECT_TRUE(pair.seen().same_ip(old));
  EXPECT_NE(pair.seen().port(), old.port());
  pair.answer(pair.seen(), "to the new port");
  pair.world.run_for(1s);
  EXPECT_THAT(pair.client.received, SizeIs(1));
  EXPECT_EQ(pair.nat.rebindings(), 1u);
}

TEST(Nat, RebindingMayChangeTheAddress) {
  NatPair pair;
  pair.client.send(pair.to, "1");
  pair.world.run_for(1s);
  const udp::Address old = pair.seen();
  pair.nat.rebind_address();
  pair.client.send(pair.to, "2");
  pair.world.run_for(1s);
  EXPECT_FALSE(pair.seen().same_ip(old));
  pair.answer(old, "nobody has that address any more");
  pair.world.run_for(1s);
  ASSERT_THAT(pair.server.failed, SizeIs(1));
}

TEST(Nat, AddressesDoNotRunOut) {
  NatPair pair;
  Nat& other = pair.world.nat(pair.server_host, pair.link);
  for (int i = 0; i < 140'000; ++i) {
    pair.nat.rebind_address();
    ASSERT_FALSE(pair.nat.outside_v4().same_ip(other.outside_v4()));
  }
}

TEST(Nat, StrangersAreNotLetInUnlessOpen) {
  for (const bool open : {false, true}) {
    NatPair pair(NatOptions().open(open));
    RawPeer stranger(pair.server_host, any_v4(444));
    pair.client.send(pair.to, "1");
    pair.world.run_for(1s);
    stranger.send(pair.seen(), "hi");
    pair.world.run_for(1s);
    EXPECT_EQ(pair.client.received.size(), open ? 1u : 0u);
  }
}

TEST(Nat, SymmetricMapsEachRemoteApart) {
  for (const bool symmetric : {false, true}) {
    NatPair pair(NatOptions().symmetric(symmetric));
    RawPeer other(pair.server_host, any_v4(444));
    pair.client.send(pair.to, "1");
    pair.client.send(pair.server_host.v4(444), "2");
    pair.world.run_for(1s);
    ASSERT_THAT(other.received, SizeIs(1));
    EXPECT_EQ(pair.seen() == other.received[0].path.remote, !symmetric);
  }
}

TEST(Nat, HidesTheHostBehindIt) {
  NatPair pair;
  udp::Address inside = pair.link.v4(pair.phone, pair.client.local().port());
  pair.answer(inside, "straight in");
  pair.world.run_for(1s);
  EXPECT_THAT(pair.client.received, IsEmpty());
  EXPECT_EQ(pair.phone.dropped_for(Verdict::nat), 1u);
}

TEST(Nat, OnARoutersUplinkServesAHome) {
  World world(1);
  Host& home = world.router("home");
  Host& server_host = world.host("server");
  Host& laptop = world.host("laptop");
  Host& phone = world.host("phone");
  world.link(laptop, home);
  world.link(phone, home);
  Link& uplink = world.link(home, server_host, LinkOptions().delay(5ms));
  Nat& nat = world.nat(home, uplink);
  RawPeer server(server_host, any_v4(443));
  server.echo();
  RawPeer one(laptop, any_v4(1000));
  RawPeer two(phone, any_v4(1000));
  one.send(server_host.v4(443), "one");
  two.send(server_host.v4(443), "two");
  world.run_for(1s);
  ASSERT_THAT(one.received, SizeIs(1));
  EXPECT_EQ(one.received[0].text, "one");
  ASSERT_THAT(two.received, SizeIs(1));
  EXPECT_EQ(two.received[0].text, "two");
  EXPECT_EQ(nat.mappings(), 2u);
}

}  // namespace
}  // namespace tern::sim
