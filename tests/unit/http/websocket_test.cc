#include "http/websocket.h"

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/router.h"
#include "tests/unit/http/handler_rig.h"
#include "tests/unit/http/websocket_bytes.h"

/// `http::WebSocket` on an exchange without a protocol, in virtual time: what the handler sees, and
/// which bytes leave.

namespace tern::http {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using test::bare;
using test::close_frame;
using test::frame;
using test::more;
using test::RecordingCarrier;
using test::request;
using test::text;
using test::World;

RequestHead handshake() {
  RequestHead head = request("CONNECT", "/ws");
  head.protocol = "websocket";
  head.fields.add("sec-websocket-version", "13");
  return head;
}

std::string closing(int code, std::string_view reason = {}) {
  std::string payload;
  payload.push_back(static_cast<char>(code >> 8));
  payload.push_back(static_cast<char>(code));
  return bare(8, payload.append(reason));
}

/// A server's handler at work.
class Rig : public test::HandlerRig {
 public:
  explicit Rig(WebSocketHandler handler, WebSocketOptions options = WebSocketOptions(),
               RequestHead head = handshake())
      : HandlerRig(websocket(std::move(handler), std::move(options)), std::move(head)) {}
};

Task<void> echo(WebSocket& socket) {
  while (auto message = co_await socket.receive()) {
    const Result<void> sent = co_await socket.send(std::move(*message));
    if (!sent) break;
  }
}

TEST(WebSocket, Echoes) {
  Rig rig(echo);
  EXPECT_EQ(rig.carrier.status, 200);
  rig.push(text("Hello") + frame(2, "\x01\x02") + text("a", false) + more("b", true));
  EXPECT_EQ(rig.sent(), bare(1, "Hello") + bare(2, "\x01\x02") + bare(1, "ab"));
  EXPECT_FALSE(rig.returned());
}

TEST(WebSocket, AnswersAPing) {
  Rig rig(echo);
  rig.push(frame(9, "are you there"));
  EXPECT_EQ(rig.sent(), bare(10, "are you there"));
}

TEST(WebSocket, AnswersACloseAndEndsTheStream) {
  Rig rig(echo);
  rig.push(close_frame(1001, "going"));
  EXPECT_EQ(rig.sent(), closing(1001));
  EXPECT_TRUE(rig.carrier.ended);
  EXPECT_FALSE(rig.returned()) << "the client has not ended its stream";
  rig.finish();
  EXPECT_TRUE(rig.returned());
  EXPECT_EQ(rig.carrier.aborted, std::nullopt);
  EXPECT_EQ(rig.carrier.stopped, std::nullopt);
}

TEST(WebSocket, AnswersACloseWithoutACodeByOne) {
  Rig rig(echo);
  rig.push(frame(8, ""));
  EXPECT_EQ(rig.sent(), bare(8, ""));
}

TEST(WebSocket, AnswersWhatCameBeforeTheCloseFirst) {
  Rig rig(echo);
  rig.push(text("a") + text("b") + close_frame(1000));
  EXPECT_EQ(rig.sent(), bare(1, "a") + bare(1, "b") + closing(1000));
  EXPECT_TRUE(rig.carrier.ended);
  // The same when the client ends its stream at once.
  Rig quick(echo);
  quick.exchange().incoming().push(Bytes::copy(text("a") + close_frame(1000)));
  quick.finish();
  EXPECT_EQ(quick.sent(), bare(1, "a") + closing(1000));
  EXPECT_TRUE(quick.returned());
}

TEST(WebSocket, GivesAnAnswerItsTime) {
  const WebSocketHandler slow = [](WebSocket& socket) -> Task<void> {
    while (auto message = co_await socket.receive()) {
      co_await socket.runtime().sleep(std::chrono::seconds(message->data.size()));
      co_await socket.send(std::move(*message));
    }
  };
  Rig rig(slow);
  rig.push(text("aaaa"));
  rig.push(close_frame(1000));
  EXPECT_EQ(rig.sent(), "");
  rig.pass(4s);
  EXPECT_EQ(rig.sent(), bare(1, "aaaa") + closing(1000));
  // Not for ever.
  Rig late(slow);
  late.push(text(std::string(20, 'a')));
  late.push(close_frame(4001));
  late.pass(4900ms);
  EXPECT_EQ(late.sent(), "");
  late.pass(200ms);
  EXPECT_EQ(late.sent(), closing(4001));
  late.pass(20s);
  EXPECT_EQ(late.sent(), "");
  EXPECT_TRUE(late.returned());
}

TEST(WebSocket, OneThatDoesNotReceiveIsClosedAtOnce) {
  std::string what;
  Rig rig([&](WebSocket& socket) -> Task<void> {
    while (!socket.ended()) {
      co_await socket.runtime().sleep(1s);
      const Result<void> sent = co_await socket.send_text("tick");
      what = sent ? "sent" : sent.error().detail;
    }
  });
  rig.pass(1s);
  rig.push(close_frame(1000));
  EXPECT_EQ(rig.sent(), bare(1, "tick") + closing(1000));
  rig.pass(1s);
  EXPECT_EQ(what, "the WebSocket is closed");
}

TEST(WebSocket, DoesNotWaitForeverForTheEndOfTheStream) {
  Rig rig(echo);
  rig.push(close_frame(1000));
  rig.pass(4900ms);
  EXPECT_FALSE(rig.returned());
  rig.pass(200ms);
  EXPECT_TRUE(rig.returned());
  EXPECT_EQ(rig.carrier.stopped, Abort::no_error);
}

TEST(WebSocket, IsClosedWhenTheServerDrains) {
  Rig rig(echo);
  rig.push(text("a"));
  EXPECT_EQ(rig.sent(), bare(1, "a"));
  rig.exchange().drain();
  rig.settle();
  EXPECT_EQ(rig.sent(), closing(1001, "the server is going away"));
  // What was on its way is not answered any more.
  rig.push(text("b") + close_frame(1001));
  rig.finish();
  EXPECT_EQ(rig.sent(), "");
  EXPECT_TRUE(rig.returned());
  EXPECT_EQ(rig.carrier.aborted, std::nullopt);
}

TEST(WebSocket, IsRefusedWhenTheServerDrains) {
  World world;
  RecordingCarrier carrier;
  auto exchange = std::make_unique<Exchange>(world.runtime, carrier, handshake());
  exchange->drain();
  Scope scope(world.runtime.ready());
  scope.spawn(serve(websocket(echo), std::move(exchange), nullptr));
  while (world.runtime.next_deadline() <= world.driver.now()) world.runtime.turn();
  EXPECT_EQ(carrier.status, 503);
}

TEST(WebSocket, TellsHowItEnded) {
  struct Row {
    std::string bytes;
    bool finish;
    int code;
    std::string reason;
    bool clean;
    std::string sent;
  };
  for (const Row& row : std::vector<Row>{
           {close_frame(4000, "bye"), true, 4000, "bye", true, closing(4000)},
           {frame(8, ""), true, 1005, "", true, bare(8, "")},
           {"", true, 1006, "", false, ""},
           {text("cut").substr(0, 4), true, 1006, "", false, ""},
           {text("\xff"), false, 1007, "a text message that is no UTF-8", false,
            closing(1007, "a text message that is no UTF-8")},
           {frame(3, ""), false, 1002, "opcode 3 is reserved", false,
            closing(1002, "opcode 3 is reserved")},
       }) {
    WebSocketClose end;
    bool error = false;
    const WebSocketHandler handler = [&](WebSocket& socket) -> Task<void> {
      const auto message = co_await socket.receive();
      EXPECT_FALSE(message);
      end = socket.closed();
      error = socket.error().has_value();
    };
    Rig rig(handler);
    if (!row.bytes.empty()) rig.push(row.bytes);
    if (row.finish) rig.finish();
    EXPECT_EQ(end.code, row.code);
    EXPECT_EQ(end.reason, row.reason);
    EXPECT_EQ(end.clean, row.clean);
    EXPECT_EQ(error, !row.clean);
    EXPECT_EQ(rig.sent(), row.sent);
    EXPECT_TRUE(rig.carrier.ended);
    EXPECT_EQ(rig.returned(), row.finish);
    rig.pass(6s);
    EXPECT_TRUE(rig.returned());
  }
}

TEST(WebSocket, ClosesWhenTheHandlerReturns) {
  Rig rig([](WebSocket& socket) -> Task<void> { co_await socket.send_text("bye"); });
  EXPECT_EQ(rig.sent(), bare(1, "bye") + closing(1000));
  EXPECT_FALSE(rig.carrier.ended) << "the client has not answered";
  rig.push(text("late") + close_frame(1000));
  EXPECT_EQ(rig.sent(), "");
  EXPECT_TRUE(rig.carrier.ended);
  rig.finish();
  EXPECT_TRUE(rig.returned());
}

TEST(WebSocket, ResetsWhenNobodyAnswersTheClose) {
  Rig rig([](WebSocket&) -> Task<void> { co_return; });
  EXPECT_EQ(rig.sent(), closing(1000));
  rig.pass(5100ms);
  EXPECT_TRUE(rig.returned());
  EXPECT_EQ(rig.carrier.aborted, Abort::cancelled);
}

TEST(WebSocket, ClosesWith1011WhenTheHandlerThrows) {
  Rig rig([](WebSocket& socket) -> Task<void> {
    co_await socket.receive();
    throw std::runtime_error("oops");
  });
  rig.push(text("x"));
  EXPECT_EQ(rig.sent(), closing(1011));
  rig.push(close_frame(1011));
  rig.finish();
  EXPECT_TRUE(rig.returned());
  ASSERT_EQ(rig.world.log.lines.size(), 1U);
  EXPECT_THAT(rig.world.log.lines[0], ::testing::HasSubstr("oops"));
}

TEST(WebSocket, DropsWhatComesAfterAFailureAndNotForever) {
  Rig rig(echo);
  rig.push(frame(3, ""));
  rig.sent();
  const std::string block(100'000, 'x');
  for (int i = 0; i < 11; ++i) {
    if (!rig.returned()) rig.push(block);
  }
  EXPECT_TRUE(rig.returned());
  EXPECT_EQ(rig.carrier.stopped, Abort::no_error);
  EXPECT_EQ(rig.sent(), "");
}

TEST(WebSocket, RefusesTextThatIsNone) {
  std::string what;
  Rig rig([&](WebSocket& socket) -> Task<void> {
    const Result<void> sent = co_await socket.send_text("\xff");
    if (!sent) what = sent.error().detail;
  });
  EXPECT_EQ(what, "a text message has to be UTF-8");
  EXPECT_EQ(rig.sent(), closing(1000));
}

TEST(WebSocket, SendsInParts) {
  Rig rig([](WebSocket& socket) -> Task<void> {
    co_await socket.send_part(true, Bytes::literal("a"), false);
    co_await socket.send_part(true, Bytes::literal("b"), false);
    EXPECT_FALSE(socket.try_send(true, Bytes::literal("x")));
    co_await socket.send_part(true, Bytes::literal("c"), true);
    EXPECT_TRUE(socket.try_send(true, Bytes::literal("x")));
    co_await socket.receive();
  });
  EXPECT_EQ(rig.sent(),
            bare(1, "a", false) + bare(0, "b", false) + bare(0, "c", true) + bare(1, "x"));
}

TEST(WebSocket, OthersWaitForAMessageInParts) {
  const WebSocketHandler handler = [](WebSocket& socket) -> Task<void> {
    Scope scope(socket.runtime().ready());
    const auto other = [](WebSocket& its) -> Task<void> {
      const Result<void> sent = co_await its.send_text("other");
      EXPECT_TRUE(sent);
    };
    co_await socket.send_part(true, Bytes::literal("a"), false);
    scope.spawn(other(socket));
    co_await socket.receive();
    co_await socket.send_part(true, Bytes::literal("b"), true);
    co_await socket.receive();
  };
  Rig rig(handler);
  EXPECT_EQ(rig.sent(), bare(1, "a", false));
  rig.push(frame(9, "p"));
  EXPECT_EQ(rig.sent(), bare(10, "p")) << "control frames go in between";
  rig.push(text("go"));
  EXPECT_EQ(rig.sent(), bare(0, "b", true) + bare(1, "other"));
}

TEST(WebSocket, ReceivesInParts) {
  std::vector<std::string> parts;
  Rig rig([&](WebSocket& socket) -> Task<void> {
    while (auto part = co_await socket.receive_part()) {
      parts.push_back(part->data + (part->last ? "." : ""));
    }
  });
  rig.push(text("Hel", false));
  rig.push(more("lo", false));
  rig.push(more("", true) + text("x"));
  EXPECT_THAT(parts, ::testing::ElementsAre("Hel", "lo", ".", "x."));
}

TEST(WebSocket, HoldsThePeerBackWhenTheApplicationIsBehind) {
  bool go = false;
  std::size_t received = 0;
  Rig rig(
      [&](WebSocket& socket) -> Task<void> {
        while (!go) co_await socket.runtime().sleep(1s);
        while (auto message = co_await socket.receive()) ++received;
      },
      WebSocketOptions().receive_buffer(1000));
  for (int i = 0; i < 10; ++i) rig.push(text(std::string(600, 'x')));
  EXPECT_LT(rig.carrier.credited, 3000U) << "flow control is not opened for what is not taken";
  EXPECT_GT(rig.exchange().incoming().buffered(), 3000U);
  // One chunk with many messages as well.
  go = true;
  rig.pass(1s);
  EXPECT_EQ(received, 10U);
  EXPECT_EQ(rig.exchange().incoming().buffered(), 0U);
}

TEST(WebSocket, ReadsAMessageLargerThanTheBuffer) {
  Rig rig(echo, WebSocketOptions().receive_buffer(1000));
  const std::string large(100'000, 'x');
  rig.push(text(large, false));
  rig.push(more(large, true));
  EXPECT_EQ(rig.sent(), bare(1, large + large));
}

TEST(WebSocket, WaitsWhileThePeerIsBehind) {
  std::size_t sent = 0;
  const std::string block(100'000, 'x');
  Rig rig([&](WebSocket& socket) -> Task<void> {
    for (int i = 0; i < 10; ++i) {
      const Result<void> done = co_await socket.send_binary(Bytes::copy(block));
      if (!done) co_return;
      ++sent;
    }
    co_await socket.receive();
  });
  EXPECT_EQ(sent, 10U);
  // Now nothing leaves.
  sent = 0;
  std::optional<Error> failure;
  Rig slow([&](WebSocket& socket) -> Task<void> {
    co_await socket.receive();
    for (int i = 0; i < 10; ++i) {
      const Result<void> done = co_await socket.send_binary(Bytes::copy(block));
      if (!done) {
        failure = done.error();
        co_return;
      }
      ++sent;
    }
  });
  slow.carrier.hold = true;
  slow.push(text("go"));
  EXPECT_EQ(sent, 3U) << "256 KiB and one message";
  slow.push(frame(9, "1") + frame(9, "2"));
  EXPECT_EQ(slow.carrier.body.find(bare(10, "2")), std::string::npos);
  // The peer reads again.
  slow.sent();
  slow.carrier.queued = 0;
  slow.exchange().outgoing().drained();
  slow.settle();
  EXPECT_EQ(sent, 6U);
  EXPECT_EQ(slow.sent().substr(0, 3), bare(10, "2")) << "the latest ping alone is answered, first";
  // And then never again.
  slow.pass(29s);
  EXPECT_FALSE(failure);
  slow.pass(2s);
  ASSERT_TRUE(failure);
  EXPECT_TRUE(failure->is(Code::timed_out)) << failure->to_string();
  EXPECT_EQ(slow.carrier.aborted, Abort::too_much);
  EXPECT_TRUE(slow.returned());
}

TEST(WebSocket, LimitsWaitingSends) {
  std::vector<std::string> results;
  const WebSocketHandler handler = [&](WebSocket& socket) -> Task<void> {
    Scope scope(socket.runtime().ready());
    const auto other = [](WebSocket& its, std::vector<std::string>& out) -> Task<void> {
      const Result<void> sent = co_await its.send_binary(Bytes::copy(std::string(300'000, 'x')));
      out.push_back(sent ? "sent" : sent.error().detail);
    };
    for (int i = 0; i < 5; ++i) scope.spawn(other(socket, results));
    co_await socket.receive();
  };
  Rig rig(handler, WebSocketOptions().max_waiting_sends(3));
  EXPECT_EQ(results.size(), 5U);
  results.clear();
  Rig slow(
      [&](WebSocket& socket) -> Task<void> {
        co_await socket.receive();
        co_await handler(socket);
      },
      WebSocketOptions().max_waiting_sends(3));
  slow.carrier.hold = true;
  slow.push(text("go"));
  EXPECT_THAT(results, ::testing::ElementsAre("sent", "too many messages wait to be sent"));
  slow.push(close_frame(1000));
  slow.finish();
  EXPECT_TRUE(slow.returned());
}

TEST(WebSocket, LimitsPings) {
  Rig rig(echo, WebSocketOptions().max_control_frames(10));
  for (int i = 0; i < 10; ++i) rig.push(frame(9, ""));
  rig.sent();
  rig.push(frame(9, ""));
  EXPECT_EQ(rig.sent(), closing(1008, "too many pings"));
}

TEST(WebSocket, PingsASilentPeerAndLeavesADeadOne) {
  WebSocketClose end;
  std::optional<Error> error;
  const WebSocketHandler handler = [&](WebSocket& socket) -> Task<void> {
    co_await socket.receive();
    end = socket.closed();
    error = socket.error();
  };
  Rig rig(handler);
  rig.pass(19s);
  EXPECT_EQ(rig.sent(), "");
  rig.pass(1s);
  const std::string ping = rig.sent();
  EXPECT_EQ(ping, bare(9, "\x01\0\0\0\0\0\0\0"s));
  rig.pass(10s);
  rig.push(frame(10, ping.substr(2)));
  rig.pass(19s);
  EXPECT_EQ(rig.sent(), "");
  rig.pass(1s);
  EXPECT_EQ(rig.sent(), bare(9, "\x02\0\0\0\0\0\0\0"s));
  rig.pass(19s);
  EXPECT_FALSE(rig.returned());
  rig.pass(1s);
  EXPECT_TRUE(rig.returned());
  EXPECT_EQ(end.code, 1006);
  ASSERT_TRUE(error);
  EXPECT_TRUE(error->is(Code::timed_out));
  EXPECT_EQ(rig.carrier.aborted, Abort::cancelled);
}

TEST(WebSocket, DoesNotBlameThePeerForItsOwnApplication) {
  bool go = false;
  Rig rig(
      [&](WebSocket& socket) -> Task<void> {
        while (!go) co_await socket.runtime().sleep(1s);
        co_await echo(socket);
      },
      WebSocketOptions().receive_buffer(10));
  rig.push(text("0123456789"));
  rig.pass(5min);
  EXPECT_FALSE(rig.returned());
  go = true;
  rig.pass(1s);
  EXPECT_EQ(rig.sent(), bare(1, "0123456789"));
}

TEST(WebSocket, ClosesAnIdleOne) {
  Rig rig(echo, WebSocketOptions().idle_timeout(60s).ping_interval(Duration::zero()));
  rig.pass(50s);
  rig.push(text("x") + frame(9, ""));
  rig.sent();
  rig.pass(59s);
  rig.push(frame(9, ""));
  EXPECT_EQ(rig.sent(), bare(10, ""));
  rig.pass(1s);
  EXPECT_EQ(rig.sent(), closing(1001, "idle"));
  rig.push(close_frame(1001));
  rig.finish();
  EXPECT_TRUE(rig.returned());
}

TEST(WebSocket, MeasuresARoundTrip) {
  Duration measured{};
  Rig rig([&](WebSocket& socket) -> Task<void> {
    const Result<Duration> trip = co_await socket.ping();
    if (trip) measured = *trip;
    co_await socket.receive();
  });
  const std::string ping = rig.sent();
  rig.pass(30ms);
  rig.push(frame(10, ping.substr(2)));
  EXPECT_EQ(measured, 30ms);
}

TEST(WebSocket, FailsWhatWaitsWhenTheStreamIsReset) {
  std::vector<std::string> results;
  Rig rig([&](WebSocket& socket) -> Task<void> {
    const auto message = co_await socket.receive();
    results.push_back(message ? "message" : socket.error()->detail);
    const Result<void> sent = co_await socket.send_text("x");
    results.push_back(sent ? "sent" : sent.error().detail);
    const Result<Duration> trip = co_await socket.ping();
    results.push_back(trip ? "pong" : trip.error().detail);
  });
  rig.exchange().carrier_gone(Error::closed("the connection is lost"));
  rig.settle();
  EXPECT_TRUE(rig.returned());
  EXPECT_THAT(results, ::testing::ElementsAre("the connection is lost", "the WebSocket is closed",
                                              "the connection is lost"));
}

TEST(WebSocket, KeepsMessagesThatCameBeforeTheEnd) {
  std::vector<std::string> seen;
  bool go = false;
  Rig rig([&](WebSocket& socket) -> Task<void> {
    while (!go) co_await socket.runtime().sleep(1s);
    while (auto message = co_await socket.receive()) seen.push_back(message->data);
  });
  rig.push(text("a") + text("b") + text("half", false) + close_frame(1000));
  go = true;
  rig.pass(1s);
  EXPECT_THAT(seen, ::testing::ElementsAre("a", "b"));
}

TEST(WebSocket, HearsThePeerOutAfterItsOwnClose) {
  std::vector<std::string> seen;
  Rig rig([&](WebSocket& socket) -> Task<void> {
    socket.start_close(1001, "enough");
    const Result<void> sent = co_await socket.send_text("x");
    seen.push_back(sent ? "sent" : sent.error().detail);
    while (auto message = co_await socket.receive()) seen.push_back(message->data);
    seen.push_back(std::to_string(socket.closed().code));
  });
  EXPECT_EQ(rig.sent(), closing(1001, "enough"));
  rig.pass(4s);
  rig.push(text("a"));
  rig.pass(4s);
  rig.push(text("b") + close_frame(1001));
  EXPECT_THAT(seen, ::testing::ElementsAre("the WebSocket is closed", "a", "b", "1001"));
  EXPECT_EQ(rig.sent(), "");
  EXPECT_TRUE(rig.carrier.ended);
}

TEST(WebSocket, CompressesWhereThatWasAgreedOn) {
  RequestHead head = handshake();
  head.fields.add("sec-websocket-extensions", "permessage-deflate; client_max_window_bits");
  WebSocketStats stats;
  Rig rig(
      [&](WebSocket& socket) -> Task<void> {
        EXPECT_TRUE(socket.compressed());
        co_await echo(socket);
        stats = socket.stats();
      },
      WebSocketOptions(), head);
  EXPECT_EQ(rig.carrier.field("sec-websocket-extensions"),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  rig.push(text("small"));
  EXPECT_EQ(rig.sent(), bare(1, "small"));
  rig.push(text(std::string(10'000, 'x')));
  const std::string compressed = rig.sent();
  EXPECT_LT(compressed.size(), 100U);
  EXPECT_EQ(compressed[0], '\xc1');  // FIN, RSV1, text
  rig.push(close_frame(1000));
  EXPECT_EQ(stats.messages_received, 2U);
  EXPECT_EQ(stats.messages_sent, 2U);
  EXPECT_EQ(stats.bytes_sent, 10'005U);
  EXPECT_LT(stats.wire_sent, 200U);
}

TEST(WebSocket, IsARoute) {
  Router router;
  router.websocket("/ws/{room}", [](WebSocket& socket) -> Task<void> {
    co_await socket.send_text(std::string(socket.exchange()->parameter("room")));
  });
  RecordingCarrier carrier;
  World world;
  RequestHead head = handshake();
  head.path = "/ws/kitchen";
  auto exchange = std::make_unique<Exchange>(world.runtime, carrier, std::move(head));
  exchange->incoming().finish();
  world.run(serve(router, std::move(exchange), nullptr));
  EXPECT_EQ(carrier.status, 200);
  EXPECT_EQ(carrier.body, bare(1, "kitchen") + closing(1000));
}

}  // namespace
}  // namespace tern::http
