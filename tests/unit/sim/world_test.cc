#include "transport/sim/world.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/task.h"
#include "tests/unit/sim/raw_peer.h"

namespace tern::sim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Task<void> record_after(Runtime& runtime, Duration delay, std::vector<Duration>& times,
                        World& world) {
  co_await runtime.sleep(delay);
  times.push_back(world.elapsed());
}

TEST(World, SleepTakesVirtualTimeExactly) {
  World world(1);
  Runtime& runtime = world.host("a").runtime();
  std::vector<Duration> times;
  runtime.spawn(record_after(runtime, 3s, times, world));
  runtime.spawn(record_after(runtime, 1ns, times, world));
  runtime.spawn(record_after(runtime, 7h, times, world));
  EXPECT_TRUE(world.run(24h));
  EXPECT_THAT(times, ElementsAre(1ns, 3s, 7h));
}

TEST(World, RunForAdvancesAllClocks) {
  World world(1);
  Runtime& idle = world.host("idle").runtime();
  const Timestamp before = idle.now();
  world.run_for(90s);
  EXPECT_EQ(world.elapsed(), 90s);
  EXPECT_EQ(idle.now() - before, 90s);
  EXPECT_EQ(idle.unix_seconds(), World::kUnixEpoch + 90);
}

TEST(World, ActionsHappenInOrderAndAtTheirTime) {
  World world(1);
  std::vector<std::string> seen;
  world.at(20ms, [&] { seen.push_back("late"); });
  world.at(10ms, [&] {
    seen.push_back("early");
    EXPECT_EQ(world.elapsed(), 10ms);
    world.after(10ms, [&] { seen.push_back("nested"); });
  });
  world.at(20ms, [&] { seen.push_back("last"); });
  world.run_for(15ms);
  EXPECT_THAT(seen, ElementsAre("early"));
  world.run_for(15ms);
  EXPECT_THAT(seen, ElementsAre("early", "late", "last", "nested"));
}

TEST(World, RuntimesStandAtTheActionsTime) {
  World world(1);
  Runtime& runtime = world.host("a").runtime();
  std::vector<Duration> times;
  const Timestamp start = world.now();
  world.at(5ms, [&] {
    EXPECT_EQ(runtime.now() - start, 5ms);
    runtime.spawn(record_after(runtime, 1ms, times, world));
  });
  world.run_for(1s);
  EXPECT_THAT(times, ElementsAre(6ms));
}

TEST(World, RunUntilStopsAtTheCondition) {
  World world(1);
  bool flag = false;
  world.at(30ms, [&] { flag = true; });
  world.at(40ms, [&] { FAIL() << "ran past the condition"; });
  EXPECT_TRUE(world.run_until([&] { return flag; }));
  EXPECT_EQ(world.elapsed(), 30ms);
  EXPECT_FALSE(world.run_until([] { return false; }, 5ms));
}

TEST(World, RunSaysWhetherItBecameQuiet) {
  World world(1);
  std::function<void()> again = [&] { world.after(1s, again); };
  again();
  EXPECT_FALSE(world.run(10s));
  EXPECT_EQ(world.elapsed(), 10s);
}

TEST(World, SubmitFromAnotherWorkerCausesATurn) {
  World world(1);
  Host& host = world.host("a");
  host.add_worker();
  Duration ran{-1};
  world.at(2ms, [&] { host.runtime(1).submit([&] { ran = world.elapsed(); }); });
  world.run_for(10ms);
  EXPECT_EQ(ran, 2ms);
}

Task<int> answer_after(Runtime& runtime, Duration delay) {
  co_await runtime.sleep(delay);
  co_return 42;
}

TEST(World, BlockOnDrivesTheWholeWorld) {
  World world(1);
  Runtime& mine = world.host("a").runtime();
  Runtime& other = world.host("b").runtime();
  std::vector<Duration> times;
  other.spawn(record_after(other, 10ms, times, world));
  EXPECT_EQ(mine.block_on(answer_after(mine, 50ms)), 42);
  EXPECT_EQ(world.elapsed(), 50ms);
  EXPECT_THAT(times, ElementsAre(10ms));
}

Task<void> wait_for_ever(Signal& signal) { co_await signal.wait(); }

TEST(World, WaitingForNothingFailsLoudly) {
  World world(7);
  Runtime& runtime = world.host("lonely").runtime();
  Signal signal(runtime);
  try {
    runtime.block_on(wait_for_ever(signal));
    FAIL() << "no Violation";
  } catch (const Violation& violation) {
    EXPECT_THAT(violation.what(), HasSubstr("lonely"));
    EXPECT_THAT(violation.what(), HasSubstr("SIM_SEED=7"));
  }
}

