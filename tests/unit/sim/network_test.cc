#include "transport/udp/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sim/raw_peer.h"

namespace tern::sim {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

int open_error(Host& host, const udp::SocketOptions& options) {
  class Deaf final : public udp::Sink {
    void receive(udp::Socket&, const udp::Arrival&) override {}
    void send_failed(udp::Socket&, const udp::Path&, int) override {}
  } sink;
  auto socket = host.network().open(options, sink);
  return socket ? 0 : static_cast<int>(socket.error().code);
}

TEST(Network, PortsAreAllocatedAndExclusive) {
  World world(1);
  Host& host = world.host("a");
  RawPeer one(host, any_v4());
  RawPeer two(host, any_v4());
  EXPECT_NE(one.local().port(), 0);
  EXPECT_NE(one.local().port(), two.local().port());
  EXPECT_EQ(open_error(host, RawPeer::with_bind(any_v4(one.local().port()))), EADDRINUSE);
  EXPECT_EQ(open_error(host, RawPeer::with_bind(any_v6(one.local().port()))), EADDRINUSE);
  EXPECT_EQ(open_error(host, RawPeer::with_bind(host.v4(one.local().port()))), EADDRINUSE);
  EXPECT_EQ(open_error(host, RawPeer::with_bind(host.v6(one.local().port()))), 0);
  udp::SocketOptions six_only = RawPeer::with_bind(any_v6(one.local().port()));
  six_only.v6_only = true;
  EXPECT_EQ(open_error(host, six_only), 0);
  const std::uint16_t port = one.local().port();
  one.close();
  EXPECT_EQ(open_error(host, RawPeer::with_bind(any_v4(port))), 0);
}

TEST(Network, ForeignAddressesAndDevicesAreRefused) {
  World world(1);
  Host& host = world.host("a");
  EXPECT_EQ(open_error(host, RawPeer::with_bind(world.host("b").v4(1))), EADDRNOTAVAIL);
  udp::SocketOptions options = RawPeer::with_bind(any_v4());
  options.device = "wlan0";
  EXPECT_EQ(open_error(host, options), ENODEV);
  EXPECT_EQ(open_error(host, udp::SocketOptions()), EAFNOSUPPORT);
}

TEST(Network, DeviceBindsToALink) {
  World world(1);
  Host& server = world.host("server");
  Host& phone = world.host("phone");
  world.link(phone, server, LinkOptions().name("wifi").delay(10ms));
  world.link(phone, server, LinkOptions().name("cellular").delay(60ms));
  RawPeer answering(server, any_v4(443));
  answering.echo();
  udp::SocketOptions options = RawPeer::with_bind(any_v4());
  options.device = "cellular";
  RawPeer peer(phone, options);
  peer.send(server.v4(443), "x");
  world.run_for(1s);
  ASSERT_THAT(peer.received, SizeIs(1));
  EXPECT_EQ(peer.received[0].at, 120ms);
}

TEST(Network, SegmentsLeaveAsDatagrams) {
  Pair pair(LinkOptions().delay(1ms));
  pair.world.host("server").coalesce(false);
  udp::Path path;
  path.remote = pair.server_address;
  pair.client.send(path, "aaaabbbbcc", udp::Ecn::ect0, 4);
  pair.world.run_for(1s);
  ASSERT_THAT(pair.server.received, SizeIs(3));
  EXPECT_EQ(pair.server.received[0].text, "aaaa");
  EXPECT_EQ(pair.server.received[1].text, "bbbb");
  EXPECT_EQ(pair.server.received[2].text, "cc");
  EXPECT_EQ(pair.server.batches, 3u);
  EXPECT_EQ(pair.link.up().stats().packets_in, 3u);
}

TEST(Network, ArrivalsOfOneFlowAreCoalesced) {
  Pair pair(LinkOptions().delay(1ms));
  pair.world.host("client").slabs(8);
  RawPeer other(pair.world.host("client"), any_v4());
  udp::Path path;
  path.remote = pair.server_address;
  pair.client.send(path, "aaaabbbbcc", udp::Ecn::ect0, 4);  // a short one ends a batch
  pair.client.send(path, "dddd", udp::Ecn::ect0, 4);
  pair.client.send(path, "eeee", udp::Ecn::ce, 4);  // another ECN mark
  pair.client.send(path, "ffff", udp::Ecn::ce, 4);
  other.send(path, "gggg", udp::Ecn::ce, 4);    // another sender
  other.send(path, "hhhhhh", udp::Ecn::ce, 6);  // bigger than the first
  pair.world.run_for(1s);
  std::vector<std::string> texts;
  std::vector<std::size_t> batches;
  for (const auto& datagram : pair.server.received) {
    texts.push_back(datagram.text);
    batches.push_back(datagram.batch);
  }
  EXPECT_THAT(texts, ElementsAre("aaaa", "bbbb", "cc", "dddd", "eeee", "ffff", "gggg", "hhhhhh"));
  EXPECT_THAT(batches, ElementsAre(0, 0, 0, 1, 2, 2, 3, 4));
}

TEST(Network, CoalescedBatchesHaveLimits) {
  Pair pair(LinkOptions().delay(1ms));
  udp::Path path;
  path.remote = pair.server_address;
  for (int i = 0; i < 3; ++i) {
    pair.client.send(path, std::string(50 * 1400, 'x').substr(0, 46 * 1400), udp::Ecn::ect0, 1400);
  }
  pair.world.run_for(1s);
  EXPECT_EQ(pair.server.received.size(), 138u);
  EXPECT_GE(pair.server.batches, 3u) << "at most 64 datagrams and 64 KiB in one";
}

TEST(Network, SlabsAreFewAndComeBack) {
  World world(1);
  Host& host = world.host("a");
  host.slabs(2, 3ms);
  udp::Network& network = host.network();
  udp::Slab* first = network.acquire();
  udp::Slab* second = network.acquire();
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(network.acquire(), nullptr);
  network.submit(first);
  network.submit(second);
  EXPECT_EQ(network.acquire(), nullptr) << "both are in flight";
  world.run_for(2ms);
  EXPECT_EQ(network.acquire(), nullptr);
  world.run_for(1ms);
  udp::Slab* again = network.acquire();
  ASSERT_NE(again, nullptr);
  network.submit(again);
}

/// Sends from its flush as a protocol engine does: as long as there are slabs.
class Flood final : public TurnHook {
 public:
  Flood(RawPeer& peer, const udp::Address& to, int count) : peer_(peer), to_(to), left_(count) {}
  void drain(Timestamp) override {}
  void flush(Timestamp) override {
    while (left_ > 0 && peer_.send(to_, "x")) --left_;
  }
  /// Without a slab there is nothing to do until the network has one again.
  bool pending() const override { return false; }

