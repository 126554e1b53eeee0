#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/rpc_channel.h"
#include "rpc/client_streams.h"
#include "rpc/dispatcher.h"
#include "rpc/services/health.h"
#include "tests/sim/rpc_calls.h"

/// A channel and several servers: what health says of them, and where a name leads.

namespace tern::sim {
namespace {

using rpc::Serving;
using TestClient = grpc::testing::TestService::Client;
using ::testing::ElementsAre;

/// One more machine with the interop service.
class OneMore {
 public:
  OneMore(Scene& scene, const char* name, const LinkOptions& link)
      : host(scene.world.host(name)), scene_(scene) {
    scene.world.link(scene.client_host, host, link);
  }
  void serve(const rpc::Services& services) {
    router.mount("/", rpc::serve(services));
    server = std::make_unique<Server>(scene_.server_options().workers(1));
    const auto started = server->start(host.runtime(), host.network(), router);
    ASSERT_TRUE(started);
  }
  ~OneMore() {
    if (server == nullptr) return;
    server->stop();
    EXPECT_TRUE(scene_.world.run_until([&] { return server->stopped(); }, 20s));
  }

  Host& host;
  http::Router router;
  std::unique_ptr<Server> server;

 private:
  Scene& scene_;
};

Task<void> call(rpc::Channel& channel, rpc::Status& status) {
  TestClient client(channel);
  rpc::ClientContext context;
  context.timeout(20s);
  const grpc::testing::Empty request;
  grpc::testing::Empty response;
  status = co_await client.EmptyCall(context, request, response);
}

class RpcServers : public ::testing::Test {
 protected:
  /// How many of so many calls each server has got.
  std::vector<std::uint64_t> spread(int count) {
    std::vector<std::uint64_t> before;
    for (const auto& load : calls.channel->loads()) before.push_back(load.calls);
    for (int i = 0; i < count; ++i) {
      rpc::Status status(rpc::Code::unknown);
      EXPECT_TRUE(calls.run(call(*calls.channel, status)));
      EXPECT_TRUE(status.ok()) << status.to_string();
    }
    std::vector<std::uint64_t> after;
    const auto loads = calls.channel->loads();
    for (std::size_t i = 0; i < loads.size(); ++i) {
      after.push_back(loads[i].calls - (i < before.size() ? before[i] : 0));
    }
    return after;
  }

