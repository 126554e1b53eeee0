#include "http/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/http/recording_carrier.h"

namespace tern::http {
namespace {

using test::answer;
using test::get;
using test::RecordingCarrier;
using test::request;
using test::with;
using test::World;

/// A handler that answers with its name and the parameters it is asked for.
Handler named(std::string name, std::vector<std::string> parameters = {}) {
  return [name = std::move(name),
          parameters = std::move(parameters)](Exchange& exchange) -> Task<void> {
    std::string text = name;
    for (const std::string& parameter : parameters) {
      text.append(" ").append(parameter).append("=").append(exchange.parameter(parameter));
    }
    if (exchange.mounted_path() != exchange.request().path_only()) {
      text.append(" below ").append(exchange.mounted_path());
    }
    co_await exchange.respond(Status::ok, std::move(text));
  };
}

class Routes : public ::testing::Test {
 protected:
  std::string ask(std::string_view method, std::string_view path, std::string_view protocol = {}) {
    RequestHead head = request(method, path);
    head.protocol = protocol;
    sent = answer(world, router, head);
    return sent->status == 200 ? sent->body : std::to_string(sent->status);
  }

  World world;
  Router router;
  std::unique_ptr<RecordingCarrier> sent;
};

TEST_F(Routes, FindsTheMostSpecific) {
  router.get("/", named("root"))
      .get("/users", named("users"))
      .get("/users/", named("slash"))
      .get("/users/me", named("me"))
      .get("/users/{id}", named("user", {"id"}))
      .get("/users/{user}/posts/{post}", named("post", {"user", "post"}))
      .get("/users/{id}/{rest...}", named("tail", {"id", "rest"}))
      .get("/files/{path...}", named("files", {"path"}));
  EXPECT_EQ(ask("GET", "/"), "root");
  EXPECT_EQ(ask("GET", "/users"), "users");
  EXPECT_EQ(ask("GET", "/users?x=/y"), "users");
  EXPECT_EQ(ask("GET", "/users/"), "slash");
  EXPECT_EQ(ask("GET", "/users/me"), "me");
  EXPECT_EQ(ask("GET", "/users/you"), "user id=you");
  EXPECT_EQ(ask("GET", "/users/me/posts/7"), "post user=me post=7");
  EXPECT_EQ(ask("GET", "/users/a/posts"), "tail id=a rest=posts");
  EXPECT_EQ(ask("GET", "/users/a/posts/7/x"), "tail id=a rest=posts/7/x");
  EXPECT_EQ(ask("GET", "/users/a/"), "tail id=a rest=");
  EXPECT_EQ(ask("GET", "/files/"), "files path=");
  EXPECT_EQ(ask("GET", "/files/a//b/"), "files path=a//b/");
  EXPECT_EQ(ask("GET", "/files"), "404");
  EXPECT_EQ(ask("GET", "/Users"), "404");
  EXPECT_EQ(ask("GET", "//users"), "404");
  EXPECT_EQ(ask("GET", "/nothing/here"), "404");
  EXPECT_EQ(ask("GET", "users"), "400");
}

TEST_F(Routes, DecodesSegments) {
  router.get("/a b", named("blank"))
      .get("/{id}", named("one", {"id"}))
      .get("/t/{rest...}", named("tail", {"rest"}));
  EXPECT_EQ(ask("GET", "/a%20b"), "blank");
  EXPECT_EQ(ask("GET", "/%61%2Fb"), "one id=a/b");
  EXPECT_EQ(ask("GET", "/%E2%82%AC"), "one id=\xe2\x82\xac");
  EXPECT_EQ(ask("GET", "/%zz"), "404");
  EXPECT_EQ(ask("GET", "/t/a%2Fb/%zz"), "tail rest=a%2Fb/%zz");
  EXPECT_EQ(ask("GET", "/%74/x"), "tail rest=x");
}

TEST_F(Routes, HeadFallsToGet) {
  router.get("/a", named("a")).handle("HEAD", "/b", named("head")).get("/b", named("b"));
  EXPECT_EQ(answer(world, router, request("HEAD", "/a"))->field("content-length"), "1");
  EXPECT_EQ(answer(world, router, request("HEAD", "/b"))->field("content-length"), "4");
}

TEST_F(Routes, OtherMethodsAreToldWhatIsAllowed) {
  router.get("/x", named("get")).post("/x", named("post")).del("/{any}", named("del"));
  EXPECT_EQ(ask("PUT", "/x"), "405");
  EXPECT_EQ(sent->field("allow"), "GET, HEAD, POST, DELETE, OPTIONS");
  EXPECT_EQ(ask("OPTIONS", "/x"), "204");
  EXPECT_EQ(sent->field("allow"), "GET, HEAD, POST, DELETE, OPTIONS");
  EXPECT_EQ(ask("DELETE", "/x"), "del");  // the less specific route knows the method
  EXPECT_EQ(ask("GET", "/y"), "405");
  EXPECT_EQ(sent->field("allow"), "DELETE, OPTIONS");
  EXPECT_EQ(ask("OPTIONS", "*"), "204");
  EXPECT_EQ(sent->field("allow"), "GET, HEAD, POST, DELETE, OPTIONS");
  EXPECT_EQ(ask("OPTIONS", "/a/b"), "404");
  EXPECT_EQ(ask("get", "/x"), "405");  // methods are case-sensitive
}

TEST_F(Routes, ExtendedConnectGoesByProtocol) {
  router.get("/chat", named("page"))
      .connect("websocket", "/chat", named("socket"))
      .connect("webtransport", "/rooms/{room}", named("room", {"room"}));
  EXPECT_EQ(ask("GET", "/chat"), "page");
  EXPECT_EQ(ask("CONNECT", "/chat", "websocket"), "socket");
  EXPECT_EQ(ask("CONNECT", "/rooms/7", "webtransport"), "room room=7");
  EXPECT_EQ(ask("CONNECT", "/chat", "webtransport"), "405");  // another resource speaks it
  EXPECT_EQ(sent->field("allow"), "GET, HEAD, CONNECT, OPTIONS");
  EXPECT_EQ(ask("CONNECT", "/chat", "connect-udp"), "501");
  EXPECT_EQ(ask("CONNECT", "/nowhere", "connect-udp"), "501");
  EXPECT_EQ(ask("CONNECT", "/nowhere", "websocket"), "404");
  EXPECT_EQ(ask("CONNECT", ""), "501");
}

TEST_F(Routes, MountsTakeWhatIsBelow) {
  Router inner;
  inner.get("/", named("inner root")).get("/{id}", named("inner", {"id"}));
  router.mount("/api", inner)
      .mount("/api/deep/", named("deep"))
      .get("/api/route", named("route"))
      .mount("/", named("rest"));
  EXPECT_EQ(ask("GET", "/api"), "inner root below ");
  EXPECT_EQ(ask("GET", "/api/"), "inner root below /");
  EXPECT_EQ(ask("GET", "/api/7?q"), "inner id=7 below /7");
  EXPECT_EQ(ask("GET", "/api/7/8"), "404");
  EXPECT_EQ(ask("GET", "/api/deep"), "deep below ");
  EXPECT_EQ(ask("GET", "/api/deep/x/y"), "deep below /x/y");
  EXPECT_EQ(ask("GET", "/api/route"), "route");
  EXPECT_EQ(ask("POST", "/api/route"), "405");
  EXPECT_EQ(ask("GET", "/apix"), "rest");
  EXPECT_EQ(ask("DELETE", "/"), "rest");
  EXPECT_EQ(ask("GET", "/%61pi/7"), "inner id=7 below /7");
}

TEST_F(Routes, MountsNest) {
  Router innermost;
  innermost.get("/{x}", named("leaf", {"x"}));
  Router inner;
  inner.mount("/b", innermost);
  router.mount("/a", inner);
  EXPECT_EQ(ask("GET", "/a/b/c"), "leaf x=c below /c");
  EXPECT_EQ(ask("GET", "/a/b"), "404");
  EXPECT_EQ(ask("GET", "/a"), "404");
}

TEST_F(Routes, FallbackAnswersInsteadOf404) {
  router.get("/a", named("a")).fallback(named("fallback"));
  EXPECT_EQ(ask("GET", "/b"), "fallback");
  EXPECT_EQ(ask("POST", "/b"), "fallback");
  EXPECT_EQ(ask("POST", "/a"), "405");
}

TEST_F(Routes, UnsafeMethodsInEarlyDataAreTooEarly) {
  router.get("/x", named("get"))
      .post("/x", named("post"))
      .handle("PUT", "/x", named("put"), RouteOptions().early_data())
      .connect("websocket", "/x", named("socket"))
      .mount("/strict", named("strict"))
      .mount("/lax", named("lax"), RouteOptions().early_data());
  const auto early = [this](std::string_view method, std::string_view path,
                            std::string_view protocol = {}) {
    RecordingCarrier carrier;
    carrier.early = true;
    RequestHead head = request(method, path);
    head.protocol = protocol;
    world.run(serve(router, std::make_unique<Exchange>(world.runtime, carrier, RequestHead(head)),
                    nullptr));
    return carrier.status;
  };
  EXPECT_EQ(early("GET", "/x"), 200);
  EXPECT_EQ(early("HEAD", "/x"), 200);
  EXPECT_EQ(early("POST", "/x"), 425);
  EXPECT_EQ(early("PUT", "/x"), 200);
  EXPECT_EQ(early("CONNECT", "/x", "websocket"), 425);
  EXPECT_EQ(early("GET", "/strict/a"), 200);
  EXPECT_EQ(early("POST", "/strict/a"), 425);
  EXPECT_EQ(early("POST", "/lax/a"), 200);
  EXPECT_EQ(early("POST", "/nothing"), 404);
  // An intermediary took it in early data (RFC 8470 §5.1).
  EXPECT_EQ(answer(world, router, with(request("POST", "/x"), "early-data", "1"))->status, 425);
  EXPECT_EQ(answer(world, router, with(get("/x"), "early-data", "1"))->status, 200);
}

TEST_F(Routes, CopiesDoNotSeeLaterChanges) {
  router.get("/a", named("a"));
  const Router copy = router;
  router.get("/b", named("b"));
  EXPECT_EQ(ask("GET", "/b"), "b");
  EXPECT_EQ(answer(world, copy, get("/b"))->status, 404);
  EXPECT_EQ(answer(world, copy, get("/a"))->status, 200);
}

TEST_F(Routes, ManyRoutes) {
  for (int i = 0; i < 500; ++i) {
    router.get("/r" + std::to_string(i) + "/{x}", named(std::to_string(i), {"x"}));
  }
  EXPECT_EQ(ask("GET", "/r0/y"), "0 x=y");
  EXPECT_EQ(ask("GET", "/r123/y"), "123 x=y");
  EXPECT_EQ(ask("GET", "/r499/y"), "499 x=y");
  EXPECT_EQ(ask("GET", "/r500/y"), "404");
}

TEST(Router, ChecksPatterns) {
  for (const char* good : {"/", "/a", "/a/", "/{x}", "/{x}/y/{z...}", "//", "/a.b~c"}) {
    EXPECT_TRUE(Router::check_pattern(good)) << good;
  }
  for (const char* bad : {"", "a", "/{}", "/{x", "/x}", "/a{x}", "/{x}b", "/{x...}/y", "/{x}/{x}",
                          "/a?b", "/a#b", "/a%20b", "/{...}", "/{a.b}", "/{{x}}"}) {
    EXPECT_FALSE(Router::check_pattern(bad)) << bad;
  }
  std::string deep;
  for (int i = 0; i < 32; ++i) deep += "/{a" + std::to_string(i) + "}";
  EXPECT_TRUE(Router::check_pattern(deep));
  EXPECT_FALSE(Router::check_pattern(deep + "/x"));
}

TEST(RouterDeathTest, RefusesTwoHandlersForOneRoute) {
  Router router;
  router.get("/a/{x}", named("a"));
  EXPECT_DEATH(router.get("/a/{y}", named("b")), "other.method != method");
  EXPECT_DEATH(router.get("a", named("b")), "check_pattern");
}

}  // namespace
}  // namespace tern::http
