// The reuse-port group: each datagram reaches the worker that its connection ID names.

#include <array>
#include <atomic>
#include <cerrno>
#include <optional>
#include <set>

#include "tests/unit/engine/engine_fixture.h"
#include "transport/engine/workers.h"

namespace tern::engine {
namespace {

constexpr std::uint8_t kOffset = 1;  // of the worker within the connection ID

/// A packet with `worker` where a connection ID of ours would have it; the rest is noise.
std::string packet(bool long_header, std::uint8_t worker, Random& random) {
  std::string bytes(64, '\0');
  random.fill({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  bytes[0] = static_cast<char>(long_header ? bytes[0] | 0x80 : bytes[0] & 0x7f);
  if (long_header) bytes[5] = 8;
  bytes[(long_header ? 6 : 1) + kOffset] = static_cast<char>(worker);
  return bytes;
}

class SteeringTest : public EngineTest {
 protected:
  struct Group {
    std::vector<std::unique_ptr<udp::Network>> networks;
    std::vector<std::unique_ptr<Recorder>> recorders;
    std::vector<std::unique_ptr<udp::Socket>> sockets;
    const udp::Address& local() const { return sockets[0]->local(); }
    std::size_t received() const {
      std::size_t sum = 0;
      for (const auto& recorder : recorders) sum += recorder->datagrams.size();
      return sum;
    }
  };

  Group open_group(std::uint32_t count, std::optional<std::uint8_t> worker_offset,
                   std::string_view bind_address = "127.0.0.1:0") {
    Group group;
    udp::SocketOptions options;
    options.bind = address(bind_address);
    for (std::uint32_t i = 0; i < count; ++i) {
      options.reuse_port.index = i;
      options.reuse_port.count = count;
      options.reuse_port.worker_offset = worker_offset;
      group.networks.push_back(make(EngineOptions()));
      group.recorders.push_back(std::make_unique<Recorder>());
      auto socket = group.networks[i]->open(options, *group.recorders[i]);
      EXPECT_TRUE(socket) << socket.error().to_string();
      group.sockets.push_back(std::move(*socket));
      options.bind = group.local();
    }
    return group;
  }
  ~SteeringTest() override = default;

  void turn(Group& group) {
    for (auto& member : group.networks) turn_once(*member);
    turn_once(*network);
  }
  bool receive(Group& group, std::size_t count) {
    const Timestamp give_up = network->now() + 20s;
    while (group.received() < count && network->now() < give_up) turn(group);
    return group.received() == count;
  }
  static void close(Group& group) { group.sockets.clear(); }
};

INSTANTIATE_TEST_SUITE_P(Engine, SteeringTest, testing::ValuesIn(available_engines()), engine_name);

TEST_P(SteeringTest, EveryPacketReachesTheWorkerItNames) {
  constexpr std::uint32_t kWorkers = 4;
  constexpr std::size_t kPackets = 2048;
  Random random(7);
  Group group = open_group(kWorkers, kOffset);
  // From many ports, which the kernel's own hash would scatter.
  std::vector<std::unique_ptr<udp::Socket>> clients;
  Recorder ignored;
  for (int i = 0; i < 16; ++i) clients.push_back(bind(ignored, "127.0.0.1:0"));
  std::array<std::size_t, kWorkers> sent{};
  for (std::size_t i = 0; i < kPackets; ++i) {
    const auto worker = static_cast<std::uint8_t>(random.below(kWorkers));
    send(*clients[i % clients.size()], group.local(), packet(i % 2 == 0, worker, random));
    ++sent[worker];
    // Bounded by the receivers' buffers, so that nothing is lost.
    if (i % 64 == 63) {
      ASSERT_TRUE(receive(group, i + 1));
    }
  }
  std::size_t right = 0;
  for (std::uint32_t i = 0; i < kWorkers; ++i) {
    EXPECT_EQ(group.recorders[i]->datagrams.size(), sent[i]);
    for (const auto& datagram : group.recorders[i]->datagrams) {
      const std::size_t at = (datagram.bytes[0] & 0x80) != 0 ? 6 : 1;
      right += static_cast<std::uint8_t>(datagram.bytes[at + kOffset]) == i ? 1 : 0;
    }
  }
  EXPECT_EQ(right, kPackets);
  close(group);
}

TEST_P(SteeringTest, AClientsOwnConnectionIdStaysWithOneWorker) {
  // Before it learns the server's choice, a client's random ID decides: any worker, always the
  // same.
  Random random(11);
  Group group = open_group(3, kOffset);
  Recorder ignored;
  for (int i = 0; i < 100; ++i) {
    const auto client = bind(ignored, "127.0.0.1:0");
    const auto byte = static_cast<std::uint8_t>(random.below(256));
    for (auto& recorder : group.recorders) recorder->datagrams.clear();
    for (int repeat = 0; repeat < 4; ++repeat) {
      send(*client, group.local(), packet(true, byte, random));
    }
    ASSERT_TRUE(receive(group, 4));
    EXPECT_EQ(group.recorders[byte % 3]->datagrams.size(), 4U);
  }
  close(group);
}

TEST_P(SteeringTest, TruncatedPacketsReachTheFirstWorker) {
  Group group = open_group(3, kOffset);
  Recorder ignored;
  const auto client = bind(ignored, "127.0.0.1:0");
  for (const char* runt : {"\x40", "\xc0\x01", "\xff\xff\xff\xff\xff\xff"}) {
    send(*client, group.local(), runt);
  }
  ASSERT_TRUE(receive(group, 3));
  EXPECT_EQ(group.recorders[0]->datagrams.size(), 3U);
  close(group);
}

TEST_P(SteeringTest, WithoutAnOffsetTheKernelSpreadsFlows) {
  Random random(13);
  Group group = open_group(2, std::nullopt);
  Recorder ignored;
  // One flow stays together whatever its packets say; of 64 flows not all land on one worker.
  std::vector<std::unique_ptr<udp::Socket>> clients;
  for (int i = 0; i < 64; ++i) clients.push_back(bind(ignored, "127.0.0.1:0"));
  for (std::size_t i = 0; i < clients.size(); ++i) {
    for (std::uint8_t repeat = 0; repeat < 4; ++repeat) {
      send(*clients[i], group.local(), packet(false, repeat, random));
    }
    ASSERT_TRUE(receive(group, 4 * (i + 1)));
  }
  std::array<std::set<std::uint16_t>, 2> ports;
  for (std::size_t i = 0; i < 2; ++i) {
    for (const auto& datagram : group.recorders[i]->datagrams) {
      ports[i].insert(datagram.path.remote.port());
    }
    EXPECT_GT(ports[i].size(), 0U);
  }
  EXPECT_EQ(ports[0].size() + ports[1].size(), clients.size());
  close(group);
}

TEST_P(SteeringTest, WorksOnADualStackWildcard) {
  Random random(17);
  Group group = open_group(2, kOffset, "[::]:0");
  Recorder ignored;
  for (const char* loopback : {"127.0.0.1:0", "[::1]:0"}) {
    const auto client = bind(ignored, loopback);
    udp::Address server = client->local();
    server.set_port(group.local().port());
    for (auto& recorder : group.recorders) recorder->datagrams.clear();
    for (int i = 0; i < 10; ++i) send(*client, server, packet(i % 2 == 0, 1, random));
    ASSERT_TRUE(receive(group, 10));
    EXPECT_EQ(group.recorders[1]->datagrams.size(), 10U);
  }
  close(group);
}

TEST_P(SteeringTest, ASecondServerCannotJoinTheGroup) {
  Group group = open_group(2, kOffset);
  Recorder ignored;
  udp::SocketOptions options;
  options.bind = group.local();
  options.reuse_port = {0, 2, kOffset};
  const auto intruder = network->open(options, ignored);
  ASSERT_FALSE(intruder);
  EXPECT_EQ(intruder.error().code, static_cast<std::uint64_t>(EADDRINUSE));
  close(group);
  for (auto& member : group.networks) turn_once(*member);
  EXPECT_TRUE(network->open(options, ignored));
}

TEST_P(SteeringTest, ImpossibleGroupsAreErrors) {
  Recorder ignored;
  udp::SocketOptions options;
  options.bind = address("127.0.0.1:0");
  options.reuse_port.index = 2;
  options.reuse_port.count = 2;
  EXPECT_FALSE(network->open(options, ignored));
  options.reuse_port.index = 0;
  options.reuse_port.count = 257;
  options.reuse_port.worker_offset = kOffset;
  EXPECT_FALSE(network->open(options, ignored));
}

TEST_P(SteeringTest, ThreadsBindInOrder) {
  // The same through Workers: each thread's socket gets the packets that name its index.
  constexpr std::uint32_t kWorkers = 3;
  struct Shard final : udp::Sink {
    std::unique_ptr<udp::Socket> socket;
    std::uint32_t index = 0;
    std::atomic<std::size_t>* right = nullptr;
    std::atomic<std::size_t>* wrong = nullptr;
    void receive(udp::Socket&, const udp::Arrival& arrival) override {
      for (std::size_t at = 0; at < arrival.bytes.size(); at += arrival.segment_size) {
        ++(arrival.bytes[at + 1 + kOffset] == index ? *right : *wrong);
      }
    }
    void send_failed(udp::Socket&, const udp::Path&, int) override {}
  };
  std::atomic<std::size_t> right{0};
  std::atomic<std::size_t> wrong{0};
  udp::Address server = address("127.0.0.1:0");
  auto workers =
      Workers::start(WorkersOptions().count(kWorkers).engine(EngineOptions().kind(GetParam())),
                     [&](Worker& worker) -> Workers::SetUpResult {
                       auto shard = std::make_shared<Shard>();
                       shard->index = worker.index();
                       shard->right = &right;
                       shard->wrong = &wrong;
                       udp::SocketOptions options;
                       options.bind = server;
                       options.reuse_port = {worker.index(), worker.count(), kOffset};
                       auto socket = worker.network().open(options, *shard);
                       if (!socket) return fail(std::move(socket).error());
                       shard->socket = std::move(*socket);
                       server = shard->socket->local();
                       return shard;
                     });
  ASSERT_TRUE(workers) << workers.error().to_string();
  Random random(19);
  Recorder ignored;
  const auto client = bind(ignored, "127.0.0.1:0");
  for (std::uint32_t i = 0; i < 30; ++i) {
    send(*client, server, packet(false, static_cast<std::uint8_t>(i % kWorkers), random));
  }
  ASSERT_TRUE(turn_until([&] {
    network->wake();
    return right.load() + wrong.load() == 30;
  }));
  EXPECT_EQ(wrong.load(), 0U);
}

}  // namespace
}  // namespace tern::engine
