// Sockets that go while the kernel still works for them.

#include <optional>

#include "tests/unit/engine/engine_fixture.h"

namespace tern::engine {
namespace {

class LifetimeTest : public EngineTest {};

INSTANTIATE_TEST_SUITE_P(Engine, LifetimeTest, testing::ValuesIn(available_engines()), engine_name);

TEST_P(LifetimeTest, WhatWasSubmittedGoesOutThoughTheSocketIsClosed) {
  Recorder receiver;
  const auto to = bind(receiver, "127.0.0.1:0");
  Recorder ignored;
  auto from = bind(ignored, "127.0.0.1:0");
  send(*from, to->local(), "connection close");
  from.reset();
  ASSERT_TRUE(turn_until([&] { return !receiver.datagrams.empty(); }));
  EXPECT_EQ(receiver.datagrams[0].bytes, "connection close");
}

TEST_P(LifetimeTest, ThePortIsFreeAtOnce) {
  Recorder recorder;
  auto socket = bind(recorder, "127.0.0.1:0");
  for (int i = 0; i < 50; ++i) {
    const std::string again = socket->local().to_string();
    socket.reset();
    socket = bind(recorder, again);
    ASSERT_NE(socket, nullptr);
  }
}

TEST_P(LifetimeTest, NothingIsDeliveredAfterClosing) {
  Recorder ignored;
  const auto from = bind(ignored, "127.0.0.1:0");
  for (int i = 0; i < 20; ++i) {
    std::optional<Recorder> receiver(std::in_place);
    auto to = bind(*receiver, "127.0.0.1:0");
    const udp::Address address = to->local();
    send(*from, address, "late");
    network->wait(network->now());  // it may be in a completion queue now
    network->wait(network->now());
    to.reset();
    EXPECT_TRUE(receiver->datagrams.empty());
    receiver.reset();  // a call would be a use after free
    turn_once(*network);
  }
}

TEST_P(LifetimeTest, NoFailureIsReportedAfterClosing) {
  for (int i = 0; i < 20; ++i) {
    std::optional<Recorder> sender(std::in_place);
    auto from = bind(*sender, "127.0.0.1:0");
    send(*from, address("192.0.2.1:9"), "nowhere");
    network->wait(network->now());
    from.reset();
    sender.reset();
    turn_once(*network);
  }
  for (int i = 0; i < 64; ++i) {
    udp::Slab* slab = network->acquire();
    ASSERT_NE(slab, nullptr) << "a slab was lost";
    network->submit(slab);
  }
}

TEST_P(LifetimeTest, OpeningAndClosingUnderTraffic) {
  Recorder server_side;
  const auto server = bind(server_side, "127.0.0.1:0");
  server_side.hook = [&](const udp::Arrival& arrival) {
    for (int i = 0; i < 3; ++i) send(*server, arrival.path.remote, "echo");
  };
  for (int round = 0; round < 100; ++round) {
    Recorder client_side;
    auto client = bind(client_side, "127.0.0.1:0");
    const std::size_t before = server_side.datagrams.size();
    send(*client, server->local(), "ping");
    ASSERT_TRUE(turn_until([&] { return server_side.datagrams.size() > before; }));
    if (round % 2 == 0) {
      ASSERT_TRUE(turn_until([&] { return !client_side.datagrams.empty(); }));
    }
    client.reset();  // with two or three echoes under way
  }
  server_side.hook = nullptr;
}

TEST_P(LifetimeTest, ASocketClosedInACallbackOfAnother) {
  Recorder other;
  auto doomed = bind(other, "127.0.0.1:0");
  Recorder recorder;
  const auto socket = bind(recorder, "127.0.0.1:0");
  send(*doomed, address("192.0.2.1:9"), "nowhere");
  bool called = false;
  network->resolve("127.0.0.1", 1, [&](Result<std::vector<udp::Address>>) {
    doomed.reset();
    called = true;
  });
  ASSERT_TRUE(turn_until([&] { return called; }));
  turn_once(*network);
}

TEST_P(LifetimeTest, ANetworkMayGoRightAfterItsSockets) {
  Recorder receiver;
  const auto to = bind(receiver, "127.0.0.1:0");
  {
    const auto brief = make(EngineOptions());
    Recorder recorder;
    auto socket = bind(*brief, recorder, "127.0.0.1:0");
    send(*brief, *socket, to->local(), "last words");
    send(*network, *to, socket->local(), "never read");
    turn_once(*network);
  }
  ASSERT_TRUE(turn_until([&] { return !receiver.datagrams.empty(); }));
  EXPECT_EQ(receiver.datagrams[0].bytes, "last words");
}

}  // namespace
}  // namespace tern::engine
