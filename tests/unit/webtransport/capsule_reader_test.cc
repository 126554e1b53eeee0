#include "webtransport/capsule_reader.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/capsule.h"
#include "webtransport/capsule_type.h"
#include "webtransport/capsule_writer.h"

namespace tern::webtransport {
namespace {

using testing::ElementsAre;
using Event = CapsuleReader::Event;

/// What comes of `wire` in pieces of `size`; the pieces of a stream's data are joined.
std::vector<std::string> read(const std::string& wire, std::size_t size, std::size_t limit = 64) {
  CapsuleReader reader(limit);
  std::vector<std::string> events;
  std::string data;
  bool open = false;
  for (std::size_t at = 0; at < wire.size(); at += size) {
    const std::string piece = wire.substr(at, size);
    reader.feed(as_bytes(piece));
    while (const auto event = reader.next()) {
      const std::string bytes(as_text(event->bytes));
      switch (event->type) {
        case Event::Type::stream_data:
          if (open && !events.empty()) events.pop_back();
          data = open ? data + bytes : bytes;
          open = true;
          events.push_back("stream " + std::to_string(event->id) + " \"" + data + "\"" +
                           (event->fin ? " fin" : ""));
          break;
        case Event::Type::capsule:
          open = false;
          events.push_back("capsule " + std::to_string(event->id) + " \"" + bytes + "\"");
          break;
        case Event::Type::too_long: events.push_back("too long"); break;
        case Event::Type::malformed: events.push_back("malformed"); break;
      }
    }
  }
  if (!reader.at_boundary()) events.push_back("within");
  return events;
}

std::string text(const Bytes& bytes) { return std::string(bytes.text()); }

TEST(CapsuleReader, AnySplitGivesTheSame) {
  const std::string wire =
      text(write_capsule(capsule_type::kStream, {4}, as_bytes("hello world"))) +
      text(write_capsule(capsule_type::kDatagram, {}, as_bytes("d"))) +
      text(write_capsule(capsule_type::kStreamWithFin, {0x4000}, as_bytes("last"))) +
      text(write_capsule(capsule_type::kMaxData, {99})) +
      text(write_capsule(capsule_type::kStreamWithFin, {8})) +
      text(write_capsule(0x7777, {}, as_bytes(std::string(200, 'x')))) +
      text(write_capsule(capsule_type::kDrainSession, {}));
  const auto whole = read(wire, wire.size());
  EXPECT_THAT(whole, ElementsAre("stream 4 \"hello world\"", "capsule 0 \"d\"",
                                 "stream 16384 \"last\" fin", "capsule 420171069 \"@c\"",
                                 "stream 8 \"\" fin", "too long", "capsule 30894 \"\""));
  for (std::size_t size = 1; size < wire.size(); ++size) {
    EXPECT_EQ(read(wire, size), whole) << "in pieces of " << size;
  }
}

TEST(CapsuleReader, StreamDataMayBeLongerThanAnyLimit) {
  const std::string data(100'000, 'a');
  const std::string wire = text(write_capsule(capsule_type::kStream, {0}, as_bytes(data)));
  EXPECT_THAT(read(wire, 1000), ElementsAre("stream 0 \"" + data + "\""));
}

TEST(CapsuleReader, ACapsuleThatEndsWithinItsStreamIdIsMalformed) {
  std::string wire;
  http::append_capsule(wire, capsule_type::kStream, {});
  EXPECT_THAT(read(wire, 1), ElementsAre("malformed", "within"));
  wire.clear();
  http::append_capsule(wire, capsule_type::kStreamWithFin, as_bytes("\x80\x01"));
  for (std::size_t size = 1; size <= wire.size(); ++size) {
    EXPECT_THAT(read(wire, size), ElementsAre("malformed", "within"));
  }
}

TEST(CapsuleReader, KnowsWhetherItIsWithinACapsule) {
  const std::string wire = text(write_capsule(capsule_type::kDatagram, {}, as_bytes("abc")));
  for (std::size_t size = 1; size < wire.size(); ++size) {
    EXPECT_THAT(read(wire.substr(0, size), 1), ElementsAre("within"));
  }
  EXPECT_THAT(read(wire, 1), ElementsAre("capsule 0 \"abc\""));
}

}  // namespace
}  // namespace tern::webtransport
