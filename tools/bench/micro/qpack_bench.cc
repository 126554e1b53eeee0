#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>
#include <nghttp3/nghttp3.h>

#include "base/check.h"

/// QPACK as nghttp3 does it: a response's field section encoded, and decoded again, with a dynamic
/// table and without. What a connection's first section costs is not in it.

namespace tern::http3 {
namespace {

constexpr std::int64_t kStreams = 4;  // identifiers of requests count up in fours

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

std::vector<nghttp3_nv> lines() {
  std::vector<nghttp3_nv> all;
  for (const Text& text : kResponse) {
    nghttp3_nv line{};
    line.name = reinterpret_cast<const std::uint8_t*>(text.name.data());
    line.namelen = text.name.size();
    line.value = reinterpret_cast<const std::uint8_t*>(text.value.data());
    line.valuelen = text.value.size();
    all.push_back(line);
  }
  return all;
}

/// An encoder and the decoder it talks to.
class Peers {
 public:
  explicit Peers(std::size_t capacity) {
    const nghttp3_mem* mem = nghttp3_mem_default();
    TERN_CHECK(nghttp3_qpack_encoder_new(&encoder_, capacity, mem) == 0);
    nghttp3_qpack_encoder_set_max_dtable_capacity(encoder_, capacity);
    nghttp3_qpack_encoder_set_max_blocked_streams(encoder_, 16);
    TERN_CHECK(nghttp3_qpack_decoder_new(&decoder_, capacity, 16, mem) == 0);
    for (nghttp3_buf* buffer : {&prefix_, &section_, &instructions_}) nghttp3_buf_init(buffer);
  }
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;
  ~Peers() {
    for (nghttp3_buf* buffer : {&prefix_, &section_, &instructions_}) {
      nghttp3_buf_free(buffer, nghttp3_mem_default());
    }
    nghttp3_qpack_encoder_del(encoder_);
    nghttp3_qpack_decoder_del(decoder_);
  }

  void encode() {
    for (nghttp3_buf* buffer : {&prefix_, &section_, &instructions_}) nghttp3_buf_reset(buffer);
    stream_ += kStreams;
    TERN_CHECK(nghttp3_qpack_encoder_encode(encoder_, &prefix_, &section_, &instructions_, stream_,
                                            lines_.data(), lines_.size()) == 0);
  }

  void decode() {
    TERN_CHECK(nghttp3_qpack_decoder_read_encoder(decoder_, instructions_.pos,
                                                  nghttp3_buf_len(&instructions_)) >= 0);
    nghttp3_qpack_stream_context* context = nullptr;
    TERN_CHECK(nghttp3_qpack_stream_context_new(&context, stream_, nghttp3_mem_default()) == 0);
    read(context, prefix_, false);
    read(context, section_, true);
    nghttp3_qpack_stream_context_del(context);
  }

  /// The decoder acknowledges the section; the encoder may refer to what it inserted.
  void acknowledge() {
    feedback_space_.resize(nghttp3_qpack_decoder_get_decoder_streamlen(decoder_));
    feedback_.begin = feedback_.pos = feedback_.last = feedback_space_.data();
    feedback_.end = feedback_.begin + feedback_space_.size();
    nghttp3_qpack_decoder_write_decoder(decoder_, &feedback_);
    TERN_CHECK(nghttp3_qpack_encoder_read_decoder(encoder_, feedback_.pos,
                                                  nghttp3_buf_len(&feedback_)) >= 0);
  }

  std::size_t size() const {
    return nghttp3_buf_len(&prefix_) + nghttp3_buf_len(&section_) + nghttp3_buf_len(&instructions_);
  }

 private:
  void read(nghttp3_qpack_stream_context* context, const nghttp3_buf& buffer, bool last) {
    const std::uint8_t* at = buffer.pos;
    while (at != buffer.last || last) {
      std::uint8_t flags = 0;
      nghttp3_qpack_nv line{};
      const nghttp3_ssize used = nghttp3_qpack_decoder_read_request(
          decoder_, context, &line, &flags, at, static_cast<std::size_t>(buffer.last - at), last);
      TERN_CHECK(used >= 0);
      at += used;
      if ((flags & NGHTTP3_QPACK_DECODE_FLAG_EMIT) != 0) {
        nghttp3_rcbuf_decref(line.name);
        nghttp3_rcbuf_decref(line.value);
      }
      if ((flags & NGHTTP3_QPACK_DECODE_FLAG_FINAL) != 0) return;
    }
  }

  const std::vector<nghttp3_nv> lines_ = lines();
  nghttp3_qpack_encoder* encoder_ = nullptr;
  nghttp3_qpack_decoder* decoder_ = nullptr;
  nghttp3_buf prefix_{};
  nghttp3_buf section_{};
  nghttp3_buf instructions_{};
  std::vector<std::uint8_t> feedback_space_;
  nghttp3_buf feedback_{};
  std::int64_t stream_ = 0;
};

void response_there(benchmark::State& state) {
  Peers peers(static_cast<std::size_t>(state.range(0)));
  for (int i = 0; i < 2; ++i) {  // what is inserted in the first is referred to from the second on
    peers.encode();
    peers.decode();
    peers.acknowledge();
  }
  for (auto _ : state) {
    peers.encode();
    peers.decode();
    peers.acknowledge();
  }
  state.counters["bytes"] = static_cast<double>(peers.size());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(response_there)->ArgName("table")->Arg(0)->Arg(4096);

}  // namespace
}  // namespace tern::http3

BENCHMARK_MAIN();