  Calls calls;
  Scene& scene = calls.scene;
};

TEST_F(RpcServers, TheSickAreTakenOutAndComeBack) {
  scene.link(LinkOptions().delay(10ms));
  auto first = std::make_shared<rpc::Health>();
  auto second = std::make_shared<rpc::Health>();
  const auto service = std::make_shared<rpc_interop::TestService>();
  scene.router.mount("/", rpc::serve(rpc::Services{service, rpc::health_service(first)}));
  scene.serve();
  OneMore other(scene, "second", LinkOptions().delay(10ms));
  other.serve(rpc::Services{service, rpc::health_service(second)});
  // By its address: a certificate is for "server" alone, so the name is overridden.
  ClientOptions options = scene.client_options();
  options.insecure(true);
  for (const auto& health : {first, second}) {
    health->set("grpc.testing.TestService", Serving::serving);
  }
  rpc::ChannelOptions channel;
  channel.health = rpc::watch_health("grpc.testing.TestService");
  calls.open(scene.use_client(std::move(options)), {"https://server", "https://second"}, channel);

  spread(2);
  scene.world.run_for(1s);
  EXPECT_THAT(spread(6), ElementsAre(3, 3));
  first->set("grpc.testing.TestService", Serving::not_serving);
  scene.world.run_for(15ms);  // the way there, and no more: it is told at once
  EXPECT_THAT(spread(6), ElementsAre(0, 6));
  EXPECT_EQ(calls.channel->loads()[0].healthy, false);
  first->set("grpc.testing.TestService", Serving::serving);
  scene.world.run_for(15ms);
  EXPECT_THAT(spread(6), ElementsAre(3, 3));

  // The one that is told to stop says so before it goes.
  second->shut_down();
  scene.world.run_for(15ms);
  EXPECT_THAT(spread(4), ElementsAre(4, 0));
  // One that has died without a word is noticed when its connection ends.
  first->set("grpc.testing.TestService", Serving::not_serving);
  scene.world.run_for(15ms);
  rpc::Status status;
  ASSERT_TRUE(calls.run(call(*calls.channel, status)));
  EXPECT_EQ(status,
            rpc::Status(rpc::Code::unavailable, "none of the channel's servers is healthy"));
  calls.channel.reset();
}

TEST_F(RpcServers, AServerWithoutHealthIsHealthy) {
  scene.link(LinkOptions().delay(10ms));
  scene.router.mount("/", rpc::serve(std::make_shared<rpc_interop::TestService>()));
  scene.serve();
  rpc::ChannelOptions channel;
  channel.health = rpc::watch_health("");
  calls.open(scene.client(), {"https://server"}, channel);
  spread(1);
  scene.world.run_for(1s);
  EXPECT_EQ(calls.channel->loads()[0].healthy, true);
  spread(2);
  calls.channel.reset();
}

TEST_F(RpcServers, AWatchThatEndsIsBegunAnew) {
  scene.link(LinkOptions().delay(10ms));
  auto health = std::make_shared<rpc::Health>();
  scene.router.mount("/", rpc::serve(rpc::Services{std::make_shared<rpc_interop::TestService>(),
                                                   rpc::health_service(health)}));
  scene.serve();
  rpc::ChannelOptions channel;
  channel.health = rpc::watch_health("");
  calls.open(scene.client(), {"https://server"}, channel);
  spread(1);
  scene.world.run_for(1s);
  EXPECT_EQ(calls.channel->loads()[0].healthy, true);
  scene.stop_server();
  scene.world.run_for(500ms);
  EXPECT_EQ(calls.channel->loads()[0].healthy, false);
  scene.serve();
  ASSERT_TRUE(
      scene.world.run_until([&] { return calls.channel->loads()[0].healthy == true; }, 60s));
  spread(2);
  calls.channel.reset();
}

/// Every address of a name is a server; when they fail the name is looked up again.
TEST_F(RpcServers, ANameLeadsToEachOfItsAddresses) {
  scene.link(LinkOptions().delay(10ms));
  const auto service = std::make_shared<rpc_interop::TestService>();
  scene.router.mount("/", rpc::serve(service));
  scene.serve();
  OneMore other(scene, "second", LinkOptions().delay(10ms));
  other.serve(rpc::Services{service});
  ClientOptions options = scene.client_options();
  options.connect_timeout(2s);
  auto made = rpc_channel_by_address(scene.client_host.runtime(), scene.client_host.network(),
                                     "https://server", std::move(options));
  ASSERT_TRUE(made);
  calls.channel = std::move(*made);
  EXPECT_TRUE(calls.channel->loads().empty());
  spread(2);
  EXPECT_THAT(spread(6), ElementsAre(3, 3));  // IPv6 and IPv4
  EXPECT_EQ(calls.channel->loads()[0].authority, "server");
  const std::string old = calls.channel->loads()[0].name;
  EXPECT_NE(old, calls.channel->loads()[1].name);

  // The name moves to another machine, and the old one dies.
  scene.world.run_for(15s);
  scene.world.alias("server", other.host);
  scene.crash_server();
  rpc::Status status;
  for (int i = 0; i < 4; ++i) calls.run(call(*calls.channel, status));
  scene.world.run_for(1s);
  for (const auto& load : calls.channel->loads()) EXPECT_NE(load.name, old);
  EXPECT_THAT(spread(6), ElementsAre(3, 3));
  calls.channel.reset();
  scene.world.alias("server", scene.server_host);
}

TEST_F(RpcServers, ANameThatIsNoneAndOptionsThatContradict) {
  scene.link(LinkOptions().delay(10ms));
  scene.serve();
  auto made = rpc_channel_by_address(scene.client_host.runtime(), scene.client_host.network(),
                                     "https://nowhere", scene.client_options());
  ASSERT_TRUE(made);
  calls.channel = std::move(*made);
  rpc::Status status;
  ASSERT_TRUE(calls.run(call(*calls.channel, status)));
  EXPECT_EQ(status.code(), rpc::Code::unavailable);
  calls.channel.reset();
  EXPECT_FALSE(rpc_channel_by_address(
      scene.client_host.runtime(), scene.client_host.network(), "https://server",
      scene.client_options().resolve("server", 443, udp::Address::v4(0x7f000001, 443))));
  EXPECT_FALSE(rpc_channel_by_address(scene.client_host.runtime(), scene.client_host.network(),
                                      "https://server:99999", scene.client_options()));
}

}  // namespace
}  // namespace tern::sim
