#include "base/counters.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"

namespace tern {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(Counters, NamesAreLookedUpOnceAndSorted) {
  Counters counters;
  Counter& packets = counters.at("quic.packets");
  Counter& bytes = counters.at("quic.bytes");
  packets.add();
  packets.add(4);
  bytes.set(9);
  EXPECT_EQ(&counters.at("quic.packets"), &packets);
  EXPECT_THAT(counters.snapshot(), ElementsAre(Pair("quic.bytes", 9U), Pair("quic.packets", 5U)));
}

TEST(Counters, ReferencesSurviveGrowth) {
  Counters counters;
  Counter& first = counters.at("first");
  for (int i = 0; i < 1000; ++i) counters.at("name" + std::to_string(i)).add();
  first.add(3);
  EXPECT_EQ(counters.at("first").value(), 3U);
  EXPECT_EQ(counters.snapshot().size(), 1001U);
}

TEST(Counters, AnyThreadMayRead) {
  Counters counters;
  Counter& counter = counters.at("n");
  std::thread writer([&] {
    for (int i = 0; i < 10'000; ++i) counter.add();
  });
  std::uint64_t last = 0;
  while (last < 10'000) {
    const std::uint64_t value = counters.snapshot()[0].second;
    ASSERT_GE(value, last);
    last = value;
  }
  writer.join();
}

/// A counter of something that happens late, on a server that somebody looks at.
TEST(Counters, AnyThreadMayReadWhileItGrows) {
  constexpr std::size_t kNames = 2000;
  Counters counters;
  std::thread writer([&] {
    for (std::size_t i = 0; i < kNames; ++i) counters.at("name" + std::to_string(i)).add();
  });
  std::size_t last = 0;
  while (last < kNames) {
    const auto seen = counters.snapshot();
    ASSERT_GE(seen.size(), last);
    for (const auto& [name, value] : seen) ASSERT_TRUE(name.starts_with("name")) << name;
    last = seen.size();
  }
  writer.join();
}

TEST(Log, TheNullLogWantsNothing) {
  EXPECT_FALSE(null_log().enabled(LogLevel::error));
  null_log().line(LogLevel::error, "dropped");
}

}  // namespace
}  // namespace tern
