// Calls over WebSockets: what a server answers to a page's frames.

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "rpc/dispatcher.h"
#include "tests/unit/http/recording_carrier.h"
#include "tests/unit/http/websocket_bytes.h"
#include "tests/unit/rpc/talk_service.h"

namespace tern::rpc {
namespace {

using http::test::RecordingCarrier;
using http::test::World;
using test::Ask;
using test::TalkService;
using test::Told;

constexpr std::string_view kSayPath = "/tern.test.Talk/Say";
constexpr std::string_view kManyPath = "/tern.test.Talk/Many";
constexpr std::string_view kSumPath = "/tern.test.Talk/Sum";
constexpr std::string_view kChatPath = "/tern.test.Talk/Chat";

class Sockets : public ::testing::Test {
 protected:
  /// What the server sends to those frames.
  std::string talk(std::string_view path, const std::string& frames, std::string_view origin = "",
                   std::string_view timeout = "") {
    http::RequestHead head = http::test::request("CONNECT", path);
    head.protocol = "websocket";
    head.fields.add("sec-websocket-version", "13");
    if (!origin.empty()) head.fields.add("origin", origin);
    if (!timeout.empty()) head.fields.add("grpc-timeout", timeout);
    // The peer's end stays open: a close frame that it does not answer is waited for.
    RecordingCarrier carrier;
    auto exchange = std::make_unique<http::Exchange>(world.runtime, carrier, std::move(head));
    exchange->incoming().push(Bytes::copy(frames));
    const http::Handler handler = serve(std::make_shared<TalkService>(), options);
    world.run(http::serve(handler, std::move(exchange), nullptr));
    EXPECT_EQ(carrier.broken, "");
    status = carrier.status;
    return carrier.body;
  }
  static std::string closed(int code, std::string_view reason = {}) {
    std::string payload;
    payload.push_back(static_cast<char>(code >> 8));
    payload.push_back(static_cast<char>(code));
    return http::test::bare(8, payload.append(reason));
  }
  World world;
  ServeOptions options;
  int status = 0;
};

TEST_F(Sockets, EachPattern) {
  using http::test::bare;
  using http::test::close_frame;
  using http::test::frame;
  using http::test::text;
  const std::string bye = text("") + close_frame(1000);
  EXPECT_EQ(talk(kChatPath, text(R"({"text":"a"})") + text(R"({"text":"b"})") + bye),
            bare(1, R"({"text":"a"})") + bare(1, R"({"text":"b"})") + closed(1000));
  EXPECT_EQ(status, 200);
  EXPECT_EQ(talk(kSayPath, text(R"({"text":"a"})") + bye),
            bare(1, R"({"text":"a"})") + closed(1000));
  EXPECT_EQ(talk(kSumPath, text(R"({"text":"a"})") + text(R"({"text":"b"})") + bye),
            bare(1, R"({"text":"ab","number":2})") + closed(1000));
  EXPECT_EQ(talk(kManyPath, text(R"({"times":2})") + bye),
            bare(1, "{}") + bare(1, R"({"number":1})") + closed(1000));
  Ask ask;
  ask.set_text("a");
  Told told;
  told.set_text("a");
  EXPECT_EQ(talk(kChatPath, frame(2, ask.SerializeAsString()) + bye),
            bare(2, told.SerializeAsString()) + closed(1000));
  EXPECT_EQ(talk(kChatPath, frame(2, "") + bye), bare(2, "") + closed(1000));
}

TEST_F(Sockets, StatusesAreCloseCodes) {
  using http::test::bare;
  using http::test::frame;
  using http::test::text;
  options.max_request(64);
  const auto code_in = [](const std::string& sent) {
    const std::size_t at = sent.rfind('\x88');
    if (at == std::string::npos || at + 4 > sent.size()) return 0;
    return static_cast<unsigned char>(sent[at + 2]) << 8 | static_cast<unsigned char>(sent[at + 3]);
  };
  EXPECT_EQ(talk(kChatPath, text(R"({"code":5})")), bare(1, "{}") + closed(4005, "as \"asked\" ä"));
  EXPECT_EQ(talk(kSayPath, text("")), closed(4012, "there is no request message"));
  EXPECT_EQ(code_in(talk(kChatPath, text("{"))), 4003);
  EXPECT_EQ(code_in(talk(kChatPath, frame(2, "\xff\xff"))), 4003);
  EXPECT_EQ(talk(kSayPath, text(R"({"throws":true})")), closed(4013, "the handler failed"));
  EXPECT_EQ(code_in(talk(kChatPath, text("{" + std::string(64, ' ') + "}"))), 1009);
  talk("/tern.test.Talk/Nothing", text("{}"));
  EXPECT_EQ(status, 404);
  options.max_calls(0);
  EXPECT_EQ(code_in(talk(kSayPath, text("{}"))), 4014);
}

TEST_F(Sockets, DeadlinesEndWhatWaits) {
  using http::test::bare;
  using http::test::text;
  const std::string over = closed(4004, "the deadline has passed");
  // Nobody says anything, before the handler and in it.
  EXPECT_EQ(talk(kSayPath, "", "", "50m"), over);
  EXPECT_EQ(talk(kChatPath, text(R"({"text":"a"})"), "", "50m"), bare(1, R"({"text":"a"})") + over);
  EXPECT_EQ(talk(kSayPath, text(R"({"waitMs":1000})"), "", "50m"), over);
  EXPECT_EQ(talk(kSayPath, text("{}"), "", "soon"), closed(4003, "grpc-timeout \"soon\""));
  options.max_duration(std::chrono::milliseconds(50));
  EXPECT_EQ(talk(kSumPath, text("{}")), over);
  EXPECT_EQ(talk(kSayPath, ""), over);
}

TEST_F(Sockets, PagesOfOtherOrigins) {
  const std::string bye = http::test::text("") + http::test::close_frame(1000);
  talk(kChatPath, bye, "https://evil.example");
  EXPECT_EQ(status, 403);
  options.cors(http::Cors().allow("https://app.example"));
  talk(kChatPath, bye, "https://evil.example");
  EXPECT_EQ(status, 403);
  talk(kChatPath, bye, "https://app.example");
  EXPECT_EQ(status, 200);
}

}  // namespace
}  // namespace tern::rpc
