// What ICMP says: told to those who ask, and harmless to everything else on the socket.

#include <cerrno>

#include "tests/unit/engine/engine_fixture.h"

namespace tern::engine {
namespace {

class UnreachableTest : public EngineTest {
 protected:
  /// A socket that has ICMP told.
  std::unique_ptr<udp::Socket> bind_asking(Recorder& recorder, std::string_view where) {
    udp::SocketOptions options;
    options.bind = address(where);
    options.unreachable = true;
    auto socket = network->open(options, recorder);
    EXPECT_TRUE(socket) << socket.error().to_string();
    return socket ? std::move(*socket) : nullptr;
  }
  /// Where nobody listens.
  udp::Address closed_port(std::string_view host) {
    Recorder nobody;
    return bind(nobody, host)->local();
  }
};

INSTANTIATE_TEST_SUITE_P(Engine, UnreachableTest, testing::ValuesIn(available_engines()),
                         engine_name);

TEST_P(UnreachableTest, AClosedPortIsToldWithWhatWasSent) {
  for (const char* host : {"127.0.0.1:0", "[::1]:0"}) {
    const udp::Address nobody = closed_port(host);
    Recorder recorder;
    const auto socket = bind_asking(recorder, host);
    const std::string datagram = "who is there? " + std::string(1200, 'x');
    send(*socket, nobody, datagram);
    ASSERT_TRUE(turn_until([&] { return !recorder.unreachables.empty(); })) << host;
    ASSERT_EQ(recorder.unreachables.size(), 1U);
    const Recorder::Unreachable& told = recorder.unreachables.front();
    EXPECT_EQ(told.remote, nobody);
    EXPECT_EQ(told.error, ECONNREFUSED);
    EXPECT_EQ(told.quoted, datagram.substr(0, 64));
    EXPECT_TRUE(recorder.failures.empty());
  }
}

TEST_P(UnreachableTest, ItIsCounted) {
  const udp::Address nobody = closed_port("127.0.0.1:0");
  Recorder recorder;
  const auto socket = bind_asking(recorder, "127.0.0.1:0");
  send(*socket, nobody, "x");
  ASSERT_TRUE(turn_until([&] { return !recorder.unreachables.empty(); }));
  EXPECT_EQ(count("udp.receive.unreachable"), 1U);
}

TEST_P(UnreachableTest, AWildcardSocketIsToldToo) {
  const udp::Address nobody = closed_port("127.0.0.1:0");
  Recorder recorder;
  const auto socket = bind_asking(recorder, "0.0.0.0:0");
  send(*socket, nobody, "x");
  ASSERT_TRUE(turn_until([&] { return !recorder.unreachables.empty(); }));
  EXPECT_EQ(recorder.unreachables.front().remote, nobody);
}

TEST_P(UnreachableTest, WhoDoesNotAskHearsNothing) {
  const udp::Address nobody = closed_port("127.0.0.1:0");
  Recorder recorder;
  const auto socket = bind(recorder, "127.0.0.1:0");
  send(*socket, nobody, "x");
  turn_once(*network);
  send(*socket, socket->local(), "y");
  ASSERT_TRUE(turn_until([&] { return recorder.datagrams.size() == 1; }));
  EXPECT_TRUE(recorder.unreachables.empty());
  EXPECT_TRUE(recorder.failures.empty());
}

// The kernel answers the next send or receive with the error, whoever it is for.
TEST_P(UnreachableTest, TrafficWithOthersIsNotDisturbed) {
  const udp::Address nobody = closed_port("127.0.0.1:0");
  Recorder recorder;
  const auto socket = bind_asking(recorder, "127.0.0.1:0");
  Recorder friends;
  const auto peer = bind(friends, "127.0.0.1:0");
  constexpr std::size_t kRounds = 200;
  for (std::size_t i = 0; i < kRounds; ++i) {
    send(*socket, nobody, "to nobody");
    send(*socket, peer->local(), "to a friend");
    send(*peer, socket->local(), "from a friend");
    if (i % 3 == 0) turn_once(*network);
  }
  ASSERT_TRUE(turn_until(
      [&] { return friends.datagrams.size() == kRounds && recorder.datagrams.size() == kRounds; }));
  EXPECT_FALSE(recorder.unreachables.empty());
}

TEST_P(UnreachableTest, WhatTheKernelQueuesBesidesIsTakenAwayAndTheEngineSleeps) {
  Recorder recorder;
  const auto socket = bind_asking(recorder, "[::1]:0");
  // Too large for loopback with IPv6: refused at once, and said again in the error queue.
  send(*socket, socket->local(), std::string(udp::Slab::kMaxTransmit, 'x'));
  ASSERT_TRUE(turn_until([&] { return !recorder.failures.empty(); }));
  EXPECT_EQ(recorder.failures.front().error, EMSGSIZE);
  send(*socket, closed_port("[::1]:0"), "x");
  ASSERT_TRUE(turn_until([&] { return !recorder.unreachables.empty(); }));
  EXPECT_EQ(recorder.unreachables.size(), 1U);
  const Timestamp end = network->now() + 30ms;
  int turns = 0;
  for (; network->now() < end; ++turns) {
    network->wait(end);
    network->reap(network->now());
  }
  EXPECT_LT(turns, 500);  // a wait may end early; spinning would be thousands
}

TEST_P(UnreachableTest, AFloodOfItIsBounded) {
  const udp::Address nobody = closed_port("127.0.0.1:0");
  Recorder recorder;
  const auto socket = bind_asking(recorder, "127.0.0.1:0");
  std::size_t before = 0;
  for (int burst = 0; burst < 20; ++burst) {
    for (int i = 0; i < 50; ++i) send(*socket, nobody, "x");
    turn_once(*network);
    EXPECT_LE(recorder.unreachables.size() - before, 64U);  // EngineNetwork::kMaxUnreachable
    before = recorder.unreachables.size();
  }
  EXPECT_GT(before, 0U);
}

TEST_P(UnreachableTest, ClosingTheSocketEndsIt) {
  const udp::Address nobody = closed_port("127.0.0.1:0");
  Recorder recorder;
  auto socket = bind_asking(recorder, "127.0.0.1:0");
  send(*socket, nobody, "x");
  network->wait(network->now());
  socket.reset();
  network->reap(network->now());
  turn_once(*network);
  EXPECT_TRUE(recorder.unreachables.empty());
}

}  // namespace
}  // namespace tern::engine
