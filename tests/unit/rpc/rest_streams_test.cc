#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/dispatcher.h"
#include "tests/unit/http/recording_carrier.h"
#include "tests/unit/rpc/talk_service.h"

/// Streams of requests by REST: what becomes of their messages.

namespace tern::rpc {
namespace {

using http::test::World;
using ::testing::ElementsAre;
using ::testing::StartsWith;

class RestStreams : public ::testing::Test {
 protected:
  std::unique_ptr<http::test::RecordingCarrier> post(
      const char* path, std::string_view body, const char* type = "application/x-ndjson",
      const std::vector<std::pair<std::string, std::string>>& fields = {}) {
    http::RequestHead head = http::test::request("POST", path);
    if (*type != '\0') head.fields.add("content-type", type);
    for (const auto& [name, value] : fields) head.fields.add(name, value);
    return http::test::answer(world, serve(std::make_shared<test::TalkService>(), options), head,
                              body);
  }
  World world;
  ServeOptions options;
};

TEST_F(RestStreams, ManyRequestsOneResponse) {
  for (const char* const body :
       {"{\"text\":\"a\"}\n{\"text\":\"b\"}\n{}\n", "[{\"text\":\"a\"},{\"text\":\"b\"},{}]"}) {
    for (const char* const type :
         {"application/x-ndjson", "application/json", "application/jsonl; charset=utf-8"}) {
      const auto summed = post("/v1/sum", body, type);
      EXPECT_EQ(summed->status, 200);
      EXPECT_EQ(summed->field("content-type"), "application/json");
      EXPECT_EQ(summed->body, R"({"text":"ab","number":3})");
    }
  }
  EXPECT_EQ(post("/v1/sum", "", "")->body, "{}");
  // What the path says is each message's.
  EXPECT_EQ(post("/v1/sum/z", "{\"text\":\"a\"}{}")->body, R"({"text":"zz","number":2})");
}

TEST_F(RestStreams, BothWays) {
  EXPECT_EQ(post("/v1/chat", "{\"text\":\"a\"}\n{\"text\":\"b\"}")->body,
            "[{\"text\":\"a\"},\n{\"text\":\"b\"}]\n");
  const auto lines = post("/v1/chat", "{\"text\":\"a\"}{\"text\":\"b\"}", "application/x-ndjson",
                          {{"accept", "application/x-ndjson"}});
  EXPECT_EQ(lines->field("content-type"), "application/x-ndjson");
  EXPECT_EQ(lines->body, "{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
}

/// A response of the first request while the second has not come.
TEST_F(RestStreams, EachIsHandledAsItComes) {
  http::RequestHead head = http::test::request("POST", "/v1/chat");
  head.fields.add("content-type", "application/x-ndjson");
  head.fields.add("accept", "application/x-ndjson");
  http::test::RecordingCarrier carrier;
  auto exchange = std::make_unique<http::Exchange>(world.runtime, carrier, std::move(head));
  http::Incoming& incoming = exchange->incoming();
  const http::Handler handler = serve(std::make_shared<test::TalkService>());
  Scope scope(world.runtime.ready());
  scope.spawn(http::serve(handler, std::move(exchange), nullptr));
  const auto pass = [this] {
    world.run([](World& in) -> Task<void> {
      co_await in.runtime.sleep(std::chrono::milliseconds(1));
    }(world));
  };
  incoming.push(Bytes::copy(std::string_view("{\"text\":\"a\"}{\"te")));
  pass();
  EXPECT_EQ(carrier.body, "{\"text\":\"a\"}\n");
  incoming.push(Bytes::copy(std::string_view("xt\":\"b\"}")));
  pass();
  EXPECT_EQ(carrier.body, "{\"text\":\"a\"}\n{\"text\":\"b\"}\n");
  EXPECT_FALSE(carrier.ended);
  incoming.finish();
  pass();
  EXPECT_TRUE(carrier.ended);
}

TEST_F(RestStreams, BadInput) {
  options.max_request(64);
  struct Bad {
    std::string body;
    int status;
    int code;
    const char* type = "application/x-ndjson";
    std::vector<std::pair<std::string, std::string>> fields = {};
  };
  const Bad cases[] = {
      {"{\"text\":\"a\"}\n{", 400, 3},
      {"{\"text\":\"a\"}\n[", 400, 3},
      {"[{\"text\":\"a\"}", 400, 3},
      {"{\"text\":1}", 400, 3},
      {"[1]", 400, 3},
      {"{\"text\":\"" + std::string(100, 'a') + "\"}", 429, 8},
      {"{}", 415, 3, "text/plain"},
      {"{}", 415, 3, ""},
      {"{}", 415, 12, "application/x-ndjson", {{"content-encoding", "gzip"}}},
      {"{}", 400, 3, "application/x-ndjson", {{"grpc-timeout", "x"}}},
      {"{\"code\":9}", 400, 9},
      {"{\"throws\":true}", 500, 13},
  };
  for (const Bad& bad : cases) {
    const auto answered = post("/v1/sum", bad.body, bad.type, bad.fields);
    EXPECT_EQ(answered->status, bad.status) << bad.body << answered->body;
    EXPECT_THAT(answered->body, StartsWith("{\"code\":" + std::to_string(bad.code) + ","))
        << bad.body;
  }
}

}  // namespace
}  // namespace tern::rpc
