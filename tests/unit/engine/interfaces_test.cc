#include "transport/udp/interfaces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/engine/engine_fixture.h"

/// Against the machine's own kernel. That changes are told is tests/integration/networks_test.py's
/// to find out, which makes some.

namespace tern::engine {
namespace {

class InterfacesOf : public testing::TestWithParam<EngineKind> {
 protected:
  std::unique_ptr<udp::Network> network =
      std::move(*engine::open(EngineOptions().kind(GetParam())));
};
INSTANTIATE_TEST_SUITE_P(Engines, InterfacesOf, testing::ValuesIn(available_engines()),
                         engine_name);

TEST_P(InterfacesOf, HasLoopback) {
  const auto found = network->interfaces();
  ASSERT_TRUE(found) << found.error().to_string();
  const udp::Address localhost = *udp::Address::parse_ip("127.0.0.1", 0);
  const udp::NetworkInterface* loopback = found->owner(localhost);
  ASSERT_NE(loopback, nullptr);
  EXPECT_EQ(loopback->kind, udp::InterfaceKind::loopback);
  EXPECT_TRUE(loopback->up);
  EXPECT_EQ(network->source_for(localhost), localhost);
}

TEST_P(InterfacesOf, AWatchDoesNotKeepTheLoopAwake) {
  int calls = 0;
  auto first = network->watch_interfaces([&] { ++calls; });
  ASSERT_TRUE(first) << first.error().to_string();
  auto second = network->watch_interfaces([&] { ++calls; });
  ASSERT_TRUE(second);
  first->reset();
  // A wait may return early, for a signal say, but not again and again.
  const Timestamp end = network->now() + 60ms;
  int turns = 0;
  for (; network->now() < end; ++turns) {
    network->wait(end);
    network->reap(network->now());
  }
  // Somebody else may be changing this machine's interfaces just now; then it was told.
  EXPECT_LE(turns, 50 + calls);
  second->reset();
}

TEST_P(InterfacesOf, WatchesAreLimited) {
  std::vector<std::unique_ptr<udp::InterfaceWatch>> watches;
  for (std::size_t i = 0; i < udp::Network::kMaxInterfaceWatches; ++i) {
    auto watch = network->watch_interfaces([] {});
    ASSERT_TRUE(watch);
    watches.push_back(std::move(*watch));
  }
  const auto refused = network->watch_interfaces([] {});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Code::limit));
}

}  // namespace
}  // namespace tern::engine
