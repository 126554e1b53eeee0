#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "rpc/envelope.h"
#include "tests/sim/rpc_calls.h"

/// gRPC's negative tests of HTTP/2 (docs/http2-interop-test-descriptions.md there), over HTTP/3 as
/// well: a server that breaks calls off, goes away between two, or lets in one at a time. Over
/// HTTP/2 a foreign server does the same (interop/drivers/h2_negative.py).

namespace tern::sim {
namespace {

using grpc::testing::SimpleRequest;
using grpc::testing::SimpleResponse;
using TestClient = grpc::testing::TestService::Client;

constexpr const char* kUnary = "/grpc.testing.TestService/UnaryCall";

Task<void> call_once(rpc::Channel& channel, int size, rpc::Status& status, std::size_t& came) {
  TestClient client(channel);
  rpc::ClientContext context;
  SimpleRequest request;
  request.set_response_size(size);
  SimpleResponse response;
  status = co_await client.UnaryCall(context, request, response);
  came = response.payload().body().size();
}

Task<void> call_twice(rpc::Channel& channel, Duration between, std::vector<rpc::Status>& ends) {
  for (int i = 0; i < 2; ++i) {
    rpc::Status status(rpc::Code::unknown, "did not end");
    std::size_t came = 0;
    co_await call_once(channel, 1000, status, came);
    ends.push_back(came == 1000 ? status : rpc::Status(rpc::Code::data_loss));
    co_await channel.runtime().sleep(between);
  }
}

/// Answers a call so far and then breaks it off.
Task<void> break_off(http::Exchange& exchange, std::string_view body, bool whole, http::Abort why) {
  http::Response response(http::Status::ok);
  response.field("content-type", "application/grpc");
  (void)exchange.start(std::move(response));
  if (!body.empty()) (void)exchange.write(Bytes::copy(body));
  if (whole) {
    http::Fields trailers;
    trailers.add("grpc-status", "0");
    (void)exchange.finish(trailers);
  }
  co_await exchange.runtime().sleep(50ms);
  exchange.abort(why);
}

class RpcBroken : public ::testing::TestWithParam<std::string> {
 protected:
  /// How a call ends that its server breaks off behind that.
  rpc::Status called(std::string_view body, http::Abort why, bool whole = false) {
    Calls calls(GetParam());
    calls.scene.link(LinkOptions().delay(5ms).mbps(1000));
    calls.scene.router.post(kUnary, [body, why, whole](http::Exchange& exchange) {
      return break_off(exchange, body, whole, why);
    });
    calls.scene.serve();
    calls.open(calls.use_client(), {"https://server"});
    rpc::Status status(rpc::Code::unknown, "did not end");
    std::size_t came = 0;
    EXPECT_TRUE(calls.run(call_once(*calls.channel, 10, status, came)));
    calls.channel.reset();
    return status;
  }
};

TEST_P(RpcBroken, ByTheCodeOfTheReset) {
  SimpleResponse response;
  response.mutable_payload()->set_body(std::string(10, 'x'));
  const std::string message(rpc::make_envelope(0, as_bytes(response.SerializeAsString())).text());
  struct Meaning {
    http::Abort why;
    rpc::Code code;
  };
  for (const Meaning& meaning : {Meaning{http::Abort::internal, rpc::Code::internal},
                                 Meaning{http::Abort::cancelled, rpc::Code::cancelled},
                                 Meaning{http::Abort::rejected, rpc::Code::unavailable},
                                 Meaning{http::Abort::too_much, rpc::Code::resource_exhausted}}) {
    SCOPED_TRACE(static_cast<int>(meaning.why));
    EXPECT_EQ(called("", meaning.why).code(), meaning.code) << "behind the head";
    EXPECT_EQ(called(message.substr(0, 8), meaning.why).code(), meaning.code) << "in the message";
    EXPECT_EQ(called(message, meaning.why).code(), meaning.code) << "behind the message";
  }
}

TEST_P(RpcBroken, BehindTheTrailersItChangesNothing) {
  const std::string message(rpc::make_envelope(0, ByteView()).text());
  for (const http::Abort why : {http::Abort::no_error, http::Abort::internal}) {
    EXPECT_EQ(called(message, why, true), rpc::Status());
  }
}

INSTANTIATE_TEST_SUITE_P(Wires, RpcBroken, ::testing::Values("h3", "h2"));

class RpcGoing : public ::testing::TestWithParam<std::string> {};

TEST_P(RpcGoing, GoawayBetweenTwoCalls) {
  Calls calls(GetParam());
  calls.scene.link(LinkOptions().delay(5ms).mbps(1000));
  calls.scene.router.mount("/", rpc::serve(std::make_shared<rpc_interop::TestService>()));
  ServerOptions options = calls.scene.server_options();
  options.max_connection_age(1s);
  calls.scene.serve(std::move(options));
  calls.open(calls.use_client(), {"https://server"});
  std::vector<rpc::Status> ends;
  EXPECT_TRUE(calls.run(call_twice(*calls.channel, 3s, ends)));
  EXPECT_EQ(ends, std::vector<rpc::Status>(2));
  EXPECT_EQ(calls.channel->loads().front().calls, 2U);  // neither was sent again
  const auto& events = calls.scene.events;
  EXPECT_EQ(std::count_if(events.begin(), events.end(),
                          [](const ClientEvent& event) {
                            return event.type == ClientEvent::Type::connected;
                          }),
            2);
  calls.channel.reset();
}

INSTANTIATE_TEST_SUITE_P(Wires, RpcGoing, ::testing::Values("h3", "h2"));

TEST(RpcOneAtATime, CallsWaitForTheirTurn) {
  Calls calls("h3");
  calls.scene.link(LinkOptions().delay(5ms).mbps(1000));
  calls.scene.router.mount("/", rpc::serve(std::make_shared<rpc_interop::TestService>()));
  ServerOptions options = calls.scene.server_options();
  options.transport().max_bidi_streams = 1;
  calls.scene.serve(std::move(options));
  calls.open(calls.use_client(), {"https://server"});
  constexpr std::size_t kCalls = 15;
  std::vector<std::vector<rpc::Status>> ends(kCalls);
  {
    Scope scope(calls.scene.client_host.runtime().ready());
    for (auto& each : ends) scope.spawn(call_twice(*calls.channel, 1ms, each));
    EXPECT_TRUE(calls.scene.world.run_until(
        [&] {
          return std::all_of(ends.begin(), ends.end(),
                             [](const auto& each) { return each.size() == 2; });
        },
        60s));
  }
  for (const auto& each : ends) EXPECT_EQ(each, std::vector<rpc::Status>(2));
  calls.channel.reset();
}

}  // namespace
}  // namespace tern::sim
