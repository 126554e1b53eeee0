#include <array>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/varint.h"
#include "http/rate_limit.h"
#include "http3/control_reader.h"
#include "http3/frame_walker.h"
#include "http3/known_sections.h"
#include "http3/message_rules.h"
#include "http3/send_queue.h"
#include "http3/settings.h"
#include "http3/stream_table.h"

namespace tern::http3 {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

void append_varint(std::vector<std::uint8_t>& out, std::uint64_t value) {
  std::uint8_t bytes[kMaxVarintSize];
  out.insert(out.end(), bytes, write_varint(bytes, value));
}

// ---- field sections that come again -------------------------------------------------------------

TEST(KnownSections, AreKeptFromTheSecondTimeOn) {
  KnownSections sections;
  MessageRules begun;
  begun.begin(MessageRules::Kind::response, false, false);
  const auto section = [&](std::string_view value) {
    KnownSection made;
    made.begun = begun;
    made.fields.add("name", value);
    return made;
  };
  const ByteView bytes = as_bytes(std::string_view("section"));
  EXPECT_EQ(sections.find(bytes, begun, 1), nullptr);
  EXPECT_FALSE(sections.worth_learning()) << "it may come once";
  EXPECT_EQ(sections.find(bytes, begun, 1), nullptr);
  ASSERT_TRUE(sections.worth_learning());
  sections.learn(bytes, 1, section("one"));
  const KnownSection* known = sections.find(bytes, begun, 1);
  ASSERT_NE(known, nullptr);
  EXPECT_EQ(known->fields.find("name"), "one");
  EXPECT_EQ(sections.find(bytes, begun, 2), nullptr) << "the table is another";
  ASSERT_TRUE(sections.worth_learning());
  sections.learn(bytes, 2, section("two"));
  EXPECT_EQ(sections.find(bytes, begun, 2)->fields.find("name"), "two");
  MessageRules other;
  other.begin(MessageRules::Kind::response_trailers, false, false);
  EXPECT_EQ(sections.find(bytes, other, 2), nullptr) << "not where other rules hold";

  const std::string large(KnownSections::kLargest + 1, 'x');
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(sections.find(as_bytes(large), begun, 2), nullptr);
    EXPECT_FALSE(sections.worth_learning());
  }
  // A few, and the newest.
  for (int i = 0; i < 20; ++i) {
    const std::string name = "section " + std::to_string(i);
    sections.find(as_bytes(name), begun, 2);
    sections.worth_learning();
    sections.find(as_bytes(name), begun, 2);
    ASSERT_TRUE(sections.worth_learning());
    sections.learn(as_bytes(name), 2, section(name));
  }
  std::size_t kept = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string name = "section " + std::to_string(i);
    const KnownSection* found = sections.find(as_bytes(name), begun, 2);
    if (found == nullptr) continue;
    ++kept;
    EXPECT_EQ(found->fields.find("name"), name);
    EXPECT_GE(i, 16);
  }
  EXPECT_EQ(kept, KnownSections::kMost);
}

// ---- frames -------------------------------------------------------------------------------------

TEST(FrameWalker, FindsTheSameFramesInAnyPortions) {
  std::vector<std::uint8_t> bytes;
  for (const auto& [type, size] :
       {std::pair<std::uint64_t, std::size_t>{0, 5}, {1, 0}, {0xf0700, 70}}) {
    append_varint(bytes, type);
    append_varint(bytes, size);
    bytes.insert(bytes.end(), size, 'x');
  }
  for (std::size_t portion = 1; portion <= bytes.size(); ++portion) {
    FrameWalker walker;
    std::vector<std::pair<std::uint64_t, std::size_t>> frames;
    for (std::size_t at = 0; at < bytes.size(); at += portion) {
      ByteView part = ByteView(bytes).subspan(at, std::min(portion, bytes.size() - at));
      while (!part.empty()) {
        ByteView payload;
        switch (walker.next(part, payload)) {
          case FrameWalker::Step::more: break;
          case FrameWalker::Step::header: frames.emplace_back(walker.type(), 0); break;
          case FrameWalker::Step::payload: frames.back().second += payload.size(); break;
        }
      }
    }
    EXPECT_TRUE(walker.between_frames());
    EXPECT_THAT(frames, ElementsAre(std::pair(std::uint64_t{0}, std::size_t{5}),
                                    std::pair(std::uint64_t{1}, std::size_t{0}),
                                    std::pair(std::uint64_t{0xf0700}, std::size_t{70})));
  }
}

