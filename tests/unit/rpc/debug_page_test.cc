#include "rpc/services/debug_page.h"

#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <gtest/gtest.h>

#include "rpc/channel.h"
#include "rpc/dispatcher.h"
#include "rpc/json.h"
#include "tests/unit/rpc/talk_service.h"
#include "tests/unit/rpc/test_wire.h"

/// The page of figures: what it counts, what it keeps, and what it leaves out.

namespace tern::rpc {
namespace {

using http::test::World;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class DebugPageTest : public ::testing::Test {
 protected:
  DebugPageTest() : page(services) {
    calls = serve(services, ServeOptions().interceptor(page.interceptor()));
  }
  int call(const char* method, const std::string& json,
           const std::vector<std::pair<std::string, std::string>>& fields = {}) {
    http::RequestHead head = http::test::request("POST", std::string("/tern.test.Talk/") + method);
    head.fields.add("content-type", "application/json");
    for (const auto& [name, value] : fields) head.fields.add(name, value);
    return http::test::answer(world, calls, head, json)->status;
  }
  std::string show(const char* accept = "text/html") {
    http::RequestHead head = http::test::get("/debug/rpc");
    head.fields.add("accept", accept);
    const auto shown = http::test::answer(world, page.handler(), head);
    EXPECT_EQ(shown->status, 200);
    EXPECT_EQ(shown->field("content-type"), std::string_view(accept) == "text/html"
                                                ? "text/html; charset=utf-8"
                                                : "application/json");
    EXPECT_EQ(shown->field("cache-control"), "no-store");
    return shown->body;
  }
  google::protobuf::Struct figures() {
    google::protobuf::Struct read;
    const std::string text = show("application/json");
    EXPECT_TRUE(from_json(text, read).ok()) << text;
    return read;
  }

  World world;
  Services services{std::make_shared<test::TalkService>()};
  DebugPage page;
  http::Handler calls;
};

TEST_F(DebugPageTest, CountsCallsByHowTheyEnd) {
  EXPECT_EQ(call("Say", R"({"text":"a"})"), 200);
  EXPECT_EQ(call("Say", R"({"text":"a"})"), 200);
  EXPECT_EQ(call("Say", R"({"code":5})"), 404);
  EXPECT_EQ(call("Do", R"({"throws":true})"), 500);
  EXPECT_EQ(call("Do", R"({"waitMs":5000})", {{"connect-timeout-ms", "100"}}), 504);
  EXPECT_EQ(call("Say", "{"), 400);  // gets to no handler
  const std::string text = show("application/json");
  EXPECT_THAT(text, AllOf(HasSubstr(R"({"method":"tern.test.Talk/Say","started":3,"under_way":0,)"
                                    R"("ended":{"OK":2,"NOT_FOUND":1}})"),
                          HasSubstr(R"({"method":"tern.test.Talk/Do","started":2,"under_way":0,)"
                                    R"("ended":{"DEADLINE_EXCEEDED":1,"INTERNAL":1}})"),
                          HasSubstr(R"({"method":"tern.test.Talk/Chat","started":0,)")));
  EXPECT_EQ(figures().fields().at("errors").list_value().values_size(), 3);
  const std::string html = show();
  EXPECT_THAT(html, AllOf(HasSubstr("1 NOT_FOUND"), HasSubstr("1 DEADLINE_EXCEEDED, 1 INTERNAL")));
}

TEST_F(DebugPageTest, ShowsNamesOfMetadataAndNoValues) {
  call("Say", R"({"code":3,"text":"<b>payload"})",
       {{"authorization", "Bearer s3cret"}, {"x-key", "s3cret"}, {"x-more-bin", "czNjcmV0"}});
  for (const char* const accept : {"text/html", "application/json"}) {
    const std::string text = show(accept);
    EXPECT_THAT(text, AllOf(HasSubstr("authorization"), HasSubstr("x-key")));
    EXPECT_THAT(text, AllOf(Not(HasSubstr("s3cret")), Not(HasSubstr("czNjcmV0")),
                            Not(HasSubstr("payload"))));
    EXPECT_THAT(text, HasSubstr("192.0.2.1:4000"));
  }
}

TEST_F(DebugPageTest, EscapesWhatItShows) {
  const auto refuse = [](ServerContext&, const Next&) -> Task<Status> {
    co_return Status(Code::aborted, "<script>\"&\n\x01" + std::string(300, 'x') + "\xc3\xa4");
  };
  const http::Handler handler =
      serve(services, ServeOptions().interceptor(page.interceptor()).interceptor(refuse));
  http::RequestHead head = http::test::request("POST", "/tern.test.Talk/Say");
  head.fields.add("content-type", "application/json");
  http::test::answer(world, handler, head, "{}");
  EXPECT_THAT(show(), AllOf(Not(HasSubstr("<script>")), HasSubstr("&lt;script&gt;")));
  const auto read = figures();
  const auto& error = read.fields().at("errors").list_value().values(0).struct_value();
  EXPECT_EQ(error.fields().at("message").string_value().size(), DebugPage::kShownText);
}

TEST_F(DebugPageTest, KeepsTheLatestErrorsAndTheOldestCalls) {
  for (std::size_t i = 0; i < DebugPage::kErrors + 10; ++i) {
    call("Say", R"({"code":)" + std::to_string(i < 10 ? 7 : 5) + "}");
  }
  const auto kept = figures();
  const auto& errors = kept.fields().at("errors").list_value();
  EXPECT_EQ(errors.values_size(), static_cast<int>(DebugPage::kErrors));
  for (const auto& error : errors.values()) {
    EXPECT_EQ(error.struct_value().fields().at("code").string_value(), "NOT_FOUND");
  }

  // Calls that wait, seen by a page that is asked for meanwhile.
  const auto waiting = DebugPage::kShownCalls + 7;
  std::vector<std::unique_ptr<http::test::RecordingCarrier>> carriers;
  Scope scope(world.runtime.ready());
  for (std::size_t i = 0; i < waiting; ++i) {
    http::RequestHead head = http::test::request("POST", "/tern.test.Talk/Say");
    head.fields.add("content-type", "application/json");
    head.fields.add("connect-timeout-ms", "90000");
    carriers.push_back(std::make_unique<http::test::RecordingCarrier>());
    auto exchange =
        std::make_unique<http::Exchange>(world.runtime, *carriers.back(), std::move(head));
    exchange->incoming().push(Bytes::copy(std::string_view(R"({"waitMs":60000})")));
    exchange->incoming().finish();
    scope.spawn(http::serve(calls, std::move(exchange), nullptr));
  }
  world.run(
      [](World& in) -> Task<void> { co_await in.runtime.sleep(std::chrono::seconds(2)); }(world));
  const auto now = figures();
  EXPECT_EQ(now.fields().at("under_way").number_value(), static_cast<double>(waiting));
  const auto& shown = now.fields().at("calls").list_value();
  EXPECT_EQ(shown.values_size(), static_cast<int>(DebugPage::kShownCalls));
  const auto& first = shown.values(0).struct_value().fields();
  EXPECT_EQ(first.at("age_ms").number_value(), 2000);
  EXPECT_EQ(first.at("left_ms").number_value(), 88000);
  EXPECT_EQ(first.at("dialect").string_value(), "connect");
  EXPECT_THAT(show(), HasSubstr("The oldest 100 of 107."));
  scope.cancel();
  EXPECT_EQ(figures().fields().at("under_way").number_value(), 0);
}

TEST_F(DebugPageTest, ShowsChannels) {
  std::vector<std::unique_ptr<Wire>> wires;
  wires.push_back(std::make_unique<test::TestWire>(world));
  auto* const first = static_cast<test::TestWire*>(wires.front().get());
  first->refusals = 1;
  wires.push_back(std::make_unique<test::TestWire>(world));
  static_cast<test::TestWire*>(wires.back().get())->answer = [](test::Sent& sent, std::size_t) {
    test::answer_well(sent);
  };
  Channel channel(std::move(wires));
  auto listed = page.add("<backend>", channel);
  grpc::testing::TestService::Client client(channel);
  EXPECT_TRUE(world.runtime.block_on(client.UnaryCall(grpc::testing::SimpleRequest())));
  EXPECT_THAT(show(), AllOf(HasSubstr("Channel &lt;backend&gt;"), HasSubstr("unreachable")));
  EXPECT_THAT(show("application/json"),
              HasSubstr(R"("channels":[{"channel":"<backend>","servers":[)"
                        R"({"authority":"server","name":"server","state":"unreachable","calls":1,)"
                        R"("under_way":0},{"authority":"server","name":"server",)"
                        R"("state":"in use","calls":1,"under_way":0}]}])"));
  listed.reset();
  EXPECT_THAT(show("application/json"), HasSubstr(R"("channels":[])"));
}

}  // namespace
}  // namespace tern::rpc
