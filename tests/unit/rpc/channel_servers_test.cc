#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/channel.h"
#include "rpc/client_streams.h"
#include "rpc/server_source.h"
#include "tests/unit/rpc/test_wire.h"

/// Which of its servers a channel calls: where they are, and how they do.

namespace tern::rpc {
namespace {

using namespace std::chrono_literals;
using grpc::testing::SimpleRequest;
using grpc::testing::SimpleResponse;
using http::test::World;
using test::TestWire;
using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

/// Servers whose every call ends well, by name.
class Servers {
 public:
  explicit Servers(World& world) : world_(world) {}

  std::unique_ptr<Wire> wire(const std::string& name) {
    auto made = std::make_unique<TestWire>(world_);
    made->answer = [this, name](test::Sent& sent, std::size_t) {
      ++calls[name];
      test::answer_well(sent);
    };
    if (down.contains(name)) made->refusals = SIZE_MAX;
    wires[name] = made.get();
    return made;
  }
  /// Since it was asked last.
  std::map<std::string, int> taken() { return std::exchange(calls, {}); }

  std::map<std::string, int> calls;
  std::map<std::string, TestWire*> wires;
  std::set<std::string> down;

 private:
  World& world_;
};

/// Finds what the test says.
struct FoundNames {
  tern::Result<std::vector<std::string>> names = std::vector<std::string>();
  Duration takes{};
  int asked = 0;
};
class TestSource final : public ServerSource {
 public:
  TestSource(World& world, Servers& servers, FoundNames& found)
      : world_(world), servers_(servers), found_(found) {}
  Runtime& runtime() noexcept override { return world_.runtime; }
  Task<tern::Result<std::vector<std::string>>> find() override {
    ++found_.asked;
    if (found_.takes > Duration()) co_await world_.runtime.sleep(found_.takes);
    co_return found_.names;
  }
  std::unique_ptr<Wire> wire(const std::string& server) override { return servers_.wire(server); }

 private:
  World& world_;
  Servers& servers_;
  FoundNames& found_;
};

class ChannelServersTest : public ::testing::Test {
 protected:
  void find(ChannelOptions options = ChannelOptions()) {
    channel = std::make_unique<Channel>(std::make_unique<TestSource>(world, servers, found),
                                        std::move(options));
  }
  void name(const std::vector<std::string>& names, ChannelOptions options) {
    std::vector<std::unique_ptr<Wire>> wires;
    for (const std::string& each : names) wires.push_back(servers.wire(each));
    channel = std::make_unique<Channel>(std::move(wires), std::move(options));
  }
  Status call(Duration timeout = Duration(), bool wait = false) {
    ClientContext context;
    if (timeout > Duration()) context.timeout(timeout);
    context.wait_for_ready(wait);
    grpc::testing::TestService::Client client(*channel);
    SimpleRequest request;
    SimpleResponse response;
    return world.runtime.block_on(client.UnaryCall(context, request, response));
  }
  void calls(int count) {
    for (int i = 0; i < count; ++i) EXPECT_TRUE(call().ok());
  }
  void pass(Duration duration) {
    world.run([](World& in, Duration time) -> Task<void> { co_await in.runtime.sleep(time); }(
                                               world, duration));
  }

