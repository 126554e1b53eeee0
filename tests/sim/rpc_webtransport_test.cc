#include "gateway/rpc_webtransport.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/client_streams.h"
#include "rpc/envelope.h"
#include "rpc/grpc_web.h"
#include "rpc/metadata.h"
#include "rpc/server_context.h"
#include "rpc/stream_head.h"
#include "tests/sim/rpc_calls.h"

/// Calls on the streams of WebTransport sessions, over each carrier.

namespace tern::sim {
namespace {

using grpc::testing::SimpleRequest;
using grpc::testing::SimpleResponse;
using grpc::testing::StreamingOutputCallRequest;
using grpc::testing::StreamingOutputCallResponse;
using TestClient = grpc::testing::TestService::Client;
using webtransport::Session;
using webtransport::Stream;

webtransport::ClientOptions over(const std::string& carrier) {
  webtransport::ClientOptions options;
  options.carrier(carrier == "h3"   ? webtransport::Carrier::http3
                  : carrier == "h2" ? webtransport::Carrier::http2
                                    : webtransport::Carrier::websocket);
  return options;
}

/// How each call's handler has ended.
struct Handled {
  rpc::Status status;
  Duration at{};
  std::string wire;
};

class RpcStreams : public ::testing::TestWithParam<std::string> {
 public:
  void begin() {
    calls.scene.link(LinkOptions().delay(10ms).mbps(1000));
    rpc::ServeOptions options;
    options.interceptor(
        [this](rpc::ServerContext& context, const rpc::Next& next) { return note(context, next); });
    route_rpc(calls.scene.router, "/rpc",
              rpc::serve(std::make_shared<rpc_interop::TestService>(), options));
    calls.scene.serve();
    client =
        &calls.scene.use_client(calls.scene.client_options().protocols(ClientProtocols::automatic));
    auto made =
        rpc_webtransport_channel(calls.scene.client_host.runtime(), *client, {"https://server/rpc"},
                                 rpc::ChannelOptions(), over(GetParam()));
    ASSERT_TRUE(made);
    calls.channel = std::move(*made);
  }
  void TearDown() override { calls.channel.reset(); }

  Calls calls;
  Client* client = nullptr;
  std::vector<Handled> handled;

 private:
  Task<rpc::Status> note(rpc::ServerContext& context, const rpc::Next& next) {
    const std::string wire(context.wire());
    rpc::Status status = co_await next();
    handled.push_back({status, calls.scene.world.elapsed(), wire});
    co_return status;
  }
};

TEST_P(RpcStreams, TheInteropCases) {
  begin();
  calls.run_interop_cases(GetParam() == "h2" ? Calls::kAllLarge : Calls::kSomeLarge);
  ASSERT_FALSE(handled.empty());
  EXPECT_EQ(handled.front().wire, "webtransport/" + GetParam());
}

Task<void> call_sleeper(rpc::Channel& channel, Duration interval,
                        std::unique_ptr<rpc::ClientContext> context, rpc::Status& status) {
  TestClient client(channel);
  StreamingOutputCallRequest request;
  auto* wanted = request.add_response_parameters();
  wanted->set_size(1);
  wanted->set_interval_us(static_cast<int>(interval / 1us));
  auto call = co_await client.StreamingOutputCall(*context, request);
  if (!call) {
    status = call.error();
    co_return;
  }
  status = co_await call->finish();
}

/// The one request is sent and its side of the stream ended: what is left to hear is STOP_SENDING.
TEST_P(RpcStreams, ACallerThatGoesIsNoticed) {
  begin();
  rpc::Status status;
  {
    Scope scope(calls.scene.client_host.runtime().ready());
    scope.spawn(call_sleeper(*calls.channel, 60s, std::make_unique<rpc::ClientContext>(), status));
    calls.scene.world.run_for(5s);
    EXPECT_TRUE(handled.empty());
  }
  calls.scene.world.run_for(1s);
  ASSERT_EQ(handled.size(), 1U);
  EXPECT_EQ(handled[0].status.code(), rpc::Code::cancelled) << handled[0].status.to_string();
  EXPECT_LT(handled[0].at, Duration(6s));
}

TEST_P(RpcStreams, ADeadlineEndsACallOnBothSides) {
  begin();
  rpc::Status status;
  auto context = std::make_unique<rpc::ClientContext>();
  context->timeout(2s);
  ASSERT_TRUE(calls.run(call_sleeper(*calls.channel, 60s, std::move(context), status)));
  EXPECT_EQ(status.code(), rpc::Code::deadline_exceeded);
  calls.scene.world.run_for(1s);
  // The caller's reset and the handler's own deadline come about together.
  ASSERT_EQ(handled.size(), 1U);
  EXPECT_FALSE(handled[0].status.ok());
  EXPECT_LT(handled[0].at, Duration(3s));
}

Task<void> say_empty(rpc::Channel& channel, rpc::Status& status) {
  TestClient client(channel);
  const auto reply = co_await client.EmptyCall(grpc::testing::Empty());
  status = reply ? rpc::Status() : reply.error();
}

TEST_P(RpcStreams, AServerThatIsRestartedIsCalledOverAnotherSession) {
  begin();
  rpc::Status status(rpc::Code::unknown);
  rpc::Status sleeper;
  ASSERT_TRUE(calls.run(say_empty(*calls.channel, status)));
  EXPECT_TRUE(status.ok()) << status.to_string();
  {
    Scope scope(calls.scene.client_host.runtime().ready());
    scope.spawn(call_sleeper(*calls.channel, 60s, std::make_unique<rpc::ClientContext>(), sleeper));
    calls.scene.world.run_for(1s);
    calls.scene.stop_server();
    calls.scene.world.run_for(1s);
    EXPECT_EQ(sleeper.code(), rpc::Code::unavailable) << sleeper.to_string();
  }
  calls.scene.serve();
  ASSERT_TRUE(calls.run(say_empty(*calls.channel, status)));
  EXPECT_TRUE(status.ok()) << status.to_string();
}

// ---- by hand ------------------------------------------------------------------------------------

/// What a server sends on a stream, in envelopes.
struct Heard {
  std::vector<std::pair<int, std::string>> envelopes;
  std::optional<Error> error;

