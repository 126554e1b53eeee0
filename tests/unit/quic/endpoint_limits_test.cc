// What an endpoint refuses, bounds and counts, and which options are a connection's own.
#include <gtest/gtest.h>

#include "tests/unit/quic/pair.h"
#include "transport/quic/endpoint.h"

namespace tern::quic::testing {
namespace {

using namespace std::chrono_literals;

TEST(Endpoint, RefusesBeyondItsConnectionLimit) {
  EndpointOptions options = Pair::default_server();
  options.max_connections = 1;
  Pair pair(options);
  Connection* first = pair.connect();
  pair.run();
  ASSERT_TRUE(first->handshake_complete());
  pair.connect();
  pair.run();
  ASSERT_EQ(pair.client.closed.size(), 1u);
  EXPECT_EQ(pair.client.closed[0].domain, Domain::quic);
  EXPECT_EQ(pair.client.closed[0].code, 0x2u);  // CONNECTION_REFUSED
  EXPECT_FALSE(first->closed());
}

TEST(Endpoint, AConnectionsOwnOptionsAreItsOwn) {
  Pair pair;
  bool marked = false;
  pair.network = [&](const Side& from, std::vector<std::uint8_t>&) {
    if (&from == &pair.client) marked = marked || pair.going_ecn != udp::Ecn::not_ect;
    return true;
  };
  ConnectOptions options = pair.connect_options();
  options.transport.emplace().ecn = false;
  Connection* client = pair.connect(options);
  pair.run();
  EXPECT_TRUE(client->handshake_complete());
  EXPECT_FALSE(marked);
  pair.connect();
  pair.run();
  EXPECT_TRUE(marked) << "by default";
}

TEST(Endpoint, EveryCloseLeavesHoweverManyThereAre) {
  constexpr std::size_t kClients = 20;
  EndpointOptions options = Pair::default_server();
  options.max_stateless_packets = 4;
  Pair pair(options);
  for (std::size_t i = 0; i < kClients; ++i) pair.connect();
  pair.run();
  ASSERT_EQ(pair.server.endpoint->connections(), kClients);
  pair.server.endpoint->close_all(0x100, "server stops");
  pair.run();
  EXPECT_EQ(pair.client.closed.size(), kClients);
  for (const Error& error : pair.client.closed) {
    EXPECT_EQ(error.domain, Domain::application) << error.to_string();
    EXPECT_EQ(error.code, 0x100u);
    EXPECT_EQ(error.origin, Origin::remote);
  }
  EXPECT_EQ(pair.server.count("quic.dropped.stateless_limit"), 0u);
}

TEST(Endpoint, StatelessPacketsBeyondTheLimitAreNotMade) {
  EndpointOptions options = Pair::default_server();
  options.retry = RetryPolicy::always;
  options.max_stateless_packets = 4;
  Pair pair(options);
  for (int i = 0; i < 10; ++i) pair.connect();
  pair.run();  // not long enough for a client to ask again
  EXPECT_EQ(pair.server.count("quic.retries_sent"), 4u);
  EXPECT_EQ(pair.server.count("quic.dropped.stateless_limit"), 6u);
  EXPECT_EQ(pair.server.count("quic.handshakes_completed"), 4u);
  pair.run(5s);
  EXPECT_EQ(pair.server.count("quic.handshakes_completed"), 10u);
}

TEST(Endpoint, AmplificationStaysUnderThreeTimes) {
  Pair pair;
  std::size_t to_server = 0;
  std::size_t to_client = 0;
  pair.network = [&](const Side& from, std::vector<std::uint8_t>& datagram) {
    if (&from == &pair.client) {
      to_server += datagram.size();
      return to_server == datagram.size();  // only the first Initial gets through
    }
    to_client += datagram.size();
    return false;
  };
  pair.connect();
  pair.run(5s);
  EXPECT_LE(to_client, 3u * 1452u);
  EXPECT_GT(to_client, 0u);
}

TEST(Endpoint, GarbageIsCountedAndHarmsNobody) {
  Pair pair;
  Connection* client = pair.connect();
  pair.run();
  Random dice(3);
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::uint8_t> garbage(1 + dice.below(1400));
    dice.fill(garbage);
    udp::Arrival arrival;
    arrival.path = {pair.server.address, udp::Address::v4(0x0a000009, 9)};
    arrival.bytes = garbage;
    arrival.segment_size = garbage.size();
    pair.server.endpoint->receive(arrival, pair.now, pair.unix_now);
  }
  pair.server.drain();
  EXPECT_EQ(pair.server.endpoint->connections(), 1u);
  const StreamId stream = *client->open_bidi();
  client->write(stream, Bytes::literal("still here"), true);
  pair.run();
  EXPECT_EQ(pair.server.received[stream], "still here");
}

}  // namespace
}  // namespace tern::quic::testing
