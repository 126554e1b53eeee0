#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "grpc/health/v1/health.pb.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "rpc/dispatcher.h"
#include "rpc/envelope.h"
#include "rpc/services/health.h"
#include "rpc/services/reflection.h"
#include "tests/unit/http/recording_carrier.h"
#include "tests/unit/rpc/talk_service.h"

namespace tern::rpc {
namespace {

using http::test::World;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<http::test::RecordingCarrier> post(World& world, const http::Handler& handler,
                                                   std::string_view path, std::string_view type,
                                                   std::string_view body,
                                                   std::string_view timeout = "") {
  http::RequestHead head = http::test::request("POST", path);
  head.fields.add("content-type", type);
  if (!timeout.empty()) head.fields.add("connect-timeout-ms", timeout);
  return http::test::answer(world, handler, head, body);
}

std::string in_envelope(std::string_view payload) {
  return std::string(make_envelope(0, as_bytes(payload)).text());
}

TEST(HealthService, ChecksAndLists) {
  World world;
  auto health = std::make_shared<Health>();
  health->set("a.B", Serving::not_serving);
  const http::Handler handler = serve(health_service(health));
  const auto ask = [&](const char* method, const char* json) {
    return post(world, handler, std::string("/grpc.health.v1.Health/") + method, "application/json",
                json);
  };
  EXPECT_EQ(ask("Check", "{}")->body, R"({"status":"SERVING"})");
  EXPECT_EQ(ask("Check", R"({"service":"a.B"})")->body, R"({"status":"NOT_SERVING"})");
  EXPECT_EQ(ask("Check", R"({"service":"a.C"})")->status, 404);
  const std::string listed = ask("List", "{}")->body;  // a map, in any order
  EXPECT_THAT(listed, HasSubstr(R"("":{"status":"SERVING"})"));
  EXPECT_THAT(listed, HasSubstr(R"("a.B":{"status":"NOT_SERVING"})"));
  health->shut_down();
  health->set("", Serving::serving);
  EXPECT_EQ(ask("Check", "{}")->body, R"({"status":"NOT_SERVING"})");
  for (std::size_t i = 0; i <= Health::kMaxListed; ++i) {
    auto many = std::make_shared<Health>();
    for (std::size_t k = 0; k < i; ++k) many->set("s" + std::to_string(k), Serving::serving);
    if (i + 1 >= Health::kMaxListed) {
      EXPECT_EQ(post(world, serve(health_service(many)), "/grpc.health.v1.Health/List",
                     "application/json", "{}")
                    ->status,
                i + 1 > Health::kMaxListed ? 429 : 200);
    }
  }
}

TEST(HealthService, WatchTellsOfChanges) {
  World world;
  auto health = std::make_shared<Health>();
  const http::Handler handler = serve(health_service(health));
  // The state changes twice while the call runs, whose deadline ends it: at once. What is as it was
  // before, or another service's, is no news.
  world.runtime.spawn([](World& in, std::shared_ptr<Health> of) -> Task<void> {
    co_await in.runtime.sleep(std::chrono::milliseconds(1));
    of->set("a.B", Serving::serving);
    co_await in.runtime.sleep(std::chrono::milliseconds(1));
    of->set("a.B", Serving::serving);
    of->set("a.C", Serving::not_serving);
    co_await in.runtime.sleep(std::chrono::milliseconds(1));
    of->set("a.B", Serving::not_serving);
  }(world, health));
  const auto watched =
      post(world, handler, "/grpc.health.v1.Health/Watch", "application/connect+json",
           in_envelope(R"({"service":"a.B"})"), "2000");
  EXPECT_EQ(watched->body.substr(0, watched->body.rfind('\2')),
            in_envelope(R"({"status":"SERVICE_UNKNOWN"})") +
                in_envelope(R"({"status":"SERVING"})") +
                in_envelope(R"({"status":"NOT_SERVING"})"));
  EXPECT_THAT(watched->body, HasSubstr("deadline_exceeded"));
}

class ReflectionTest : public ::testing::Test {
 protected:
  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;

