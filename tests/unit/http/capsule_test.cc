#include "http/capsule.h"

#include <algorithm>
#include <array>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "base/varint.h"

namespace tern::http {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

// RFC 9000 A.1
TEST(Varint, ReadsTheExamplesOfTheRfc) {
  const std::array<std::pair<std::vector<std::uint8_t>, std::uint64_t>, 5> examples = {{
      {{0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c}, 151288809941952652},
      {{0x9d, 0x7f, 0x3e, 0x7d}, 494878333},
      {{0x7b, 0xbd}, 15293},
      {{0x25}, 37},
      {{0x40, 0x25}, 37},
  }};
  for (const auto& [bytes, value] : examples) {
    const auto read = read_varint(bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->value, value);
    EXPECT_EQ(read->size, bytes.size());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(read_varint(ByteView(bytes).first(size)));
    }
  }
}

TEST(Varint, WritesTheShortestForm) {
  for (const auto& [value, size] :
       std::array<std::pair<std::uint64_t, std::size_t>, 8>{{{0, 1},
                                                             {63, 1},
                                                             {64, 2},
                                                             {16383, 2},
                                                             {16384, 4},
                                                             {(1u << 30) - 1, 4},
                                                             {1u << 30, 8},
                                                             {kMaxVarint, 8}}}) {
    std::array<std::uint8_t, kMaxVarintSize> bytes;
    EXPECT_EQ(static_cast<std::size_t>(write_varint(bytes.data(), value) - bytes.data()), size);
    const auto read = read_varint(ByteView(bytes).first(size));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->value, value);
    EXPECT_EQ(varint_size_of(bytes[0]), size);
  }
}

using Capsules = std::pair<std::uint64_t, std::string>;

void drain(CapsuleDecoder& decoder, std::vector<Capsules>& events) {
  while (const auto capsule = decoder.next()) {
    events.emplace_back(capsule->type, capsule->too_long
                                           ? "too long: " + std::to_string(capsule->length)
                                           : std::string(as_text(capsule->payload)));
  }
}

TEST(Capsule, EncodesTypeLengthPayload) {
  std::string out;
  append_capsule(out, kDatagramCapsule, as_bytes("abc"));
  EXPECT_EQ(out, std::string("\x00\x03"
                             "abc",
                             5));
  EXPECT_EQ(capsule(kDatagramCapsule, as_bytes("abc")).text(), out);
  out.clear();
  append_capsule(out, 0x2843, {});
  EXPECT_EQ(out, std::string("\x68\x43\x00", 3));
}

TEST(Capsule, AnySplitGivesTheSameEvents) {
  std::string stream;
  append_capsule(stream, kDatagramCapsule, as_bytes("first"));
  append_capsule(stream, 0x2843, as_bytes(""));
  append_capsule(stream, 0x190b4d3d, as_bytes(std::string(300, 'x')));
  append_capsule(stream, 0x17 + (std::uint64_t{1} << 40), as_bytes(std::string(1000, 'y')));
  append_capsule(stream, kDatagramCapsule, as_bytes("last"));
  const std::vector<Capsules> expected = {{0, "first"},
                                          {0x2843, ""},
                                          {0x190b4d3d, std::string(300, 'x')},
                                          {0x17 + (std::uint64_t{1} << 40), "too long: 1000"},
                                          {0, "last"}};
  const auto run = [&](const auto& next_size) {
    CapsuleDecoder decoder(512);
    std::vector<Capsules> events;
    ByteView rest = as_bytes(stream);
    while (!rest.empty()) {
      const std::size_t size = std::min(rest.size(), next_size());
      const std::vector<std::uint8_t> piece(rest.begin(),
                                            rest.begin() + static_cast<std::ptrdiff_t>(size));
      decoder.feed(piece);
      drain(decoder, events);
      EXPECT_LE(decoder.buffered(), 512u + 16);
      rest = rest.subspan(size);
    }
    EXPECT_TRUE(decoder.at_boundary());
    return events;
  };
  for (std::size_t size = 1; size <= stream.size(); ++size) {
    EXPECT_EQ(run([size] { return size; }), expected) << "pieces of " << size;
  }
  Random random(7);
  for (int round = 0; round < 300; ++round) {
    EXPECT_EQ(run([&random] { return static_cast<std::size_t>(random.below(40)); }), expected);
  }
}

TEST(Capsule, KnowsWhereTheStreamMayEnd) {
  std::string stream;
  append_capsule(stream, kDatagramCapsule, as_bytes("abc"));
  append_capsule(stream, 0x1234, as_bytes(std::string(100, 'x')));
  for (std::size_t size = 0; size <= stream.size(); ++size) {
    CapsuleDecoder decoder(50);
    std::vector<Capsules> events;
    decoder.feed(as_bytes(stream).first(size));
    drain(decoder, events);
    EXPECT_EQ(decoder.at_boundary(), size == 0 || size == 5 || size == stream.size()) << size;
  }
}

TEST(Capsule, SkipsTheLongestWithoutKeepingIt) {
  std::array<std::uint8_t, 16> header;
  std::uint8_t* end = write_varint(write_varint(header.data(), 0x42), kMaxVarint);
  CapsuleDecoder decoder;
  std::vector<Capsules> events;
  decoder.feed(ByteView(header.data(), end));
  drain(decoder, events);
  const std::string filler(100'000, 'z');
  for (int i = 0; i < 10; ++i) {
    decoder.feed(as_bytes(filler));
    drain(decoder, events);
    EXPECT_EQ(decoder.buffered(), 0u);
  }
  EXPECT_THAT(events, ElementsAre(Pair(0x42u, "too long: 4611686018427387903")));
  EXPECT_FALSE(decoder.at_boundary());
}

}  // namespace
}  // namespace tern::http
