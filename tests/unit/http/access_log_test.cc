#include "http/access_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/escape.h"
#include "tests/unit/http/recording_carrier.h"

namespace tern::http {
namespace {

using test::get;
using test::RecordingCarrier;
using test::World;
using ::testing::ElementsAre;

AccessEntry entry(std::string path) {
  AccessEntry made;
  made.time = 784111777;
  made.remote = "192.0.2.1:4000";
  made.protocol = "h3";
  made.method = "GET";
  made.path = std::move(path);
  made.status = 200;
  made.bytes = 12;
  made.duration = std::chrono::microseconds(1234);
  return made;
}

TEST(AccessLog, WritesTextAndJson) {
  EXPECT_EQ(access_line(entry("/a?b"), AccessLogFormat::text),
            "1994-11-06T08:49:37Z 192.0.2.1:4000 h3 GET \"/a?b\" 200 12 1.234ms");
  EXPECT_EQ(access_line(entry("/a?b"), AccessLogFormat::json),
            "{\"time\":\"1994-11-06T08:49:37Z\",\"remote\":\"192.0.2.1:4000\",\"protocol\":\"h3\","
            "\"method\":\"GET\",\"path\":\"/a?b\",\"status\":200,\"bytes\":12,"
            "\"duration_ms\":1.234}");
}

TEST(AccessLog, NothingFromThePeerStartsALine) {
  const AccessEntry evil = entry("/\n\x1b[31m\"\\\xc3\xa4\xff");
  EXPECT_THAT(access_line(evil, AccessLogFormat::text),
              ::testing::HasSubstr("\"/\\x0a\\x1b[31m\\x22\\x5c\xc3\xa4\\xff\""));
  EXPECT_THAT(access_line(evil, AccessLogFormat::json),
              ::testing::HasSubstr("\"/\\u000a\\u001b[31m\\\"\\\\\xc3\xa4\xef\xbf\xbd\""));
}

TEST(AccessLog, HidesSecrets) {
  EXPECT_EQ(without_secrets("a=1&access_token=xyz&b"), "a=1&access_token=***&b");
  EXPECT_EQ(without_secrets("Key=1&X-Amz-Signature=2&sid=3"),
            "Key=***&X-Amz-Signature=***&sid=***");
  EXPECT_EQ(without_secrets("keyboard=1&token"), "keyboard=1&token");
  EXPECT_EQ(without_secrets(""), "");
  EXPECT_EQ(without_secrets("&&a"), "&&a");
}

TEST(AccessLog, HidesSecretsInFields) {
  EXPECT_EQ(without_secrets("authorization", "Bearer sesame"), "***");
  EXPECT_EQ(without_secrets("cookie", "a=b"), "***");
  EXPECT_EQ(without_secrets(":path", "/a?token=sesame&b=c"), "/a?token=***&b=c");
  EXPECT_EQ(without_secrets(":path", "/a"), "/a");
  EXPECT_EQ(without_secrets(":path", ""), "");
  EXPECT_EQ(without_secrets("sec-websocket-protocol", "chat.v1, bearer.sesame, bearer.other,x"),
            "chat.v1, bearer.***, bearer.***,x");
  EXPECT_EQ(without_secrets("accept", "bearer.sesame"), "bearer.sesame");
}

TEST(AccessLog, TellsOfAnExchange) {
  World world;
  RecordingCarrier carrier;
  test::KeptLog lines;
  const AccessLog log(lines, AccessLogFormat::text);
  auto exchange = std::make_unique<Exchange>(world.runtime, carrier, get("/x?password=1"));
  const Handler handler = [](Exchange& it) -> Task<void> {
    co_await it.runtime().sleep(std::chrono::milliseconds(1500));
    co_await it.respond(Status::ok, "hello");
  };
  world.run(serve(handler, std::move(exchange), log));
  EXPECT_THAT(lines.lines, ElementsAre("1994-11-06T08:49:38Z 192.0.2.1:4000 h3 GET "
                                       "\"/x?password=***\" 200 5 1500.000ms"));
}

TEST(Escape, Limits) {
  EXPECT_EQ(escaped("abcdef", 3), "abc…");
  EXPECT_EQ(escaped("abc", 3), "abc");
}

TEST(Escape, NothingCommandsATerminal) {
  EXPECT_EQ(escaped("\x1b[2J\r\n\x7f"), "\\x1b[2J\\x0d\\x0a\\x7f");
  // CSI as one character, and as the byte of a terminal that does not know UTF-8.
  EXPECT_EQ(escaped("a\xc2\x9b"
                    "2J"),
            "a\\xc2\\x9b2J");
  EXPECT_EQ(escaped("a\x9b"
                    "2J"),
            "a\\x9b2J");
  EXPECT_EQ(escaped("\xc2\xa0\xe2\x82\xac\xf0\x9f\x90\xa6"),
            "\xc2\xa0\xe2\x82\xac\xf0\x9f\x90\xa6");
  EXPECT_EQ(escaped("\xe2\x82\xac", 2), "\\xe2\\x82…");
  std::string json;
  append_json_escaped(json, "\xc2\x9b\xc2\xa0");
  EXPECT_EQ(json, "\\u009b\xc2\xa0");
}

TEST(Escape, Html) {
  std::string out;
  append_html_escaped(out, "<a href=\"x\">'&'</a>");
  EXPECT_EQ(out, "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
}

TEST(Escape, Json) {
  std::string out;
  append_json_escaped(out, "\xe2\x82\xac\xed\xa0\x80\xf0\x9f\x90\xa6\xc0\x80\x7f");
  EXPECT_EQ(out,
            "\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x90\xa6\xef\xbf\xbd\xef\xbf"
            "\xbd\\u007f");
}

TEST(Escape, Percent) {
  std::string out;
  EXPECT_TRUE(percent_decode("a%2Fb%00%e2", out));
  EXPECT_EQ(out, std::string("a/b\0\xe2", 5));
  for (const char* bad : {"%", "%1", "a%g0", "%0g", "%%30"})
    EXPECT_FALSE(percent_decode(bad, out)) << bad;
  out.clear();
  append_percent_encoded(out, "a b/c\xff~", "/");
  EXPECT_EQ(out, "a%20b/c%FF~");
}

}  // namespace
}  // namespace tern::http
