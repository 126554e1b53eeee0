#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/channel.h"
#include "rpc/client_streams.h"
#include "tests/unit/rpc/test_wire.h"

/// Calls that stream, sent again until their server has begun to answer.

namespace tern::rpc {
namespace {

using namespace std::chrono_literals;
using grpc::testing::StreamingInputCallRequest;
using grpc::testing::StreamingInputCallResponse;
using grpc::testing::StreamingOutputCallRequest;
using grpc::testing::StreamingOutputCallResponse;
using http::test::World;
using test::Sent;
using test::TestWire;

class RetryStreams : public ::testing::Test {
 protected:
  void begin(CallRetries retries) {
    auto made = std::make_unique<TestWire>(world);
    wire = made.get();
    std::vector<std::unique_ptr<Wire>> wires;
    wires.push_back(std::move(made));
    ChannelOptions options;
    options.retries = std::move(retries);
    channel = std::make_unique<Channel>(std::move(wires), std::move(options));
  }
  std::string body(std::size_t attempt) const { return wire->all[attempt].carrier.body; }
  Task<Status> send_all(int count, std::size_t size, std::size_t& went) {
    grpc::testing::TestService::Client client(*channel);
    ClientContext context;
    auto call = co_await client.StreamingInputCall(context);
    if (!call) co_return call.error();
    for (int i = 0; i < count; ++i) {
      StreamingInputCallRequest request;
      request.mutable_payload()->set_body(std::string(size, static_cast<char>('a' + i)));
      const bool sent = co_await call->send(request);
      if (sent) ++went;
    }
    StreamingInputCallResponse response;
    Status status = co_await call->finish(response);
    attempts = context.attempts();
    co_return status;
  }

