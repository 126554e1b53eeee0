#include "tools/relay/relay.h"

#include <memory>
#include <set>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sim/raw_peer.h"

/// The relay's own world, inside of another that stands for the real one: its runtime is one of
/// that world's hosts, so that time is exact here as well.

namespace tern::relay {
namespace {

using namespace std::chrono_literals;
using sim::ChannelModel;
using sim::RawPeer;
using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::SizeIs;

ChannelModel delayed(Duration delay) {
  ChannelModel model;
  model.delay = delay;
  return model;
}

Action action(Action::Kind kind, Direction direction = Direction::both) {
  Action made;
  made.kind = kind;
  made.direction = direction;
  return made;
}

struct Stage {
  explicit Stage(RelayOptions options = RelayOptions()) {
    options.route(middle.v4(9000), server_host.v4(443));
    options.outside(middle.v4()).outside(second.v4(middle));
    relay = *Relay::open(middle.runtime(), middle.network(), options);
  }
  void send(std::string_view text) { client.send(middle.v4(9000), text); }
  /// From the address that clients sent to.
  void answer(const udp::Address& to, std::string_view text) {
    udp::Path path;
    path.local = server_host.v4(443);
    path.remote = to;
    server.send(path, text, udp::Ecn::not_ect, text.size());
  }
  void run(Duration time) { world.run_for(time); }
  const udp::Address& seen() const { return server.received.back().path.remote; }

