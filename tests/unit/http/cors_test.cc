#include "http/cors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/http/recording_carrier.h"

namespace tern::http {
namespace {

using test::answer;
using test::request;
using test::with;
using test::World;

RequestHead from(RequestHead head, std::string_view origin) {
  head.authority = "api.example.org";
  head.fields.add("origin", origin);
  return head;
}

Handler served(const Cors& cors) {
  return [cors](Exchange& exchange) -> Task<void> {
    if (cors.answer_preflight(exchange)) co_return;
    Response response(Status::ok);
    response.field("content-type", "application/json").field("x-count", "1").field("x-count", "2");
    cors.apply(exchange.request(), response.fields(), "grpc-status, grpc-message");
    co_await exchange.respond(std::move(response));
  };
}

RequestHead preflight(std::string_view origin) {
  RequestHead head = from(request("OPTIONS", "/a"), origin);
  head.fields.add("access-control-request-method", "POST");
  head.fields.add("access-control-request-headers", "content-type,x-grpc-web");
  return head;
}

TEST(Cors, AnswersPreflights) {
  World world;
  const Cors cors = Cors().allow("https://app.example.org").methods("PUT");
  const auto sent = answer(world, served(cors), preflight("https://app.example.org"));
  EXPECT_EQ(sent->status, 204);
  EXPECT_EQ(sent->field("access-control-allow-origin"), "https://app.example.org");
  EXPECT_EQ(sent->field("access-control-allow-methods"), "GET, HEAD, POST, PUT");
  EXPECT_EQ(sent->field("access-control-allow-headers"), "content-type,x-grpc-web");
  EXPECT_EQ(sent->field("access-control-max-age"), "7200");
  EXPECT_EQ(sent->field("access-control-allow-credentials"), "(none)");
  EXPECT_EQ(sent->field("vary"),
            "origin, access-control-request-method, access-control-request-headers");
}

TEST(Cors, RefusesStrangers) {
  World world;
  for (const char* origin : {"https://evil.example", "null", "https://app.example.org.evil.example",
                             "http://app.example.org", "https://app.example.org:444"}) {
    const Cors cors = Cors().allow("https://app.example.org").credentials();
    const auto refused = answer(world, served(cors), preflight(origin));
    EXPECT_EQ(refused->status, 403) << origin;
    EXPECT_EQ(refused->field("access-control-allow-origin"), "(none)") << origin;
    const auto unread = answer(world, served(cors), from(request("POST", "/a"), origin));
    EXPECT_EQ(unread->status, 200) << origin;
    EXPECT_EQ(unread->field("access-control-allow-origin"), "(none)") << origin;
    EXPECT_EQ(unread->field("vary"), "origin") << origin;
  }
}

TEST(Cors, ExposesWhatIsThere) {
  World world;
  const Cors cors = Cors().allow("https://app.example.org").credentials();
  const auto sent =
      answer(world, served(cors), from(request("POST", "/a"), "https://app.example.org"));
  EXPECT_EQ(sent->field("access-control-allow-origin"), "https://app.example.org");
  EXPECT_EQ(sent->field("access-control-allow-credentials"), "true");
  EXPECT_EQ(sent->field("access-control-expose-headers"), "x-count, grpc-status, grpc-message");
  EXPECT_EQ(sent->field("vary"), "origin");
}

TEST(Cors, AnyOriginNeverWithCredentials) {
  World world;
  const Cors cors = Cors().allow_any().credentials();
  const auto sent = answer(world, served(cors), from(request("POST", "/a"), "https://any.example"));
  EXPECT_EQ(sent->field("access-control-allow-origin"), "*");
  EXPECT_EQ(sent->field("access-control-allow-credentials"), "(none)");
  EXPECT_EQ(sent->field("vary"), "(none)");
}

TEST(Cors, LeavesOtherRequestsAlone) {
  World world;
  const Cors cors = Cors().allow("https://app.example.org");
  const auto plain = answer(world, served(cors), request("POST", "/a"));
  EXPECT_EQ(plain->field("access-control-allow-origin"), "(none)");
  // OPTIONS by itself is no preflight.
  EXPECT_EQ(
      answer(world, served(cors), from(request("OPTIONS", "/a"), "https://x.example"))->status,
      200);
  // The server's own pages.
  EXPECT_EQ(answer(world, served(cors), from(request("POST", "/a"), "https://api.example.org"))
                ->field("access-control-allow-origin"),
            "https://api.example.org");
}

}  // namespace
}  // namespace tern::http