 private:
  RawPeer& peer_;
  udp::Address to_;
  int left_;
};

TEST(Network, AStarvedSenderIsTurnedAgain) {
  for (const Duration busy : {Duration{0}, Duration{2ms}}) {
    Pair pair{LinkOptions()};
    Host& client = pair.world.host("client");
    client.slabs(3, busy);
    Flood flood(pair.client, pair.server_address, 10);
    client.runtime().add(flood);
    pair.world.run_for(1s);
    client.runtime().remove(flood);
    EXPECT_THAT(pair.server.received, SizeIs(10));
    EXPECT_EQ(pair.server.received.back().at, busy * 3);
  }
}

TEST(Network, ReuseportSteersByTheConnectionId) {
  World world(1);
  Host& server = world.host("server");
  Host& client = world.host("client");
  client.slabs(64);
  world.link(client, server);
  server.add_worker();
  server.add_worker();
  std::vector<std::unique_ptr<RawPeer>> workers;
  for (std::uint32_t i = 0; i < 3; ++i) {
    udp::SocketOptions options = RawPeer::with_bind(any_v4(443));
    options.reuse_port.index = i;
    options.reuse_port.count = 3;
    options.reuse_port.worker_offset = 1;
    workers.push_back(std::make_unique<RawPeer>(server, options, i));
  }
  RawPeer peer(client, any_v4());
  for (int byte = 0; byte < 9; ++byte) {
    std::string short_header = {'\x40', '\x00', static_cast<char>(byte), 'r', 'e', 's', 't'};
    std::string long_header = {'\xc0', 0, 0, 0, 1, 8, 0, static_cast<char>(byte), 'r'};
    peer.send(server.v4(443), short_header);
    peer.send(server.v4(443), long_header);
  }
  peer.send(server.v4(443), "\x40");
  world.run_for(1s);
  EXPECT_THAT(workers[0]->received, SizeIs(7)) << "a datagram too short goes to the first";
  EXPECT_THAT(workers[1]->received, SizeIs(6));
  EXPECT_THAT(workers[2]->received, SizeIs(6));
  for (std::size_t i = 0; i < 3; ++i) {
    for (const auto& datagram : workers[i]->received) {
      if (datagram.text.size() == 1) continue;
      const std::size_t at = datagram.text[0] == '\x40' ? 2 : 7;
      EXPECT_EQ(static_cast<std::size_t>(datagram.text[at]) % 3, i);
    }
  }
}

TEST(Network, ReuseportWithoutSteeringKeepsAFlowTogether) {
  World world(1);
  Host& server = world.host("server");
  Host& client = world.host("client");
  world.link(client, server);
  server.add_worker();
  std::vector<std::unique_ptr<RawPeer>> workers;
  for (std::uint32_t i = 0; i < 2; ++i) {
    udp::SocketOptions options = RawPeer::with_bind(any_v4(443));
    options.reuse_port.index = i;
    options.reuse_port.count = 2;
    workers.push_back(std::make_unique<RawPeer>(server, options, i));
  }
  std::size_t flows[2] = {0, 0};
  for (int flow = 0; flow < 40; ++flow) {
    RawPeer peer(client, any_v4());
    const std::size_t before[2] = {workers[0]->received.size(), workers[1]->received.size()};
    for (const char* text : {"one", "two", "three"}) peer.send(server.v4(443), text);
    world.run_for(1ms);
    for (std::size_t i = 0; i < 2; ++i) {
      const std::size_t got = workers[i]->received.size() - before[i];
      EXPECT_TRUE(got == 0 || got == 3);
      flows[i] += got / 3;
    }
  }
  EXPECT_GT(flows[0], 4u);
  EXPECT_GT(flows[1], 4u);
}

TEST(Network, ResolvesNames) {
  World world(1);
  Host& server = world.host("server");
  Host& client = world.host("client");
  world.link(client, server);
  world.alias("www.example.com", server);
  client.resolve_delay(7ms);
  std::vector<std::string> answers;
  const auto note = [&](Result<std::vector<udp::Address>> result) {
    std::string line = std::to_string(world.elapsed() / 1ms) + "ms";
    if (!result) line += " error";
    if (result) {
      for (const udp::Address& address : *result) line += " " + address.to_string();
    }
    answers.push_back(line);
  };
  udp::Network& network = client.network();
  network.resolve("server", 443, note);
  network.resolve("www.example.com", 443, note);
  network.resolve("nobody.example", 443, note);
  network.resolve("192.0.2.1", 80, note);
  EXPECT_THAT(answers, IsEmpty()) << "only from a later turn";
  world.run_for(1s);
  const std::string both = "7ms " + server.v6(443).to_string() + " " + server.v4(443).to_string();
  EXPECT_THAT(answers, ElementsAre(both, both, "7ms error", "7ms 192.0.2.1:80"));
}

TEST(Network, ResolvesToFamiliesThatHaveAWay) {
  World world(1);
  Host& server = world.host("server");
  Host& client = world.host("client");
  world.link(client, server, LinkOptions().v4_only());
  std::vector<udp::Address> found;
  client.network().resolve("server", 443,
                           [&](Result<std::vector<udp::Address>> result) { found = *result; });
  world.run_for(1ms);
  EXPECT_THAT(found, ElementsAre(server.v4(443)));
}

TEST(Network, CountsWhatGoesThrough) {
  Pair pair{LinkOptions()};
  udp::Path path;
  path.remote = pair.server_address;
  pair.client.send(path, "aaaabb", udp::Ecn::ect0, 4);
  pair.client.send(udp::Address::v4(0x01020304, 5), "nowhere");
  pair.world.run_for(1s);
  const auto value = [&](std::string_view host, std::string_view name) {
    for (const auto& [key, count] : pair.world.host(host).network().counters().snapshot()) {
      if (key == name) return count;
    }
    return UINT64_MAX;
  };
  EXPECT_EQ(value("client", "udp.send.batches"), 1u);
  EXPECT_EQ(value("client", "udp.send.datagrams"), 2u);
  EXPECT_EQ(value("client", "udp.send.bytes"), 6u);
  EXPECT_EQ(value("client", "udp.send.failed"), 1u);
  EXPECT_EQ(value("server", "udp.receive.datagrams"), 2u);
  EXPECT_EQ(value("server", "udp.receive.batches"), 1u);
}

}  // namespace
}  // namespace tern::sim
