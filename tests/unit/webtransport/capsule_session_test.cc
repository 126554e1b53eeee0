#include "webtransport/capsule_session.h"

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/webtransport/capsule_rig.h"
#include "webtransport/capsule_type.h"
#include "webtransport/capsule_writer.h"

namespace tern::webtransport {
namespace {

using namespace std::chrono_literals;
using test::Alone;
using test::Pair;
using test::windows;
using testing::ElementsAre;
using testing::HasSubstr;
using Role = CapsuleSession::Role;

std::string wire(std::uint64_t type, std::initializer_list<std::uint64_t> values,
                 std::string_view tail = {}) {
  return std::string(write_capsule(type, values, as_bytes(tail)).text());
}
std::string data(std::uint64_t id, std::string_view bytes, bool fin = false) {
  return wire(fin ? capsule_type::kStreamWithFin : capsule_type::kStream, {id}, bytes);
}
std::string close_capsule(std::uint32_t code, std::string_view reason) {
  std::string payload;
  for (int shift = 24; shift >= 0; shift -= 8) payload.push_back(static_cast<char>(code >> shift));
  return wire(capsule_type::kCloseSession, {}, payload.append(reason));
}

Task<void> echo_stream(std::unique_ptr<Stream> stream) {
  for (;;) {
    auto piece = co_await stream->read();
    if (!piece) co_return;
    if (piece->empty()) break;
    const auto written = co_await stream->write(std::move(*piece));
    if (!written) co_return;
  }
  co_await stream->finish();
}
Task<void> echo(Session& session, Scope& scope) {
  while (auto stream = co_await session.accept_bidirectional()) {
    scope.spawn(echo_stream(std::move(stream)));
  }
}
Task<void> exchange(Session& session, std::string what, std::string& answer) {
  auto stream = co_await session.open_bidirectional();
  if (!stream) {
    answer = stream.error().detail;
    co_return;
  }
  co_await (*stream)->finish(Bytes::take(std::move(what)));
  auto all = co_await (*stream)->read_all();
  answer = all ? *all : all.error().detail;
}

TEST(CapsuleSession, StreamsBothWaysHoweverTheBytesAreSplit) {
  const std::string text(5000, 'x');  // more than any window
  for (const std::size_t split : {std::size_t{1}, std::size_t{7}, SIZE_MAX}) {
    Pair pair(windows(), windows(), split);
    std::vector<std::string> answers(9);  // more than may be open
    pair.scope.spawn(echo(pair.server, pair.scope));
    for (std::string& answer : answers) {
      pair.scope.spawn(
          exchange(pair.client, text + std::to_string(&answer - answers.data()), answer));
    }
    pair.settle();
    for (std::size_t i = 0; i < answers.size(); ++i)
      EXPECT_EQ(answers[i], text + std::to_string(i));
    EXPECT_EQ(pair.violation(), "none");
    EXPECT_EQ(pair.client_end->capsules.streams(), 0u);
    EXPECT_EQ(pair.server_end->capsules.streams(), 0u);
    EXPECT_EQ(pair.client.stats().streams_opened, 9u);
    EXPECT_EQ(pair.server.stats().streams_accepted, 9u);
  }
}

Task<void> send_all(Session& session, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    auto stream = co_await session.open_unidirectional();
    if (!stream) co_return;
    co_await (*stream)->finish(Bytes::take(std::to_string(i)));
  }
}
Task<void> collect(Session& session, std::vector<std::string>& all) {
  while (auto stream = co_await session.accept_unidirectional()) {
    auto text = co_await stream->read_all();
    all.push_back(text ? *text : text.error().detail);
  }
}

TEST(CapsuleSession, UnidirectionalStreamsOfTheServerComeInOrder) {
  Pair pair;
  std::vector<std::string> all;
  pair.scope.spawn(collect(pair.client, all));
  pair.scope.spawn(send_all(pair.server, 10));
  pair.settle();
  EXPECT_THAT(all, ElementsAre("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"));
  EXPECT_EQ(pair.violation(), "none");
}

TEST(CapsuleSession, ASideThatNobodyReadsHoldsTheSenderBack) {
  Pair pair;
  std::unique_ptr<Stream> sender;
  std::unique_ptr<Stream> receiver;
  std::size_t written = 0;
  pair.scope.spawn(
      [](Session& session, std::unique_ptr<Stream>& kept, std::size_t& count) -> Task<void> {
        auto stream = co_await session.open_unidirectional();
        kept = std::move(*stream);
        for (int i = 0; i < 2000; ++i) {
          const auto done = co_await kept->write(Bytes::take(std::string(1000, 'a')));
          if (!done) co_return;
          count += 1000;
        }
      }(pair.client, sender, written));
  pair.scope.spawn([](Session& session, std::unique_ptr<Stream>& kept) -> Task<void> {
    kept = co_await session.accept_unidirectional();
  }(pair.server, receiver));
  pair.settle();
  ASSERT_NE(receiver, nullptr);
  EXPECT_EQ(receiver->incoming().buffered(), 400u);  // the stream's window
  EXPECT_LE(written, Stream::kHighWater + 2000);
  EXPECT_EQ(pair.violation(), "none");
  pair.scope.cancel();
}

TEST(CapsuleSession, ResetAndStopSendingCarryTheirCodes) {
  Pair pair;
  std::unique_ptr<Stream> sender;
  std::unique_ptr<Stream> receiver;
  pair.scope.spawn([](Session& session, std::unique_ptr<Stream>& kept) -> Task<void> {
    auto stream = co_await session.open_bidirectional();
    kept = std::move(*stream);
    co_await kept->write(Bytes::literal("hello"));
  }(pair.client, sender));
  pair.scope.spawn([](Session& session, std::unique_ptr<Stream>& kept) -> Task<void> {
    kept = co_await session.accept_bidirectional();
  }(pair.server, receiver));
  pair.settle();
  ASSERT_NE(receiver, nullptr);
  sender->reset(7);
  receiver->reset(8);
  pair.settle();
  EXPECT_EQ(receiver->reset_code(), 7u);
  EXPECT_EQ(sender->reset_code(), 8u);
  sender.reset();
  receiver.reset();
  pair.settle();
  EXPECT_EQ(pair.client_end->capsules.streams(), 0u);
  EXPECT_EQ(pair.server_end->capsules.streams(), 0u);

  pair.scope.spawn([](Session& session, std::unique_ptr<Stream>& kept) -> Task<void> {
    auto stream = co_await session.open_unidirectional();
    kept = std::move(*stream);
    co_await kept->write(Bytes::literal("hello"));
  }(pair.client, sender));
  pair.scope.spawn([](Session& session, std::unique_ptr<Stream>& kept) -> Task<void> {
    kept = co_await session.accept_unidirectional();
  }(pair.server, receiver));
  pair.settle();
  ASSERT_NE(receiver, nullptr);
  receiver->stop_sending(UINT32_MAX);
  pair.settle();
  EXPECT_EQ(sender->stop_code(), UINT32_MAX);
  EXPECT_TRUE(sender->finished());
  EXPECT_EQ(pair.violation(), "none");
}

TEST(CapsuleSession, AStreamThatIsDroppedIsResetAndStopped) {
  Alone alone(Role::client);
  {
    std::unique_ptr<Stream> stream = alone.end->open(Direction::bidirectional);
    const auto written = stream->write(Bytes::literal("abc"));
    EXPECT_EQ(alone.said(), data(0, "abc"));
  }
  EXPECT_EQ(alone.said(),
            wire(capsule_type::kResetStream, {0, 0, 3}) + wire(capsule_type::kStopSending, {0, 0}));
  EXPECT_EQ(alone.end->capsules.streams(), 1u) << "until the peer has ended its side";
  alone.hear(data(0, "late"));
  alone.hear(wire(capsule_type::kResetStream, {0, 0, 4}));
  EXPECT_EQ(alone.end->capsules.streams(), 0u);
  EXPECT_EQ(alone.violation(), "none");
}

TEST(CapsuleSession, CreditComesBackWhenTheApplicationReads) {
  Alone alone(Role::server);
  alone.hear(data(2, std::string(400, 'a')));
  EXPECT_EQ(alone.said(), "");
  std::string got;
  alone.scope.spawn([](Session& session, std::string& text) -> Task<void> {
    auto stream = co_await session.accept_unidirectional();
    for (;;) {
      auto piece = co_await stream->read();
      if (!piece || piece->empty()) co_return;
      text += piece->text();
    }
  }(alone.session, got));
  alone.settle();
  EXPECT_EQ(got.size(), 400u);
  EXPECT_EQ(alone.said(), wire(capsule_type::kMaxStreamData, {2, 800}));
  alone.hear(data(2, std::string(200, 'b')));
  EXPECT_EQ(alone.said(),
            wire(capsule_type::kMaxData, {1600}) + wire(capsule_type::kMaxStreamData, {2, 1000}));
}

TEST(CapsuleSession, StreamsAreAllowedAnewWhenTheyAreOver) {
  Alone alone(Role::server);
  for (std::uint64_t id = 2; id <= 14; id += 4) alone.hear(data(id, "x", true));
  EXPECT_EQ(alone.said(), "") << "nobody has taken them";
  std::vector<std::string> all;
  alone.scope.spawn(collect(alone.session, all));
  EXPECT_EQ(alone.said(), wire(capsule_type::kMaxStreamsUnidirectional, {8}));
  EXPECT_EQ(all.size(), 4u);
}

TEST(CapsuleSession, SendersTakeTurns) {
  Alone alone(Role::client, windows(), windows(100'000, 100'000, 4));
  auto first = alone.end->open(Direction::unidirectional);
  auto second = alone.end->open(Direction::unidirectional);
  const std::string much(20'000, 'a');
  const auto one = first->finish(Bytes::copy(much));
  const auto two = second->finish(Bytes::literal("b"));
  EXPECT_EQ(alone.said(), data(2, much.substr(0, 16384)) + data(6, "b", true) +
                              data(2, much.substr(16384), true));
}

TEST(CapsuleSession, SaysOnceWhatIsInItsWay) {
  Alone alone(Role::client, windows(), windows(500, 400, 4));
  auto first = alone.end->open(Direction::unidirectional);
  auto second = alone.end->open(Direction::unidirectional);
  const auto one = first->write(Bytes::take(std::string(450, 'a')));
  EXPECT_EQ(alone.said(),
            data(2, std::string(400, 'a')) + wire(capsule_type::kStreamDataBlocked, {2, 400}));
  const auto two = second->finish(Bytes::take(std::string(200, 'b')));
  EXPECT_EQ(alone.said(), data(6, std::string(100, 'b')) + wire(capsule_type::kDataBlocked, {500}));
  EXPECT_EQ(alone.said(), "");
  alone.hear(wire(capsule_type::kMaxStreamData, {2, 1000}));
  EXPECT_EQ(alone.said(), "");
  alone.hear(wire(capsule_type::kMaxData, {1000}));
  EXPECT_EQ(alone.said(), data(6, std::string(100, 'b'), true) + data(2, std::string(50, 'a')));
}

TEST(CapsuleSession, DatagramsOvertakeStreamsAndExpire) {
  Alone alone(Role::client);
  auto stream = alone.end->open(Direction::unidirectional);
  const auto one = stream->write(Bytes::literal("s"));
  EXPECT_TRUE(alone.session.send_datagram(Bytes::literal("d")));
  EXPECT_EQ(alone.said(), wire(capsule_type::kDatagram, {}, "d") + data(2, "s"));
  EXPECT_TRUE(alone.session.send_datagram(Bytes::literal("late")));
  alone.world.driver.advance(1001ms);
  alone.world.runtime.submit([] {});  // a turn, to look at the time
  EXPECT_EQ(alone.said(), "");
  EXPECT_EQ(alone.session.stats().datagrams_expired, 1u);
  EXPECT_FALSE(alone.session.send_datagram(Bytes::take(std::string(20'000, 'x'))));
  for (int i = 0; i < 200; ++i) alone.session.send_datagram(Bytes::literal("d"));
  EXPECT_EQ(alone.session.stats().datagrams_too_large, 1u);
  EXPECT_EQ(alone.session.stats().datagrams_refused, 200u - 128);
}

TEST(CapsuleSession, OldDatagramsGiveWay) {
  Alone alone(Role::client);
  for (std::size_t i = 0; i < Session::kMaxDatagrams + 2; ++i) {
    alone.hear(wire(capsule_type::kDatagram, {}, std::to_string(i)));
  }
  EXPECT_EQ(alone.session.stats().datagrams_dropped, 2u);
  std::string first;
  alone.scope.spawn([](Session& session, std::string& text) -> Task<void> {
    auto datagram = co_await session.receive_datagram();
    text = datagram->text();
  }(alone.session, first));
  alone.settle();
  EXPECT_EQ(first, "2");
}

TEST(CapsuleSession, ADatagramAboveTheLimitIsDroppedAndTheSessionLives) {
  Alone alone(Role::server);
  alone.hear(wire(capsule_type::kDatagram, {}, std::string(16 * 1024 + 1, 'x')));
  EXPECT_EQ(alone.session.stats().datagrams_received, 1u);
  EXPECT_EQ(alone.session.stats().datagrams_dropped, 1u);
  alone.hear(wire(capsule_type::kDatagram, {}, std::string(16 * 1024, 'x')));
  EXPECT_EQ(alone.session.stats().datagrams_received, 2u);
  EXPECT_EQ(alone.session.stats().datagrams_dropped, 1u);
  EXPECT_FALSE(alone.session.ended());
}

/// Those that are too old make room for new ones, though nothing was sent meanwhile.
TEST(CapsuleSession, ExpiredDatagramsMakeRoom) {
  Alone alone(Role::client);
  for (int i = 0; i < 128; ++i) EXPECT_TRUE(alone.session.send_datagram(Bytes::literal("old")));
  EXPECT_FALSE(alone.session.send_datagram(Bytes::literal("one more")));
  alone.world.driver.advance(1001ms);
  alone.world.runtime.submit([] {});  // a turn, to look at the time
  alone.settle();
  EXPECT_TRUE(alone.session.send_datagram(Bytes::literal("new")));
  EXPECT_EQ(alone.session.stats().datagrams_expired, 128u);
  EXPECT_EQ(alone.said(), wire(capsule_type::kDatagram, {}, "new"));
}

TEST(CapsuleSession, CloseTellsThePeerAndFailsTheStreams) {
  Pair pair;
  std::unique_ptr<Stream> sender;
  std::string answer;
  pair.scope.spawn(exchange(pair.server, "never answered", answer));
  pair.settle();
  pair.client.close(99, "so long");
  EXPECT_TRUE(pair.client.ended());
  pair.settle();
  ASSERT_TRUE(pair.server.ended());
  EXPECT_EQ(pair.server.closed()->code, 99u);
  EXPECT_EQ(pair.server.closed()->reason, "so long");
  EXPECT_EQ(pair.server.closed()->by, Origin::remote);
  EXPECT_THAT(answer, HasSubstr("closed"));
  EXPECT_FALSE(pair.server.send_datagram(Bytes::literal("x")));
}

TEST(CapsuleSession, ALongReasonIsCutAtACharacter) {
  Alone alone(Role::client);
  std::string reason;
  for (int i = 0; i < 400; ++i) reason += "\xe2\x82\xac";  // three bytes each
  alone.session.close(1, reason);
  EXPECT_EQ(alone.said(), close_capsule(1, reason.substr(0, 1023)));
}

TEST(CapsuleSession, DrainIsAdviceOnly) {
  Pair pair;
  bool draining = false;
  pair.scope.spawn([](Session& session, bool& done) -> Task<void> {
    co_await session.wait_until_draining();
    done = true;
  }(pair.server, draining));
  std::string answer;
  pair.scope.spawn(echo(pair.server, pair.scope));
  pair.client.drain();
  pair.settle();
  EXPECT_TRUE(draining);
  EXPECT_TRUE(pair.server.draining());
  pair.scope.spawn(exchange(pair.client, "still here", answer));
  pair.settle();
  EXPECT_EQ(answer, "still here");
}

TEST(CapsuleSession, AnEndWithoutACloseIsACloseWithCodeZero) {
  Alone alone(Role::server);
  alone.end->capsules.end_of_input();
  ASSERT_TRUE(alone.session.ended());
  EXPECT_EQ(alone.session.closed()->code, 0u);
  EXPECT_FALSE(alone.session.closed()->error);
}

TEST(CapsuleSession, UnknownCapsulesAndPaddingAreSkipped) {
  Alone alone(Role::server);
  alone.hear(wire(capsule_type::kPadding, {}, std::string(100'000, '\0')) +
             wire(0x29 * 7 + 0x17, {}, "grease") + data(0, "hello"));
  EXPECT_EQ(alone.violation(), "none");
  EXPECT_EQ(alone.session.stats().streams_accepted, 1u);
}

Task<void> open_one(Session& session, std::unique_ptr<Stream>& opened) {
  auto stream = co_await session.open_bidirectional();
  if (stream) opened = std::move(*stream);
}

TEST(CapsuleSession, LeaveToOpenPassesOnWhenItsTakerIsGone) {
  Alone alone(Role::client, windows(), windows(1000, 400, 0));
  std::unique_ptr<Stream> one;
  std::unique_ptr<Stream> two;
  Scope first(alone.world.runtime.ready());
  first.spawn(open_one(alone.session, one));
  alone.settle();
  alone.scope.spawn(open_one(alone.session, two));
  alone.settle();
  alone.end->capsules.feed(
      Bytes::copy(wire(capsule_type::kMaxStreamsBidirectional, {1})));  // which wakes the first
  first.cancel();
  alone.settle();
  EXPECT_EQ(one, nullptr);
  EXPECT_NE(two, nullptr);
}

TEST(CapsuleSession, AnIdOpensThoseBeforeIt) {
  Alone alone(Role::server);
  alone.hear(data(8, "third"));
  EXPECT_EQ(alone.session.stats().streams_accepted, 3u);
  alone.hear(data(0, "first", true));
  EXPECT_EQ(alone.violation(), "none");
}

struct Violation {
  const char* name;
  Role role;
  std::string bytes;
  const char* says;
};
void PrintTo(const Violation& violation, std::ostream* out) { *out << violation.name; }

class Violations : public testing::TestWithParam<Violation> {};

TEST_P(Violations, EndTheSession) {
  for (std::size_t split = 1; split <= 3; ++split) {
    Alone alone(GetParam().role);
    auto ours = alone.end->open(Direction::bidirectional);  // 0 or 1
    auto uni = alone.end->open(Direction::unidirectional);  // 2 or 3
    const auto one = ours->finish(Bytes::literal("x"));
    const auto two = uni->write(Bytes::literal("x"));
    alone.said();
    const std::string& bytes = GetParam().bytes;
    const std::size_t piece = split == 3 ? bytes.size() : split;
    for (std::size_t at = 0; at < bytes.size(); at += piece) alone.hear(bytes.substr(at, piece));
    EXPECT_THAT(alone.violation(), HasSubstr(GetParam().says));
    EXPECT_TRUE(alone.session.ended());
    EXPECT_TRUE(alone.session.closed()->error);
    EXPECT_EQ(alone.said(), "") << "the stream beneath is reset";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Draft15, Violations,
    testing::Values(
        Violation{"AfterFin", Role::server, data(0, "a", true) + data(0, "b"), "has ended"},
        Violation{"EmptyAfterFin", Role::server, data(0, "a", true) + data(0, "", true),
                  "has ended"},
        Violation{"AfterReset", Role::server,
                  wire(capsule_type::kResetStream, {0, 0, 0}) + data(0, "b"), "has ended"},
        Violation{"ResetAfterFin", Role::server,
                  data(2, "a", true) + wire(capsule_type::kResetStream, {2, 0, 1}), "has ended"},
        Violation{"ResetWithAnotherSize", Role::server,
                  data(2, "a") + wire(capsule_type::kResetStream, {2, 0, 2}), "another size"},
        Violation{"ResetCodeTooLarge", Role::server,
                  wire(capsule_type::kResetStream, {2, 1ull << 32, 0}), "malformed"},
        Violation{"StopCodeTooLarge", Role::server,
                  wire(capsule_type::kStopSending, {0, 1ull << 32}), "malformed"},
        Violation{"DataOnOurUnidirectional", Role::server, data(3, "x"), "only we send"},
        Violation{"StopOnTheirUnidirectional", Role::server,
                  wire(capsule_type::kStopSending, {2, 0}), "only the peer sends"},
        Violation{"MaxStreamDataOnTheirUnidirectional", Role::client,
                  wire(capsule_type::kMaxStreamData, {3, 9999}), "only the peer sends"},
        Violation{"OursThatWasNotOpened", Role::client, data(4, "x"), "was not opened"},
        Violation{"StopOursThatWasNotOpened", Role::client,
                  wire(capsule_type::kStopSending, {6, 0}), "was not opened"},
        Violation{"TooManyStreams", Role::server, data(16, "x"), "more streams"},
        Violation{"StopOpensTooManyStreams", Role::server,
                  wire(capsule_type::kStopSending, {16, 0}), "more streams"},
        Violation{"StreamWindow", Role::server, data(0, std::string(401, 'a')),
                  "on a stream than allowed"},
        Violation{"SessionWindow", Role::server,
                  data(0, std::string(400, 'a')) + data(4, std::string(400, 'a')) +
                      data(8, std::string(201, 'a')),
                  "more data than allowed"},
        Violation{"MaxDataFalls", Role::server, wire(capsule_type::kMaxData, {999}), "takes back"},
        Violation{"MaxStreamDataFalls", Role::server, wire(capsule_type::kMaxStreamData, {3, 399}),
                  "takes back"},
        Violation{
            "MaxStreamDataBehindStop", Role::server,
            wire(capsule_type::kStopSending, {3, 7}) + wire(capsule_type::kMaxStreamData, {3, 500}),
            "behind WT_STOP_SENDING"},
        Violation{
            "StopTwice", Role::server,
            wire(capsule_type::kStopSending, {3, 7}) + wire(capsule_type::kStopSending, {3, 7}),
            "second WT_STOP_SENDING"},
        Violation{"MaxStreamsFalls", Role::server,
                  wire(capsule_type::kMaxStreamsBidirectional, {3}), "takes back"},
        Violation{"MaxStreamsTooLarge", Role::server,
                  wire(capsule_type::kMaxStreamsUnidirectional, {(1ull << 60) + 1}), "2^60"},
        Violation{"MaxDataEmpty", Role::server, wire(capsule_type::kMaxData, {}), "malformed"},
        Violation{"MaxDataLong", Role::server, wire(capsule_type::kMaxData, {2000, 1}),
                  "malformed"},
        Violation{"BlockedEmpty", Role::server, wire(capsule_type::kDataBlocked, {}), "malformed"},
        Violation{"StreamBlockedUnknown", Role::client,
                  wire(capsule_type::kStreamDataBlocked, {4, 1}), "was not opened"},
        Violation{"StreamBlockedAfterFin", Role::server,
                  data(2, "a", true) + wire(capsule_type::kStreamDataBlocked, {2, 400}),
                  "has ended"},
        Violation{"StreamsBlockedTooLarge", Role::server,
                  wire(capsule_type::kStreamsBlockedBidirectional, {(1ull << 60) + 1}), "2^60"},
        Violation{"ResetShort", Role::server, wire(capsule_type::kResetStream, {2, 0}),
                  "malformed"},
        Violation{"WithinStreamId", Role::server, wire(capsule_type::kStream, {}),
                  "within its stream ID"},
        Violation{"CloseShort", Role::server, wire(capsule_type::kCloseSession, {}, "abc"),
                  "malformed"},
        Violation{"CloseLong", Role::server, close_capsule(0, std::string(1025, 'a')), "malformed"},
        Violation{"CloseNoUtf8", Role::server, close_capsule(0, "\xff"), "UTF-8"},
        Violation{"DrainWithPayload", Role::server, wire(capsule_type::kDrainSession, {1}),
                  "malformed"},
        Violation{"KnownTooLong", Role::server,
                  wire(capsule_type::kMaxData, {}, std::string(20'000, 'a')), "too long"}),
    [](const testing::TestParamInfo<Violation>& tested) { return std::string(tested.param.name); });

TEST(CapsuleSession, OneTaskMayTakeAllThatComes) {
  Alone alone(Role::server);
  std::vector<std::string> came;
  alone.scope.spawn([](Session& session, std::vector<std::string>& all) -> Task<void> {
    for (;;) {
      Session::Arrival arrival = co_await session.next();
      if (!arrival) break;
      if (arrival.datagram) {
        all.push_back("datagram " + std::string(arrival.datagram->text()));
        continue;
      }
      const Result<std::string> text = co_await arrival.stream->read_all();
      all.push_back("stream " + std::to_string(arrival.stream->id()) + " " + *text);
    }
    all.push_back("end");
  }(alone.session, came));
  alone.settle();
  alone.hear(wire(capsule_type::kDatagram, {}, "one"));
  alone.hear(data(2, "uni", true));
  alone.hear(data(0, "bidi", true) + wire(capsule_type::kDatagram, {}, "two") +
             data(6, "more", true));
  EXPECT_THAT(came, ElementsAre("datagram one", "stream 2 uni", "stream 0 bidi", "stream 6 more",
                                "datagram two"));
  alone.hear(close_capsule(7, "bye"));
  EXPECT_EQ(came.back(), "end");
  EXPECT_EQ(came.size(), 6u);
}

TEST(CapsuleSession, WhoTakesAllMayLeaveItToOthers) {
  Alone alone(Role::server);
  {
    Scope scope(alone.world.runtime.ready());
    scope.spawn([](Session& session) -> Task<void> { co_await session.next(); }(alone.session));
    alone.settle();
  }
  std::optional<Bytes> datagram;
  alone.scope.spawn([](Session& session, std::optional<Bytes>& kept) -> Task<void> {
    kept = co_await session.receive_datagram();
  }(alone.session, datagram));
  alone.hear(wire(capsule_type::kDatagram, {}, "one"));
  ASSERT_TRUE(datagram);
  EXPECT_EQ(datagram->text(), "one");
}

TEST(CapsuleSession, AnEndWithinACapsuleIsMalformed) {
  Alone alone(Role::server);
  alone.hear(data(0, "hello").substr(0, 7));
  alone.end->capsules.end_of_input();
  EXPECT_THAT(alone.violation(), HasSubstr("within a capsule"));
}

TEST(CapsuleSession, WhatCrossesAnEndIsNoViolation) {
  Alone alone(Role::client);
  {
    auto stream = alone.end->open(Direction::bidirectional);
    const auto one = stream->finish(Bytes::literal("x"));
    alone.said();
    alone.hear(data(0, "y", true));
  }
  EXPECT_EQ(alone.end->capsules.streams(), 0u);
  alone.hear(wire(capsule_type::kMaxStreamData, {0, 5000}) +
             wire(capsule_type::kStopSending, {0, 0}));
  EXPECT_EQ(alone.violation(), "none");
}

TEST(CapsuleSession, NothingIsSaidOfAStreamThatWasStopped) {
  Alone alone(Role::server);
  alone.hear(data(2, std::string(300, 'a')));
  std::unique_ptr<Stream> stream;
  alone.scope.spawn([](Session& session, std::unique_ptr<Stream>& kept) -> Task<void> {
    kept = co_await session.accept_unidirectional();
    // More than half of its window: a new one is due.
    co_await kept->read();
    kept->stop_sending(7);
    kept->stop_sending(8);
  }(alone.session, stream));
  EXPECT_EQ(alone.said(), wire(capsule_type::kStopSending, {2, 7}));
  stream.reset();
  alone.hear(data(2, std::string(100, 'a')));
  EXPECT_EQ(alone.said(), "");
  EXPECT_EQ(alone.violation(), "none");
}

}  // namespace
}  // namespace tern::webtransport