  ReflectionTest() {
    Services services{std::make_shared<test::TalkService>()};
    add_reflection(services);
    handler_ = serve(services);
  }
  std::vector<Response> ask(const std::vector<Request>& requests, const char* version = "v1") {
    std::string body;
    for (const Request& request : requests) body.append(in_envelope(request.SerializeAsString()));
    const auto answered =
        post(world_, handler_,
             std::string("/grpc.reflection.") + version + ".ServerReflection/ServerReflectionInfo",
             "application/connect+proto", body);
    EnvelopeReader reader(1 << 20);
    reader.push(Bytes::copy(answered->body));
    std::vector<Response> responses;
    for (;;) {
      auto next = reader.next();
      if (!next || !*next || (*next)->flags == kConnectEnd) return responses;
      EXPECT_TRUE(responses.emplace_back().ParseFromString(std::string((*next)->payload.text())));
    }
  }
  static std::vector<std::string> files(const Response& response) {
    std::vector<std::string> names;
    for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
      google::protobuf::FileDescriptorProto file;
      EXPECT_TRUE(file.ParseFromString(bytes));
      names.push_back(file.name());
    }
    return names;
  }

 private:
  World world_;
  http::Handler handler_;
};

TEST_F(ReflectionTest, ListsServices) {
  Request request;
  request.set_list_services("");
  for (const char* version : {"v1", "v1alpha"}) {
    const auto responses = ask({request}, version);
    ASSERT_EQ(responses.size(), 1U);
    std::vector<std::string> names;
    for (const auto& service : responses[0].list_services_response().service()) {
      names.push_back(service.name());
    }
    EXPECT_THAT(names, ElementsAre("tern.test.Talk", "grpc.reflection.v1.ServerReflection",
                                   "grpc.reflection.v1alpha.ServerReflection"));
  }
}

TEST_F(ReflectionTest, TellsFilesOnce) {
  Request symbol;
  symbol.set_file_containing_symbol("tern.test.Talk");
  Request method;
  method.set_file_containing_symbol("tern.test.Talk.Say");
  Request name;
  name.set_file_by_filename("google/protobuf/descriptor.proto");
  Request extension;
  extension.mutable_file_containing_extension()->set_containing_type(
      "google.protobuf.MethodOptions");
  extension.mutable_file_containing_extension()->set_extension_number(72295728);
  const auto responses = ask({symbol, method, name, extension});
  ASSERT_EQ(responses.size(), 4U);
  EXPECT_THAT(files(responses[0]),
              ElementsAre("talk.proto", "google/api/annotations.proto", "google/api/http.proto",
                          "google/protobuf/descriptor.proto"));
  EXPECT_THAT(files(responses[1]), ElementsAre("talk.proto"));
  EXPECT_THAT(files(responses[2]), ElementsAre("google/protobuf/descriptor.proto"));
  EXPECT_THAT(files(responses[3]), ElementsAre("google/api/annotations.proto"));
}

TEST_F(ReflectionTest, ExtensionNumbers) {
  Request request;
  request.set_all_extension_numbers_of_type("google.protobuf.MethodOptions");
  const auto responses = ask({request});
  ASSERT_EQ(responses.size(), 1U);
  EXPECT_THAT(responses[0].all_extension_numbers_response().extension_number(), Contains(72295728));
}

TEST_F(ReflectionTest, SaysWhatIsNotThere) {
  Request symbol, file, extension, numbers;
  symbol.set_file_containing_symbol("tern.test.Nothing");
  file.set_file_by_filename("nothing.proto");
  extension.mutable_file_containing_extension()->set_containing_type("tern.test.Nothing");
  numbers.set_all_extension_numbers_of_type("tern.test.Nothing");
  for (const Response& response : ask({symbol, file, extension, numbers})) {
    EXPECT_EQ(response.error_response().error_code(), 5);
  }
  const auto nothing = ask({Request()});
  ASSERT_EQ(nothing.size(), 1U);
  EXPECT_EQ(nothing[0].error_response().error_code(), 3);
}

}  // namespace
}  // namespace tern::rpc
