// GSO out, GRO in, and what happens where the kernel or a device will not segment.

#include <algorithm>
#include <sys/socket.h>

#include "tests/unit/engine/engine_fixture.h"

namespace tern::engine {
namespace {

class OffloadTest : public EngineTest {
 protected:
  /// `count` datagrams of `size` bytes, the last `last` bytes, all different.
  static std::string payload(std::size_t count, std::size_t size, std::size_t last) {
    std::string bytes;
    for (std::size_t i = 0; i < count; ++i) {
      bytes += std::string(i + 1 == count ? last : size, static_cast<char>('A' + i % 60));
    }
    return bytes;
  }
  static void expect_datagrams(const Recorder& recorder, const std::string& bytes,
                               std::size_t size) {
    std::string joined;
    for (std::size_t i = 0; i < recorder.datagrams.size(); ++i) {
      const std::string& datagram = recorder.datagrams[i].bytes;
      if (i + 1 < recorder.datagrams.size()) {
        EXPECT_EQ(datagram.size(), size) << i;
      }
      joined += datagram;
    }
    EXPECT_EQ(joined, bytes);
  }
  /// The descriptor behind a socket of ours, to break it in ways only the kernel can.
  static int descriptor(const udp::Socket& socket) {
    for (int fd = 3; fd < 1024; ++fd) {
      sockaddr_in6 name{};
      socklen_t length = sizeof name;
      auto* generic = reinterpret_cast<sockaddr*>(&name);
      if (::getsockname(fd, generic, &length) == 0 &&
          udp::Address::from(generic, length) == socket.local()) {
        return fd;
      }
    }
    return -1;
  }
};

INSTANTIATE_TEST_SUITE_P(Engine, OffloadTest, testing::ValuesIn(available_engines()), engine_name);

TEST_P(OffloadTest, ABatchArrivesAsOne) {
  for (const char* loopback : {"127.0.0.1:0", "[::1]:0"}) {
    Recorder sender;
    Recorder receiver;
    const auto from = bind(sender, loopback);
    const auto to = bind(receiver, loopback);
    const std::string bytes = payload(45, 1452, 700);
    send(*from, to->local(), bytes, 1452, udp::Ecn::ect0);
    ASSERT_TRUE(turn_until([&] { return receiver.datagrams.size() == 45; }));
    expect_datagrams(receiver, bytes, 1452);
    EXPECT_EQ(receiver.batches, 1U);
    EXPECT_EQ(receiver.datagrams[44].ecn, udp::Ecn::ect0);
  }
}

TEST_P(OffloadTest, SixtyFourSegmentsAreTheMost) {
  Recorder sender;
  Recorder receiver;
  const auto from = bind(sender, "127.0.0.1:0");
  const auto to = bind(receiver, "127.0.0.1:0");
  const std::string bytes = payload(udp::Slab::kMaxSegments, 1000, 1000);
  send(*from, to->local(), bytes, 1000);
  ASSERT_TRUE(turn_until([&] { return receiver.datagrams.size() == udp::Slab::kMaxSegments; }));
  expect_datagrams(receiver, bytes, 1000);
}

TEST_P(OffloadTest, ThroughADualStackSocketToV4) {
  Recorder sender;
  Recorder receiver;
  const auto from = bind(sender, "[::]:0");
  const auto to = bind(receiver, "127.0.0.1:0");
  const std::string bytes = payload(20, 1200, 1200);
  send(*network, *from, to->local(), bytes, 1200, udp::Ecn::ect0, address("127.0.0.3:0"));
  ASSERT_TRUE(turn_until([&] { return receiver.datagrams.size() == 20; }));
  expect_datagrams(receiver, bytes, 1200);
  EXPECT_EQ(receiver.datagrams[0].path.remote.ip_string(), "127.0.0.3");
  EXPECT_EQ(receiver.datagrams[0].ecn, udp::Ecn::ect0);
}

TEST_P(OffloadTest, SwitchedOffEachDatagramGoesAlone) {
  const auto plain = make(EngineOptions().offload(false));
  {
    Recorder sender;
    Recorder receiver;
    const auto from = bind(*plain, sender, "127.0.0.1:0");
    const auto to = bind(*plain, receiver, "127.0.0.1:0");
    const std::string bytes = payload(30, 1200, 10);
    send(*plain, *from, to->local(), bytes, 1200, udp::Ecn::ect1);
    ASSERT_TRUE(turn_until(*plain, [&] { return receiver.datagrams.size() == 30; }));
    expect_datagrams(receiver, bytes, 1200);
    EXPECT_EQ(receiver.batches, 30U);
    EXPECT_EQ(receiver.datagrams[29].ecn, udp::Ecn::ect1);
    EXPECT_EQ(count(*plain, "udp.send.batches"), 30U);
    EXPECT_EQ(count(*plain, "udp.send.datagrams"), 30U);
  }
}

TEST_P(OffloadTest, ARefusedBatchIsSentInPartsAndRemembered) {
  Recorder sender;
  Recorder receiver;
  const auto from = bind(sender, "127.0.0.1:0");
  const auto to = bind(receiver, "127.0.0.1:0");
  // Without checksums the kernel refuses to segment: EINVAL.
  const int on = 1;
  ASSERT_EQ(::setsockopt(descriptor(*from), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);

  const std::string first = payload(10, 1000, 300);
  const std::string single = "a datagram alone";
  const std::string second = payload(5, 1200, 1200);
  send(*from, to->local(), first, 1000);
  send(*from, to->local(), single);
  send(*from, to->local(), second, 1200);
  ASSERT_TRUE(turn_until([&] { return receiver.datagrams.size() == 16; }));
  EXPECT_THAT(sender.failures, testing::IsEmpty());
  std::string joined;
  for (const auto& datagram : receiver.datagrams) joined += datagram.bytes;
  std::string sorted = first + single + second;
  std::sort(sorted.begin(), sorted.end());
  std::sort(joined.begin(), joined.end());
  EXPECT_EQ(joined, sorted);  // nothing lost, nothing twice

  const std::uint64_t refused = count("udp.send.segmented_in_user_space");
  EXPECT_GE(refused, 1U);
  receiver.datagrams.clear();
  send(*from, to->local(), first, 1000);
  send(*from, to->local(), single);
  ASSERT_TRUE(turn_until([&] { return receiver.datagrams.size() == 11; }));
  EXPECT_EQ(count("udp.send.segmented_in_user_space"), refused);  // not even tried
  // Known beforehand, the order is kept.
  EXPECT_EQ(receiver.datagrams[0].bytes, first.substr(0, 1000));
  EXPECT_EQ(receiver.datagrams[9].bytes, first.substr(9000));
  EXPECT_EQ(receiver.datagrams[10].bytes, single);

  // Another socket still segments in the kernel.
  const auto other = bind(sender, "127.0.0.1:0");
  const std::uint64_t batches = count("udp.send.batches");
  receiver.datagrams.clear();
  send(*other, to->local(), first, 1000);
  ASSERT_TRUE(turn_until([&] { return receiver.datagrams.size() == 10; }));
  EXPECT_EQ(count("udp.send.batches"), batches + 1);
}

}  // namespace
}  // namespace tern::engine