// ---- settings -----------------------------------------------------------------------------------

Settings sample() {
  Settings settings;
  settings.max_field_section = 65536;
  settings.qpack_capacity = 4096;
  settings.qpack_blocked_streams = 100;
  settings.extended_connect = true;
  settings.datagrams = true;
  settings.others = {{0x2c7cf000, 1}};
  return settings;
}

TEST(SettingsTest, SurviveTheWireInAnyPortions) {
  const std::vector<std::uint8_t> frame = sample().frame();
  ASSERT_EQ(frame[0], 4);
  ASSERT_EQ(frame[1], frame.size() - 2);
  for (std::size_t portion = 1; portion < frame.size(); ++portion) {
    SettingsParser parser;
    for (std::size_t at = 2; at < frame.size(); at += portion) {
      EXPECT_FALSE(parser.take(ByteView(frame).subspan(at, std::min(portion, frame.size() - at))));
    }
    EXPECT_FALSE(parser.finish());
    EXPECT_EQ(parser.settings(), sample());
  }
}

TEST(SettingsTest, DefaultsAreNotSent) {
  EXPECT_THAT(Settings().frame(), ElementsAre(4, 0));
  EXPECT_EQ(*Settings::deserialize(Settings().serialize()), Settings());
}

TEST(SettingsTest, SerializedFormIsReadStrictly) {
  const std::vector<std::uint8_t> blob = sample().serialize();
  EXPECT_EQ(*Settings::deserialize(blob), sample());
  EXPECT_FALSE(Settings::deserialize(ByteView(blob).first(blob.size() - 1)));
  EXPECT_FALSE(Settings::deserialize(ByteView()));
  std::vector<std::uint8_t> other = blob;
  other[0] = 9;
  EXPECT_FALSE(Settings::deserialize(other));
}

TEST(SettingsTest, TheDraftsDatagramSettingCountsToo) {
  SettingsParser parser;
  std::vector<std::uint8_t> payload;
  append_varint(payload, kSettingH3DatagramDraft);
  append_varint(payload, 1);
  EXPECT_FALSE(parser.take(payload));
  EXPECT_TRUE(parser.settings().datagrams);
}

TEST(SettingsTest, PromisesMayGrowButNotShrink) {
  const Settings promised = sample();
  Settings now = promised;
  EXPECT_TRUE(now.keeps_promise_of(promised));
  now.max_field_section *= 2;
  now.qpack_blocked_streams *= 2;
  EXPECT_TRUE(now.keeps_promise_of(promised));
  now.qpack_capacity *= 2;
  EXPECT_FALSE(now.keeps_promise_of(promised)) << "the table's capacity stays as it was";
  now = promised;
  now.max_field_section -= 1;
  EXPECT_FALSE(now.keeps_promise_of(promised));
  now = promised;
  now.extended_connect = false;
  EXPECT_FALSE(now.keeps_promise_of(promised));
  now = promised;
  now.datagrams = false;
  EXPECT_FALSE(now.keeps_promise_of(promised));
  EXPECT_TRUE(promised.keeps_promise_of(Settings()) == false) << "unlimited was promised";
}

// ---- what is sent -------------------------------------------------------------------------------

