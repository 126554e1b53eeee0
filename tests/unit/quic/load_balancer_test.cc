#include "transport/quic/load_balancer.h"

#include <array>
#include <set>
#include <vector>

#include <gmock/gmock.h>

#include "base/random.h"

namespace tern::quic {
namespace {

using Octets = std::vector<std::uint8_t>;

ConnectionId id(std::initializer_list<std::uint8_t> bytes) { return ConnectionId(Octets(bytes)); }

CidConfig config(bool encrypted) {
  CidConfig cids;
  cids.rotation(2).nonce_length(8);
  if (encrypted) {
    CidCodec::Key key{};
    key.fill(0x5a);
    cids.key(key);
  }
  return cids;
}

Random random_numbers() {
  Random::Key key{};
  key.fill(7);
  return Random(key);
}

Octets short_packet(ByteView cid) {
  Octets packet{0x45};
  packet.insert(packet.end(), cid.begin(), cid.end());
  packet.resize(60, 0xee);
  return packet;
}

Octets long_packet(ByteView cid) {
  Octets packet{0xc0, 0, 0, 0, 1, static_cast<std::uint8_t>(cid.size())};
  packet.insert(packet.end(), cid.begin(), cid.end());
  packet.resize(1200, 0xee);
  return packet;
}

const udp::Address kClient = *udp::Address::parse("192.0.2.1:4000");

class Balancing : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Cids, Balancing, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Encrypted" : "Plain"; });

TEST_P(Balancing, ReadsTheMachineWhateverTheWorkerAndTheClientsAddress) {
  const std::vector<ConnectionId> machines{id({1, 9}), id({2, 9}), id({3, 9})};
  const LoadBalancer balancer = *LoadBalancer::create(config(GetParam()), machines);
  Random random = random_numbers();
  for (std::size_t machine = 0; machine < machines.size(); ++machine) {
    for (const std::uint8_t worker : {0, 1, 200}) {
      CidConfig own = config(GetParam());
      own.machine_id(machines[machine]).worker(worker);
      const CidGenerator generator = *CidGenerator::create(own);
      for (int i = 0; i < 20; ++i) {
        const ConnectionId cid = generator.generate(random);
        for (const Octets& packet : {short_packet(cid), long_packet(cid)}) {
          udp::Address client = kClient;
          client.set_port(static_cast<std::uint16_t>(4000 + i));
          const LoadBalancer::Route route = balancer.route(packet, client);
          EXPECT_TRUE(route.by_connection_id);
          EXPECT_EQ(route.machine, machine);
        }
      }
    }
  }
}

TEST_P(Balancing, SpreadsFirstFlightsByTheirConnectionId) {
  const LoadBalancer balancer =
      *LoadBalancer::create(config(GetParam()), {id({1, 9}), id({2, 9}), id({3, 9})});
  Random random = random_numbers();
  std::array<int, 3> share{};
  for (int i = 0; i < 3000; ++i) {
    std::array<std::uint8_t, 12> dcid;
    random.fill(dcid);
    const auto first = balancer.route(long_packet(dcid), kClient);
    EXPECT_FALSE(first.by_connection_id) << "12 bytes are not our length";
    udp::Address moved = kClient;
    moved.set_port(static_cast<std::uint16_t>(i + 1));
    EXPECT_EQ(balancer.route(long_packet(dcid), moved).machine, first.machine);
    ++share[first.machine];
  }
  EXPECT_THAT(share, ::testing::Each(::testing::AllOf(::testing::Gt(850), ::testing::Lt(1150))));
}

TEST(LoadBalancer, HashesTheAddressWhereThereIsNoConnectionIdOfOurs) {
  const LoadBalancer balancer = *LoadBalancer::create(config(false), {id({1}), id({2})});
  std::set<std::size_t> chosen;
  for (std::uint16_t port = 1; port < 100; ++port) {
    udp::Address client = kClient;
    client.set_port(port);
    // Another rotation, a machine that does not exist, a runt, nothing.
    const Octets other_rotation = short_packet(Octets{0x07, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8});
    const Octets no_machine = short_packet(Octets{0x40, 0, 77, 1, 2, 3, 4, 5, 6, 7, 8});
    const auto expected = balancer.route({}, client);
    EXPECT_FALSE(expected.by_connection_id);
    for (const Octets& packet : {other_rotation, no_machine, Octets{0x40, 0, 1}, Octets{0xc0}}) {
      const auto route = balancer.route(packet, client);
      EXPECT_FALSE(route.by_connection_id);
      EXPECT_EQ(route.machine, expected.machine);
    }
    chosen.insert(expected.machine);
  }
  EXPECT_EQ(chosen.size(), 2u);
}

TEST(LoadBalancer, AMachineThatGoesTakesItsShareAlone) {
  const LoadBalancer three = *LoadBalancer::create(config(false), {id({1}), id({2}), id({3})});
  const LoadBalancer two = *LoadBalancer::create(config(false), {id({1}), id({2})});
  Random random = random_numbers();
  for (int i = 0; i < 500; ++i) {
    std::array<std::uint8_t, 8> dcid;
    random.fill(dcid);
    const std::size_t before = three.route(long_packet(dcid), kClient).machine;
    if (before == 2) continue;
    EXPECT_EQ(two.route(long_packet(dcid), kClient).machine, before);
  }
}

TEST(LoadBalancer, RefusesListsThatCannotBe) {
  const std::vector<std::vector<ConnectionId>> lists{
      {}, {id({1}), id({1})}, {id({1}), id({1, 2})}, {ConnectionId()}};
  for (const auto& machines : lists) {
    const auto balancer = LoadBalancer::create(config(false), machines);
    ASSERT_FALSE(balancer);
    EXPECT_TRUE(balancer.error().is(Code::invalid));
  }
}

}  // namespace
}  // namespace tern::quic
