// Several sockets in one turn: a busy one keeps the others neither waiting nor out of buffers.

#include <cstring>

#include "tests/unit/engine/engine_fixture.h"

namespace tern::engine {
namespace {

class FairnessTest : public EngineTest {
 protected:
  static constexpr std::size_t kDatagrams = 32;
  static constexpr std::size_t kSize = 1000;

  /// A download on `busy`, in whose midst something comes to `quiet`.
  void send_all(const udp::Address& busy, const udp::Address& quiet) {
    Recorder ignored;
    const auto from = bind(ignored, "127.0.0.1:0");
    const std::string before(kDatagrams * kSize, 'b');
    const std::string after(kDatagrams * kSize, 'a');
    for (int i = 0; i < 2; ++i) send(*from, busy, before, kSize);
    turn_once(*network);
    send(*from, quiet, "probe");
    turn_once(*network);
    for (int i = 0; i < 20; ++i) send(*from, busy, after, kSize);
    turn_once(*network);
  }
  /// Datagrams that were sent after the probe and delivered before it.
  static std::size_t overtakers(const Recorder& receiver) {
    std::size_t count = 0;
    for (const Recorder::Datagram& datagram : receiver.datagrams) {
      if (datagram.bytes == "probe") break;
      count += datagram.bytes[0] == 'a' ? 1 : 0;
    }
    return count;
  }
};

INSTANTIATE_TEST_SUITE_P(Engine, FairnessTest, testing::ValuesIn(available_engines()), engine_name);

// QUIC packet numbers are cut to what tells apart twice as many packets as are on the way (RFC 9000
// §17.1): an answer to a path probe that is overtaken by a hundred packets of the old path cannot
// be read any more.
TEST_P(FairnessTest, ABusySocketDoesNotOvertakeAQuietOne) {
  for (const bool quiet_is_older : {false, true}) {
    for (const bool offload : {false, true}) {
      const auto receiving = make(EngineOptions().offload(offload));
      Recorder receiver;
      auto first = bind(*receiving, receiver, "127.0.0.1:0");
      auto second = bind(*receiving, receiver, "127.0.0.1:0");
      if (quiet_is_older) std::swap(first, second);
      send_all(first->local(), second->local());
      ASSERT_TRUE(
          turn_until(*receiving, [&] { return receiver.datagrams.size() == 22 * kDatagrams + 1; }));
      EXPECT_EQ(overtakers(receiver), 0U) << "offload " << offload << ", older " << quiet_is_older;
    }
  }
}

TEST_P(FairnessTest, NorDoesItWithFewBuffers) {
  for (const std::size_t buffers : {1, 2, 4}) {
    const auto receiving = make(EngineOptions().receive_buffers(buffers));
    Recorder receiver;
    const auto busy = bind(*receiving, receiver, "127.0.0.1:0");
    const auto quiet = bind(*receiving, receiver, "127.0.0.1:0");
    send_all(busy->local(), quiet->local());
    ASSERT_TRUE(
        turn_until(*receiving, [&] { return receiver.datagrams.size() == 22 * kDatagrams + 1; }));
    // One buffer: one arrival, of at most 64 datagrams, may come before it.
    EXPECT_LE(overtakers(receiver), buffers * udp::Slab::kMaxSegments);
  }
}

// Each turn has something for the busy one; the others are served all the same.
TEST_P(FairnessTest, EverySocketIsServedWhileOneIsNeverEmpty) {
  constexpr std::size_t kOthers = 10;
  const auto receiving = make(EngineOptions().receive_buffers(4));
  Recorder receiver;
  const auto busy = bind(*receiving, receiver, "127.0.0.1:0");
  Recorder others;
  std::vector<std::unique_ptr<udp::Socket>> sockets;
  for (std::size_t i = 0; i < kOthers; ++i) {
    sockets.push_back(bind(*receiving, others, "127.0.0.1:0"));
  }
  Recorder ignored;
  const auto from = bind(ignored, "127.0.0.1:0");
  for (const auto& socket : sockets) send(*from, socket->local(), "x");
  turn_once(*network);
  const std::string bulk(60 * kSize, 'b');
  int turns = 0;
  for (; others.datagrams.size() < kOthers && turns < 100; ++turns) {
    for (int i = 0; i < 8; ++i) send(*from, busy->local(), bulk, kSize);
    turn_once(*network);
    turn_once(*receiving);
  }
  EXPECT_LE(turns, static_cast<int>(kOthers));
}

}  // namespace
}  // namespace tern::engine
