#include "transport/sim/link.h"

#include <algorithm>
#include <bit>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sim/raw_peer.h"

namespace tern::sim {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Ge;
using testing::Le;

std::vector<int> numbers(const RawPeer& peer) {
  std::vector<int> result;
  for (const auto& datagram : peer.received) result.push_back(std::stoi(datagram.text));
  return result;
}

TEST(Link, DelayIsExact) {
  Pair pair(LinkOptions().delay(10ms));
  pair.server.echo();
  pair.world.at(5ms, [&] { pair.send(100); });
  pair.world.run_for(1s);
  ASSERT_EQ(pair.server.received.size(), 1u);
  EXPECT_EQ(pair.server.received[0].at, 15ms);
  ASSERT_EQ(pair.client.received.size(), 1u);
  EXPECT_EQ(pair.client.received[0].at, 25ms);
}

TEST(Link, DirectionsDiffer) {
  Pair pair(LinkOptions().up(ChannelOptions().delay(40ms)).down(ChannelOptions().delay(5ms)));
  pair.server.echo();
  pair.send(1);
  pair.world.run_for(1s);
  EXPECT_EQ(pair.server.received.at(0).at, 40ms);
  EXPECT_EQ(pair.client.received.at(0).at, 45ms);
}

TEST(Link, RateIsExactAndCountsHeaders) {
  // 972 + 28 bytes of IPv4 and UDP headers = 8000 bits = 1 ms at 8 Mbit/s.
  Pair pair(LinkOptions().delay(2ms).mbps(8));
  for (int i = 0; i < 3; ++i) pair.send(972);
  pair.world.run_for(1s);
  ASSERT_EQ(pair.server.received.size(), 3u);
  EXPECT_EQ(pair.server.received[0].at, 3ms);
  EXPECT_EQ(pair.server.received[1].at, 4ms);
  EXPECT_EQ(pair.server.received[2].at, 5ms);
}

TEST(Link, RateChangesForWhatStillWaits) {
  Pair pair(LinkOptions().mbps(8));
  for (int i = 0; i < 3; ++i) pair.send(972);
  pair.world.at(500us, [&] { pair.link.up().mbps(0.8); });
  pair.world.run_for(1s);
  ASSERT_EQ(pair.server.received.size(), 3u);
  EXPECT_EQ(pair.server.received[0].at, 1ms);
  EXPECT_EQ(pair.server.received[1].at, 11ms);
  EXPECT_EQ(pair.server.received[2].at, 21ms);
}

TEST(Link, QueueDropsItsTail) {
  Pair pair(LinkOptions().mbps(8).queue_bytes(3000));
  pair.world.host("client").slabs(64);
  // One is being serialised, three of 1000 bytes wait, the rest is lost.
  pair.send_train(10, 972, 0ns);
  pair.world.run_for(1s);
  EXPECT_THAT(numbers(pair.server), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(pair.link.up().stats().dropped_for(Verdict::queue_full), 6u);
  EXPECT_EQ(pair.link.up().stats().peak_queue_bytes, 4000u);
}

TEST(Link, QueueCanBeLimitedInPackets) {
  Pair pair(LinkOptions().mbps(8).queue_packets(2));
  pair.world.host("client").slabs(64);
  pair.send_train(10, 50, 0ns);
  pair.world.run_for(1s);
  EXPECT_THAT(numbers(pair.server), ElementsAre(0, 1, 2));
}

TEST(Link, LossIsRandomButDependsOnTheSeedAlone) {
  const auto survivors = [](std::uint64_t seed) {
    Pair pair(LinkOptions().loss(0.2), seed);
    pair.send_train(2000, 100, 10us);
    pair.world.run_for(1s);
    const ChannelStats& stats = pair.link.up().stats();
    EXPECT_EQ(stats.packets_in, 2000u);
    EXPECT_EQ(stats.delivered + stats.dropped_for(Verdict::loss), 2000u);
    // Binomial(2000, 0.2): 400 ± 5 standard deviations of 17.9.
    EXPECT_THAT(stats.dropped_for(Verdict::loss), AllOf(Ge(310u), Le(490u)));
    return numbers(pair.server);
  };
  EXPECT_EQ(survivors(5), survivors(5));
  EXPECT_NE(survivors(5), survivors(6));
}

TEST(Link, BurstLossComesInBursts) {
  // 30 % of the time in the bad state, for 10 datagrams on average.
  Pair pair(LinkOptions().burst_loss(0.3 / 7.0, 0.1));
  pair.send_train(10'000, 100, 10us);
  pair.world.run_for(1s);
  const std::vector<int> got = numbers(pair.server);
  const std::uint64_t lost = pair.link.up().stats().dropped_for(Verdict::burst_loss);
  EXPECT_EQ(got.size() + lost, 10'000u);
  EXPECT_THAT(lost, AllOf(Ge(2000u), Le(4000u)));
  int bursts = 0;
  for (std::size_t i = 1; i < got.size(); ++i) bursts += got[i] != got[i - 1] + 1 ? 1 : 0;
  const double mean = static_cast<double>(lost) / bursts;
  EXPECT_THAT(mean, AllOf(Ge(7.0), Le(13.0)));
}

TEST(Link, DropListLosesExactlyThose) {
  Pair pair(LinkOptions().up(ChannelOptions().drop(1, 3, 4)));
  pair.send_train(6, 10, 1ms);
  pair.world.run_for(1s);
  EXPECT_THAT(numbers(pair.server), ElementsAre(1, 4, 5));
}

TEST(Link, FilterSeesThePayload) {
  Pair pair(LinkOptions().filter([](ByteView payload) { return payload[0] != '2'; }));
  pair.send_train(4, 10, 1ms);
  pair.world.run_for(1s);
  EXPECT_THAT(numbers(pair.server), ElementsAre(0, 1, 3));
  EXPECT_EQ(pair.link.up().stats().dropped_for(Verdict::filtered), 1u);
}

TEST(Link, JitterKeepsTheOrderUnlessAsked) {
  for (const bool reorders : {false, true}) {
    for (const Jitter shape : {Jitter::uniform, Jitter::normal, Jitter::exponential}) {
      Pair pair(LinkOptions().delay(10ms).jitter(5ms, shape, reorders));
      pair.send_train(500, 10, 100us);
      pair.world.run_for(2s);
      const std::vector<int> got = numbers(pair.server);
      ASSERT_EQ(got.size(), 500u);
      EXPECT_EQ(std::is_sorted(got.begin(), got.end()), !reorders);
      std::set<Duration> delays;
      for (std::size_t i = 0; i < 500; ++i) {
        const Duration sent = 100us * got[i];
        const Duration delay = pair.server.received[i].at - sent;
        EXPECT_GE(delay, 10ms);
        if (shape == Jitter::uniform) {
          EXPECT_LE(delay, 15ms);
        }
        delays.insert(delay);
      }
      EXPECT_GT(delays.size(), 400u);
    }
  }
}

TEST(Link, ReorderingDelaysSomeSoThatOthersOvertake) {
  Pair pair(LinkOptions().delay(10ms).reorder(0.1, 3ms));
  pair.send_train(1000, 10, 1ms);
  pair.world.run_for(2s);
  const std::vector<int> got = numbers(pair.server);
  ASSERT_EQ(got.size(), 1000u);
  EXPECT_FALSE(std::is_sorted(got.begin(), got.end()));
  const std::uint64_t reordered = pair.link.up().stats().reordered;
  EXPECT_THAT(reordered, AllOf(Ge(50u), Le(150u)));
  std::uint64_t late = 0;
  for (const auto& datagram : pair.server.received) {
    const Duration delay = datagram.at - 1ms * std::stoi(datagram.text);
    EXPECT_TRUE(delay == 10ms || delay == 13ms);
    late += delay == 13ms ? 1 : 0;
  }
  EXPECT_EQ(late, reordered);
}

TEST(Link, DuplicatesArriveTwice) {
  Pair pair(LinkOptions().delay(1ms).duplicate(0.25));
  pair.send_train(1000, 10, 1ms);
  pair.world.run_for(2s);
  const ChannelStats& stats = pair.link.up().stats();
  EXPECT_THAT(stats.duplicated, AllOf(Ge(180u), Le(320u)));
  EXPECT_EQ(pair.server.received.size(), 1000 + stats.duplicated);
  EXPECT_EQ(stats.packets_in, 1000u);
  EXPECT_EQ(stats.delivered, 1000 + stats.duplicated);
}

TEST(Link, CorruptionFlipsBitsOfThePayloadOnly) {
  Pair pair(LinkOptions().corrupt(0.5));
  for (int i = 0; i < 200; ++i) {
    pair.send(64, 'x');
    pair.world.run_for(1ms);
  }
  ASSERT_EQ(pair.server.received.size(), 200u);
  std::uint64_t changed = 0;
  for (const auto& datagram : pair.server.received) {
    ASSERT_EQ(datagram.text.size(), 64u);
    int bits = 0;
    for (const char c : datagram.text) bits += std::popcount(static_cast<std::uint8_t>(c ^ 'x'));
    EXPECT_LE(bits, 4);
    changed += bits > 0 ? 1 : 0;
  }
  EXPECT_EQ(changed, pair.link.up().stats().corrupted);
  EXPECT_THAT(changed, AllOf(Ge(60u), Le(140u)));
}

TEST(Link, OneByteCorruptedStaysCorrupted) {
  Pair pair(LinkOptions().corrupt(1));
  for (int i = 0; i < 50; ++i) {
    pair.send(1, 'x');
    pair.world.run_for(1ms);
  }
  ASSERT_EQ(pair.server.received.size(), 50u);
  for (const auto& datagram : pair.server.received) EXPECT_NE(datagram.text, "x");
}

TEST(Link, LossAndCorruptionInARowCanBeLimited) {
  Pair pair(LinkOptions().up(ChannelOptions().loss(1, 3)).down(ChannelOptions().corrupt(1, 2)));
  pair.server.echo();
  for (int i = 0; i < 24; ++i) {
    pair.send(8, 'x');
    pair.world.run_for(1ms);
  }
  // Every fourth gets there, and of what comes back every third is whole.
  EXPECT_EQ(pair.server.received.size(), 6u);
  ASSERT_EQ(pair.client.received.size(), 6u);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(pair.client.received[i].text == "xxxxxxxx", i % 3 == 2) << i;
  }
}

TEST(Link, CorruptionCanBeKeptToTheBeginningAndSpareSome) {
  ChannelOptions up;
  up.corrupt(1);
  up.change([](ChannelModel& model) {
    model.corrupt_within = 10;
    model.spared = [](ByteView payload) { return payload[0] == 'y'; };
  });
  Pair pair(LinkOptions().up(up));
  for (int i = 0; i < 50; ++i) {
    pair.send(100, 'x');
    pair.world.run_for(1ms);
  }
  pair.send(100, 'y');
  pair.world.run_for(1ms);
  ASSERT_EQ(pair.server.received.size(), 51u);
  for (std::size_t i = 0; i < 50; ++i) {
    const std::string& text = pair.server.received[i].text;
    EXPECT_NE(text.substr(0, 10), std::string(10, 'x'));
    EXPECT_EQ(text.substr(10), std::string(90, 'x'));
  }
  EXPECT_EQ(pair.server.received[50].text, std::string(100, 'y'));
}

TEST(Link, EcnIsKeptMarkedAndBleached) {
  const auto arriving = [](const LinkOptions& options, udp::Ecn sent) {
    Pair pair(options);
    pair.send(10, 'x', sent);
    pair.world.run_for(1s);
    return pair.server.received.at(0).ecn;
  };
  const LinkOptions plain;
  const LinkOptions marking = LinkOptions().ecn_mark(1);
  const LinkOptions bleaching = LinkOptions().ecn_bleach();
  EXPECT_EQ(arriving(plain, udp::Ecn::ect0), udp::Ecn::ect0);
  EXPECT_EQ(arriving(plain, udp::Ecn::ect1), udp::Ecn::ect1);
  EXPECT_EQ(arriving(marking, udp::Ecn::ect0), udp::Ecn::ce);
  EXPECT_EQ(arriving(marking, udp::Ecn::ect1), udp::Ecn::ce);
  EXPECT_EQ(arriving(marking, udp::Ecn::not_ect), udp::Ecn::not_ect);
  EXPECT_EQ(arriving(bleaching, udp::Ecn::ect0), udp::Ecn::not_ect);
}

TEST(Link, EcnMarksWhatFindsALongQueue) {
  Pair pair(LinkOptions().mbps(8).ecn_threshold(1500));
  pair.send_train(5, 972, 0ns, udp::Ecn::ect0);
  pair.world.host("client").slabs(8);
  pair.world.run_for(1s);
  std::vector<udp::Ecn> marks;
  for (const auto& datagram : pair.server.received) marks.push_back(datagram.ecn);
  // The first is on the wire, so 0, 0, 1000, 2000, 3000 bytes wait when they come.
  EXPECT_THAT(marks, ElementsAre(udp::Ecn::ect0, udp::Ecn::ect0, udp::Ecn::ect0, udp::Ecn::ce,
                                 udp::Ecn::ce));
  EXPECT_EQ(pair.link.up().stats().marked, 2u);
}

TEST(Link, MtuIsABlackHole) {
  Pair pair(LinkOptions().mtu(1280));
  pair.send(1252, 'a');
  pair.send(1253, 'b');
  pair.world.run_for(1s);
  ASSERT_EQ(pair.server.received.size(), 1u);
  EXPECT_EQ(pair.server.received[0].text[0], 'a');
  EXPECT_EQ(pair.link.up().stats().dropped_for(Verdict::too_big), 1u);
  EXPECT_TRUE(pair.client.failed.empty());
}

TEST(Link, InterfaceMtuFailsTheSend) {
  Pair pair(LinkOptions().interface_mtu(1280));
  pair.send(1252, 'a');
  pair.send(1253, 'b');
  pair.world.run_for(1s);
  EXPECT_EQ(pair.server.received.size(), 1u);
  ASSERT_EQ(pair.client.failed.size(), 1u);
  EXPECT_EQ(pair.client.failed[0].error, EMSGSIZE);
  EXPECT_EQ(pair.client.failed[0].path.remote, pair.server_address);
}

TEST(Link, CutLosesWhatIsOnTheWireAndInTheQueue) {
  Pair pair(LinkOptions().delay(10ms).mbps(8));
  pair.send_train(10, 972, 1ms);  // leaves at 1, 2, … 10 ms; arrives at 11, 12, … ms
  pair.world.at(13500us, [&] { pair.link.cut(); });
  pair.world.at(14ms, [&] {
    pair.send(10);
    pair.link.restore();
  });
  pair.world.run_for(20ms);
  EXPECT_THAT(numbers(pair.server), ElementsAre(0, 1, 2));
  pair.send_train(1, 972, 0ns);
  pair.world.run_for(1s);
  EXPECT_THAT(numbers(pair.server), ElementsAre(0, 1, 2, 0));
  EXPECT_EQ(pair.link.up().stats().dropped_for(Verdict::cut), 8u);
  EXPECT_EQ(pair.link.up().in_flight(), 0u);
}

TEST(Link, CutWithAFullQueueGivesEverythingBack) {
  Pair pair(LinkOptions().mbps(0.1));
  pair.send_train(20, 500, 0ns);
  pair.world.host("client").slabs(32);
  pair.world.at(1ms, [&] { pair.link.cut(); });
  pair.world.run_for(10s);
  EXPECT_EQ(pair.link.up().stats().dropped_for(Verdict::cut), 20u);
  EXPECT_EQ(pair.link.up().queued_bytes(), 0u);
  EXPECT_EQ(pair.link.up().in_flight(), 0u);
}

TEST(Link, OneDirectionCanBeCut) {
  Pair pair(LinkOptions().delay(1ms));
  pair.server.echo();
  pair.link.down().cut();
  pair.send(10);
  pair.world.run_for(1s);
  EXPECT_EQ(pair.server.received.size(), 1u);
  EXPECT_TRUE(pair.client.received.empty());
}

TEST(Link, BlackholeFollowsItsSchedule) {
  Pair pair(LinkOptions().blackhole(5ms, 2ms, 2));
  pair.send_train(20, 10, 1ms);
  pair.world.run_for(1s);
  EXPECT_THAT(numbers(pair.server),
              ElementsAre(0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19));
  EXPECT_EQ(pair.link.up().stats().dropped_for(Verdict::blackhole), 4u);
}

TEST(Link, InjectedDatagramsLookAsIfTheNearHostSentThem) {
  Pair pair(LinkOptions().delay(1ms));
  const udp::Address forged = *udp::Address::parse("203.0.113.9:7");
  const std::string text = "spoofed";
  pair.link.up().inject(forged, pair.server_address, as_bytes(text));
  pair.world.run_for(1s);
  ASSERT_EQ(pair.server.received.size(), 1u);
  EXPECT_EQ(pair.server.received[0].path.remote, forged);
  EXPECT_EQ(pair.server.received[0].text, text);
}

TEST(Link, EveryDatagramIsAccountedFor) {
  LinkOptions options;
  options.delay(5ms).jitter(2ms).mbps(5).queue_bytes(20'000).loss(0.05).burst_loss(0.01, 0.3);
  options.reorder(0.05, 3ms).duplicate(0.05).corrupt(0.05).mtu(1200).blackhole(100ms, 20ms, 3);
  Pair pair(options);
  pair.world.check([&] {
    const ChannelStats& stats = pair.link.up().stats();
    const std::uint64_t gone = stats.delivered + stats.dropped_total();
    if (stats.packets_in + stats.duplicated != gone + pair.link.up().in_flight()) {
      pair.world.fail("datagrams out != datagrams in");
    }
  });
  Random sizes(4);
  for (int i = 0; i < 2000; ++i) {
    const std::size_t size = 1 + sizes.below(1300);
    pair.world.after(i * 300us, [&pair, size] { pair.send(size); });
  }
  pair.world.run_for(2s);
  EXPECT_EQ(pair.link.up().in_flight(), 0u);
  EXPECT_GT(pair.link.up().stats().delivered, 500u);
  pair.client.close();
  pair.server.close();
  EXPECT_TRUE(pair.world.leaks().empty());
}

}  // namespace
}  // namespace tern::sim
