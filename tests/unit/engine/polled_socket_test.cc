// A socket that is alone in receiving is read and written at once while its network polls.

#include <atomic>
#include <cerrno>
#include <optional>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "tests/unit/engine/engine_fixture.h"
#include "transport/engine/handed_socket.h"

namespace tern::engine {
namespace {

using testing::ElementsAre;

class PolledSocketTest : public EngineTest {
 protected:
  /// On `polling`.
  Recorder recorder;
  std::unique_ptr<udp::Network> polling;
  std::unique_ptr<udp::Socket> socket;
  /// On `network`, which does not poll.
  Recorder peer_recorder;
  std::unique_ptr<udp::Socket> peer;

  /// Turns until `socket` is polled and read at once. A poll takes `longest`: long enough that a
  /// busy machine keeps to it as well.
  void begin(Duration longest = 500ms) {
    polling = make(EngineOptions().busy_poll(longest));
    udp::SocketOptions options;
    options.bind = address("127.0.0.1:0");
    options.unreachable = true;
    socket = std::move(*polling->open(options, recorder));
    peer = bind(peer_recorder, "127.0.0.1:0");
    poll_again();
  }
  void poll_again() {
    const std::uint64_t before = at_once();
    while (at_once() == before) {
      from_peer("warm-up");
      ASSERT_TRUE(turn_until(*polling, [&] { return !recorder.datagrams.empty(); }));
      recorder.datagrams.clear();
      wait_for(10us);
    }
  }
  void wait_for(Duration length) {
    const Timestamp deadline = polling->now() + length;
    while (polling->now() < deadline) {
      polling->wait(deadline);
      polling->reap(polling->now());
    }
  }
  void from_peer(std::string_view bytes, std::size_t segment_size = 0) {
    send(*peer, socket->local(), bytes, segment_size);
    turn_once(*network);
  }
  std::thread from_thread(std::string bytes) {
    return std::thread([to = socket->local(), bytes = std::move(bytes)] {
      const int raw = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      ::sendto(raw, bytes.data(), bytes.size(), 0, to.data(), to.size());
      ::close(raw);
    });
  }
  std::uint64_t at_once() const { return count(*polling, "udp.receive.by_polling"); }
  /// What `socket` has received, once it is `number` datagrams.
  std::vector<std::string> received(std::size_t number) {
    EXPECT_TRUE(turn_until(*polling, [&] { return recorder.datagrams.size() >= number; }));
    std::vector<std::string> texts;
    for (const auto& datagram : recorder.datagrams) texts.push_back(datagram.bytes);
    recorder.datagrams.clear();
    return texts;
  }
};

INSTANTIATE_TEST_SUITE_P(Engine, PolledSocketTest, testing::ValuesIn(available_engines()),
                         engine_name);

TEST_P(PolledSocketTest, WhatComesIsWhole) {
  begin();
  const std::uint64_t before = at_once();
  from_peer("one");
  from_peer("twotwothr", 3);
  from_peer("four");
  EXPECT_THAT(received(5), ElementsAre("one", "two", "two", "thr", "four"));
  EXPECT_GT(at_once(), before);

  send(*network, *peer, socket->local(), "marked", 0, udp::Ecn::ce);
  turn_once(*network);
  ASSERT_TRUE(turn_until(*polling, [&] { return !recorder.datagrams.empty(); }));
  EXPECT_EQ(recorder.datagrams[0].ecn, udp::Ecn::ce);
  EXPECT_EQ(recorder.datagrams[0].path.remote, peer->local());
  EXPECT_EQ(recorder.datagrams[0].path.local, socket->local());
}

TEST_P(PolledSocketTest, WhatIsSentKeepsItsOrder) {
  begin();
  std::vector<std::string> sent;
  for (int i = 0; i < 300; ++i) {
    sent.push_back(std::to_string(i));
    send(*polling, *socket, peer->local(), sent.back());
    if (i % 100 == 50) wait_for(10us);
  }
  turn_once(*polling);
  ASSERT_TRUE(turn_until([&] { return peer_recorder.datagrams.size() == sent.size(); }));
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(peer_recorder.datagrams[i].bytes, sent[i]);
  }
  EXPECT_EQ(count(*polling, "udp.send.datagrams"), sent.size());
}

TEST_P(PolledSocketTest, AFailedSendIsTold) {
  begin();
  send(*polling, *socket, address("192.0.2.1:9"), "nowhere");
  ASSERT_TRUE(turn_until(*polling, [&] { return !recorder.failures.empty(); }));
  EXPECT_TRUE(recorder.failures[0].path.remote == address("192.0.2.1:9"));
  from_peer("still there");
  EXPECT_THAT(received(1), ElementsAre("still there"));
}

TEST_P(PolledSocketTest, WhatIcmpSaysIsTold) {
  begin();
  Recorder nobody;
  const udp::Address closed = bind(nobody, "127.0.0.1:0")->local();
  send(*polling, *socket, closed, "who is there?");
  ASSERT_TRUE(turn_until(*polling, [&] { return !recorder.unreachables.empty(); }));
  EXPECT_EQ(recorder.unreachables[0].error, ECONNREFUSED);
  from_peer("still there");
  EXPECT_THAT(received(1), ElementsAre("still there"));
}

// While it waits for the one, without a deadline.
TEST_P(PolledSocketTest, TheOthersAreHeard) {
  begin();
  Recorder other_recorder;
  const auto other = bind(*polling, other_recorder, "127.0.0.1:0");
  for (int i = 0; i < 3; ++i) {
    wait_for(10us);
    send(*peer, other->local(), "for the other");
    turn_once(*network);
    while (other_recorder.datagrams.empty()) {
      polling->wait(kNever);
      polling->reap(polling->now());
    }
    other_recorder.datagrams.clear();
    from_peer("for the one");
    EXPECT_THAT(received(1), ElementsAre("for the one"));
    poll_again();
  }

  std::atomic<bool> woken{false};
  std::thread waker([&] {
    woken = true;
    polling->wake();
  });
  while (!woken) {
    polling->wait(kNever);
    polling->reap(polling->now());
  }
  waker.join();
}

TEST_P(PolledSocketTest, APollInVainSleepsUntilSomethingComes) {
  begin(2ms);
  const auto in_vain = [&] { return count(*polling, "wait.busy_polls_in_vain"); };
  for (int i = 0; i < 5; ++i) {
    const std::uint64_t before = in_vain();
    while (in_vain() == before) wait_for(3ms);
    std::thread sender = from_thread(std::to_string(i));
    EXPECT_THAT(received(1), ElementsAre(std::to_string(i)));
    sender.join();
  }
  // So often that it gives up to poll, and receives as ever.
  for (int i = 0; i < 40; ++i) wait_for(3ms);
  std::thread sender = from_thread("at last");
  EXPECT_THAT(received(1), ElementsAre("at last"));
  sender.join();
  poll_again();
}

TEST_P(PolledSocketTest, PausedItReceivesNothingMore) {
  begin();
  for (int i = 0; i < 3; ++i) {
    from_peer("before");
    polling->wait(polling->now() + 1ms);  // it is here, and not delivered
    pause(*socket);
    polling->reap(polling->now());
    EXPECT_THAT(received(1), ElementsAre("before"));
    from_peer("meanwhile");
    for (int turn = 0; turn < 5; ++turn) turn_once(*polling);
    wait_for(10us);
    EXPECT_TRUE(recorder.datagrams.empty());
    resume(*socket);
    EXPECT_THAT(received(1), ElementsAre("meanwhile"));
    poll_again();
  }
}

TEST_P(PolledSocketTest, ClosedItIsNeitherReadNorBound) {
  begin();
  from_peer("late");
  polling->wait(polling->now() + 1ms);  // it is here, and not delivered
  const std::string where = socket->local().to_string();
  std::optional<Recorder> next(std::in_place);
  socket.reset();
  socket = bind(*polling, *next, where);
  ASSERT_NE(socket, nullptr);
  turn_once(*polling);
  wait_for(10us);
  EXPECT_TRUE(recorder.datagrams.empty());
  from_peer("for the next one");
  ASSERT_TRUE(turn_until(*polling, [&] { return !next->datagrams.empty(); }));
  EXPECT_EQ(next->datagrams[0].bytes, "for the next one");
  socket.reset();
  next.reset();
  turn_once(*polling);
}

TEST_P(PolledSocketTest, ClosedWhileItSleepsItIsForgotten) {
  begin(2ms);
  const std::uint64_t before = count(*polling, "wait.busy_polls_in_vain");
  while (count(*polling, "wait.busy_polls_in_vain") == before) wait_for(3ms);
  socket.reset();
  for (int i = 0; i < 5; ++i) turn_once(*polling);
  socket = bind(*polling, recorder, "127.0.0.1:0");
  poll_again();
}

}  // namespace
}  // namespace tern::engine
