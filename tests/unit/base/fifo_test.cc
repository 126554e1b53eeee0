#include "base/fifo.h"

#include <memory>

#include <gtest/gtest.h>

namespace tern {
namespace {

TEST(Fifo, GivesBackInOrder) {
  Fifo<int> queue;
  EXPECT_TRUE(queue.empty());
  int pushed = 0;
  int popped = 0;
  // Never empty in between, so that popped places are taken back while items wait.
  for (int round = 0; round < 1000; ++round) {
    queue.push(pushed++);
    queue.push(pushed++);
    EXPECT_EQ(queue.back(), pushed - 1);
    EXPECT_EQ(queue.front(), popped);
    EXPECT_EQ(queue.pop(), popped++);
    EXPECT_EQ(queue.size(), static_cast<std::size_t>(pushed - popped));
  }
  while (!queue.empty()) EXPECT_EQ(queue.pop(), popped++);
  EXPECT_EQ(popped, pushed);
}

TEST(Fifo, LetsGoOfWhatItGivesBackAndClears) {
  const auto item = std::make_shared<int>(1);
  Fifo<std::shared_ptr<int>> queue;
  queue.push(item);
  queue.push(item);
  EXPECT_EQ(item.use_count(), 3);
  EXPECT_EQ(queue.pop(), item);
  EXPECT_EQ(item.use_count(), 2);
  queue.clear();
  EXPECT_EQ(item.use_count(), 1);
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace tern
