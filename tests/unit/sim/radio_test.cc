#include "transport/sim/radio.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sim/raw_peer.h"

namespace tern::sim {
namespace {

RadioOptions simple() {
  RadioOptions options;
  options.waking(200ms).active(100ms).awake(1s).watts(0.01, 1, 2, 0.5);
  return options;
}

TEST(Radio, APacketWaitsUntilItIsAwake) {
  Pair pair(LinkOptions().delay(10ms));
  pair.server.echo();
  pair.world.radio(pair.world.host("client"), pair.link, simple());
  pair.world.at(1s, [&] { pair.send(100); });
  pair.world.at(1100ms, [&] { pair.send(100); });  // waits for the same waking
  pair.world.at(1300ms, [&] { pair.send(100); });  // awake
  pair.world.run_for(5s);
  ASSERT_EQ(pair.server.received.size(), 3u);
  EXPECT_EQ(pair.server.received[0].at, 1210ms);
  EXPECT_EQ(pair.server.received[1].at, 1210ms);
  EXPECT_EQ(pair.server.received[2].at, 1310ms);
  EXPECT_EQ(pair.client.received.at(0).at, 1220ms) << "the answer finds it awake";
}

TEST(Radio, TheAccountFollowsItsStates) {
  Pair pair{LinkOptions()};
  Radio& radio = pair.world.radio(pair.world.host("client"), pair.link, simple());
  pair.world.at(1s, [&] { pair.send(72); });  // 100 bytes of IP
  pair.world.run_for(5s);
  const RadioAccount account = radio.account(pair.world.now());
  EXPECT_EQ(account.in(RadioState::waking), 200ms);
  EXPECT_EQ(account.in(RadioState::active), 100ms);
  EXPECT_EQ(account.in(RadioState::tail), 900ms);
  EXPECT_EQ(account.in(RadioState::idle), 5s - 1200ms);
  EXPECT_EQ(account.on(), 1200ms);
  EXPECT_EQ(account.bytes_up, 100u);
  EXPECT_EQ(account.bytes_down, 0u);
  EXPECT_NEAR(account.joules, 0.2 * 1 + 0.1 * 2 + 0.9 * 0.5 + 3.8 * 0.01, 1e-9);
  std::vector<RadioState> states;
  for (const Radio::Change& change : radio.changes()) states.push_back(change.state);
  EXPECT_THAT(states, testing::ElementsAre(RadioState::idle, RadioState::waking, RadioState::active,
                                           RadioState::tail, RadioState::idle));
}

TEST(Radio, BytesCostEnergyByDirection) {
  Pair pair{LinkOptions()};
  RadioOptions options;
  Radio& radio =
      pair.world.radio(pair.world.host("client"), pair.link, options.nanojoules_per_bit(400, 50));
  pair.server.echo();
  pair.send(972);
  pair.world.run_for(1s);
  EXPECT_NEAR(radio.account(pair.world.now()).joules, 8000 * 400e-9 + 8000 * 50e-9, 1e-12);
}

TEST(Radio, SettledPaysForTheTailAndChangesNothing) {
  Pair pair{LinkOptions()};
  Radio& radio = pair.world.radio(pair.world.host("client"), pair.link, simple());
  pair.send(72);
  pair.world.run_for(250ms);
  EXPECT_EQ(radio.settled(pair.world.now()).on(), 1200ms);
  EXPECT_EQ(radio.account(pair.world.now()).on(), 250ms);
  EXPECT_EQ(radio.state(pair.world.now()), RadioState::active);
}

TEST(Radio, InTheTailItListensAtTheEndOfEachCycle) {
  Pair pair{LinkOptions()};
  Host& client = pair.world.host("client");
  pair.world.radio(client, pair.link, simple().listen_every(40ms));
  pair.send(72);  // awake at 200 ms, in the tail from 300 ms on
  pair.world.run_for(350ms);
  ASSERT_EQ(pair.server.received.size(), 1u);
  pair.server.send(pair.server.received[0].path.remote, "down");
  pair.world.run_for(1s);
  ASSERT_EQ(pair.client.received.size(), 1u);
  EXPECT_EQ(pair.client.received[0].at, 380ms);
}

TEST(Radio, AsleepItLooksForPages) {
  Pair pair{LinkOptions()};
  Host& client = pair.world.host("client");
  RadioOptions options;
  options.waking(200ms).active(0ms).awake(10ms).page_every(500ms);
  pair.world.radio(client, pair.link, options);
  pair.send(72);
  pair.world.run_for(600ms);
  ASSERT_EQ(pair.server.received.size(), 1u);
  pair.server.send(pair.server.received[0].path.remote, "down");
  pair.world.run_for(2s);
  ASSERT_EQ(pair.client.received.size(), 1u);
  EXPECT_EQ(pair.client.received[0].at, 1200ms) << "the page at 1 s, and the waking";
}

TEST(Radio, BothEndsMayHaveOne) {
  Pair pair(LinkOptions().mbps(8));
  pair.world.radio(pair.world.host("client"), pair.link, simple());
  pair.world.radio(pair.world.host("server"), pair.link, simple().waking(300ms));
  pair.send(972);
  pair.world.run_for(1s);
  EXPECT_EQ(pair.server.received.at(0).at, 301ms) << "both are awake, and then it is sent";
}

TEST(Radio, TheDefaultsAreTheOnesMeasured) {
  const auto on_for_one_packet = [](const RadioOptions& options) {
    Pair pair{LinkOptions()};
    Radio& radio = pair.world.radio(pair.world.host("client"), pair.link, options);
    pair.send(72);
    pair.world.run_for(20s);
    return radio.account(pair.world.now());
  };
  const RadioAccount lte = on_for_one_packet(RadioOptions::lte());
  EXPECT_EQ(lte.on(), 260'100us + 11'576ms);
  const RadioAccount wifi = on_for_one_packet(RadioOptions::wifi());
  EXPECT_EQ(wifi.on(), 79'100us + 238'100us);
  EXPECT_GT(lte.joules, 12) << "MobiSys 2012: the tail is what LTE costs";
  EXPECT_LT(wifi.joules, 0.1);
}

}  // namespace
}  // namespace tern::sim
