#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "grpc/testing/test.tern.h"
#include "rpc/channel.h"
#include "rpc/client_streams.h"
#include "rpc/codec.h"
#include "rpc/envelope.h"
#include "rpc/metadata.h"
#include "tests/unit/rpc/test_wire.h"

/// gRPC's client side over carriers whose responses the test writes: what servers and proxies may
/// do to it.

namespace tern::rpc {
namespace {

using namespace std::chrono_literals;
using grpc::testing::SimpleRequest;
using grpc::testing::SimpleResponse;
using http::test::RecordingCarrier;
using http::test::World;
using test::answer_well;
using test::fields;
using test::kGrpc;
using test::message;
using test::Sent;
using test::TestWire;
using TestClient = grpc::testing::TestService::Client;

class GrpcClient : public ::testing::Test {
 protected:
  void begin(ChannelOptions options = ChannelOptions()) {
    auto made = std::make_unique<TestWire>(world);
    wire = made.get();
    std::vector<std::unique_ptr<Wire>> wires;
    wires.push_back(std::move(made));
    channel = std::make_unique<Channel>(std::move(wires), std::move(options));
  }
  /// A unary call, answered by `answer`.
  Status call(std::function<void(Sent&, std::size_t)> answer) {
    wire->answer = std::move(answer);
    context.emplace();
    if (timeout > Duration()) context->timeout(timeout);
    return world.runtime.block_on(TestClient(*channel).UnaryCall(*context, request, response));
  }
  Code code(std::function<void(Sent&, std::size_t)> answer) {
    return call(std::move(answer)).code();
  }

