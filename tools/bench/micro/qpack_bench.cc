#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "base/memory_pool.h"
#include "base/varint.h"
#include "http/fields.h"
#include "http3/qpack_decoder.h"
#include "http3/qpack_encoder.h"

/// QPACK: a response's field section encoded, and decoded again, with a dynamic table and without.
/// What a connection's first section costs is not in it.

namespace tern::http3 {
namespace {

constexpr quic::StreamId kStreams = 4;  // identifiers of requests count up in fours
constexpr int kStatus = 200;

struct Text {
  std::string_view name;
  std::string_view value;
};
/// What StaticFiles answers with.
constexpr std::array<Text, 7> kResponse{{{":status", "200"},
                                         {"content-type", "text/plain; charset=utf-8"},
                                         {"content-length", "12"},
                                         {"accept-ranges", "bytes"},
                                         {"etag", "\"18a3c9b2f4e1d07c-c\""},
                                         {"last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
                                         {"date", "Sun, 06 Nov 1994 08:49:38 GMT"}}};

/// An encoder and the decoder it talks to.
class Peers {
 public:
  explicit Peers(std::size_t capacity)
      : encoder_(capacity, scratch_), decoder_(pool_, config(capacity)) {
    encoder_.set_peer(capacity, 16);
    for (const Text& text : kResponse) {
      if (!text.name.starts_with(':')) fields_.add_lower(text.name, text.value);
    }
  }

  void encode() {
    stream_ += kStreams;
    encoder_.begin(stream_);
    for (const Text& text : kResponse) encoder_.add(text.name, text.value);
    frame_ = encoder_.finish();
  }
  void recall() {
    stream_ += kStreams;
    frame_ = encoder_.recall(stream_, kStatus, fields_);
    if (!frame_.empty()) return;
    encode();
    encoder_.remember(kStatus, fields_);
  }

  void decode() {
    if (encoder_.has_instructions())
      TERN_CHECK(decoder_.instructions(encoder_.take_instructions()));
    QpackDecoder::Section section;
    ByteView bytes = frame_;
    for (int i = 0; i < 2; ++i) bytes = bytes.subspan(read_varint(bytes)->size);  // type, length
    FieldLine line;
    QpackDecoder::Step step = QpackDecoder::Step::line;
    while (step == QpackDecoder::Step::line) {
      step = decoder_.read(section, stream_, bytes, true, line);
      benchmark::DoNotOptimize(line);
    }
    TERN_CHECK(step == QpackDecoder::Step::done);
  }

  /// The decoder acknowledges the section; the encoder may refer to what it inserted.
  void acknowledge() {
    if (decoder_.has_feedback()) TERN_CHECK(encoder_.read(decoder_.take_feedback()));
  }

  std::size_t size() const { return frame_.size(); }

 private:
  static QpackDecoder::Config config(std::size_t capacity) {
    QpackDecoder::Config config;
    config.capacity = capacity;
    config.max_streams = 100;
    return config;
  }

  http::Fields fields_;
  std::vector<std::uint8_t> scratch_;
  MemoryPool pool_;
  QpackEncoder encoder_;
  QpackDecoder decoder_;
  ByteView frame_;
  quic::StreamId stream_ = 0;
};

template <bool kPrepared>
void response_there(benchmark::State& state) {
  Peers peers(static_cast<std::size_t>(state.range(0)));
  const auto once = [&] {
    if (kPrepared) {
      peers.recall();
    } else {
      peers.encode();
    }
    peers.decode();
    peers.acknowledge();
  };
  // What is inserted in the first is referred to from the second on.
  for (int i = 0; i < 3; ++i) once();
  for (auto _ : state) once();
  state.counters["bytes"] = static_cast<double>(peers.size());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(response_there<false>)->ArgName("table")->Arg(0)->Arg(4096);
BENCHMARK(response_there<true>)->ArgName("table")->Arg(0)->Arg(4096);

}  // namespace
}  // namespace tern::http3

BENCHMARK_MAIN();