  std::optional<rpc::Status> status() const {
    if (envelopes.empty() || envelopes.back().first != rpc::kWebTrailers) return std::nullopt;
    const auto fields = rpc::parse_web_trailers(envelopes.back().second);
    return fields ? rpc::find_status(*fields) : std::nullopt;
  }
};

Task<void> send_by_hand(Client& client, std::string carrier, std::vector<std::string> pieces,
                        bool end, Heard& heard) {
  ClientRequest request("https://server/rpc");
  Result<std::unique_ptr<Session>> session =
      co_await client.webtransport(std::move(request), over(carrier));
  if (!session) {
    heard.error = session.error();
    co_return;
  }
  Result<std::unique_ptr<Stream>> stream = co_await (*session)->open_bidirectional();
  for (std::string& piece : pieces) {
    (void)co_await (*stream)->write(Bytes::take(std::move(piece)));
  }
  if (end) (void)co_await (*stream)->finish();
  const Result<std::string> all = co_await (*stream)->read_all();
  if (!all) {
    heard.error = all.error();
    co_return;
  }
  rpc::EnvelopeReader reader(1 << 20);
  reader.push(Bytes::copy(*all));
  for (;;) {
    auto next = reader.next();
    if (!next || !*next) break;
    heard.envelopes.emplace_back((*next)->flags, (*next)->payload.text());
  }
}

std::string enveloped(std::string_view payload, int flags = 0) {
  return std::string(
      rpc::make_envelope(static_cast<std::uint8_t>(flags), as_bytes(payload)).text());
}
std::string head(std::string_view text) { return enveloped(text, rpc::kWebTrailers); }

constexpr std::string_view kUnaryPath = "/grpc.testing.TestService/UnaryCall";

TEST_P(RpcStreams, AsAPageWritesIt) {
  begin();
  const std::string call =
      head(std::string(kUnaryPath) + "\r\ncontent-type: application/grpc-web+json\r\n") +
      enveloped(R"({"payload":{"body":"AAAA"},"responseSize":4})");
  // Whole, and a byte at a time.
  for (const bool whole : {true, false}) {
    std::vector<std::string> pieces;
    if (whole) pieces.push_back(call);
    for (const char c : call) {
      if (!whole) pieces.emplace_back(1, c);
    }
    Heard heard;
    ASSERT_TRUE(calls.run(send_by_hand(*client, GetParam(), pieces, true, heard)));
    ASSERT_FALSE(heard.error) << heard.error->to_string();
    ASSERT_EQ(heard.envelopes.size(), 3U);
    EXPECT_EQ(heard.envelopes[0],
              std::make_pair(int{rpc::kWebTrailers}, std::string("content-type: "
                                                                 "application/grpc-web+json\r\n")));
    EXPECT_EQ(heard.envelopes[1].second, R"({"payload":{"body":"AAAAAA=="}})");
    EXPECT_EQ(heard.envelopes[2].second, "grpc-status: 0\r\n");
  }
}

TEST_P(RpcStreams, WhatIsNoCall) {
  begin();
  struct Bad {
    std::string sent;
    rpc::Code code;
  };
  const std::string unary(kUnaryPath);
  std::string longest = unary + "\r\nx: " + std::string(rpc::HeadReader::kMaxSize, 'x') + "\r\n";
  const std::vector<Bad> all = {
      {"", rpc::Code::internal},
      {"\x80", rpc::Code::internal},
      {head(unary).substr(0, 20), rpc::Code::internal},
      {enveloped(unary), rpc::Code::internal},
      {"GET / HTTP/1.1\r\n\r\n", rpc::Code::internal},
      {head("nothing"), rpc::Code::internal},
      {head(unary + "\r\nbad line\r\n"), rpc::Code::internal},
      {head(longest), rpc::Code::resource_exhausted},
      {head("/grpc.testing.TestService/No"), rpc::Code::unimplemented},
      {head("/"), rpc::Code::unimplemented},
      {head(unary + "\r\ncontent-type: application/json\r\n"), rpc::Code::unimplemented},
      {head(unary + "\r\ncontent-type: application/grpc-web-text\r\n"), rpc::Code::unimplemented},
      {head(unary + "\r\ncontent-type: application/grpc-web+xml\r\n"), rpc::Code::unknown},
      {head(unary + "\r\ngrpc-timeout: soon\r\n") + enveloped(""), rpc::Code::internal},
      {head(unary + "\r\ngrpc-encoding: zip\r\n") + enveloped(""), rpc::Code::unimplemented},
      {head(unary + "\r\nx-bin: ***\r\n") + enveloped(""), rpc::Code::internal},
      {head(unary), rpc::Code::unimplemented},                                  // no message
      {head(unary) + enveloped("") + enveloped(""), rpc::Code::unimplemented},  // two
      {head(unary) + enveloped("", 1), rpc::Code::internal},   // compressed without a coding
      {head(unary) + enveloped("", 64), rpc::Code::internal},  // unknown flags
      {head(unary) + enveloped("\xff\xff"), rpc::Code::internal},
      {head(unary) + std::string("\0\0\0\0\x09zz", 7), rpc::Code::internal},  // cut short
      {head(unary) + std::string("\0\x7f\xff\xff\xff", 5), rpc::Code::resource_exhausted},
  };
  for (const Bad& bad : all) {
    Heard heard;
    ASSERT_TRUE(calls.run(send_by_hand(*client, GetParam(), {bad.sent}, true, heard)));
    ASSERT_TRUE(heard.status()) << bad.sent;
    EXPECT_EQ(heard.status()->code(), bad.code) << bad.sent << ": " << heard.status()->to_string();
  }
}

TEST_P(RpcStreams, AHeadThatDoesNotComeIsNotWaitedForForEver) {
  begin();
  Heard heard;
  const Duration before = calls.scene.world.elapsed();
  ASSERT_TRUE(calls.run(send_by_hand(*client, GetParam(), {"\x80"}, false, heard)));
  ASSERT_TRUE(heard.status());
  EXPECT_EQ(heard.status()->code(), rpc::Code::deadline_exceeded);
  const Duration took = calls.scene.world.elapsed() - before;
  EXPECT_GT(took, Duration(10s));
  EXPECT_LT(took, Duration(11s));
}

INSTANTIATE_TEST_SUITE_P(Carriers, RpcStreams, ::testing::Values("h3", "h2", "websocket"),
                         [](const auto& carrier) { return carrier.param; });

/// Sends and wants back `count` messages, one each 50 ms, over one call.
Task<void> chat_on(rpc::Channel& channel, int count, rpc::Status& status, int& echoed, int& ended) {
  TestClient client(channel);
  rpc::ClientContext context;
  auto call = co_await client.FullDuplexCall(context);
  if (call) {
    StreamingOutputCallResponse response;
    for (int i = 0; i < count; ++i) {
      StreamingOutputCallRequest request;
      request.add_response_parameters()->set_size(100 + i);
      co_await call->send(request);
      const bool received = co_await call->receive(response);
      if (!received) break;
      if (response.payload().body().size() == static_cast<std::size_t>(100 + i)) ++echoed;
      co_await channel.runtime().sleep(50ms);
    }
    status = co_await call->finish();
  } else {
    status = call.error();
  }
  ++ended;
}

TEST(RpcStreamsHandoff, FiftyCallsSurviveLosingWifi) {
  constexpr int kCalls = 50;
  constexpr int kMessages = 60;
  Calls calls;
  Scene& scene = calls.scene;
  Link& wifi = scene.link(LinkOptions().delay(10ms).mbps(50));
  scene.link(LinkOptions().delay(40ms).mbps(20).loss(0.01));
  route_rpc(scene.router, "/rpc", rpc::serve(std::make_shared<rpc_interop::TestService>()));
  scene.serve();
  Client& client = scene.use_client(scene.client_options());
  auto channel =
      rpc_webtransport_channel(scene.client_host.runtime(), client, {"https://server/rpc"});
  ASSERT_TRUE(channel);
  std::vector<rpc::Status> seen(kCalls, rpc::Status(rpc::Code::unknown));
  int echoed = 0;
  int ended = 0;
  {
    Scope scope(scene.client_host.runtime().ready());
    for (rpc::Status& each : seen) scope.spawn(chat_on(**channel, kMessages, each, echoed, ended));
    scene.world.at(1s, [&] { wifi.cut(); });
    ASSERT_TRUE(scene.world.run_until([&] { return ended == kCalls; }, 120s));
  }
  for (const rpc::Status& each : seen) EXPECT_EQ(each, rpc::Status()) << each.to_string();
  EXPECT_EQ(echoed, kCalls * kMessages);
  EXPECT_EQ(client.connections().size(), 1U);  // no second handshake
  channel->reset();
}

}  // namespace
}  // namespace tern::sim
