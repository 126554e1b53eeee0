#include <gtest/gtest.h>

#include "tests/unit/quic/pair.h"

/// PATH_RESPONSEs that are lost do not stop what comes after them.

namespace tern::quic {
namespace {

using namespace std::chrono_literals;
using testing::Pair;
using testing::Side;

/// A client whose congestion window is two packets: everything it sent was lost for some seconds.
class SmallWindow {
 public:
  SmallWindow() : pair(Pair::default_server(), small_packets()) {
    client = pair.connect();
    pair.run();
    pair.network = [this](const Side& from, std::vector<std::uint8_t>& datagram) {
      if (&from == &pair.server) return true;
      if (lose_all) return false;
      if (datagram.size() < 1200) return true;
      ++full;
      return lost_++ >= lose;
    };
    lose_all = true;
    client->write(*client->open_bidi(), Bytes::literal("x"), true);
    pair.run(6s);
    lose_all = false;
    pair.run(10s);
    EXPECT_TRUE(small()) << client->stats().congestion_window;
  }

  static EndpointOptions small_packets() {
    EndpointOptions options;
    options.transport.max_udp_payload = 1200;
    return options;
  }

  bool small() const {
    const ConnectionStats stats = client->stats();
    return stats.congestion_window <= 2 * 1200;
  }

  /// The client's NAT gives it another port; the server challenges that path.
  void rebind() {
    client->rebind_local(udp::Address::v4(0x0a000002, 50001));
    client->ping();
    pair.run(2s);
  }

  Pair pair;
  Connection* client = nullptr;
  bool lose_all = false;
  std::size_t lose = 0;  // of the client's full datagrams
  std::size_t full = 0;

 private:
  std::size_t lost_ = 0;
};

TEST(PathResponses, ThatAreLostInASmallWindowStopNothing) {
  SmallWindow world;
  world.full = 0;
  world.lose = 4;
  world.rebind();
  EXPECT_GE(world.full, 2u) << "the client answered";
  const StreamId stream = *world.client->open_bidi();
  world.client->write(stream, Bytes::literal("still there?"), true);
  world.pair.run(5s);
  EXPECT_EQ(world.pair.server.received[stream], "still there?");
}

}  // namespace
}  // namespace tern::quic
