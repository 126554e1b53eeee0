#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/client_streams.h"
#include "tests/sim/rpc_calls.h"

/// Calls between the public `Server` and `Client`, over networks.

namespace tern::sim {
namespace {

using grpc::testing::Empty;
using grpc::testing::SimpleRequest;
using grpc::testing::SimpleResponse;
using grpc::testing::StreamingOutputCallRequest;
using grpc::testing::StreamingOutputCallResponse;
using TestClient = grpc::testing::TestService::Client;

class RpcOver : public ::testing::TestWithParam<std::string> {};

TEST_P(RpcOver, TheInteropCases) {
  Calls calls(GetParam());
  calls.scene.link(LinkOptions().delay(5ms).mbps(1000));
  calls.begin();
  calls.run_interop_cases(Calls::kAllLarge);
}

TEST_P(RpcOver, TheInteropCasesOverABadNetwork) {
  Calls calls(GetParam());
  calls.scene.link(LinkOptions().delay(20ms).mbps(50).queue_bytes(100'000).loss(0.01));
  calls.begin();
  for (const std::string_view name :
       {"large_unary", "client_streaming", "server_streaming", "ping_pong",
        "client_compressed_streaming", "custom_metadata"}) {
    calls.run_interop_case(name);
  }
  calls.channel.reset();
}

/// gRPC's cases by a dialect that is not gRPC: they are about what all dialects have.
using DialectOnWire = std::pair<std::string, std::string>;
class RpcDialectOver : public ::testing::TestWithParam<DialectOnWire> {};

TEST_P(RpcDialectOver, TheInteropCases) {
  const auto& [dialect, wire] = GetParam();
  Calls calls(wire);
  calls.scene.link(LinkOptions().delay(5ms).mbps(1000));
  rpc::ChannelOptions options;
  options.codec = dialect.ends_with("json") ? rpc::Codec::json : rpc::Codec::proto;
  options.dialect = dialect.starts_with("connect")
                        ? &rpc::connect_client_dialect(dialect == "connect-get")
                        : &rpc::grpc_web_client_dialect();
  calls.begin(rpc::ServeOptions(), options);
  // A thousand bodies of 300 kB in base64 would be a test of json_util, and take it 20 s.
  calls.run_interop_cases(options.codec == rpc::Codec::json ? 10
                          : wire == "http/1.1"              ? Calls::kAllLarge
                                                            : Calls::kSomeLarge);
}

INSTANTIATE_TEST_SUITE_P(
    Dialects, RpcDialectOver,
    ::testing::Values(DialectOnWire{"connect", "h3"}, DialectOnWire{"connect-json", "h3"},
                      DialectOnWire{"connect-get", "h3"}, DialectOnWire{"grpc-web", "h3"},
                      DialectOnWire{"grpc-web-json", "h2"}, DialectOnWire{"connect", "h2"},
                      DialectOnWire{"connect-json", "http/1.1"},
                      DialectOnWire{"grpc-web", "http/1.1"}),
    [](const auto& parameter) {
      std::string name = parameter.param.first + "_" + parameter.param.second;
      for (char& c : name) {
        if (c == '-' || c == '/' || c == '.') c = '_';
      }
      return name;
    });

/// What one call gave.
struct Seen {
  rpc::Status status;
  Duration took{};
};

Task<void> call_sleeping_server(rpc::Channel& channel, Duration interval, Duration timeout,
                                Seen& seen) {
  TestClient client(channel);
  rpc::ClientContext context;
  if (timeout > Duration()) context.timeout(timeout);
  StreamingOutputCallRequest request;
  auto* wanted = request.add_response_parameters();
  wanted->set_size(1);
  wanted->set_interval_us(static_cast<int>(interval / 1us));
  const Timestamp begun = channel.runtime().now();
  auto call = co_await client.StreamingOutputCall(context, request);
  if (!call) {
    seen.status = call.error();
    co_return;
  }
  seen.status = co_await call->finish();
  seen.took = channel.runtime().now() - begun;
}

TEST_P(RpcOver, DeadlinesEndCallsOnBothSides) {
  Calls calls(GetParam());
  calls.scene.link(LinkOptions().delay(10ms));
  calls.begin();
  Seen in_time;
  ASSERT_TRUE(calls.run(call_sleeping_server(*calls.channel, 100ms, 1s, in_time)));
  EXPECT_EQ(in_time.status, rpc::Status());
  Seen late;
  ASSERT_TRUE(calls.run(call_sleeping_server(*calls.channel, 10s, 300ms, late)));
  EXPECT_EQ(late.status.code(), rpc::Code::deadline_exceeded);
  EXPECT_EQ(late.took, Duration(300ms));
  calls.channel.reset();
}

INSTANTIATE_TEST_SUITE_P(Wires, RpcOver, ::testing::Values("h3", "h2"),
                         [](const auto& wire) { return wire.param; });

/// Sends and wants back `count` messages, one each 50 ms, over one call.
Task<void> chat(rpc::Channel& channel, int count, int size, Seen& seen, int& echoed, int& ended) {
  TestClient client(channel);
  rpc::ClientContext context;
  auto call = co_await client.FullDuplexCall(context);
  if (!call) {
    seen.status = call.error();
    ++ended;
    co_return;
  }
  StreamingOutputCallResponse response;
  for (int i = 0; i < count; ++i) {
    StreamingOutputCallRequest request;
    request.add_response_parameters()->set_size(size + i);
    request.mutable_payload()->set_body(std::string(static_cast<std::size_t>(size), 'x'));
    co_await call->send(request);
    const bool received = co_await call->receive(response);
    if (!received) break;
    if (response.payload().body().size() == static_cast<std::size_t>(size + i)) ++echoed;
    co_await channel.runtime().sleep(50ms);
  }
  seen.status = co_await call->finish();
  ++ended;
}

TEST(RpcHandoff, AHundredStreamsSurviveLosingWifi) {
  constexpr int kStreams = 100;
  constexpr int kMessages = 60;
  Calls calls;
  Scene& scene = calls.scene;
  Link& wifi = scene.link(LinkOptions().delay(10ms).mbps(50));
  scene.link(LinkOptions().delay(40ms).mbps(20).loss(0.01));
  calls.begin();
  std::vector<Seen> seen(kStreams);
  int echoed = 0;
  int ended = 0;
  {
    Scope scope(scene.client_host.runtime().ready());
    for (Seen& each : seen) scope.spawn(chat(*calls.channel, kMessages, 100, each, echoed, ended));
    scene.world.at(1s, [&] { wifi.cut(); });
    ASSERT_TRUE(scene.world.run_until([&] { return ended == kStreams; }, 120s));
  }
  for (const Seen& each : seen) EXPECT_EQ(each.status, rpc::Status()) << each.status.to_string();
  EXPECT_EQ(echoed, kStreams * kMessages);
  EXPECT_EQ(scene.client().connections().size(), 1U);  // no second handshake
  calls.channel.reset();
}

}  // namespace
}  // namespace tern::sim
