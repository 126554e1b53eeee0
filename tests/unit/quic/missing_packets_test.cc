#include <gtest/gtest.h>

#include "tests/unit/quic/pair.h"

namespace tern::quic {
namespace {

using namespace std::chrono_literals;
using testing::Pair;
using testing::Side;

TEST(MissingPackets, AreThoseThatDidNotCome) {
  Pair pair;
  Connection* client = pair.connect();
  pair.run();
  EXPECT_EQ(pair.server_connection()->stats().packets_missing, 0u);
  std::uint64_t sent = 0;
  std::uint64_t dropped = 0;
  pair.network = [&](const Side& from, std::vector<std::uint8_t>&) {
    if (&from != &pair.client || ++sent % 10 != 0) return true;
    ++dropped;
    return false;
  };
  const StreamId stream = *client->open_bidi();
  client->write(stream, Bytes::copy(std::string(1'000'000, 'x')), true);
  pair.run(5s);
  EXPECT_EQ(pair.server.received[stream].size(), 1'000'000u);
  EXPECT_GT(dropped, 5u);
  EXPECT_EQ(pair.server_connection()->stats().packets_missing, dropped);
  EXPECT_EQ(client->stats().packets_missing, 0u);
}

}  // namespace
}  // namespace tern::quic
