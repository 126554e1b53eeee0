// How many packets go out at once: all there are, and none that says nothing.

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/quic/pair.h"

namespace tern::quic::testing {
namespace {

// A small packet is not the last one where something was left out of it.
TEST(Fill, WhatDoesNotFitBesideASmallDatagramGoesAtOnce) {
  Pair pair;
  Connection* client = pair.connect();
  pair.run();
  const std::string small(200, 's');
  const std::string large(client->max_datagram(), 'x');
  for (int i = 0; i < 4; ++i) {
    pair.server.datagrams.clear();
    const StreamId id = *client->open_bidi();
    client->write(id, Bytes::literal("also"), true);
    EXPECT_TRUE(client->send_datagram(Bytes::copy(small)));
    EXPECT_TRUE(client->send_datagram(Bytes::copy(large)));
    EXPECT_TRUE(client->send_datagram(Bytes::literal("last")));
    pair.run({});  // without waiting for a timer
    EXPECT_EQ(pair.server.datagrams, (std::vector<std::string>{small, large, "last"}));
    EXPECT_EQ(pair.server.received[id], "also");
  }
}

// RFC 9002 §6.2.4: two packets, should the one of them be lost as well.
TEST(Fill, ATimeoutSendsTwoProbes) {
  Pair pair;
  Connection* client = pair.connect();
  pair.run();
  const StreamId id = *client->open_bidi();
  std::size_t sent = 0;
  pair.network = [&](const Side& from, std::vector<std::uint8_t>&) {
    if (&from == &pair.client) ++sent;
    return false;
  };
  client->write(id, Bytes::literal("request"), false);
  pair.run({});
  EXPECT_EQ(sent, 1u) << "what is small goes in one packet, and nothing after it";
  client->write(id, Bytes::literal("more"), false);
  pair.run({});
  EXPECT_EQ(sent, 2u);
  while (sent == 2) {
    pair.now = std::max(pair.now + Duration(1), pair.client.timers.next_deadline());
    pair.client.timers.expire(pair.now);
    pair.run({});
  }
  EXPECT_EQ(sent, 4u);
}

}  // namespace
}  // namespace tern::quic::testing