class Busy final : public TurnHook {
 public:
  void drain(Timestamp) override {}
  void flush(Timestamp) override {}
  bool pending() const override { return true; }
};

TEST(World, LivelockFailsLoudlyWithTheHostsName) {
  World world(1);
  Runtime& runtime = world.host("spinner").runtime();
  Busy busy;
  runtime.add(busy);
  try {
    world.run_for(1s);
    FAIL() << "no Violation";
  } catch (const Violation& violation) {
    EXPECT_THAT(violation.what(), HasSubstr("spinner"));
  }
  runtime.remove(busy);
  EXPECT_THROW(world.run_for(1s), Violation) << "a failed world must not go on";
}

TEST(World, CheckersRunAfterEveryEvent) {
  World world(1);
  int value = 0;
  world.check([&] {
    if (value > 2) world.fail("value is too big");
  });
  for (int i = 1; i <= 4; ++i) world.at(i * 1ms, [&] { ++value; });
  EXPECT_THROW(world.run_for(1s), Violation);
  EXPECT_EQ(value, 3);
}

TEST(World, HostsHaveTheirOwnRandomNumbers) {
  const auto first = [](std::uint64_t seed, std::string_view name) {
    World world(seed);
    world.host("other");
    return world.host(name).runtime().random().next();
  };
  EXPECT_EQ(first(1, "a"), first(1, "a"));
  EXPECT_NE(first(1, "a"), first(1, "b"));
  EXPECT_NE(first(1, "a"), first(2, "a"));
}

TEST(World, SeedComesFromTheEnvironment) {
  ::setenv("SIM_SEED", "18446744073709551615", 1);
  EXPECT_EQ(seed(), UINT64_MAX);
  ::setenv("SIM_SEED", "12x", 1);
  EXPECT_THROW(seed(), std::invalid_argument);
  ::unsetenv("SIM_SEED");
  EXPECT_EQ(seed(), 1u);
}

std::uint64_t hash_of_a_run(std::uint64_t seed) {
  LinkOptions options;
  options.delay(10ms).jitter(3ms).mbps(10).loss(0.05).reorder(0.05, 4ms).duplicate(0.02);
  Pair pair(options, seed);
  pair.server.echo();
  pair.send_train(200, 900, 700us);
  pair.world.run_for(2s);
  EXPECT_GT(pair.world.trace_events(), 300u);
  return pair.world.trace_hash();
}

TEST(World, SameSeedSameTrace) {
  const std::uint64_t once = hash_of_a_run(11);
  EXPECT_EQ(once, hash_of_a_run(11));
  EXPECT_NE(once, hash_of_a_run(12));
}

TEST(World, NewLinksLeaveTheOldOnesRandomnessAlone) {
  const auto losses = [](bool extra) {
    World world(3);
    Host& a = world.host("a");
    Host& b = world.host("b");
    Link& link = world.link(a, b, LinkOptions().loss(0.3));
    if (extra) world.link(a, world.host("c"), LinkOptions().loss(0.3));
    RawPeer sender(a, any_v4());
    RawPeer receiver(b, any_v4(5));
    std::vector<std::string> got;
    for (int i = 0; i < 100; ++i) {
      sender.send(b.v4(5), std::to_string(i));
      world.run_for(1ms);
    }
    for (const auto& datagram : receiver.received) got.push_back(datagram.text);
    EXPECT_GT(link.up().stats().dropped_for(Verdict::loss), 10u);
    return got;
  };
  EXPECT_EQ(losses(false), losses(true));
}

TEST(World, LeaksAreNamed) {
  World world(1);
  Host& host = world.host("leaky");
  EXPECT_THAT(world.leaks(), IsEmpty());
  {
    RawPeer peer(host, any_v4());
    EXPECT_THAT(world.leaks(), ElementsAre(HasSubstr("leaky: 1 open sockets")));
  }
  udp::Slab* slab = host.network().acquire();
  EXPECT_THAT(world.leaks(), ElementsAre(HasSubstr("leaky: 1 slabs")));
  host.network().submit(slab);
  EXPECT_THAT(world.leaks(), IsEmpty());
}

TEST(World, TextTraceAndLogsNameTimeAndHost) {
  std::ostringstream out;
  TraceText text(out);
  Pair pair(LinkOptions().name("wifi").delay(1ms));
  pair.world.observe(text);
  pair.world.log_to(&out);
  pair.send(5);
  pair.world.run_for(2ms);
  pair.world.host("server").runtime().log().line(LogLevel::info, "hello");
  EXPECT_THAT(out.str(), HasSubstr("wifi client>server 5 not-ect delivered"));
  EXPECT_THAT(out.str(), HasSubstr("0.002000 server info: hello"));
}

}  // namespace
}  // namespace tern::sim
