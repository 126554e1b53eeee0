// QPACK's encoder: a peer whose decoder stream and lateness are the input. As long as the peer
// keeps to the rules, what it decodes is what was encoded; whatever it says instead, limits hold
// and nothing breaks. Input: its first byte gives the table's size and how many streams may wait;
// then commands, one byte each:
//
//   bits 0-1  0: encodes a section   1: its instructions arrive   2: feedback arrives   3: bytes of
//             the peer's own making arrive as feedback (bits 2-7: how many follow)
//   bits 2-7  of a section: which lines

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/memory_pool.h"
#include "base/varint.h"
#include "http/fields.h"
#include "http3/qpack_decoder.h"
#include "http3/qpack_encoder.h"
#include "http3/qpack_tables.h"

namespace {

using namespace tern;
using namespace tern::http3;
using Lines = std::vector<std::pair<std::string, std::string>>;

Lines lines_of(std::uint8_t which, std::size_t turn) {
  Lines lines = {{":status", "200"}, {"date", "date " + std::to_string(turn / 4)}};
  if ((which & 1) != 0) lines.emplace_back("content-type", "text/x-fuzz");
  if ((which & 2) != 0) lines.emplace_back("etag", std::to_string(turn));
  if ((which & 4) != 0) lines.emplace_back("server", std::string(turn % 200, 's'));
  if ((which & 8) != 0) lines.emplace_back("x-own", std::string(turn % 50, '\xff'));
  if ((which & 16) != 0) lines.emplace_back("vary", "origin, " + std::to_string(turn % 7));
  if ((which & 32) != 0) lines.emplace_back("authorization", "secret");
  return lines;
}

struct Section {
  quic::StreamId stream;
  std::string bytes;
  Lines lines;
};

/// Lines that are sent again and again, and now and then others.
struct Prepared {
  Lines lines;
  http::Fields fields;
  void make(Lines others) {
    lines = std::move(others);
    fields.clear();
    for (const auto& [name, value] : lines) fields.add(name, value);
  }
};

void play(std::uint8_t options, ByteView script) {
  std::vector<std::uint8_t> scratch;
  MemoryPool pool;
  QpackDecoder::Config config;
  config.capacity = std::size_t{options & 0x0fu} * 512;
  config.max_streams = 100;
  QpackEncoder encoder(4096, scratch);
  QpackDecoder decoder(pool, config);
  encoder.set_peer(config.capacity, options >> 4);
  std::deque<Section> sections;
  std::map<std::uint8_t, Prepared> kept;
  bool honest = true;  // the peer keeps to the rules
  std::size_t turn = 0;
  while (!script.empty()) {
    const std::uint8_t command = script[0];
    script = script.subspan(1);
    switch (command & 3) {
      case 0: {
        Section section;
        section.stream = static_cast<quic::StreamId>(4 * turn);
        Prepared& prepared = kept[command];
        ByteView frame = encoder.recall(section.stream, 1, prepared.fields);
        if (frame.empty()) {
          if (turn % 3 == 0) prepared.make(lines_of(command >> 2, turn));
          encoder.begin(section.stream);
          for (const auto& [name, value] : prepared.lines) encoder.add(name, value);
          frame = encoder.finish();
          encoder.remember(1, prepared.fields);
        }
        section.lines = prepared.lines;
        ++turn;
        const auto length = read_varint(frame.subspan(1));
        TERN_CHECK(length && 1 + length->size + length->value == frame.size());
        section.bytes = as_text(frame.subspan(1 + length->size));
        sections.push_back(std::move(section));
        break;
      }
      case 1:
        if (encoder.has_instructions())
          TERN_CHECK(decoder.instructions(encoder.take_instructions()));
        while (honest && !sections.empty()) {
          const Section section = std::move(sections.front());
          sections.pop_front();
          QpackDecoder::Section state;
          ByteView rest = as_bytes(section.bytes);
          FieldLine line;
          Lines read;
          QpackDecoder::Step step = QpackDecoder::Step::more;
          while ((step = decoder.read(state, section.stream, rest, true, line)) ==
                 QpackDecoder::Step::line) {
            read.emplace_back(line.text, line.value);
          }
          TERN_CHECK(step == QpackDecoder::Step::done);
          TERN_CHECK(read == section.lines);
        }
        break;
      case 2:
        if (honest && decoder.has_feedback()) TERN_CHECK(encoder.read(decoder.take_feedback()));
        break;
      case 3: {
        const std::size_t size = std::min<std::size_t>(command >> 2, script.size());
        honest = honest && size == 0;
        if (!encoder.read(script.first(size))) return;
        script = script.subspan(size);
        break;
      }
    }
    TERN_CHECK(encoder.outstanding() <= QpackEncoder::kMaxOutstanding);
    TERN_CHECK(encoder.known_received() <= encoder.inserted());
    TERN_CHECK(encoder.entries() <= config.capacity / 32);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 1) play(data[0], {data + 1, size - 1});
  return 0;
}
