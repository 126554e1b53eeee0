#include <string>

#include "tests/unit/fallback/http1_rig.h"

namespace tern::fallback::http1_testing {
namespace {

Task<void> hello(http::Exchange& exchange) { co_await exchange.respond(http::Status::ok, "hello"); }

// ---- clients and servers that misbehave ---------------------------------------------------------

Reply answer_with(std::string_view response, bool finish, std::string method = "GET") {
  Rig rig(hello);
  rig.accept_raw = true;
  rig.connect();
  auto reply = rig.start(request(std::move(method), "/"));
  rig.world.run_until([&] { return rig.raw_server.received.ends_with("\r\n\r\n"); });
  rig.raw_server.say(response);
  if (finish) rig.raw_server.stream->finish();
  rig.world.run_until([&] { return reply->done; }, 5s);
  return *reply;
}

TEST(Http1Client, ABodyMayEndWithTheConnection) {
  const Reply reply = answer_with("HTTP/1.1 200 OK\r\n\r\nall of it", true);
  EXPECT_TRUE(reply.done);
  EXPECT_FALSE(reply.error);
  EXPECT_EQ(reply.body, "all of it");
}

TEST(Http1Client, ATruncatedBodyIsAnError) {
  for (const std::string_view response :
       {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"}) {
    const Reply reply = answer_with(response, true);
    EXPECT_EQ(reply.body, "half");
    EXPECT_TRUE(reply.error) << response;
  }
}

TEST(Http1Client, BadResponses) {
  for (const std::string_view response : {
           "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
           "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
           "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
           "HTTP/1.1 20 OK\r\n\r\n",
           "HTTP/1.1 2000 OK\r\n\r\n",
           "HTTP/1.1 099 OK\r\n\r\n",
           "HTTP/2 200 OK\r\n\r\n",
           "ICY 200 OK\r\n\r\n",
           "HTTP/1.1 101 Switching Protocols\r\n\r\n",
           "SSH-2.0-OpenSSH\r\n\r\n",
       }) {
    const Reply reply = answer_with(response, false);
    EXPECT_TRUE(reply.done && reply.error) << response;
  }
}

TEST(Http1Client, NoResponse) {
  const Reply reply = answer_with("", true);
  ASSERT_TRUE(reply.error);
  EXPECT_FALSE(reply.error->is(Code::rejected));  // it may have been processed
}

TEST(Http1Client, AResponseBeforeTheRequestEndsTheConnection) {
  Rig rig(hello);
  rig.accept_raw = true;
  rig.connect();
  rig.world.run_for(100ms);
  rig.raw_server.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  rig.world.run_for(1s);
  EXPECT_TRUE(rig.closed);
}

TEST(Http1Client, ConnectionCloseRefusesWhatWaits) {
  Rig rig(hello);
  rig.accept_raw = true;
  rig.connect();
  auto first = rig.start(request("GET", "/1"));
  auto second = rig.start(request("GET", "/2"));
  rig.world.run_for(100ms);
  EXPECT_EQ(rig.raw_server.received.find("/2"), std::string::npos);
  rig.raw_server.say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
  rig.world.run_until([&] { return second->done; });
  EXPECT_EQ(first->body, "x");
  ASSERT_TRUE(second->error);
  EXPECT_TRUE(second->error->is(Code::rejected));
  EXPECT_EQ(rig.goaways, 1);
}

TEST(Http1Client, AFloodOfInterimResponsesEnds) {
  Rig rig(hello);
  rig.accept_raw = true;
  rig.connect();
  auto reply = rig.start(request("GET", "/"));
  rig.world.run_for(100ms);
  std::string flood;
  for (int i = 0; i < 2000; ++i) flood += "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
  rig.raw_server.say(flood);
  rig.world.run_until([&] { return reply->done; }, 10s);
  EXPECT_TRUE(reply->error);
}

// ---- which protocol it is -----------------------------------------------------------------------

TEST(Sniffed, Http1) {
  Rig rig(hello, SessionOptions(), SessionOptions(), Protocol::sniffed);
  EXPECT_TRUE(rig.talk("GET / HTTP/1.1\r\nHost: a\r\n\r\n").ends_with("hello"));
  // A method that begins as the preface does, split.
  const std::string sent = "PRI / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (std::size_t split = 1; split < sent.size(); ++split) {
    EXPECT_TRUE(rig.talk(sent, split).ends_with("hello")) << split;
  }
  rig.world.run_for(1s);
  EXPECT_EQ(rig.server_context->sessions(), 0u);
}

TEST(Sniffed, NothingIsSaid) {
  SessionOptions options;
  options.idle_timeout = 5s;
  Rig rig(hello, options, SessionOptions(), Protocol::sniffed);
  rig.talk("", 0, 10s);
  EXPECT_TRUE(rig.last_closed);
  rig.talk("PRI * HT", 0, 12s);
  EXPECT_TRUE(rig.last_closed);
  EXPECT_EQ(rig.server_count("http1.timeouts"), 2u);
  EXPECT_EQ(rig.server_context->sessions(), 0u);
}

}  // namespace
}  // namespace tern::fallback::http1_testing