  World world;
  Servers servers{world};
  FoundNames found;
  std::unique_ptr<Channel> channel;
};

TEST_F(ChannelServersTest, EachThatIsFoundGetsItsCalls) {
  found.names = {"a", "b", "c"};
  find();
  EXPECT_EQ(found.asked, 0);  // by the first call
  calls(9);
  EXPECT_EQ(found.asked, 1);
  EXPECT_THAT(servers.taken(), ElementsAre(Pair("a", 3), Pair("b", 3), Pair("c", 3)));
  EXPECT_EQ(channel->loads()[1].name, "b");
  EXPECT_EQ(channel->loads()[1].authority, "server");
}

TEST_F(ChannelServersTest, NoMoreThanTheLimit) {
  for (std::size_t i = 0; i < Channel::kMaxServers + 4; ++i) {
    found.names->push_back("s" + std::to_string(i));
  }
  find();
  calls(static_cast<int>(2 * Channel::kMaxServers));
  EXPECT_EQ(servers.taken().size(), Channel::kMaxServers);
}

TEST_F(ChannelServersTest, LooksAgainWhenOneCannotBeReached) {
  found.names = {"a", "b"};
  find();
  calls(2);
  TestWire* const b = servers.wires["b"];
  servers.taken();
  // "a" goes, "c" comes; what is found stays as it was.
  servers.wires["a"]->refusals = SIZE_MAX;
  found.names = {"b", "c"};
  calls(4);                   // the caller sees nothing of it
  EXPECT_EQ(found.asked, 1);  // not so soon after the first time
  pass(11s);
  calls(2);
  EXPECT_EQ(found.asked, 2);
  servers.taken();
  calls(6);
  EXPECT_THAT(servers.taken(), ElementsAre(Pair("b", 3), Pair("c", 3)));
  EXPECT_EQ(servers.wires["b"], b);
  EXPECT_EQ(found.asked, 2);
}

TEST_F(ChannelServersTest, WhatItHadIsKeptWhenNothingIsFound) {
  found.names = {"a", "b"};
  find();
  calls(2);
  pass(11s);
  found.names = tern::fail(Error(tern::Code::not_found, "no such name"));
  servers.wires["a"]->refusals = SIZE_MAX;
  calls(4);
  EXPECT_EQ(found.asked, 2);
  EXPECT_EQ(channel->loads().size(), 2U);
  EXPECT_TRUE(channel->loads()[0].paused);
}

TEST_F(ChannelServersTest, CallsThatFindNoServer) {
  found.names = tern::fail(Error(tern::Code::not_found, "no such name"));
  find();
  EXPECT_EQ(call(), Status(Code::unavailable, "no such name"));
  found.names = std::vector<std::string>();
  EXPECT_EQ(call(), Status(Code::unavailable, "the channel has no server"));
  // One that waits gets there when there is one.
  world.runtime.spawn([](World& in, FoundNames& later) -> Task<void> {
    co_await in.runtime.sleep(3s);
    later.names = {"a"};
  }(world, found));
  EXPECT_TRUE(call(60s, true).ok());
}

TEST_F(ChannelServersTest, LookingEndsWithTheCall) {
  found.takes = 5s;
  found.names = {"a"};
  find();
  const Timestamp begun = world.runtime.now();
  EXPECT_EQ(call(2s).code(), Code::deadline_exceeded);
  EXPECT_EQ(world.runtime.now() - begun, Duration(2s));
  EXPECT_TRUE(call(10s).ok());  // by the look-up that goes on
  EXPECT_EQ(world.runtime.now() - begun, Duration(5s));
  EXPECT_EQ(found.asked, 1);
}

/// Health as the test says it.
struct FoundHealth {
  std::vector<std::function<void(bool)>> tell;
  int ended = 0;
};
Task<void> follow(Channel& server, FoundHealth& told, std::function<void(bool)> tell) {
  struct AtEnd {
    FoundHealth& told;
    ~AtEnd() { ++told.ended; }
  } const at_end{told};
  told.tell.push_back(std::move(tell));
  co_await server.runtime().sleep(Duration(24h));
}

TEST_F(ChannelServersTest, TheSickGetNoCalls) {
  FoundHealth told;
  ChannelOptions options;
  options.health = [&told](Channel& server, std::function<void(bool)> tell) {
    return follow(server, told, std::move(tell));
  };
  name({"a", "b", "c"}, options);
  EXPECT_TRUE(told.tell.empty());  // by the first call
  calls(3);                        // nobody has said anything yet
  EXPECT_EQ(servers.taken().size(), 3U);
  ASSERT_EQ(told.tell.size(), 3U);
  told.tell[1](true);
  calls(3);
  EXPECT_THAT(servers.taken(), ElementsAre(Pair("b", 3)));
  told.tell[0](false);
  told.tell[2](true);
  calls(4);
  EXPECT_THAT(servers.taken(), ElementsAre(Pair("b", 2), Pair("c", 2)));
  EXPECT_EQ(channel->loads()[0].healthy, false);
  told.tell[1](false);
  told.tell[2](false);
  EXPECT_EQ(call(), Status(Code::unavailable, "none of the channel's servers is healthy"));
  world.runtime.spawn([](World& in, FoundHealth& later) -> Task<void> {
    co_await in.runtime.sleep(3s);
    later.tell[0](true);
  }(world, told));
  EXPECT_TRUE(call(60s, true).ok());
  EXPECT_THAT(servers.taken(), ElementsAre(Pair("a", 1)));
  // A healthy server that cannot be reached is paused like any other.
  told.tell[1](true);
  servers.wires["a"]->refusals = 1;
  calls(2);
  EXPECT_THAT(servers.taken(), ElementsAre(Pair("b", 2)));
  channel.reset();
  EXPECT_EQ(told.ended, 3);
}

TEST_F(ChannelServersTest, AServerThatGoesIsWatchedNoMore) {
  FoundHealth told;
  ChannelOptions options;
  options.health = [&told](Channel& server, std::function<void(bool)> tell) {
    return follow(server, told, std::move(tell));
  };
  found.names = {"a", "b"};
  find(options);
  calls(2);
  pass(11s);
  found.names = {"b"};
  servers.wires["a"]->refusals = SIZE_MAX;
  calls(4);
  EXPECT_EQ(channel->loads().size(), 1U);
  EXPECT_EQ(told.ended, 1);
  channel.reset();  // it tells at its end, too
  EXPECT_EQ(told.ended, 2);
}

}  // namespace
}  // namespace tern::rpc