  World world;
  TestWire* wire = nullptr;
  std::unique_ptr<Channel> channel;
  std::optional<ClientContext> context;
  Duration timeout{};
  SimpleRequest request;
  SimpleResponse response;
};

TEST_F(GrpcClient, SendsWhatTheProtocolWants) {
  begin();
  timeout = 250ms;
  const Status status = call([](Sent& sent, std::size_t) { answer_well(sent); });
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(response.payload().body(), "xxx");
  const http::RequestHead& head = *wire->all[0].carrier.request;
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path, "/grpc.testing.TestService/UnaryCall");
  EXPECT_EQ(head.fields.find("content-type"), "application/grpc");
  EXPECT_EQ(head.fields.find("te"), "trailers");
  EXPECT_EQ(head.fields.find("grpc-timeout"), "250000u");
  EXPECT_EQ(head.fields.find("grpc-previous-rpc-attempts"), std::nullopt);
  EXPECT_EQ(wire->all[0].carrier.body, encode_envelope(Codec::proto, request, 100)->text());
  EXPECT_TRUE(wire->all[0].carrier.ended);
  EXPECT_EQ(context->initial_metadata().find("x-first"), "1");
  EXPECT_EQ(context->trailing_metadata().find("x-last"), "2");
  EXPECT_EQ(context->wire(), "h3");
}

TEST_F(GrpcClient, TrailersOnlyAndTheirMetadata) {
  begin();
  const Status status = call([](Sent& sent, std::size_t) {
    sent.head(200,
              fields({kGrpc, {"grpc-status", "5"}, {"grpc-message", "no%20such"}, {"x-a", "1"}}));
    sent.end();
  });
  EXPECT_EQ(status, Status(Code::not_found, "no such"));
  EXPECT_TRUE(context->initial_metadata().empty());
  EXPECT_EQ(context->trailing_metadata().find("x-a"), "1");
  // With a body or trailers, a status among the headers says nothing.
  EXPECT_EQ(code([](Sent& sent, std::size_t) {
              sent.head(200, fields({kGrpc, {"grpc-status", "5"}}));
              sent.body(message());
              sent.end(fields({{"grpc-status", "0"}}));
            }),
            Code::ok);
}

TEST_F(GrpcClient, ResponsesThatAreNone) {
  begin();
  struct Row {
    int status;
    http::Fields head;
    Code code;
  };
  const std::vector<Row> rows = {
      {502, fields({{"content-type", "text/html"}}), Code::unavailable},
      {503, fields({}), Code::unavailable},
      {404, fields({{"content-type", "text/html"}}), Code::unimplemented},
      {401, fields({}), Code::unauthenticated},
      {429, fields({}), Code::unavailable},
      {431, fields({}), Code::internal},
      {418, fields({}), Code::unknown},
      {200, fields({{"content-type", "text/html"}}), Code::unknown},
      {200, fields({}), Code::unknown},
      {200, fields({{"content-type", "application/grpc+json"}}), Code::internal},
      {200, fields({kGrpc, {"grpc-encoding", "snappy"}}), Code::internal},
      {503, fields({kGrpc, {"grpc-status", "8"}}), Code::resource_exhausted},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(code([&](Sent& sent, std::size_t) {
                sent.head(row.status, row.head);
                sent.body("<html>");
                sent.end();
              }),
              row.code)
        << row.status;
  }
}

TEST_F(GrpcClient, BodiesAndTrailersThatAreNone) {
  begin();
  struct Row {
    std::string body;
    http::Fields trailers;
    Code code;
  };
  const http::Fields good = fields({{"grpc-status", "0"}});
  const std::vector<Row> rows = {
      {message(), fields({}), Code::internal},  // no status
      {message(), fields({{"grpc-status", "x"}}), Code::unknown},
      {"", good, Code::unimplemented},  // no message
      {message() + message(), good, Code::unimplemented},
      {message().substr(0, 6), good, Code::internal},
      {std::string(make_envelope(kCompressed, as_bytes("x")).text()), good, Code::internal},
      {std::string(make_envelope(0x40, as_bytes("x")).text()), good, Code::internal},
      {std::string(make_envelope(0, as_bytes("\x07")).text()), good, Code::internal},
      {std::string("\x00\x7f\xff\xff\xff", 5), good, Code::resource_exhausted},
      {message(), good, Code::ok},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(code([&](Sent& sent, std::size_t) {
                sent.head(200, fields({kGrpc}));
                sent.body(row.body);
                sent.end(row.trailers);
              }),
              row.code)
        << row.body.size();
  }
}

TEST_F(GrpcClient, Resets) {
  begin();
  const std::vector<std::pair<std::uint64_t, Code>> rows = {
      {0x100, Code::internal},         {0x102, Code::internal}, {0x107, Code::resource_exhausted},
      {0x10c, Code::cancelled},        {0x2, Code::internal},   {0x8, Code::cancelled},
      {0xb, Code::resource_exhausted}, {0x999, Code::unknown},
  };
  for (const auto& [error, expected] : rows) {
    EXPECT_EQ(code([reason = error](Sent& sent, std::size_t) {
                sent.head(200, fields({kGrpc}));
                sent.reset(reason);
              }),
              expected)
        << error;
  }
  // Behind the trailers of a response, whose end it has overtaken.
  EXPECT_EQ(code([](Sent& sent, std::size_t) {
              sent.head(200, fields({kGrpc}));
              sent.body(message());
              sent.exchange->incoming().set_trailers(fields({{"grpc-status", "0"}}));
              sent.reset(0x100);
            }),
            Code::ok);
}

TEST_F(GrpcClient, WhatTheServerHasNotBegunWithGoesAgainOnce) {
  begin();
  EXPECT_EQ(code([](Sent& sent, std::size_t number) {
              if (number == 1) return sent.reset(0x10b);
              answer_well(sent);
            }),
            Code::ok);
  EXPECT_EQ(context->attempts(), 2u);
  EXPECT_EQ(wire->all[1].carrier.request->fields.find("grpc-previous-rpc-attempts"), "1");
  wire->all.clear();
  EXPECT_EQ(code([](Sent& sent, std::size_t) { sent.reset(0x7); }), Code::unavailable);
  EXPECT_EQ(wire->all.size(), 2u);
}

TEST_F(GrpcClient, ADeadlineAndACancellation) {
  begin();
  timeout = 100ms;
  const Timestamp begun = world.runtime.now();
  EXPECT_EQ(code([](Sent&, std::size_t) {}), Code::deadline_exceeded);
  EXPECT_EQ(world.runtime.now() - begun, Duration(100ms));
  EXPECT_EQ(wire->all[0].carrier.aborted, http::Abort::cancelled);
  timeout = {};
  EXPECT_EQ(code([this](Sent&, std::size_t) { context->cancel(); }), Code::cancelled);
}

void unavailable(Sent& sent, std::string_view pushback = {}) {
  http::Fields head = fields({kGrpc, {"grpc-status", "14"}});
  if (!pushback.empty()) head.add("grpc-retry-pushback-ms", pushback);
  sent.head(200, head);
  sent.end();
}

TEST_F(GrpcClient, RetriesAsItsPolicySays) {
  ChannelOptions options;
  options.retries.attempts(3).budget(10, 0.1);
  begin(std::move(options));
  const auto twice = [](Sent& sent, std::size_t number) {
    if (number % 3 != 0) return unavailable(sent);
    answer_well(sent);
  };
  EXPECT_EQ(code(twice), Code::ok);
  EXPECT_EQ(context->attempts(), 3u);
  wire->all.clear();
  EXPECT_EQ(code([](Sent& sent, std::size_t) { unavailable(sent); }), Code::unavailable);
  EXPECT_EQ(context->attempts(), 3u);
  // The budget is below its half now: nothing is sent again.
  wire->all.clear();
  EXPECT_EQ(code(twice), Code::unavailable);
  EXPECT_EQ(context->attempts(), 1u);
}

TEST_F(GrpcClient, ObeysAServerThatPushesBack) {
  ChannelOptions options;
  options.retries.attempts(3);
  begin(std::move(options));
  const Timestamp begun = world.runtime.now();
  EXPECT_EQ(code([](Sent& sent, std::size_t number) {
              if (number == 1) return unavailable(sent, "1234");
              answer_well(sent);
            }),
            Code::ok);
  EXPECT_EQ(world.runtime.now() - begun, Duration(1234ms));
  for (const char* never : {"-1", "x"}) {
    wire->all.clear();
    EXPECT_EQ(code([&](Sent& sent, std::size_t) { unavailable(sent, never); }), Code::unavailable);
    EXPECT_EQ(context->attempts(), 1u) << never;
  }
}

TEST_F(GrpcClient, ACommittedCallIsNotRetried) {
  ChannelOptions options;
  options.retries.attempts(3);
  begin(std::move(options));
  EXPECT_EQ(code([](Sent& sent, std::size_t) {
              sent.head(200, fields({kGrpc}));
              sent.body(message());
              sent.end(fields({{"grpc-status", "14"}}));
            }),
            Code::unavailable);
  EXPECT_EQ(context->attempts(), 1u);
}

TEST_F(GrpcClient, WaitsForAServerThatIsNotThere) {
  begin();
  wire->refusals = 5;
  EXPECT_EQ(code([](Sent& sent, std::size_t) { answer_well(sent); }), Code::unavailable);
  EXPECT_EQ(wire->opened, 1u);
  wire->answer = [](Sent& sent, std::size_t) { answer_well(sent); };
  ClientContext patient;
  patient.wait_for_ready().timeout(60s);
  const Status status =
      world.runtime.block_on(TestClient(*channel).UnaryCall(patient, request, response));
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(wire->opened, 6u);
  wire->refusals = 1000;
  ClientContext hasty;
  hasty.wait_for_ready().timeout(10s);
  EXPECT_EQ(world.runtime.block_on(TestClient(*channel).UnaryCall(hasty, request, response)).code(),
            Code::deadline_exceeded);
}

TEST_F(GrpcClient, CallsAreSpreadOverServers) {
  std::vector<TestWire*> made;
  const auto wires = [&] {
    made.clear();
    std::vector<std::unique_ptr<Wire>> all;
    for (int i = 0; i < 3; ++i) {
      auto each = std::make_unique<TestWire>(world);
      each->answer = [](Sent& sent, std::size_t) { answer_well(sent); };
      made.push_back(each.get());
      all.push_back(std::move(each));
    }
    return all;
  };
  channel = std::make_unique<Channel>(wires());
  TestClient client(*channel);
  const auto call_once = [&] {
    ClientContext once;
    return world.runtime.block_on(client.UnaryCall(once, request, response)).ok();
  };
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(call_once());
  for (const TestWire* each : made) EXPECT_EQ(each->opened, 3u);
  // One that cannot be reached is passed over, without the caller seeing it.
  made[1]->refusals = 1000;
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(call_once());
  EXPECT_EQ(made[1]->opened, 4u);
  EXPECT_EQ(channel->loads()[0].outstanding, 0u);

  ChannelOptions options;
  options.balancing = Balancing::least_outstanding;
  channel = std::make_unique<Channel>(wires(), std::move(options));
  for (TestWire* each : made) each->answer = nullptr;  // calls stay open
  std::vector<std::unique_ptr<ClientContext>> contexts;
  std::vector<BidiStream<grpc::testing::StreamingOutputCallRequest,
                         grpc::testing::StreamingOutputCallResponse>>
      open;
  for (int i = 0; i < 6; ++i) {
    contexts.push_back(std::make_unique<ClientContext>());
    auto call = world.runtime.block_on(TestClient(*channel).FullDuplexCall(*contexts.back()));
    ASSERT_TRUE(call);
    open.push_back(std::move(*call));
    if (i == 2) open.erase(open.begin() + 1);  // the second server's is over: it is the next one's
  }
  std::vector<std::size_t> outstanding;
  for (const auto& load : channel->loads()) outstanding.push_back(load.outstanding);
  EXPECT_THAT(outstanding, ::testing::UnorderedElementsAre(1, 2, 2));
}

TEST_F(GrpcClient, HedgesWhatTakesItsTime) {
  ChannelOptions options;
  options.hedging.attempts(3).delay(50ms);
  begin(std::move(options));
  // The first two say nothing; the third does, and the others are given up.
  const Timestamp begun = world.runtime.now();
  EXPECT_EQ(code([](Sent& sent, std::size_t number) {
              if (number == 3) answer_well(sent);
            }),
            Code::ok);
  EXPECT_EQ(world.runtime.now() - begun, Duration(100ms));
  EXPECT_EQ(response.payload().body(), "xxx");
  EXPECT_EQ(context->attempts(), 3u);
  EXPECT_EQ(context->trailing_metadata().find("x-last"), "2");
  EXPECT_TRUE(wire->all[0].carrier.detached);
  EXPECT_EQ(wire->all[2].carrier.request->fields.find("grpc-previous-rpc-attempts"), "2");
  // An end that is no answer sends the next at once; one that is one ends the call.
  wire->all.clear();
  const Timestamp again = world.runtime.now();
  EXPECT_EQ(code([](Sent& sent, std::size_t number) {
              if (number == 1) return unavailable(sent);
              sent.head(200, fields({kGrpc, {"grpc-status", "5"}}));
              sent.end();
            }),
            Code::not_found);
  EXPECT_EQ(world.runtime.now(), again);
  EXPECT_EQ(context->attempts(), 2u);
  // Nobody answers.
  wire->all.clear();
  EXPECT_EQ(code([](Sent& sent, std::size_t) { unavailable(sent); }), Code::unavailable);
  EXPECT_EQ(context->attempts(), 3u);
  // Nor in time.
  wire->all.clear();
  timeout = 500ms;
  EXPECT_EQ(code([](Sent&, std::size_t) {}), Code::deadline_exceeded);
}

TEST_F(GrpcClient, ACallThatIsDroppedLeavesNothingInItsContext) {
  ChannelOptions options;
  options.hedging.attempts(2);
  begin(std::move(options));
  ClientContext dropped;
  {
    Scope scope(world.runtime.ready());
    scope.spawn([](Channel& calls, ClientContext& its, SimpleRequest& asked,
                   SimpleResponse& answered) -> Task<void> {
      const Status never = co_await TestClient(calls).UnaryCall(its, asked, answered);
      ADD_FAILURE() << never.to_string();
    }(*channel, dropped, request, response));
    world.runtime.turn();
  }
  dropped.cancel();
  EXPECT_EQ(wire->opened, 1u);
}

TEST_F(GrpcClient, TokensGoWithTheCall) {
  begin();
  wire->answer = [](Sent& sent, std::size_t) { answer_well(sent); };
  ClientContext with_token;
  with_token.credentials(bearer_token("abc.def"));
  EXPECT_TRUE(
      world.runtime.block_on(TestClient(*channel).UnaryCall(with_token, request, response)).ok());
  EXPECT_EQ(wire->all[0].carrier.request->fields.find("authorization"), "Bearer abc.def");
  ClientContext broken;
  broken.credentials(bearer_token("abc\ndef"));
  EXPECT_EQ(
      world.runtime.block_on(TestClient(*channel).UnaryCall(broken, request, response)).code(),
      Code::unauthenticated);
  EXPECT_EQ(wire->opened, 1u);
}

}  // namespace
}  // namespace tern::rpc