TEST(SendQueueTest, KeepsPiecesUntilTheyAreAcknowledged) {
  SendQueue queue;
  std::string whole;
  for (int i = 1; i <= 200; ++i) {
    const std::string piece(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
    whole += piece;
    queue.push(Bytes::copy(piece));
  }
  EXPECT_EQ(queue.unsent(), whole.size());
  std::string wire;
  std::size_t acked = 0;
  std::array<quic::Vec, 8> vecs{};
  for (;;) {
    std::size_t offered = 0;
    const std::size_t count = queue.offer(vecs, offered);
    if (count == 0) break;
    // Some of it leaves, across the pieces' ends.
    std::size_t left = std::min<std::size_t>(offered, 77);
    queue.sent(left);
    for (std::size_t i = 0; left > 0; ++i) {
      const std::size_t size = std::min(left, vecs[i].size);
      wire.append(reinterpret_cast<const char*>(vecs[i].data), size);
      left -= size;
    }
    if (wire.size() - acked > 500) {
      queue.acked(100);
      acked += 100;
    }
  }
  EXPECT_EQ(queue.unsent(), 0u);
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(wire, whole);
  queue.acked(whole.size() - acked);
  EXPECT_TRUE(queue.empty());
  queue.push(Bytes::copy("again"));
  std::size_t offered = 0;
  EXPECT_EQ(queue.offer(vecs, offered), 1u);
  EXPECT_EQ(offered, 5u);
}

TEST(SendQueueTest, LetsGoOfWhatIsAcknowledged) {
  SendQueue queue;
  std::vector<std::uint8_t> memory(1000, 'x');
  const Bytes piece = Bytes::take(std::move(memory));
  const std::uint8_t* const address = piece.data();
  queue.push(piece);
  queue.push(piece.slice(500));
  queue.sent(1200);
  queue.acked(1000);
  std::array<quic::Vec, 8> vecs{};
  std::size_t offered = 0;
  EXPECT_EQ(queue.offer(vecs, offered), 1u);
  EXPECT_EQ(vecs[0].data, address + 500 + 200);
  EXPECT_EQ(offered, 300u);
}

TEST(SendQueueTest, APieceGoesOnUntilItIsSent) {
  const std::string text = "headerbodymore";
  const auto* const at = reinterpret_cast<const std::uint8_t*>(text.data());
  SendQueue queue;
  EXPECT_FALSE(queue.extend(at, 6)) << "nothing there";
  queue.push(Bytes::literal(std::string_view(text).substr(0, 6)));
  EXPECT_FALSE(queue.extend(at + 7, 4)) << "not where it ends";
  EXPECT_TRUE(queue.extend(at + 6, 4));
  std::array<quic::Vec, 8> vecs{};
  std::size_t offered = 0;
  EXPECT_EQ(queue.offer(vecs, offered), 1u);
  EXPECT_EQ(offered, 10u);
  queue.sent(3);
  EXPECT_TRUE(queue.extend(at + 10, 1)) << "the rest of it is still to come";
  queue.sent(8);
  EXPECT_FALSE(queue.extend(at + 11, 3)) << "it has left";
  EXPECT_EQ(queue.unsent(), 0u);
}

TEST(SendQueueTest, Rewinds) {
  SendQueue queue;
  queue.push(Bytes::copy("abc"));
  queue.push(Bytes::copy("def"));
  std::array<quic::Vec, 8> vecs{};
  queue.sent(4);
  EXPECT_EQ(queue.unsent(), 2u);
  queue.rewind();
  EXPECT_EQ(queue.unsent(), 6u);
  queue.push_front(Bytes::copy("0"));
  std::size_t offered = 0;
  EXPECT_EQ(queue.offer(vecs, offered), 3u);
  EXPECT_EQ(*vecs[0].data, '0');
}

// ---- what comes in ------------------------------------------------------------------------------

FieldLine line(FieldName name, std::string_view text, std::string_view value) {
  FieldLine made;
  made.name = name;
  made.text = text;
  made.value = value;
  return made;
}

TEST(MessageRulesTest, ValuesAreJudgedInEveryPosition) {
  using Verdict = MessageRules::Verdict;
  for (std::size_t size = 1; size < 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string value(size, 'x');
        value[at] = static_cast<char>(byte);
        MessageRules rules;
        rules.begin(MessageRules::Kind::request, false, false);
        const bool end = at == 0 || at + 1 == size;
        const bool valid = (byte > 0x20 && byte != 0x7f) || (!end && (byte == ' ' || byte == '\t'));
        const Verdict verdict = rules.line(line(FieldName::other, "name", value));
        ASSERT_EQ(verdict, valid ? Verdict::take : Verdict::malformed)
            << size << ' ' << at << ' ' << byte;
        const bool path = byte > 0x20 && byte != 0x7f;
        rules.begin(MessageRules::Kind::request, false, false);
        ASSERT_EQ(rules.line(line(FieldName::path, ":path", value)),
                  path ? Verdict::take : Verdict::malformed);
      }
    }
  }
}