  sim::World world{1};
  sim::Host& phone = world.host("phone");
  sim::Host& middle = world.host("middle");
  sim::Host& server_host = world.host("server");
  sim::Link& first = world.link(phone, middle);
  sim::Link& second = world.link(middle, server_host);
  RawPeer client{phone, sim::any_v4()};
  RawPeer server{server_host, sim::any_v4(443)};
  std::unique_ptr<Relay> relay;
};

TEST(Relay, DelaysBothWaysAndIsNeverEarly) {
  RelayOptions options;
  options.to_server(delayed(10ms)).to_client(delayed(30ms));
  Stage stage(options);
  stage.server.echo();
  stage.world.at(5ms, [&] { stage.send("hello"); });
  stage.run(1s);
  ASSERT_THAT(stage.server.received, SizeIs(1));
  EXPECT_THAT(stage.server.received[0].at, AllOf(Ge(15ms), Le(15ms + 2 * Relay::kCoarseness)));
  ASSERT_THAT(stage.client.received, SizeIs(1));
  EXPECT_THAT(stage.client.received[0].at, AllOf(Ge(45ms), Le(45ms + 4 * Relay::kCoarseness)));
  EXPECT_EQ(stage.client.received[0].text, "hello");
  EXPECT_EQ(stage.client.received[0].path.remote, stage.middle.v4(9000));
}

TEST(Relay, EachClientHasASocketOfItsOwn) {
  Stage stage;
  stage.server.echo();
  RawPeer other(stage.phone, sim::any_v4());
  for (int i = 0; i < 3; ++i) {
    stage.send("one");
    other.send(stage.middle.v4(9000), "two");
    stage.run(10ms);
  }
  std::set<std::string> seen;
  for (const auto& datagram : stage.server.received) {
    seen.insert(datagram.text + datagram.path.remote.to_string());
  }
  EXPECT_THAT(seen, SizeIs(2));
  EXPECT_THAT(stage.client.received, SizeIs(3));
  for (const auto& datagram : other.received) EXPECT_EQ(datagram.text, "two");
}

TEST(Relay, BatchesAreTakenApartAndEcnIsCarried) {
  RelayOptions options;
  ChannelModel second_lost;
  second_lost.drops = {2};
  options.to_server(second_lost);
  Stage stage(options);
  stage.server.echo();
  udp::Path path;
  path.remote = stage.middle.v4(9000);
  stage.client.send(path, "aaabbbcccd", udp::Ecn::ect0, 3);
  stage.run(10ms);
  ASSERT_THAT(stage.client.received, SizeIs(3));
  EXPECT_EQ(stage.client.received[0].text, "aaa");
  EXPECT_EQ(stage.client.received[1].text, "ccc");
  EXPECT_EQ(stage.client.received[2].text, "d");
  EXPECT_EQ(stage.server.received[0].ecn, udp::Ecn::ect0);
  EXPECT_EQ(stage.client.received[0].ecn, udp::Ecn::ect0);
  EXPECT_EQ(stage.relay->stats().to_server.packets_in, 4u);
}

TEST(Relay, TooBigVanishes) {
  RelayOptions options;
  ChannelModel narrow;
  narrow.mtu = 1000;
  options.to_server(narrow);
  Stage stage(options);
  stage.send(std::string(972, 'x'));
  stage.send(std::string(973, 'x'));
  stage.run(10ms);
  EXPECT_THAT(stage.server.received, SizeIs(1));
  EXPECT_EQ(stage.relay->stats().to_server.dropped_for(sim::Verdict::too_big), 1u);
}

TEST(Relay, RebindingIsSeenAsAnotherPortOrAddress) {
  Stage stage;
  stage.send("1");
  stage.run(10ms);
  const udp::Address old = stage.seen();
  EXPECT_TRUE(old.same_ip(stage.middle.v4()));

  stage.relay->perform(action(Action::Kind::rebind));
  stage.send("2");
  stage.run(10ms);
  const udp::Address port = stage.seen();
  EXPECT_TRUE(port.same_ip(old));
  EXPECT_NE(port.port(), old.port());

  stage.relay->perform(action(Action::Kind::rebind_address));
  stage.send("3");
  stage.run(10ms);
  EXPECT_TRUE(stage.seen().same_ip(stage.second.v4(stage.middle)));

  // The old ones are dead ends, the new one is not.
  stage.answer(old, "to the first");
  stage.answer(port, "to the second");
  stage.answer(stage.seen(), "to the third");
  stage.run(10ms);
  ASSERT_THAT(stage.client.received, SizeIs(1));
  EXPECT_EQ(stage.client.received[0].text, "to the third");
  const RelayStats stats = stage.relay->stats();
  EXPECT_EQ(stats.nat_dropped, 2u);
  EXPECT_EQ(stats.rebindings, 2u);
  EXPECT_EQ(stats.bindings_seen, 3u);
}

TEST(Relay, WhereTheNatIsDecidesWhatARebindingCosts) {
  for (const NatPlace place : {NatPlace::carrier, NatPlace::home}) {
    RelayOptions options;
    options.to_server(delayed(10ms)).to_client(delayed(10ms)).nat_place(place);
    Stage stage(options);
    stage.send("1");
    stage.run(50ms);
    const udp::Address old = stage.seen();
    stage.answer(old, "under way to the client");
    stage.send("under way to the server");
    stage.run(5ms);
    stage.relay->perform(action(Action::Kind::rebind));
    stage.run(50ms);
    ASSERT_THAT(stage.server.received, SizeIs(2));
    EXPECT_EQ(stage.seen() == old, place == NatPlace::home);
    EXPECT_THAT(stage.client.received, SizeIs(place == NatPlace::home ? 0 : 1));
  }
}

TEST(Relay, TheClockBeginsWithTheFirstDatagram) {
  RelayOptions options;
  ChannelModel hole;
  hole.hole_period = 300ms;
  hole.hole_length = 100ms;
  hole.hole_count = 1;
  options.to_server(hole);
  options.timeline(Timeline()
                       .at(1s, action(Action::Kind::cut, Direction::to_client))
                       .at(2s, action(Action::Kind::restore))
                       .repeat_every(3s));
  Stage stage(options);
  stage.server.echo();
  stage.run(10s);
  // Every 50 ms after that; in the hole is what leaves at 200 … 299 ms.
  for (int i = 0; i < 8; ++i) {
    stage.send(std::to_string(i));
    stage.run(50ms);
  }
  std::string arrived;
  for (const auto& datagram : stage.server.received) arrived += datagram.text;
  EXPECT_EQ(arrived, "012367");
  EXPECT_THAT(stage.client.received, SizeIs(6));
  for (const auto& [second, answered] : std::vector<std::pair<int, bool>>{
           {1, false}, {2, true}, {4, false}, {5, true}, {7, false}, {8, true}}) {
    stage.run(std::chrono::seconds(10 + second) + 500ms - stage.world.elapsed());
    const std::size_t before = stage.client.received.size();
    stage.send("x");
    stage.run(10ms);
    EXPECT_EQ(stage.client.received.size() > before, answered) << second;
  }
}

TEST(Relay, RoutesShareTheNat) {
  RelayOptions options;
  sim::World world{1};
  sim::Host& phone = world.host("phone");
  sim::Host& middle = world.host("middle");
  world.link(phone, middle);
  RawPeer client{phone, sim::any_v4()};
  RawPeer one{middle, sim::any_v4(443)};
  RawPeer two{middle, sim::any_v4(444)};
  one.echo();
  two.echo();
  options.route(middle.v4(9000), middle.v4(443)).route(middle.v4(9001), middle.v4(444));
  options.outside(middle.v4());
  const auto relay = *Relay::open(middle.runtime(), middle.network(), options);
  ASSERT_THAT(relay->addresses(), SizeIs(2));
  client.send(middle.v4(9000), "first");
  client.send(middle.v4(9001), "second");
  world.run_for(10ms);
  ASSERT_THAT(client.received, SizeIs(2));
  EXPECT_EQ(client.received[0].path.remote, middle.v4(9000));
  EXPECT_EQ(client.received[1].path.remote, middle.v4(9001));
  EXPECT_EQ(one.received.at(0).path.remote, two.received.at(0).path.remote);
}

TEST(Relay, ANatThatForgetsIsANewPort) {
  RelayOptions options;
  options.nat(sim::NatOptions().timeout(1s));
  Stage stage(options);
  std::set<std::uint16_t> ports;
  for (const Duration pause : {500ms, 1500ms, 100ms}) {
    stage.send("x");
    stage.run(pause);
    ports.insert(stage.seen().port());
  }
  EXPECT_THAT(ports, SizeIs(2));
}

TEST(Relay, StrangersAreNotLetIn) {
  Stage stage;
  stage.send("1");
  stage.run(10ms);
  RawPeer stranger(stage.server_host, sim::any_v4(444));
  stranger.send(stage.seen(), "psst");
  stage.run(10ms);
  EXPECT_THAT(stage.client.received, IsEmpty());
  EXPECT_EQ(stage.relay->stats().strangers, 1u);
}

TEST(Relay, LimitsAreKeptAndCounted) {
  RelayOptions options;
  options.max_clients(1).max_bindings(2).max_in_flight(3).idle_timeout(10s);
  options.to_server(delayed(100ms));
  Stage stage(options);
  for (int i = 0; i < 5; ++i) {
    stage.send("x");
    stage.run(1ms);
  }
  stage.run(200ms);
  EXPECT_EQ(stage.relay->stats().overload, 2u);
  EXPECT_THAT(stage.server.received, SizeIs(3));

  RawPeer other(stage.phone, sim::any_v4());
  other.send(stage.middle.v4(9000), "one too many");
  stage.run(200ms);
  EXPECT_EQ(stage.relay->stats().refused_clients, 1u);

  for (int i = 0; i < 4; ++i) {
    stage.relay->perform(action(Action::Kind::rebind));
    stage.send("x");
    stage.run(200ms);
  }
  EXPECT_EQ(stage.relay->stats().bindings_seen, 5u);
  EXPECT_EQ(stage.relay->stats().bindings_open, 2u);

  stage.run(12s);
  EXPECT_EQ(stage.relay->stats().bindings_open, 0u);
  EXPECT_EQ(stage.relay->stats().clients_open, 0u);
  other.send(stage.middle.v4(9000), "there is room now");
  stage.run(200ms);
  EXPECT_EQ(stage.server.received.back().text, "there is room now");
}

TEST(Relay, OneSeedOneFate) {
  const auto fate = [](std::uint64_t seed) {
    RelayOptions options;
    ChannelModel bad;
    bad.loss = 0.2;
    bad.burst_enter = 0.05;
    bad.burst_leave = 0.3;
    bad.duplicate = 0.1;
    bad.corrupt = 0.1;
    options.seed(seed).to_server(bad);
    Stage stage(options);
    std::string all;
    for (int i = 0; i < 100; ++i) {
      stage.send("datagram " + std::to_string(i));
      stage.run(1ms);
    }
    for (const auto& datagram : stage.server.received) all += datagram.text + "\n";
    return all;
  };
  EXPECT_EQ(fate(7), fate(7));
  EXPECT_NE(fate(7), fate(8));
}

TEST(Relay, CapturesShowRealAddresses) {
  std::ostringstream clients;
  std::ostringstream servers;
  RelayOptions options;
  ChannelModel lossy;
  lossy.drops = {2};
  options.to_server(lossy).capture_clients(clients).capture_servers(servers);
  Stage stage(options);
  stage.server.echo();
  stage.send("first");
  stage.send("second");
  stage.run(10ms);
  const auto has = [](const std::ostringstream& file, const udp::Address& address) {
    return file.str().find(std::string(as_text(address.ip()))) != std::string::npos;
  };
  const auto contains = [](const std::ostringstream& file, std::string_view text) {
    return file.str().find(text) != std::string::npos;
  };
  EXPECT_TRUE(has(clients, stage.client.received.at(0).path.local));
  EXPECT_TRUE(contains(clients, "first"));
  EXPECT_TRUE(contains(clients, "second"));
  EXPECT_TRUE(has(servers, stage.server_host.v4()));
  EXPECT_TRUE(contains(servers, "first"));
  EXPECT_FALSE(contains(servers, "second"));
}

TEST(Relay, WhatCannotBeIsRefused) {
  sim::World world{1};
  sim::Host& host = world.host("host");
  const auto refusal = [&](const RelayOptions& options) {
    const auto opened = Relay::open(host.runtime(), host.network(), options);
    return opened ? std::string("accepted") : opened.error().detail;
  };
  EXPECT_THAT(refusal(RelayOptions()), HasSubstr("1 to 64 pairs"));
  RelayOptions one;
  one.route(host.v4(9000), host.v4(443)).outside(host.v4());
  EXPECT_EQ(refusal(one), "accepted");
  EXPECT_THAT(refusal(RelayOptions(one).max_clients(0)), HasSubstr("1 to 16000 clients"));
  EXPECT_THAT(refusal(RelayOptions(one).max_clients(16001)), HasSubstr("1 to 16000 clients"));
  const Timeline moves = Timeline().at(1s, action(Action::Kind::rebind_address));
  EXPECT_THAT(refusal(RelayOptions(one).timeline(moves)), HasSubstr("--outside"));
  EXPECT_EQ(refusal(RelayOptions(one).timeline(moves).outside(host.v4())), "accepted");
  EXPECT_THAT(refusal(RelayOptions(one).outside(udp::Address::v4(0xc000024d, 0))),
              HasSubstr("--outside"));
}

}  // namespace
}  // namespace tern::relay
