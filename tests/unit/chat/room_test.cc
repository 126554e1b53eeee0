#include "examples/chat/room.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "examples/chat/text.h"
#include "tests/unit/http/recording_carrier.h"

namespace tern::chat {
namespace {

using namespace std::chrono_literals;
using http::test::World;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Runs what is due on a world's runtime.
void settle(World& world) {
  while (world.runtime.next_deadline() <= world.driver.now()) world.runtime.turn();
}

/// Time passes, and the runtime sees that it has.
void pass(World& world, Duration time) {
  world.driver.advance(time);
  world.runtime.submit([] {});
  settle(world);
}

class Visitor final : public Guest {
 public:
  Visitor(World& world, std::shared_ptr<Room> room, std::string_view carrier = "h3")
      : world_(world) {
    auto joined = room->join(world.runtime, carrier, *this);
    if (joined) seat = std::move(*joined);
  }

  void datagram(Bytes line) override { datagrams.emplace_back(line.text()); }
  void dismiss(Dismissal why) override {
    EXPECT_FALSE(dismissed) << "told twice";
    dismissed = why;
  }

  /// The lines that have come since the last call.
  std::vector<std::string> heard() {
    settle(world_);
    std::vector<std::string> lines;
    while (auto line = seat->next()) {
      EXPECT_TRUE(line->text().ends_with("\n"));
      lines.emplace_back(line->text().substr(0, line->size() - 1));
    }
    return lines;
  }

  std::unique_ptr<Seat> seat;
  std::vector<std::string> datagrams;
  std::optional<Dismissal> dismissed;

 private:
  World& world_;
};

class RoomTest : public testing::Test {
 public:
  World world;
  std::shared_ptr<Room> room = Room::make();
};

TEST_F(RoomTest, TellsWhoComesAndGoesAndWhatIsSaid) {
  Visitor ada(world, room);
  EXPECT_THAT(
      ada.heard(),
      ElementsAre(
          R"({"type":"welcome","you":1,"members":[{"id":1,"name":"guest 1","carrier":"h3"}],"messages":[]})"));
  ada.seat->say("/name Ada");
  ada.seat->say("anybody?");
  const std::string said =
      R"({"type":"message","id":1,"name":"Ada","text":"anybody?","time":784111777})";
  EXPECT_THAT(ada.heard(), ElementsAre(R"({"type":"renamed","id":1,"name":"Ada"})", said));
  {
    Visitor bob(world, room, "websocket");
    EXPECT_THAT(
        bob.heard(),
        ElementsAre(
            R"({"type":"welcome","you":2,"members":[{"id":1,"name":"Ada","carrier":"h3"},{"id":2,"name":"guest 2","carrier":"websocket"}],"messages":[)" +
            said + "]}"));
    EXPECT_THAT(ada.heard(),
                ElementsAre(R"({"type":"joined","id":2,"name":"guest 2","carrier":"websocket"})"));
    EXPECT_EQ(room->seats(), 2u);
  }
  EXPECT_THAT(ada.heard(), ElementsAre(R"({"type":"left","id":2})"));
  EXPECT_EQ(room->seats(), 1u);
}

TEST_F(RoomTest, WhatWasSaidJustBeforeIsHeardOnce) {
  Visitor ada(world, room);
  ada.seat->say("early");  // not yet delivered to anybody
  Visitor bob(world, room);
  const auto lines = bob.heard();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], HasSubstr("early"));
}