TEST(MessageRulesTest, NamesAreJudgedInEveryPosition) {
  using Verdict = MessageRules::Verdict;
  constexpr std::string_view kTokens = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
  for (std::size_t size = 1; size < 12; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string name(size, 'x');
        name[at] = static_cast<char>(byte);
        const bool valid = kTokens.find(static_cast<char>(byte)) != std::string_view::npos;
        for (const auto kind :
             {MessageRules::Kind::request, MessageRules::Kind::response_trailers}) {
          MessageRules rules;
          rules.begin(kind, false, false);
          ASSERT_EQ(rules.line(line(FieldName::other, name, "value")),
                    valid ? Verdict::take : Verdict::malformed)
              << size << ' ' << at << ' ' << byte;
        }
      }
    }
  }
}

// What every request has; more of it is in malformed_test.cc.
TEST(MessageRulesTest, AnswersThatSayNoLength) {
  using Verdict = MessageRules::Verdict;
  const auto length = line(FieldName::content_length, "content-length", "5");
  MessageRules rules;
  for (const char* status : {"103", "200", "204", "304"}) {
    for (const bool connect : {false, true}) {
      rules.begin(MessageRules::Kind::response, connect, false);
      ASSERT_EQ(rules.line(line(FieldName::status, ":status", status)), Verdict::take);
      const int number = rules.status();
      const bool none = number < 200 || (connect && number == 200);
      EXPECT_EQ(rules.line(length), none            ? Verdict::leave_out
                                    : number == 204 ? Verdict::malformed
                                                    : Verdict::take);
      EXPECT_EQ(rules.content_length(), none || number == 204 ? -1 : 5);
    }
  }
}

// ---- the rest -----------------------------------------------------------------------------------

TEST(RateLimitTest, AllowsABurstAndThenTheRate) {
  http::RateLimit limit(10, 10s);
  Timestamp now{100s};
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limit.allow(now));
  EXPECT_FALSE(limit.allow(now));
  EXPECT_FALSE(limit.allow(now + 999ms));
  EXPECT_TRUE(limit.allow(now + 1s));
  EXPECT_FALSE(limit.allow(now + 1s));
  now += 100s;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limit.allow(now));
  EXPECT_FALSE(limit.allow(now));
}

TEST(ControlReaderTest, FramesInAnyPortions) {
  std::vector<std::uint8_t> bytes = sample().frame();
  const std::string update = "u=1, i";
  append_varint(bytes, kFramePriorityUpdate);
  append_varint(bytes, 1 + update.size());
  append_varint(bytes, 4);
  bytes.insert(bytes.end(), update.begin(), update.end());
  append_varint(bytes, kFrameGoaway);
  append_varint(bytes, 1);
  append_varint(bytes, 8);
  for (std::size_t portion = 1; portion <= bytes.size(); ++portion) {
    ControlReader reader(true);
    std::vector<std::pair<std::uint64_t, std::string>> frames;
    for (std::size_t at = 0; at < bytes.size(); at += portion) {
      const auto error =
          reader.take(ByteView(bytes).subspan(at, std::min(portion, bytes.size() - at)),
                      [&](const ControlReader::Frame& frame) {
                        frames.emplace_back(frame.type, as_text(frame.payload));
                        return true;
                      });
      EXPECT_FALSE(error);
    }
    EXPECT_TRUE(reader.settings_complete());
    EXPECT_EQ(reader.settings().settings(), sample());
    ASSERT_EQ(frames.size(), 3u);
    EXPECT_EQ(frames[1], std::pair(kFramePriorityUpdate, "\x04" + update));
    EXPECT_EQ(frames[2], std::pair(kFrameGoaway, std::string("\x08")));
  }
}

TEST(ErrorCodes, HaveTheirRegisteredNumbersAndNames) {
  EXPECT_EQ(code(ErrorCode::no_error), 0x100u);
  EXPECT_EQ(code(ErrorCode::version_fallback), 0x110u);
  EXPECT_EQ(code(ErrorCode::qpack_decompression_failed), 0x200u);
  EXPECT_EQ(code(ErrorCode::datagram_error), 0x33u);
  EXPECT_EQ(name(ErrorCode::excessive_load), "H3_EXCESSIVE_LOAD");
  EXPECT_EQ(name(ErrorCode::qpack_encoder_stream_error), "QPACK_ENCODER_STREAM_ERROR");
  EXPECT_EQ(name(static_cast<ErrorCode>(0x9999)), "");
}

}  // namespace
}  // namespace tern::http3
