#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/quic/pair.h"

/// Connections that sleep (docs/decisions/0031), and everything that wakes them up.

namespace tern::quic {
namespace {

using namespace std::chrono_literals;
using testing::Pair;
using testing::Side;

constexpr Duration kRest = 10ms;

EndpointOptions sleepy(EndpointOptions options, Duration rest_after = kRest) {
  options.transport.rest_after = rest_after;
  return options;
}

/// Two that have shaken hands and sleep.
struct Sleepers : Pair {
  explicit Sleepers(EndpointOptions for_server = default_server(), EndpointOptions for_client = {})
      : Pair(sleepy(std::move(for_server)), sleepy(std::move(for_client))) {
    server.on_event = [](const Event& event) {
      if (event.type == Event::Type::stream_data && event.fin && !is_unidirectional(event.stream)) {
        event.connection->write(event.stream, Bytes::literal("answer"), true);
      }
    };
    mine = connect();
    run(2s);
    theirs = server_connection();
    EXPECT_TRUE(both_asleep());
  }
  bool both_asleep() {
    return client.count("quic.connections_asleep") == 1 &&
           server.count("quic.connections_asleep") == 1;
  }
  std::string ask() {
    const StreamId stream = *mine->open_bidi();
    mine->write(stream, Bytes::literal("question"), true);
    run(2s);
    EXPECT_EQ(server.received[stream], "question");
    return client.received[stream];
  }

