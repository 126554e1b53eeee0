#include <string>

#include "tests/unit/fallback/http1_rig.h"

namespace tern::fallback::http1_testing {
namespace {

Task<void> greet(http::Exchange& exchange) { co_await exchange.respond(http::Status::ok, "hello"); }

// ---- clients and servers that misbehave ---------------------------------------------------------

Reply answer_with(std::string_view response, bool finish, std::string method = "GET") {
  Rig rig(greet);
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

/// What its first bytes show is not waited for: such a server may never close.
TEST(Http1Client, AnotherProtocol) {
  for (const std::string_view said :
       {"SSH-2.0-OpenSSH_9.2\r\n", "220 mail ready\r\n", "<html>hello", "\x15\x03\x03",
        "http/1.1 200 OK\r\n\r\n", "\r\n"}) {
    const Reply reply = answer_with(said, false);
    ASSERT_TRUE(reply.done && reply.error) << said;
    EXPECT_TRUE(reply.error->is(Code::invalid)) << said;
    EXPECT_EQ(reply.error->origin, Origin::remote) << said;
    EXPECT_EQ(reply.error->detail,
              "the server's answer breaks HTTP/1.1: it does not begin with HTTP/");
  }
}

TEST(Http1Client, WhatIsWrongIsSaid) {
  struct Row {
    std::string_view fields;
    std::string_view said;
  };
  for (const Row& row : {
           Row{"Content-Length: 2\r\nContent-Length: 2\r\n", "more than one content-length"},
           Row{"Content-Length: 2\r\nContent-Length: 3\r\n", "content-length"},
           Row{"Content-Length: -1\r\n", "content-length that is no number"},
           Row{"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "beside"},
           Row{"Transfer-Encoding: gzip, chunked\r\n", "transfer coding"},
           Row{"X : y\r\n", "blank in a field's name"},
       }) {
    const std::string text = "HTTP/1.1 200 OK\r\n" + std::string(row.fields) + "\r\nok";
    const Reply reply = answer_with(text, false);
    ASSERT_TRUE(reply.error) << row.fields;
    EXPECT_THAT(reply.error->detail, ::testing::HasSubstr(std::string(row.said))) << row.fields;
  }
}

TEST(Http1Client, OddButPlain) {
  const std::string rest = "\r\nContent-Length: 2\r\n\r\nok";
  for (const std::string& line :
       {std::string("HTTP/1.1 200"), std::string("HTTP/1.1 200 "), std::string("HTTP/1.0 200"),
        std::string("HTTP/1.1 200 \xc3\xa4"), std::string("HTTP/1.1 999 Odd")}) {
    for (const bool split : {false, true}) {
      Rig rig(greet);
      rig.accept_raw = true;
      rig.connect();
      auto reply = rig.start(request("GET", "/"));
      rig.world.run_until([&] { return rig.raw_server.received.ends_with("\r\n\r\n"); });
      if (split) {
        for (const char byte : line + rest) {
          rig.raw_server.say(std::string_view(&byte, 1));
          rig.world.run_for(1ms);
        }
      } else {
        rig.raw_server.say(line + rest);
      }
      rig.world.run_until([&] { return reply->done; }, 5s);
      EXPECT_FALSE(reply->error) << line << ": " << reply->error->to_string();
      EXPECT_EQ(reply->body, "ok") << line;
    }
  }
}

TEST(Http1Client, NoResponse) {
  const Reply reply = answer_with("", true);
  ASSERT_TRUE(reply.error);
  EXPECT_FALSE(reply.error->is(Code::rejected));  // it may have been processed
  EXPECT_EQ(reply.error->detail, "the server closed the connection without a response");
  for (const std::string_view part : {"HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Le"}) {
    const Reply half = answer_with(part, true);
    ASSERT_TRUE(half.error) << part;
    EXPECT_EQ(half.error->detail, "the server closed the connection in the middle of a response");
  }
}

TEST(Http1Client, AResponseBeforeTheRequestEndsTheConnection) {
  Rig rig(greet);
  rig.accept_raw = true;
  rig.connect();
  rig.world.run_for(100ms);
  rig.raw_server.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  rig.world.run_for(1s);
  EXPECT_TRUE(rig.closed);
}

TEST(Http1Client, ConnectionCloseRefusesWhatWaits) {
  Rig rig(greet);
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
  Rig rig(greet);
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
  Rig rig(greet, SessionOptions(), SessionOptions(), Protocol::sniffed);
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
  Rig rig(greet, options, SessionOptions(), Protocol::sniffed);
  rig.talk("", 0, 10s);
  EXPECT_TRUE(rig.last_closed);
  rig.talk("PRI * HT", 0, 12s);
  EXPECT_TRUE(rig.last_closed);
  EXPECT_EQ(rig.server_count("http1.timeouts"), 2u);
  EXPECT_EQ(rig.server_context->sessions(), 0u);
}

}  // namespace
}  // namespace tern::fallback::http1_testing
