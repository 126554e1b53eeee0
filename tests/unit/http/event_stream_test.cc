#include "http/event_stream.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/event_stream_reader.h"
#include "tests/unit/http/handler_rig.h"

namespace tern::http {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using test::get;
using test::RecordingCarrier;
using test::with;
using test::World;

std::string encoded(const ServerEvent& event) { return event.encoded().value_or("(invalid)"); }

TEST(ServerEvent, IsWrittenLineByLine) {
  EXPECT_EQ(encoded(ServerEvent("a")), "data: a\n\n");
  EXPECT_EQ(encoded(ServerEvent("")), "data: \n\n");
  EXPECT_EQ(encoded(ServerEvent("a\nb\r\nc\rd\n")),
            "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
  EXPECT_EQ(encoded(ServerEvent(" a").name("tick").id("7").retry(1500ms)),
            "event: tick\nid: 7\nretry: 1500\ndata:  a\n\n");
  EXPECT_EQ(encoded(ServerEvent().retry(3s)), "retry: 3000\n\n");
  EXPECT_EQ(encoded(ServerEvent("a").id("")), "id: \ndata: a\n\n");
  EXPECT_EQ(encoded(ServerEvent("a").name("x\ny")), "(invalid)");
  EXPECT_EQ(encoded(ServerEvent("a").id("x\ry")), "(invalid)");
  EXPECT_EQ(encoded(ServerEvent("a").id("x\0y"s)), "(invalid)");
}

// ---- WHATWG HTML §9.2 ---------------------------------------------------------------------------

/// "name|data|id; …" of a stream cut into pieces of `step` bytes.
std::string events_of(std::string_view stream, std::size_t step = SIZE_MAX) {
  EventStreamReader reader;
  std::string seen;
  for (std::size_t at = 0; at < stream.size(); at += std::min(step, stream.size() - at)) {
    const std::string piece(stream.substr(at, step));
    reader.feed(as_bytes(piece));
    for (;;) {
      const auto event = reader.next();
      EXPECT_TRUE(event);
      if (!event || !*event) break;
      seen += (*event)->name + "|" + (*event)->data + "|" + (*event)->id + ";";
    }
  }
  return seen;
}

TEST(EventStreamReader, ReadsAsTheStandardSays) {
  struct Row {
    std::string stream;
    std::string events;
  };
  for (const Row& row : std::vector<Row>{
           // The standard's own examples.
           {"data: This is the first message.\n\n"
            "data: This is the second message, it\ndata: has two lines.\n\n"
            "data: This is the third message.\n\n",
            "message|This is the first message.|;"
            "message|This is the second message, it\nhas two lines.|;"
            "message|This is the third message.|;"},
           {"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
            "add|73857293|;remove|2153|;"},
           {"data: YHOO\ndata: +2\ndata: 10\n\n", "message|YHOO\n+2\n10|;"},
           {": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
            "data:  third event\n",
            "message|first event|1;message|second event|;"},
           {"data\n\ndata\ndata\n\ndata:\n", "message||;message|\n|;"},
           {"data:test\n\ndata: test\n\n", "message|test|;message|test|;"},
           // Line ends.
           {"data: a\r\n\r\ndata: b\r\rdata: c\n\n", "message|a|;message|b|;message|c|;"},
           {"data: a\rdata: b\r\n\r\n", "message|a\nb|;"},
           // The byte order mark, once.
           {"\xef\xbb\xbf"
            "data: a\n\n\xef\xbb\xbf"
            "data: b\n\n",
            "message|a|;"},
           // What is ignored.
           {"unknown: x\ndata: a\nData: b\n\n", "message|a|;"},
           {"event: x\n\ndata: a\n\n", "message|a|;"},
           {"id: a\0b\ndata: c\n\n"s, "message|c|;"},
           {"id: 1\n\ndata: a\n\ndata: b\n\n", "message|a|1;message|b|1;"},
           {"data: cut", ""},
           {"data: cut\n", ""},
           {"", ""},
       }) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{3}, SIZE_MAX}) {
      EXPECT_EQ(events_of(row.stream, step), row.events) << row.stream << " by " << step;
    }
  }
}

TEST(EventStreamReader, KnowsWhenToComeBack) {
  EventStreamReader reader;
  const auto read = [&](std::string_view text) {
    reader.feed(as_bytes(text));
    while (reader.next().value()) continue;
  };
  EXPECT_FALSE(reader.retry());
  read("retry: 1500\nid: 5\n");
  EXPECT_EQ(reader.retry(), 1500ms);
  EXPECT_EQ(reader.last_event_id(), "") << "not before the event is complete";
  read("\nretry: -1\nretry: 2s\nretry:\nretry: 99999999999999999999\n\n");
  EXPECT_EQ(reader.retry(), 1500ms);
  EXPECT_EQ(reader.last_event_id(), "5");
  read("retry: 9223372036854775807\n");
  EXPECT_EQ(reader.retry(), EventStreamReader::kMaxRetry) << "a time that can be slept";
}

TEST(EventStreamReader, LimitsWhatItKeeps) {
  for (const std::string& piece : {"x"s, "data: x\n"s}) {
    EventStreamReader reader(1000);
    bool refused = false;
    for (int i = 0; i < 2000 && !refused; ++i) {
      reader.feed(as_bytes(piece));
      refused = !reader.next();
    }
    EXPECT_TRUE(refused);
  }
}