TEST_F(RoomTest, ReplacesWhatIsNoTextInJson) {
  Visitor ada(world, room);
  ada.heard();
  ada.seat->say("\"\\</script>\n");
  EXPECT_THAT(ada.heard(), ElementsAre(HasSubstr(R"("text":"\"\\</script>")")));
}

TEST_F(RoomTest, ANameIsTakenOnce) {
  Visitor ada(world, room);
  Visitor bob(world, room);
  ada.seat->say("/name Ada");
  ada.heard();
  bob.heard();
  bob.seat->say("/name aDa");
  EXPECT_THAT(bob.heard(), ElementsAre(HasSubstr("has that name")));
  bob.seat->say("/name \xff");
  EXPECT_THAT(bob.heard(), ElementsAre(HasSubstr("no name")));
  bob.seat->say("/quit");
  EXPECT_THAT(bob.heard(), ElementsAre(HasSubstr("one command")));
  ada.seat->say("/name ADA");  // one's own, written otherwise
  EXPECT_THAT(bob.heard(), ElementsAre(R"({"type":"renamed","id":1,"name":"ADA"})"));
  // A guest's number that somebody has taken for a name is left out.
  ada.seat->say("/name guest 3");
  Visitor cleo(world, room);
  EXPECT_THAT(cleo.heard()[0], HasSubstr(R"({"id":3,"name":"guest 4")"));
}

TEST_F(RoomTest, KeepsTheLastMessagesForNewcomers) {
  Visitor ada(world, room);
  for (std::size_t i = 0; i < Room::kHistory + 5; ++i) {
    ada.seat->say("message " + std::to_string(i) + ".");
    pass(world, Seat::kInterval);
    ada.heard();
  }
  Visitor bob(world, room);
  const std::string welcome = bob.heard()[0];
  EXPECT_THAT(welcome, testing::Not(HasSubstr("message 4.")));
  EXPECT_THAT(welcome, HasSubstr("message 5."));
  EXPECT_THAT(welcome, HasSubstr("message 54."));
}

TEST_F(RoomTest, AFullRoomTakesNobodyMore) {
  std::vector<std::unique_ptr<Visitor>> visitors;
  for (std::size_t i = 0; i < Room::kMaxSeats; ++i) {
    visitors.push_back(std::make_unique<Visitor>(world, room));
    for (auto& visitor : visitors) visitor->heard();
    ASSERT_NE(visitors.back()->seat, nullptr);
  }
  EXPECT_EQ(Visitor(world, room).seat, nullptr);
  visitors.pop_back();
  EXPECT_NE(Visitor(world, room).seat, nullptr);
}

TEST_F(RoomTest, WhoDoesNotReadLosesTheSeat) {
  Visitor ada(world, room);
  Visitor slow(world, room);
  const std::string text(kMaxText, 'x');
  std::size_t sent = 0;
  for (; !slow.dismissed && sent < 100; ++sent) {
    ada.seat->say(text);
    pass(world, Seat::kInterval);
    ada.heard();
  }
  EXPECT_EQ(slow.dismissed, Guest::Dismissal::too_slow);
  // So many were kept, and no more.
  EXPECT_GT(sent * kMaxText, Seat::kMaxWaiting - 3 * kMaxText);
  EXPECT_LE(sent * kMaxText, Seat::kMaxWaiting + 3 * kMaxText);
  EXPECT_FALSE(ada.dismissed);
  ada.seat->say("more");
  EXPECT_THAT(ada.heard(), ElementsAre(HasSubstr("more")));
}

TEST_F(RoomTest, WhoTakesTooLongForOneLineLosesTheSeat) {
  Visitor ada(world, room);
  Visitor slow(world, room);
  settle(world);
  ASSERT_TRUE(slow.seat->next());  // and it is still being written
  ada.seat->say("one");
  settle(world);
  pass(world, Seat::kPatience + 1ms);
  EXPECT_FALSE(slow.dismissed);
  ada.seat->say("two");
  settle(world);
  EXPECT_EQ(slow.dismissed, Guest::Dismissal::too_slow);
}

TEST_F(RoomTest, AFloodIsHeldBackAndThenEnded) {
  Visitor ada(world, room);
  Visitor bob(world, room);
  bob.heard();
  for (std::size_t i = 0; i < 15; ++i) ada.seat->say("x");
  EXPECT_EQ(bob.heard().size(), Seat::kBurst);
  EXPECT_FALSE(ada.dismissed);
  // With time comes leave for more, and what was refused is forgotten.
  pass(world, Seat::kInterval * 2);
  ada.seat->say("y");
  EXPECT_THAT(bob.heard(), ElementsAre(HasSubstr("y")));
  for (std::size_t i = 0; i < 1000; ++i) ada.seat->say("z");
  EXPECT_EQ(ada.dismissed, Guest::Dismissal::flooding);
  EXPECT_EQ(bob.heard().size(), 1u);
  pass(world, 10s);
  ada.seat->say("after the end");
  ada.seat->typing();
  EXPECT_THAT(bob.heard(), IsEmpty());
}

TEST_F(RoomTest, TypingReachesTheOthersNowAndThen) {
  Visitor ada(world, room);
  Visitor bob(world, room);
  for (int i = 0; i < 100; ++i) ada.seat->typing();
  settle(world);
  EXPECT_THAT(bob.datagrams, ElementsAre(R"({"type":"typing","id":1})"));
  EXPECT_THAT(ada.datagrams, IsEmpty());
  pass(world, Seat::kInterval);
  ada.seat->typing();
  settle(world);
  EXPECT_EQ(bob.datagrams.size(), 2u);
}

TEST_F(RoomTest, WorkersHearTheSameInTheSameOrder) {
  World other;
  Visitor ada(world, room);
  Visitor bob(other, room);
  ada.heard();
  bob.heard();
  for (int i = 0; i < 5; ++i) {
    ada.seat->say("a" + std::to_string(i));
    bob.seat->say("b" + std::to_string(i));
  }
  const auto first = ada.heard();
  EXPECT_EQ(first.size(), 10u);
  EXPECT_EQ(first, bob.heard());
}

TEST_F(RoomTest, WorkersMayBeThreads) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([shared = room] {
      World own;
      for (int i = 0; i < 200; ++i) {
        Visitor visitor(own, shared, "h3");
        visitor.heard();
        visitor.seat->say("hello");
        visitor.seat->typing();
        visitor.heard();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(room->seats(), 0u);
}

}  // namespace
}  // namespace tern::chat