  World world;
  TestWire* wire = nullptr;
  std::unique_ptr<Channel> channel;
  std::size_t attempts = 0;
};

void be_unavailable(Sent& sent, const char* pushback = nullptr) {
  http::Fields fields = test::fields({test::kGrpc, {"grpc-status", "14"}});
  if (pushback != nullptr) fields.add("grpc-retry-pushback-ms", pushback);
  sent.head(200, fields);
  sent.end();
}
std::string requests(int count, std::size_t size) {
  std::string all;
  for (int i = 0; i < count; ++i) {
    StreamingInputCallRequest request;
    request.mutable_payload()->set_body(std::string(size, static_cast<char>('a' + i)));
    all.append(encode_envelope(Codec::proto, request, SIZE_MAX)->text());
  }
  return all;
}

TEST_F(RetryStreams, RequestsAreSentAgain) {
  begin(CallRetries().attempts(3));
  wire->answer = [](Sent& sent, std::size_t number) {
    if (number < 3) return be_unavailable(sent);
    test::answer_well(sent);
  };
  std::size_t went = 0;
  const Status status = world.runtime.block_on(send_all(3, 100, went));
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(went, 3U);
  EXPECT_EQ(attempts, 3U);
  ASSERT_EQ(wire->all.size(), 3U);
  EXPECT_EQ(body(2), requests(3, 100));
  EXPECT_TRUE(wire->all[2].carrier.ended);
  EXPECT_EQ(wire->all[2].carrier.request->fields.find("grpc-previous-rpc-attempts"), "2");
}

TEST_F(RetryStreams, WithoutAPolicyNothingIs) {
  begin(CallRetries());
  wire->answer = [](Sent& sent, std::size_t) { be_unavailable(sent); };
  std::size_t went = 0;
  EXPECT_EQ(world.runtime.block_on(send_all(1, 1, went)).code(), Code::unavailable);
  EXPECT_EQ(wire->all.size(), 1U);
}

TEST_F(RetryStreams, NotOftenerThanThePolicySaysNorAgainstTheServersWill) {
  begin(CallRetries().attempts(2));
  wire->answer = [](Sent& sent, std::size_t) { be_unavailable(sent); };
  std::size_t went = 0;
  EXPECT_EQ(world.runtime.block_on(send_all(1, 1, went)).code(), Code::unavailable);
  EXPECT_EQ(wire->all.size(), 2U);
  begin(CallRetries().attempts(5));
  wire->answer = [](Sent& sent, std::size_t) { be_unavailable(sent, "-1"); };
  EXPECT_EQ(world.runtime.block_on(send_all(1, 1, went)).code(), Code::unavailable);
  EXPECT_EQ(wire->all.size(), 1U);
  // A status that is not the policy's.
  wire->answer = [](Sent& sent, std::size_t) {
    sent.head(200, test::fields({test::kGrpc, {"grpc-status", "5"}}));
    sent.end();
  };
  wire->all.clear();
  EXPECT_EQ(world.runtime.block_on(send_all(1, 1, went)).code(), Code::not_found);
  EXPECT_EQ(wire->all.size(), 1U);
}

TEST_F(RetryStreams, WhatIsMoreThanTheBufferGoesOnce) {
  begin(CallRetries().attempts(3).buffer(250));
  wire->answer = [](Sent& sent, std::size_t) { be_unavailable(sent); };
  std::size_t went = 0;
  EXPECT_EQ(world.runtime.block_on(send_all(2, 100, went)).code(), Code::unavailable);
  EXPECT_EQ(wire->all.size(), 3U);
  wire->all.clear();
  EXPECT_EQ(world.runtime.block_on(send_all(3, 100, went)).code(), Code::unavailable);
  EXPECT_EQ(wire->all.size(), 1U);
}

Task<Status> read_all(Channel& channel, std::size_t& read) {
  grpc::testing::TestService::Client client(channel);
  ClientContext context;
  StreamingOutputCallRequest request;
  request.add_response_parameters()->set_size(7);
  auto call = co_await client.StreamingOutputCall(context, request);
  if (!call) co_return call.error();
  StreamingOutputCallResponse response;
  for (;;) {
    const bool more = co_await call->receive(response);
    if (!more) break;
    ++read;
  }
  co_return co_await call->finish();
}

TEST_F(RetryStreams, AServerStreamUntilItsFirstMessage) {
  begin(CallRetries().attempts(3));
  wire->answer = [](Sent& sent, std::size_t number) {
    if (number == 1) return be_unavailable(sent);
    test::answer_well(sent);
  };
  std::size_t read = 0;
  EXPECT_TRUE(world.runtime.block_on(read_all(*channel, read)).ok());
  EXPECT_EQ(read, 1U);
  EXPECT_EQ(wire->all.size(), 2U);
  EXPECT_EQ(body(0), body(1));
  EXPECT_NE(body(1), "");

  // Behind a message, or the head alone, it is over.
  for (const bool with_message : {true, false}) {
    wire->all.clear();
    read = 0;
    wire->answer = [with_message](Sent& sent, std::size_t) {
      sent.head(200, test::fields({test::kGrpc}));
      if (with_message) sent.body(test::message());
      sent.end(test::fields({{"grpc-status", "14"}}));
    };
    EXPECT_EQ(world.runtime.block_on(read_all(*channel, read)).code(), Code::unavailable);
    EXPECT_EQ(read, with_message ? 1U : 0U);
    EXPECT_EQ(wire->all.size(), 1U);
  }
}

TEST_F(RetryStreams, RefusedOnesGoAgainOnceWithoutTheBudget) {
  begin(CallRetries().attempts(2).budget(2, 0.1).codes({Code::aborted}));
  wire->answer = [](Sent& sent, std::size_t number) {
    if (number == 1) return sent.reset(0x7);  // REFUSED_STREAM
    test::answer_well(sent);
  };
  std::size_t read = 0;
  EXPECT_TRUE(world.runtime.block_on(read_all(*channel, read)).ok());
  EXPECT_EQ(wire->all.size(), 2U);
  wire->all.clear();
  wire->answer = [](Sent& sent, std::size_t) { sent.reset(0x7); };
  EXPECT_EQ(world.runtime.block_on(read_all(*channel, read)).code(), Code::unavailable);
  EXPECT_EQ(wire->all.size(), 2U);
}

Task<void> ping(Channel& channel, TestWire& wire, std::vector<std::string>& seen) {
  grpc::testing::TestService::Client client(channel);
  ClientContext context;
  auto call = co_await client.FullDuplexCall(context);
  StreamingOutputCallRequest request;
  StreamingOutputCallResponse response;
  request.mutable_payload()->set_body("one");
  co_await call->send(request);
  be_unavailable(wire.all[0]);
  const bool first = co_await call->receive(response);  // the second attempt's
  seen.push_back(first ? response.payload().body() : "nothing");
  request.mutable_payload()->set_body("two");
  co_await call->send(request);
  call->half_close();
  wire.all[1].body(test::message(4));
  wire.all[1].end(test::fields({{"grpc-status", "0"}}));
  const bool second = co_await call->receive(response);
  seen.push_back(second ? response.payload().body() : "nothing");
  const Status status = co_await call->finish();
  seen.push_back(status.to_string());
}

TEST_F(RetryStreams, BothWays) {
  begin(CallRetries().attempts(2));
  wire->answer = [](Sent& sent, std::size_t number) {
    if (number != 2) return;
    sent.head(200, test::fields({test::kGrpc}));
    sent.body(test::message(3));
  };
  std::vector<std::string> seen;
  world.run(ping(*channel, *wire, seen));
  EXPECT_THAT(seen, ::testing::ElementsAre("xxx", "xxxx", "OK"));
  EXPECT_TRUE(body(1).starts_with(body(0)));
  EXPECT_GT(body(1).size(), body(0).size());
}

TEST_F(RetryStreams, GivingUpEndsTheWait) {
  begin(CallRetries().attempts(3).wait(60s, 60s));
  wire->answer = [](Sent& sent, std::size_t) { be_unavailable(sent, "30000"); };
  const auto run = [](Channel& on, bool cancel) -> Task<Status> {
    grpc::testing::TestService::Client client(on);
    ClientContext context;
    if (!cancel) context.timeout(2s);
    auto call = co_await client.FullDuplexCall(context);
    Scope scope(on.runtime().ready());
    const auto later = [](ClientContext& of, Runtime& runtime) -> Task<void> {
      co_await runtime.sleep(1s);
      of.cancel();
    };
    if (cancel) scope.spawn(later(context, on.runtime()));
    Status status = co_await call->finish();
    co_return status;
  };
  const Timestamp begun = world.runtime.now();
  EXPECT_EQ(world.runtime.block_on(run(*channel, false)).code(), Code::deadline_exceeded);
  EXPECT_EQ(world.runtime.now() - begun, Duration(2s));
  EXPECT_EQ(world.runtime.block_on(run(*channel, true)).code(), Code::cancelled);
  EXPECT_EQ(world.runtime.now() - begun, Duration(3s));
}

}  // namespace
}  // namespace tern::rpc
