#include "transport/tcp/send_queue.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

#include "base/random.h"

namespace tern::tcp {
namespace {

std::string gathered(const SendQueue& queue) {
  std::array<iovec, 8> pieces;
  std::string text;
  const std::size_t count = queue.gather(pieces);
  for (std::size_t i = 0; i < count; ++i) {
    text.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  }
  return text;
}

std::string copied(const SendQueue& queue, std::uint64_t offset, std::size_t size) {
  std::string text(size, '?');
  queue.copy(offset, {reinterpret_cast<std::uint8_t*>(text.data()), size});
  return text;
}

TEST(SendQueue, GathersWithoutCopying) {
  SendQueue queue;
  const Bytes bytes = Bytes::copy("hello, ");
  queue.push(bytes);
  queue.push(Bytes());
  queue.push(Bytes::copy("world"));
  EXPECT_EQ(queue.size(), 12U);
  EXPECT_EQ(gathered(queue), "hello, world");
  std::array<iovec, 1> one;
  EXPECT_EQ(queue.gather(one), 1U);
  EXPECT_EQ(one[0].iov_base, bytes.data());
}

TEST(SendQueue, KeepsItsCountWhenBytesAreDoneWith) {
  SendQueue queue;
  queue.push(Bytes::copy("hello, "));
  queue.push(Bytes::copy("world"));
  queue.pop_until(3);
  EXPECT_EQ(gathered(queue), "lo, world");
  queue.pop_until(2);  // long ago
  EXPECT_EQ(queue.begin(), 3U);
  queue.pop_until(8);
  EXPECT_EQ(gathered(queue), "orld");
  EXPECT_EQ(copied(queue, 9, 2), "rl");
  queue.clear();
  EXPECT_TRUE(queue.empty());
  queue.push(Bytes::copy("again"));
  EXPECT_EQ(queue.begin(), 12U);
  EXPECT_EQ(copied(queue, 12, 5), "again");
}

TEST(SendQueue, BehavesLikeAString) {
  Random random(1);
  SendQueue queue;
  std::string all;
  std::uint64_t done = 0;
  for (int step = 0; step < 5000; ++step) {
    if (random.below(3) != 0) {
      std::string text(random.below(40), '\0');
      for (char& c : text) c = static_cast<char>(random.below(256));
      all += text;
      queue.push(Bytes::copy(text));
    } else {
      done += random.below(queue.size() + 1);
      queue.pop_until(done);
    }
    ASSERT_EQ(queue.begin(), done);
    ASSERT_EQ(queue.end(), all.size());
    const std::uint64_t from = done + random.below(queue.size() + 1);
    const auto size = static_cast<std::size_t>(random.below(queue.end() - from + 1));
    ASSERT_EQ(copied(queue, from, size), all.substr(from, size));
    const std::string front = gathered(queue);
    ASSERT_EQ(front, all.substr(done, front.size()));
    ASSERT_TRUE(!front.empty() || queue.empty());
  }
}

}  // namespace
}  // namespace tern::tcp
