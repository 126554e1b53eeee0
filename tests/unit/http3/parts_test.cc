#include <array>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/varint.h"
#include "http/rate_limit.h"
#include "http3/body_queue.h"
#include "http3/control_reader.h"
#include "http3/frame_walker.h"
#include "http3/nghttp3_bridge.h"
#include "http3/settings.h"
#include "http3/settings_splice.h"
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

// ---- frames
// --------------------------------------------------------------------------------------

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

// ---- settings
// ------------------------------------------------------------------------------------

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

// ---- the splice
// ----------------------------------------------------------------------------------

/// nghttp3's side: what it wants to send from its write offset on, in one piece.
class Library {
 public:
  explicit Library(std::string bytes) : bytes_(std::move(bytes)) {}
  std::size_t offer(quic::Vec* vecs) const {
    if (sent == bytes_.size()) return 0;
    vecs[0] = {reinterpret_cast<const std::uint8_t*>(bytes_.data()) + sent, bytes_.size() - sent};
    return 1;
  }
  void append(std::string more) { bytes_ += more; }
  std::size_t sent = 0;
  std::size_t acked = 0;

 private:
  std::string bytes_;
};

TEST(SettingsSplice, ReplacesTheBeginningHoweverItIsSent) {
  const std::string theirs(
      "\x00\x04\x03"
      "abc",
      6);
  const std::string goaway = "\x07\x01\x08";
  std::string ours(
      "\x00\x04\x08"
      "12345678",
      11);
  for (std::size_t portion = 1; portion <= 20; ++portion) {
    SettingsSplice splice;
    splice.begin(std::vector<std::uint8_t>(ours.begin(), ours.end()));
    Library library(theirs + goaway);
    std::string wire;
    std::array<quic::Vec, 4> vecs{};
    for (;;) {
      const std::size_t count = splice.rewrite(vecs.data(), library.offer(vecs.data()), 4);
      if (count == 0) break;
      std::size_t left = portion;
      std::size_t taken = 0;
      for (std::size_t i = 0; i < count && left > 0; ++i) {
        const std::size_t size = std::min(left, vecs[i].size);
        wire.append(reinterpret_cast<const char*>(vecs[i].data), size);
        left -= size;
        taken += size;
      }
      library.sent += splice.sent(taken);
    }
    EXPECT_EQ(wire, ours + goaway);
    EXPECT_EQ(library.sent, theirs.size() + goaway.size());
    for (std::size_t at = 0; at < wire.size(); at += portion) {
      library.acked += splice.acked(std::min(portion, wire.size() - at));
      EXPECT_LE(library.acked, library.sent);
    }
    EXPECT_EQ(library.acked, theirs.size() + goaway.size());
    library.append(goaway);
    EXPECT_EQ(splice.rewrite(vecs.data(), library.offer(vecs.data()), 4), 1u);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(vecs[0].data), vecs[0].size), goaway);
  }
}

// ---- bodies
// --------------------------------------------------------------------------------------

TEST(BodyQueue, KeepsSlicesUntilTheyAreAcknowledged) {
  BodyQueue queue;
  std::vector<std::string> pieces;
  std::string whole;
  for (int i = 1; i <= 200; ++i) {
    pieces.push_back(std::string(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26)));
    whole += pieces.back();
    queue.push(Bytes::copy(pieces.back()));
  }
  EXPECT_EQ(queue.unsent(), whole.size());
  std::string wire;
  std::size_t acked = 0;
  std::array<quic::Vec, 8> vecs{};
  while (const std::size_t count = queue.offer(vecs.data(), vecs.size())) {
    const std::uint8_t framing = 0;
    EXPECT_FALSE(queue.sent(&framing, 1)) << "not the body's";
    for (std::size_t i = 0; i < count; ++i) {
      while (vecs[i].size > 0) {
        const std::size_t size = std::min<std::size_t>(7, vecs[i].size);
        wire.append(reinterpret_cast<const char*>(vecs[i].data), size);
        EXPECT_TRUE(queue.sent(vecs[i].data, size));
        vecs[i].data += size;
        vecs[i].size -= size;
        if (wire.size() - acked > 500) {
          queue.acked(100);
          acked += 100;
        }
      }
    }
  }
  EXPECT_TRUE(queue.all_offered());
  EXPECT_EQ(queue.unsent(), 0u);
  EXPECT_EQ(wire, whole);
  queue.acked(whole.size() - acked);
  queue.push(Bytes::copy("again"));
  EXPECT_EQ(queue.offer(vecs.data(), vecs.size()), 1u);
}

TEST(BodyQueue, Rewinds) {
  BodyQueue queue;
  queue.push(Bytes::copy("abc"));
  queue.push(Bytes::copy("def"));
  std::array<quic::Vec, 8> vecs{};
  EXPECT_EQ(queue.offer(vecs.data(), 8), 2u);
  EXPECT_TRUE(queue.sent(vecs[0].data, 2));
  EXPECT_EQ(queue.unsent(), 4u);
  queue.rewind();
  EXPECT_EQ(queue.unsent(), 6u);
  EXPECT_EQ(queue.offer(vecs.data(), 8), 2u);
}

// ---- the rest
// ------------------------------------------------------------------------------------

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