  Connection* mine = nullptr;
  Connection* theirs = nullptr;
};

TEST(Sleep, IdleConnectionsSleepAndGoOn) {
  Sleepers pair;
  for (std::uint64_t round = 1; round <= 5; ++round) {
    EXPECT_EQ(pair.ask(), "answer");
    EXPECT_TRUE(pair.both_asleep());
    EXPECT_GE(pair.client.count("quic.connections_woken"), round);
    EXPECT_GE(pair.server.count("quic.connections_woken"), round);
  }
  const StreamId upload = *pair.mine->open_bidi();
  const std::string body(300'000, 'x');
  pair.mine->write(upload, Bytes::copy(body), true);
  pair.run(2s);
  EXPECT_EQ(pair.server.received[upload], body);
  EXPECT_TRUE(pair.both_asleep());
}

TEST(Sleep, WhateverNeedsTheLibraryWakesIt) {
  const udp::Address elsewhere = udp::Address::v4(0x0a000003, 50001);
  struct Waker {
    const char* name;
    std::function<void(Sleepers&)> act;
    bool server;  // that it wakes up, at once
  };
  std::vector<Waker> wakers;
  const auto add = [&](const char* name, bool server, std::function<void(Sleepers&)> act) {
    wakers.push_back({name, std::move(act), server});
  };
  add("stats", true, [](Sleepers& pair) { EXPECT_GT(pair.theirs->stats().congestion_window, 0U); });
  add("streams left", true, [](Sleepers& pair) {
    EXPECT_GT(pair.theirs->bidi_left(), 0U);
    EXPECT_GT(pair.theirs->uni_left(), 0U);
  });
  add("largest datagram", true,
      [](Sleepers& pair) { EXPECT_GT(pair.theirs->max_datagram(), 1000U); });
  add("the server's own stream", true, [](Sleepers& pair) {
    const StreamId stream = *pair.theirs->open_uni();
    pair.theirs->write(stream, Bytes::literal("push"), true);
    pair.run(1s);
    EXPECT_EQ(pair.client.received[stream], "push");
  });
  add("a datagram", true, [](Sleepers& pair) {
    EXPECT_TRUE(pair.theirs->send_datagram(Bytes::literal("datagram")));
    pair.run(1s);
    EXPECT_THAT(pair.client.datagrams, ::testing::ElementsAre("datagram"));
  });
  add("a ping", false, [](Sleepers& pair) {
    pair.mine->ping();
    pair.run(1s);
    EXPECT_GE(pair.server.count("quic.connections_woken"), 1U);
  });
  add("a key update by the server", true, [](Sleepers& pair) {
    EXPECT_TRUE(pair.theirs->update_keys().has_value());
    EXPECT_EQ(pair.ask(), "answer");
    EXPECT_EQ(pair.mine->stats().peer_key_generation, 1U);
  });
  add("a key update by the client", false, [](Sleepers& pair) {
    EXPECT_TRUE(pair.mine->update_keys().has_value());
    EXPECT_EQ(pair.ask(), "answer");
    EXPECT_EQ(pair.theirs->stats().peer_key_generation, 1U);
  });
  add("another address", false, [&](Sleepers& pair) {
    pair.mine->rebind_local(elsewhere);
    pair.mine->ping();
    pair.run(1s);
    EXPECT_EQ(pair.theirs->path().remote, elsewhere);
  });
  add("a migration", false, [&](Sleepers& pair) {
    EXPECT_TRUE(pair.mine->migrate(elsewhere).has_value());
    pair.run(2s);
    EXPECT_EQ(pair.theirs->path().remote, elsewhere);
    EXPECT_TRUE(pair.client.saw(Event::Type::path_validated));
  });
  for (const Waker& waker : wakers) {
    SCOPED_TRACE(waker.name);
    Sleepers pair;
    const Side& woken = waker.server ? pair.server : pair.client;
    const std::uint64_t before = const_cast<Side&>(woken).count("quic.connections_woken");
    waker.act(pair);
    EXPECT_GT(const_cast<Side&>(woken).count("quic.connections_woken"), before);
    pair.run(2s);
    EXPECT_TRUE(pair.both_asleep()) << "it sleeps again";
    EXPECT_EQ(pair.ask(), "answer");
    EXPECT_FALSE(pair.mine->closed());
  }
}

TEST(Sleep, AClosedOneIsNoSleeper) {
  for (const bool by_server : {false, true}) {
    Sleepers pair;
    (by_server ? pair.theirs : pair.mine)->close(7, "enough");
    pair.run(2s);
    for (Side* side : {&pair.server, &pair.client}) {
      ASSERT_EQ(side->closed.size(), 1U);
      EXPECT_EQ(side->closed[0].code, 7U);
      EXPECT_EQ(side->count("quic.connections_asleep"), 0U);
      EXPECT_EQ(side->count("quic.connections_open"), 0U);
    }
  }
}

TEST(Sleep, TheIdleTimeoutEndsSleepers) {
  Sleepers pair;
  const std::uint64_t woken = pair.server.count("quic.connections_woken");
  pair.run(31s);
  for (Side* side : {&pair.server, &pair.client}) {
    ASSERT_EQ(side->closed.size(), 1U);
    EXPECT_TRUE(side->closed[0].is(Code::timed_out));
    EXPECT_EQ(side->count("quic.connections_asleep"), 0U);
  }
  EXPECT_EQ(pair.server.count("quic.connections_woken"), woken + 1);
}

TEST(Sleep, KeepAliveGoesOn) {
  EndpointOptions options = Pair::default_server();
  options.transport.keep_alive = 5s;
  Sleepers pair(std::move(options));
  const std::size_t before = pair.datagrams_to_client;
  pair.run(100s);
  EXPECT_TRUE(pair.both_asleep());
  EXPECT_GE(pair.datagrams_to_client, before + 19);
  EXPECT_LE(pair.server.count("quic.connections_woken"), 3 * 21U);
}

// Waking up costs more than a packet. Who has something every now and then stays awake for longer.
TEST(Sleep, WhoIsWokenUpSoonSleepsLess) {
  Sleepers pair;
  const auto woken_by_pings = [&](Duration interval, int count) {
    const std::uint64_t before = pair.server.count("quic.connections_woken");
    for (int i = 0; i < count; ++i) {
      pair.mine->ping();
      pair.run(interval);
    }
    return pair.server.count("quic.connections_woken") - before;
  };
  EXPECT_LE(woken_by_pings(4 * kRest, 100), 4U);
  EXPECT_GE(woken_by_pings(40 * kRest, 100), 95U) << "long sleeps are good ones";
}

TEST(Sleep, NoneWithoutRest) {
  Pair pair(sleepy(Pair::default_server(), Duration()), sleepy({}, Duration()));
  Connection* const mine = pair.connect();
  pair.run(10s);
  EXPECT_EQ(pair.server.count("quic.connections_asleep"), 0U);
  EXPECT_EQ(pair.client.count("quic.connections_asleep"), 0U);
  const StreamId stream = *mine->open_bidi();
  mine->write(stream, Bytes::literal("question"), true);
  pair.run();
  EXPECT_EQ(pair.server.received[stream], "question");
  EXPECT_EQ(pair.server.count("quic.connections_woken"), 0U);
}

TEST(Sleep, AnEndpointGoesWithItsSleepers) {
  Sleepers pair;
  pair.server.endpoint = nullptr;
  pair.client.endpoint = nullptr;
}

/// They sleep whenever there is nothing to do at once: with data under way, and some lost.
TEST(Sleep, NapsChangeNothing) {
  std::vector<std::size_t> bytes;
  for (const Duration rest_after : {Duration(), Duration(1)}) {
    Pair pair(sleepy(Pair::default_server(), rest_after), sleepy({}, rest_after));
    int count = 0;
    pair.network = [&](const Side&, std::vector<std::uint8_t>&) { return ++count % 13 != 0; };
    Connection* const mine = pair.connect();
    pair.run(2s);
    const std::string body(500'000, 'x');
    pair.server.on_event = [&](const Event& event) {
      if (event.type == Event::Type::stream_data && event.fin) {
        event.connection->write(event.stream, Bytes::copy(body), true);
      }
    };
    const StreamId stream = *mine->open_bidi();
    mine->write(stream, Bytes::literal("question"), true);
    pair.run(20s);
    EXPECT_EQ(pair.client.received[stream], body);
    if (rest_after > Duration()) {
      EXPECT_GT(pair.server.count("quic.connections_woken"), 5U);
    }
    bytes.push_back(pair.bytes_to_client);
  }
  EXPECT_EQ(bytes[0], bytes[1]) << "the same packets";
}

}  // namespace
}  // namespace tern::quic