TEST(EventStreamReader, TheByteOrderMarkDoesNotCount) {
  const std::string stream =
      "\xef\xbb\xbf"
      "data:" +
      std::string(5, 'x') + "\n\n";
  for (const std::size_t step : {std::size_t{1}, SIZE_MAX}) {
    EventStreamReader reader(10);
    std::string seen;
    for (std::size_t at = 0; at < stream.size(); at += std::min(step, stream.size() - at)) {
      const std::string piece = stream.substr(at, step);
      reader.feed(as_bytes(piece));
      for (;;) {
        const auto event = reader.next();
        ASSERT_TRUE(event) << "by " << step;
        if (!*event) break;
        seen += (*event)->data;
      }
    }
    EXPECT_EQ(seen, "xxxxx");
  }
}

TEST(EventStreamReader, ReadsWhatServerEventWrites) {
  const std::string stream = encoded(ServerEvent("a\r\n b").name("n").id("i")) +
                             encoded(ServerEvent().retry(1s)) + encoded(ServerEvent(""));
  EXPECT_EQ(events_of(stream, 1), "n|a\n b|i;message||i;");
}

// ---- on an exchange -----------------------------------------------------------------------------

/// A handler at work on a GET.
class EventsRig : public test::HandlerRig {
 public:
  explicit EventsRig(Handler handler, RequestHead head = get("/events"))
      : HandlerRig(std::move(handler), std::move(head)) {
    finish();
  }
};

Task<void> clock(Exchange& exchange) {
  EventStream events(exchange);
  co_await events.start();
  for (int i = 1; co_await events.pause(10s); ++i) {
    co_await events.send(ServerEvent(std::to_string(i)));
    if (i == 3) break;
  }
}

TEST(EventStream, SendsAndEnds) {
  EventsRig rig(clock);
  EXPECT_EQ(rig.carrier.status, 200);
  EXPECT_EQ(rig.carrier.field("content-type"), "text/event-stream");
  EXPECT_EQ(rig.carrier.field("cache-control"), "no-store");
  EXPECT_EQ(rig.carrier.field("content-length"), "(none)");
  rig.pass(9s);
  EXPECT_EQ(rig.sent(), "");
  rig.exchange().outgoing().drained();  // wakes a pause, which goes on
  rig.settle();
  EXPECT_EQ(rig.sent(), "");
  rig.pass(1s);
  EXPECT_EQ(rig.sent(), "data: 1\n\n");
  rig.pass(20s);
  EXPECT_EQ(rig.sent(), "data: 2\n\ndata: 3\n\n");
  EXPECT_TRUE(rig.returned());
  EXPECT_TRUE(rig.carrier.ended);
  EXPECT_EQ(rig.carrier.aborted, std::nullopt);
}

TEST(EventStream, EndsWhenTheClientGoes) {
  EventsRig rig(clock);
  rig.pass(1s);
  rig.exchange().carrier_gone(Error::closed("the client is gone"));
  rig.settle();
  EXPECT_TRUE(rig.returned());
}

TEST(EventStream, BeatsWhenNothingElseIsSent) {
  EventsRig rig([](Exchange& exchange) -> Task<void> {
    EventStream events(exchange, EventStreamOptions().heartbeat(5s));
    co_await events.start();
    co_await events.pause(12s);
    co_await events.send(ServerEvent("x"));
    co_await events.pause(7s);
  });
  rig.pass(11s);
  EXPECT_EQ(rig.sent(), ":\n\n:\n\n");
  rig.pass(5900ms);
  EXPECT_EQ(rig.sent(), "data: x\n\n");
  rig.pass(100ms);
  EXPECT_EQ(rig.sent(), ":\n\n");
}

TEST(EventStream, SaysWhereTheClientWas) {
  std::string last;
  EventsRig rig(
      [&](Exchange& exchange) -> Task<void> {
        EventStream events(exchange);
        last = events.last_event_id();
        co_await events.start();
      },
      with(get("/events"), "last-event-id", "17"));
  EXPECT_EQ(last, "17");
  EXPECT_TRUE(rig.carrier.ended);
}

TEST(EventStream, WaitsForOrSkipsAClientThatIsBehind) {
  std::vector<std::string> steps;
  EventsRig rig([&](Exchange& exchange) -> Task<void> {
    EventStream events(exchange);
    co_await events.start();
    steps.push_back(events.offer(ServerEvent("small")) ? "offered" : "left out");
    co_await events.pause(1s);
    steps.push_back(events.offer(ServerEvent(std::string(300'000, 'x'))) ? "offered" : "left out");
    steps.push_back(events.offer(ServerEvent("small")) ? "offered" : "left out");
    const Result<void> sent = co_await events.send(ServerEvent("last"));
    steps.push_back(sent ? "sent" : sent.error().detail);
  });
  rig.carrier.hold = true;
  rig.pass(1s);
  EXPECT_THAT(steps, ::testing::ElementsAre("offered", "offered", "left out"));
  rig.carrier.queued = 0;
  rig.exchange().outgoing().drained();
  rig.settle();
  EXPECT_EQ(steps.back(), "sent");
  EXPECT_TRUE(rig.carrier.ended);
}

TEST(EventStream, GivesUpAClientThatTakesNothing) {
  std::string what;
  EventsRig rig([&](Exchange& exchange) -> Task<void> {
    EventStream events(exchange);
    co_await events.start();
    co_await events.pause(1s);
    const Result<void> sent = co_await events.send(ServerEvent(std::string(300'000, 'x')));
    what = sent ? "sent" : sent.error().detail;
  });
  rig.carrier.hold = true;
  rig.pass(40s);
  EXPECT_FALSE(rig.returned());
  rig.pass(10s);
  EXPECT_TRUE(rig.returned());
  EXPECT_EQ(what, "given up by our side");
  EXPECT_EQ(rig.carrier.aborted, Abort::too_much);
}

}  // namespace
}  // namespace tern::http
