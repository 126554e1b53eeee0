#include "http3/qpack_encoder.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/memory_pool.h"
#include "base/random.h"
#include "base/varint.h"
#include "http/fields.h"
#include "http3/frame_walker.h"
#include "http3/prefixed_int.h"
#include "http3/qpack_decoder.h"
#include "http3/qpack_tables.h"
#include "tests/unit/sanitizers.h"

/// Our QPACK encoder, judged by a decoder that nobody here wrote.

namespace tern::http3 {
namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

std::string hex(ByteView bytes) {
  std::string out;
  for (const std::uint8_t byte : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

// ---- RFC 7541's vectors -------------------------------------------------------------------------

TEST(PrefixedInt, ExamplesOfRfc7541) {
  const auto written = [](unsigned bits, std::uint64_t value) {
    std::uint8_t bytes[kMaxPrefixedInt];
    std::uint8_t* const end = write_prefixed(bytes, 0, bits, value);
    EXPECT_EQ(prefixed_size(bits, value), static_cast<std::size_t>(end - bytes));
    return hex({bytes, end});
  };
  EXPECT_EQ(written(5, 10), "0a");  // C.1.1
  EXPECT_EQ(written(5, 1337), "1f9a0a");
  EXPECT_EQ(written(8, 42), "2a");
}

TEST(PrefixedInt, AreReadInPiecesAndNotBeyondTheirLimit) {
  for (const unsigned bits : {3u, 5u, 6u, 7u, 8u}) {
    for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{6}, std::uint64_t{7},
                                      std::uint64_t{255}, std::uint64_t{70'000}, kMaxVarint}) {
      std::uint8_t bytes[kMaxPrefixedInt];
      const ByteView all(bytes, write_prefixed(bytes, 0, bits, value));
      PrefixedIntReader reader;
      reader.begin(bits);
      for (std::size_t i = 0; i < all.size(); ++i) {
        ByteView one = all.subspan(i, 1);
        EXPECT_EQ(reader.take(one), i + 1 == all.size() ? PrefixedIntReader::State::whole
                                                        : PrefixedIntReader::State::more);
      }
      EXPECT_EQ(reader.value(), value);
    }
    std::uint8_t bytes[kMaxPrefixedInt];
    ByteView all(bytes, write_prefixed(bytes, 0, bits, kMaxVarint + 1));
    PrefixedIntReader reader;
    reader.begin(bits);
    EXPECT_EQ(reader.take(all), PrefixedIntReader::State::too_large);
  }
}

TEST(Huffman, ExamplesOfRfc7541) {
  const auto coded = [](std::string_view text) {
    std::vector<std::uint8_t> bytes(huffman_size(text));
    EXPECT_EQ(huffman_encode(bytes.data(), text), bytes.data() + bytes.size());
    return hex(bytes);
  };
  EXPECT_EQ(coded("www.example.com"), "f1e3c2e5f23a6ba0ab90f4ff");  // C.4.1
  EXPECT_EQ(coded("no-cache"), "a8eb10649cbf");
  EXPECT_EQ(coded("custom-key"), "25a849e95ba97d7f");
  EXPECT_EQ(coded("custom-value"), "25a849e95bb8e8b4bf");
  EXPECT_EQ(coded("Mon, 21 Oct 2013 20:13:21 GMT"),
            "d07abe941054d444a8200595040b8166e082a62d1bff");  // C.6.1
  EXPECT_EQ(coded(""), "");
}

TEST(StaticTable, EveryLineIsFound) {
  for (std::size_t i = 0; i < kStaticLines; ++i) {
    const StaticLine& line = static_line(i);
    const StaticMatch match = find_static(line.name, line.value);
    EXPECT_EQ(match.line, static_cast<int>(i)) << line.name;
    ASSERT_GE(match.name, 0);
    EXPECT_EQ(static_line(static_cast<std::size_t>(match.name)).name, line.name);
    EXPECT_EQ(find_static(line.name, "no such value").line, -1);
  }
  EXPECT_EQ(find_static("no-such-name", "").name, -1);
  EXPECT_EQ(find_static("", "").name, -1);
}

// ---- with a peer --------------------------------------------------------------------------------

/// An encoder and the peer's decoder; what goes between them goes when the test says so.
class Peers {
 public:
  static constexpr std::size_t kCapacity = 4096;

  explicit Peers(std::size_t blocked_streams, std::size_t capacity = kCapacity)
      : encoder(kCapacity, scratch_), decoder(pool_, config(capacity)) {
    encoder.set_peer(capacity, blocked_streams);
  }

  /// The frame's payload: the section.
  std::string encode(quic::StreamId stream, const Lines& lines) {
    encoder.begin(stream);
    for (const auto& [name, value] : lines) encoder.add(name, value);
    return payload(encoder.finish());
  }
  static std::string payload(ByteView frame) {
    EXPECT_EQ(frame[0], kFrameHeaders);
    const auto length = read_varint(frame.subspan(1));
    EXPECT_TRUE(length && 1 + length->size + length->value == frame.size());
    return std::string(as_text(frame.subspan(1 + length->size)));
  }
  /// What has been said on the encoder stream reaches the decoder.
  void deliver_instructions() {
    if (!encoder.has_instructions()) return;
    const Bytes bytes = encoder.take_instructions();
    ASSERT_TRUE(decoder.instructions(bytes)) << name(decoder.error());
  }
  void deliver_feedback() {
    if (!decoder.has_feedback()) return;
    ASSERT_TRUE(encoder.read(decoder.take_feedback()));
  }
  /// False: it waits.
  bool decode(QpackDecoder::Section& section, quic::StreamId stream, ByteView& bytes,
              Lines& lines) {
    FieldLine line;
    for (;;) {
      switch (decoder.read(section, stream, bytes, true, line)) {
        case QpackDecoder::Step::line: lines.emplace_back(line.text, line.value); break;
        case QpackDecoder::Step::done: return true;
        case QpackDecoder::Step::waits: return false;
        case QpackDecoder::Step::more:
        case QpackDecoder::Step::failed:
          ADD_FAILURE() << "cannot be decoded: " << name(decoder.error());
          return true;
      }
    }
  }
  Lines decode(quic::StreamId stream, const std::string& section) {
    QpackDecoder::Section state;
    Lines lines;
    ByteView bytes = as_bytes(section);
    EXPECT_TRUE(decode(state, stream, bytes, lines)) << "it waits";
    return lines;
  }
  /// Everything at once; returns the section's size.
  std::size_t exchange(quic::StreamId stream, const Lines& lines) {
    const std::string section = encode(stream, lines);
    deliver_instructions();
    EXPECT_EQ(decode(stream, section), lines);
    deliver_feedback();
    return section.size();
  }

 private:
  static QpackDecoder::Config config(std::size_t capacity) {
    QpackDecoder::Config config;
    config.capacity = capacity;
    config.max_streams = 100;
    return config;
  }
  std::vector<std::uint8_t> scratch_;
  MemoryPool pool_;

 public:
  QpackEncoder encoder;
  QpackDecoder decoder;
};

Lines response(const std::string& date = "Sun, 06 Nov 1994 08:49:38 GMT") {
  return {{":status", "200"},
          {"content-type", "text/plain; charset=utf-8"},
          {"content-length", "12"},
          {"accept-ranges", "bytes"},
          {"etag", "\"18a3c9b2f4e1d07c-c\""},
          {"last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
          {"date", date},
          {"x-own", "value"}};
}

TEST(QpackEncoderTest, WithoutATable) {
  for (const std::size_t capacity : {0u, 31u}) {
    Peers peers(100, capacity);
    for (int i = 0; i < 10; ++i) {
      const std::size_t size = peers.exchange(4 * i, response());
      EXPECT_GT(size, 80u);
      EXPECT_FALSE(peers.encoder.has_instructions());
    }
  }
}

TEST(QpackEncoderTest, EveryByteSurvives) {
  Peers peers(0);
  std::string value;
  for (int byte = 0; byte < 256; ++byte) value += static_cast<char>(byte);
  // In Huffman code and not, with a name of the static table and without.
  peers.exchange(0, {{"etag", value},
                     {"x-bytes", value},
                     {"etag", std::string(300, '0')},
                     {"x-long", std::string(5000, 'e')},
                     {"etag", ""},
                     {std::string(200, 'n'), "z"}});
}

TEST(QpackEncoderTest, RefersToWhatThePeerHas) {
  Peers peers(0);
  const std::size_t first = peers.exchange(0, response());
  EXPECT_EQ(peers.encoder.entries(), 3u) << "content-type, last-modified and date";
  EXPECT_EQ(peers.encoder.known_received(), 3u);
  const std::size_t second = peers.exchange(4, response());
  EXPECT_LT(second + 50, first);
  EXPECT_EQ(peers.encoder.entries(), 3u);
  EXPECT_EQ(peers.encoder.outstanding(), 0u) << "acknowledged";
}

TEST(QpackEncoderTest, NoStreamWaitsThatMayNot) {
  Peers peers(0);
  for (int i = 0; i < 5; ++i) {
    // The instructions are late.
    const std::string section = peers.encode(4 * i, response());
    EXPECT_EQ(peers.decode(4 * i, section), response());
  }
  EXPECT_EQ(peers.encoder.entries(), 3u) << "not inserted again";
}

TEST(QpackEncoderTest, AsManyStreamsWaitAsMay) {
  Peers peers(2);
  std::vector<std::string> sections;
  for (int i = 0; i < 4; ++i) sections.push_back(peers.encode(4 * i, response()));
  int waiting = 0;
  std::map<int, std::pair<QpackDecoder::Section, Lines>> states;
  std::map<int, ByteView> rest;
  for (int i = 0; i < 4; ++i) {
    auto& [section, lines] = states[i];
    rest[i] = as_bytes(sections[static_cast<std::size_t>(i)]);
    if (!peers.decode(section, 4 * i, rest[i], lines)) ++waiting;
  }
  EXPECT_EQ(waiting, 2);
  peers.deliver_instructions();
  for (auto& [i, state] : states) {
    if (!state.first.begun()) continue;
    EXPECT_TRUE(peers.decoder.ready(state.first));
    EXPECT_TRUE(peers.decode(state.first, 4 * i, rest[i], state.second));
  }
  for (auto& [i, state] : states) EXPECT_EQ(state.second, response());
}

TEST(QpackEncoderTest, SecretsAreNeverInTheTable) {
  Peers peers(100);
  for (int i = 0; i < 3; ++i) {
    peers.exchange(4 * i, {{"authorization", "Basic c2VjcmV0"}, {"cookie", "a=b"}});
    EXPECT_EQ(peers.encoder.entries(), 0u);
  }
  // Literals that nobody on the way may index (RFC 9204 §7.1.3), with names of the static table.
  const std::string section = peers.encode(12, {{"authorization", "Basic c2VjcmV0"}});
  EXPECT_EQ(static_cast<std::uint8_t>(section[2]) & 0xf0, 0x70);
}

TEST(QpackEncoderTest, ATableThatIsFullTurnsOver) {
  for (const std::size_t blocked : {0u, 100u}) {
    Peers peers(blocked);
    std::size_t size = 0;
    for (int second = 0; second < 1000; ++second) {
      const std::string date = "date number " + std::to_string(second);
      for (int i = 0; i < 6; ++i) size = peers.exchange(24 * second + 4 * i, response(date));
      EXPECT_LT(size, 45u) << "all of it is in the table by now";
      EXPECT_LT(peers.encoder.entries(), Peers::kCapacity / 32);
    }
    EXPECT_GT(peers.encoder.inserted(), 1000u);
  }
}

TEST(QpackEncoderTest, NothingThatIsReferredToIsEvicted) {
  // A peer whose acknowledgements come ten sections late.
  Peers peers(100);
  std::deque<Bytes> feedback;
  std::size_t largest = 0;
  for (int i = 0; i < 2000; ++i) {
    const Lines lines = response("date number " + std::to_string(i / 3));
    const std::string section = peers.encode(4 * i, lines);
    peers.deliver_instructions();
    ASSERT_EQ(peers.decode(4 * i, section), lines);
    if (peers.decoder.has_feedback()) feedback.push_back(peers.decoder.take_feedback());
    if (feedback.size() <= 10) continue;
    ASSERT_TRUE(peers.encoder.read(feedback.front()));
    feedback.pop_front();
    largest = std::max(largest, section.size());
  }
  EXPECT_LT(largest, 60u) << "entries in use are duplicated in time";
}

TEST(QpackEncoderTest, APeerThatAcknowledgesNothing) {
  Peers peers(0);
  peers.exchange(0, response());
  for (std::size_t i = 1; i < 2000; ++i) {
    const auto stream = static_cast<quic::StreamId>(4 * i);
    const std::string section = peers.encode(stream, response("date " + std::to_string(i)));
    peers.deliver_instructions();
    peers.decode(stream, section);
    EXPECT_LE(peers.encoder.outstanding(), QpackEncoder::kMaxOutstanding);
  }
  EXPECT_LE(peers.encoder.inserted(), Peers::kCapacity / 32);
}

TEST(QpackEncoderTest, InstructionsThatCannotLeaveAreFew) {
  Peers peers(0, 65536);
  for (int i = 0; i < 1000; ++i) {
    peers.encode(4 * i, {{"date", std::string(200, 'x') + std::to_string(i)}});
  }
  EXPECT_LT(peers.encoder.take_instructions().size(), QpackEncoder::kMaxInstructions + 512);
}

TEST(QpackEncoderTest, RemembersFrames) {
  Peers peers(0);
  const Lines lines = response();
  http::Fields fields;
  for (const auto& [name, value] : lines) {
    if (name != ":status") fields.add(name, value);
  }
  EXPECT_TRUE(peers.encoder.recall(0, 200, fields).empty());
  std::size_t recalled = 0;
  for (int i = 0; i < 10; ++i) {
    const http::Fields copy = fields;
    ByteView frame = peers.encoder.recall(4 * i, 200, copy);
    if (frame.empty()) {
      peers.encoder.begin(4 * i);
      for (const auto& [name, value] : lines) peers.encoder.add(name, value);
      frame = peers.encoder.finish();
      peers.encoder.remember(200, copy);
    } else {
      ++recalled;
    }
    const std::string section = Peers::payload(frame);
    peers.deliver_instructions();
    ASSERT_EQ(peers.decode(4 * i, section), lines);
    peers.deliver_feedback();
    if (i >= 1) {
      EXPECT_LT(section.size(), 45u);
    }
  }
  EXPECT_EQ(recalled, 8u) << "encoded without the table, and once more with it";
  EXPECT_TRUE(peers.encoder.recall(100, 404, fields).empty()) << "another status";
  http::Fields changed = fields;
  changed.add("x-more", "1");
  EXPECT_TRUE(peers.encoder.recall(100, 200, changed).empty());
  EXPECT_TRUE(peers.encoder.recall(100, 200, http::Fields()).empty());
  http::Fields own = fields;
  own.set("etag", "other");
  EXPECT_TRUE(peers.encoder.recall(100, 200, own).empty());

  // Once what it refers to is about to go, it is encoded anew.
  bool gone = false;
  for (int i = 100; i < 200 && !gone; ++i) {
    peers.exchange(4 * i, {{"date", "date number " + std::to_string(i)}});
    const ByteView frame = peers.encoder.recall(4 * i + 1000, 200, fields);
    gone = frame.empty();
    if (gone) break;
    ASSERT_EQ(peers.decode(4 * i + 1000, Peers::payload(frame)), lines);
    peers.deliver_feedback();
  }
  EXPECT_TRUE(gone);
}

TEST(QpackEncoderTest, RemembersRequests) {
  Peers peers(0);
  http::Fields fields;
  fields.add("content-type", "application/grpc");
  fields.add("te", "trailers");
  fields.add("user-agent", "grpc-tern");
  std::size_t recalled = 0;
  std::size_t size = 0;
  quic::StreamId stream = 0;
  // As a session sends it; both methods take turns.
  const auto send = [&](const std::string& path, const http::Fields& with) {
    http::RequestHead head;
    head.method = "POST";
    head.authority = "localhost";
    head.path = path;
    head.fields = with;
    Lines lines = {
        {":method", "POST"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", path}};
    for (const http::Field field : with) lines.emplace_back(field.name, field.value);
    ByteView frame = peers.encoder.recall(stream, head);
    const bool known = !frame.empty();
    if (!known) {
      peers.encoder.begin(stream);
      for (const auto& [name, value] : lines) peers.encoder.add(name, value);
      frame = peers.encoder.finish();
      peers.encoder.remember(head);
    }
    const std::string section = Peers::payload(frame);
    size = section.size();
    peers.deliver_instructions();
    EXPECT_EQ(peers.decode(stream, section), lines);
    peers.deliver_feedback();
    stream += 4;
    return known;
  };
  for (int i = 0; i < 20; ++i) {
    recalled += send(i % 2 == 0 ? "/pkg.Service/One" : "/pkg.Service/Two", fields) ? 1 : 0;
  }
  EXPECT_GE(recalled, 14u);
  EXPECT_LT(size, 14u) << "the path is in the table as well";
  http::Fields more = fields;
  more.add("grpc-timeout", "1S");
  EXPECT_FALSE(send("/pkg.Service/One", more));
  EXPECT_FALSE(send("/pkg.Service/Three", fields));
  EXPECT_TRUE(send("/pkg.Service/Two", fields));
  // Paths that come once leave the table to those that repeat.
  for (int i = 0; i < 50; ++i) {
    EXPECT_FALSE(send("/once/" + std::to_string(i), fields));
    EXPECT_GT(size, 14u);
  }
  EXPECT_TRUE(send("/pkg.Service/One", fields));
}

TEST(QpackEncoderTest, SectionsThatAreNotReadAgainAreAcknowledged) {
  Peers peers(0);
  peers.exchange(0, response());
  peers.exchange(4, response());
  const std::string section = peers.encode(8, response());
  ASSERT_NE(section[0], 0) << "it refers to the table";
  const auto generation = peers.decoder.generation();
  EXPECT_EQ(peers.decode(8, section), response());
  EXPECT_EQ(peers.encode(12, response()), section);
  ASSERT_TRUE(peers.decoder.skip(12, as_bytes(section)));
  EXPECT_EQ(peers.encoder.outstanding(), 2u);
  peers.deliver_feedback();  // the one before is told of at once
  EXPECT_EQ(peers.encoder.outstanding(), 0u);
  EXPECT_FALSE(peers.decoder.has_feedback());
  ASSERT_TRUE(peers.decoder.skip(16, as_bytes(std::string_view("\0\0\xd9", 3))));
  EXPECT_FALSE(peers.decoder.has_feedback()) << "nothing to acknowledge";
  EXPECT_EQ(peers.decoder.generation(), generation);
  peers.exchange(20, {{"server", "inserted"}});
  EXPECT_NE(peers.decoder.generation(), generation);
  // A peer that does not read what it is told is not told without end.
  bool skipped = true;
  for (int i = 0; skipped && i < 10'000; ++i) skipped = peers.decoder.skip(24, as_bytes(section));
  EXPECT_FALSE(skipped);
}

TEST(QpackEncoderTest, AcknowledgmentsOfWhatComesAgainWait) {
  Peers peers(0);
  peers.exchange(0, response());
  peers.exchange(4, response());
  quic::StreamId stream = 4;
  std::string section;
  const auto skip = [&](std::size_t times) {
    for (std::size_t i = 0; i < times; ++i) {
      section = peers.encode(stream += 4, response());
      ASSERT_TRUE(peers.decoder.skip(stream, as_bytes(section)));
    }
  };
  // For as many as are told of together.
  skip(QpackDecoder::kDeferred - 1);
  EXPECT_TRUE(peers.decoder.defers_feedback());
  EXPECT_FALSE(peers.decoder.has_feedback());
  skip(1);
  EXPECT_FALSE(peers.decoder.defers_feedback());
  peers.deliver_feedback();
  EXPECT_EQ(peers.encoder.outstanding(), 0u);
  EXPECT_FALSE(peers.decoder.defers_feedback());

  // Or for whatever else there is to say: of a section that is read, …
  skip(2);
  section = peers.encode(stream += 4, response());
  EXPECT_EQ(peers.decode(stream, section), response());
  peers.deliver_feedback();
  EXPECT_EQ(peers.encoder.outstanding(), 0u);
  // … of a stream that is not, …
  skip(2);
  section = peers.encode(stream += 4, response());
  ASSERT_TRUE(peers.decoder.cancel(stream));
  peers.deliver_feedback();
  EXPECT_EQ(peers.encoder.outstanding(), 0u);
  // … or for something to happen: an instruction, a section without references, or the time.
  skip(2);
  peers.encode(stream += 4, {{"server", "inserted"}});
  peers.deliver_instructions();
  EXPECT_TRUE(peers.decoder.has_feedback());
  peers.deliver_feedback();
  skip(2);
  ASSERT_EQ(peers.decode(stream += 4, std::string("\0\0\xd9", 3)), (Lines{{":status", "200"}}));
  EXPECT_TRUE(peers.decoder.has_feedback());
  peers.deliver_feedback();
  skip(2);
  peers.decoder.hurry_feedback();
  EXPECT_TRUE(peers.decoder.has_feedback());
  peers.deliver_feedback();
  EXPECT_FALSE(peers.decoder.has_feedback());
  peers.decoder.hurry_feedback();
  EXPECT_FALSE(peers.decoder.has_feedback()) << "there is nothing";
}

TEST(QpackEncoderTest, FeedbackThatBreaksTheRules) {
  const auto said = [](std::string_view bytes, bool after_a_section) {
    Peers peers(0);
    if (after_a_section) {
      peers.exchange(0, response());
      const std::string section = peers.encode(4, response());
      peers.decode(4, section);  // not told of yet
    }
    return peers.encoder.read(as_bytes(bytes));
  };
  EXPECT_TRUE(said("\x84", true));
  EXPECT_FALSE(said(std::string_view("\x84\x84", 2), true)) << "acknowledged twice";
  EXPECT_FALSE(said("\x88", true)) << "a stream without a section";
  EXPECT_FALSE(said("\x84", false));
  EXPECT_TRUE(said("\x44", true));
  EXPECT_TRUE(said("\x48", true)) << "of a stream that we know nothing of";
  EXPECT_FALSE(said(std::string_view("\x44\x84", 2), true));
  EXPECT_FALSE(said(std::string_view("\0", 1), true)) << "an increment of zero";
  EXPECT_FALSE(said("\x01", true)) << "more than was inserted";
  EXPECT_FALSE(said("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", true)) << "too large";
  EXPECT_FALSE(said(std::string(QpackEncoder::kMaxFeedback + 1, '\x48'), true)) << "a flood";
  // However it is cut.
  Peers peers(0);
  for (int i = 0; i < 100; ++i) peers.exchange(4 * i, response());
  const std::string section = peers.encode(4000, response());
  peers.decode(4000, section);
  const Bytes feedback = peers.decoder.take_feedback();
  EXPECT_GT(feedback.size(), 1u);
  for (std::size_t i = 0; i < feedback.size(); ++i) {
    EXPECT_TRUE(peers.encoder.read(feedback.view().subspan(i, 1)));
  }
  EXPECT_EQ(peers.encoder.outstanding(), 0u);
}

/// Sections, instructions and acknowledgements that travel at their own speed.
TEST(QpackEncoderTest, WhateverIsLateEveryLineArrives) {
  constexpr std::uint64_t kSeeds = test::kSanitized ? 15 : 60;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Random random(seed);
    const std::size_t blocked = random.below(3) * random.below(20);
    Peers peers(blocked, 200 + random.below(5000));
    struct Travelling {
      quic::StreamId stream;
      std::string bytes;
      Lines lines;
      Lines read;
      QpackDecoder::Section state;
      std::size_t at = 0;
      bool waits = false;
    };
    std::list<Travelling> sections;
    std::string instructions;
    std::string feedback;
    for (quic::StreamId stream = 0; stream < 4 * 600; stream += 4) {
      Lines lines;
      const std::size_t count = 1 + random.below(8);
      for (std::size_t i = 0; i < count; ++i) {
        const StaticLine& known = static_line(random.below(kStaticLines));
        std::string name(known.name);
        if (random.below(5) == 0) name = "x-" + std::to_string(random.below(10));
        if (random.below(9) == 0) name = "priority";
        lines.emplace_back(name, random.below(3) == 0 ? std::string(known.value)
                                                      : std::string(random.below(60), 'v') +
                                                            std::to_string(random.below(9)));
      }
      Travelling& sent = sections.emplace_back();
      sent.stream = stream;
      sent.bytes = peers.encode(stream, lines);
      sent.lines = std::move(lines);
      if (peers.encoder.has_instructions()) {
        instructions += peers.encoder.take_instructions().text();
      }
      // Some bytes of each direction arrive.
      if (random.below(2) == 0) {
        const std::size_t size = random.below(instructions.size() + 1);
        ASSERT_TRUE(peers.decoder.instructions(as_bytes(instructions).first(size)))
            << name(peers.decoder.error()) << " seed " << seed;
        instructions.erase(0, size);
      }
      if (peers.decoder.has_feedback()) feedback += peers.decoder.take_feedback().text();
      if (random.below(2) == 0) {
        const std::size_t size = random.below(feedback.size() + 1);
        ASSERT_TRUE(peers.encoder.read(as_bytes(feedback).first(size))) << "seed " << seed;
        feedback.erase(0, size);
      }
      std::size_t waiting = 0;
      for (auto section = sections.begin(); section != sections.end();) {
        const bool arrives =
            section->waits ? peers.decoder.ready(section->state) : random.below(3) == 0;
        bool whole = false;
        if (arrives) {
          ByteView rest = as_bytes(section->bytes).subspan(section->at);
          whole = peers.decode(section->state, section->stream, rest, section->read);
          section->at = section->bytes.size() - rest.size();
          section->waits = !whole;
          ASSERT_TRUE(!whole || section->read == section->lines) << "seed " << seed;
        }
        waiting += section->waits ? 1 : 0;
        section = whole ? sections.erase(section) : std::next(section);
      }
      ASSERT_LE(waiting, blocked) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace tern::http3
