#include "tools/relay/timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern::relay {
namespace {

using namespace std::chrono_literals;

Action named(const char* text) {
  Action action;
  action.kind = Action::Kind::cut;
  action.text = text;
  return action;
}

TEST(Timeline, IsInOrderOfTimeAndThenOfAdding) {
  Timeline timeline;
  timeline.at(2s, named("c")).at(1s, named("a")).at(1s, named("b")).begin_at(10s);
  EXPECT_EQ(timeline.next(), 11s);
  EXPECT_EQ(timeline.take().text, "a");
  EXPECT_EQ(timeline.next(), 11s);
  EXPECT_EQ(timeline.take().text, "b");
  EXPECT_EQ(timeline.next(), 12s);
  EXPECT_EQ(timeline.take().text, "c");
  EXPECT_EQ(timeline.next(), Timeline::kNeverAgain);
}

TEST(Timeline, Repeats) {
  Timeline timeline;
  timeline.at(1s, named("a")).at(3s, named("b")).repeat_every(5s);
  std::string seen;
  std::vector<Duration> times;
  for (int i = 0; i < 5; ++i) {
    times.push_back(timeline.next());
    seen += timeline.take().text;
  }
  EXPECT_EQ(seen, "ababa");
  EXPECT_THAT(times, testing::ElementsAre(1s, 3s, 6s, 8s, 11s));
}

TEST(Timeline, KnowsWhatItHas) {
  Timeline timeline;
  EXPECT_TRUE(timeline.empty());
  EXPECT_EQ(timeline.next(), Timeline::kNeverAgain);
  timeline.at(1s, named("a"));
  EXPECT_FALSE(timeline.empty());
  EXPECT_TRUE(timeline.has(Action::Kind::cut));
  EXPECT_FALSE(timeline.has(Action::Kind::rebind));
}

}  // namespace
}  // namespace tern::relay
