// QPACK's decoder: what a peer's encoder stream and field sections come to does not depend on how
// they are cut, and what waited for the table comes to the same. Input: a byte for the table's
// size, one for the pieces, then commands, one byte each, with the length of what follows:
//
//   bits 0-1  0: instructions arrive   1: a section begins on one of eight streams (bits 2-4)
//             2: a section's stream is given up   3: every section that can goes on
//   a byte follows for 0 and 1: how many bytes come

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/memory_pool.h"
#include "http3/qpack_decoder.h"

namespace {

using namespace tern;
using namespace tern::http3;
using Step = QpackDecoder::Step;

/// One run over the script.
class Run {
 public:
  Run(std::size_t capacity, std::size_t piece) : piece_(piece) {
    QpackDecoder::Config config;
    config.capacity = capacity;
    config.max_streams = 8;
    decoder_.emplace(pool_, config);
  }

  /// What came of it, in words.
  std::string play(ByteView script) {
    while (!script.empty() && !failed_) {
      const std::uint8_t command = script[0];
      script = script.subspan(1);
      const std::size_t index = command >> 2 & 7;
      ByteView bytes;
      if ((command & 2) == 0 && !script.empty()) {
        bytes = script.subspan(1, std::min<std::size_t>(script[0], script.size() - 1));
        script = script.subspan(1 + bytes.size());
      }
      switch (command & 3) {
        case 0: instructions(bytes); break;
        case 1: begin(index, bytes); break;
        case 2: give_up(index); break;
        default: go_on(); break;
      }
    }
    if (failed_) {
      said_ += "failed " + std::to_string(static_cast<std::uint64_t>(decoder_->error()));
    } else {
      go_on();
      if (decoder_->has_feedback())
        said_ += "feedback " + std::string(decoder_->take_feedback().text());
    }
    return said_;
  }

 private:
  struct Stream {
    QpackDecoder::Section section;
    std::string bytes;  // that are not read
    bool under_way = false;
    bool waits = false;
  };

  /// `feed` gets the bytes in pieces, with whether each is the last.
  template <typename Feed>
  void in_pieces(ByteView bytes, Feed&& feed) {
    do {
      const ByteView part = bytes.first(std::min(piece_, bytes.size()));
      bytes = bytes.subspan(part.size());
      // A copy of exact size, so that AddressSanitizer sees reads past its end.
      const std::string copy(as_text(part));
      if (!feed(as_bytes(copy), bytes.empty())) return;
    } while (!bytes.empty());
  }

  void instructions(ByteView bytes) {
    in_pieces(bytes, [&](ByteView part, bool) {
      failed_ = !decoder_->instructions(part);
      return !failed_;
    });
  }

  void begin(std::size_t index, ByteView bytes) {
    Stream& stream = streams_[index];
    if (stream.under_way) return;  // a section waits there
    stream.under_way = true;
    stream.bytes = as_text(bytes);
    said_ += "begins " + std::to_string(index) + '\n';
    read(index);
  }

  void read(std::size_t index) {
    Stream& stream = streams_[index];
    stream.waits = false;
    const std::string bytes = std::exchange(stream.bytes, {});
    std::size_t taken = 0;
    in_pieces(as_bytes(bytes), [&](ByteView part, bool last) {
      const std::size_t before = part.size();
      for (;;) {
        FieldLine line;
        const Step step = decoder_->read(stream.section, id(index), part, last, line);
        if (step == Step::line) {
          said_ += std::to_string(index) + ' ' + std::string(line.text) + '=' +
                   std::string(line.value) + '\n';
          continue;
        }
        taken += before - part.size();
        if (step == Step::more) {
          TERN_CHECK(part.empty() && !last);
          return true;
        }
        stream.waits = step == Step::waits;
        failed_ = step == Step::failed;
        if (step == Step::done) {
          TERN_CHECK(part.empty() && last);
          stream.under_way = false;
          said_ += std::to_string(index) + " ends\n";
        }
        return false;
      }
    });
    if (stream.waits) {
      TERN_CHECK(!decoder_->ready(stream.section));
      stream.bytes = bytes.substr(taken);
    }
  }

  void give_up(std::size_t index) {
    Stream& stream = streams_[index];
    if (!stream.under_way) return;
    stream.section.end();
    stream.under_way = stream.waits = false;
    stream.bytes.clear();
    failed_ = !decoder_->cancel(id(index));
  }

  void go_on() {
    for (std::size_t i = 0; i < streams_.size() && !failed_; ++i) {
      if (streams_[i].waits && decoder_->ready(streams_[i].section)) read(i);
    }
  }

  static quic::StreamId id(std::size_t index) { return static_cast<quic::StreamId>(4 * index); }

  const std::size_t piece_;
  MemoryPool pool_;
  std::optional<QpackDecoder> decoder_;
  std::array<Stream, 8> streams_;  // go before the decoder
  std::string said_;
  bool failed_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::size_t capacity = std::size_t{data[0] & 0x0fu} * 512;
  const ByteView script(data + 2, size - 2);
  const std::string whole = Run(capacity, SIZE_MAX).play(script);
  TERN_CHECK(Run(capacity, 1).play(script) == whole);
  TERN_CHECK(Run(capacity, std::size_t{data[1]} + 1).play(script) == whole);
  return 0;
}
