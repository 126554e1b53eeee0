#include "http/decode.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <zlib.h>
#include <zstd.h>

#include <brotli/decode.h>

#include "base/check.h"
#include "http/content_coding.h"
#include "http/escape.h"

namespace tern::http {

namespace {

constexpr std::size_t kOutput = 64 * 1024;
/// RFC 9659: a zstd content coding needs no larger window.
constexpr int kZstdWindowLog = 23;

tl::unexpected<Error> malformed(std::string_view coding, std::string_view what) {
  return fail(Error(Code::invalid, std::string(coding) + ": " + std::string(what), Origin::remote));
}

}  // namespace

/// One coding. `step` consumes from the front of `input` and fills `output` from its start.
class ContentDecoder::Stage {
 public:
  Stage() : output_(kOutput) {}
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual ~Stage() = default;

  /// Returns the bytes put out; 0 when all input is consumed.
  virtual Result<std::size_t> step(ByteView& input) = 0;
  /// At the end of a complete body.
  virtual bool complete() const noexcept = 0;
  virtual std::string_view name() const noexcept = 0;
  ByteView output(std::size_t size) const noexcept { return ByteView(output_).first(size); }

 protected:
  std::vector<std::uint8_t> output_;
};

namespace {

class GzipStage final : public ContentDecoder::Stage {
 public:
  // 16: gzip framing alone.
  GzipStage() { TERN_CHECK(::inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK); }
  ~GzipStage() override { ::inflateEnd(&stream_); }

  std::string_view name() const noexcept override { return "gzip"; }
  bool complete() const noexcept override { return ended_; }

  Result<std::size_t> step(ByteView& input) override {
    while (true) {
      if (ended_) {
        if (input.empty()) return std::size_t{0};
        ::inflateReset(&stream_);  // the next member (RFC 1952 §2.2)
        ended_ = false;
      }
      const std::size_t offered =
          std::min<std::size_t>(input.size(), std::numeric_limits<uInt>::max());
      stream_.next_in = const_cast<Bytef*>(input.data());
      stream_.avail_in = static_cast<uInt>(offered);
      stream_.next_out = output_.data();
      stream_.avail_out = static_cast<uInt>(output_.size());
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      input = input.subspan(offered - stream_.avail_in);
      const std::size_t made = output_.size() - stream_.avail_out;
      if (result == Z_STREAM_END) {
        ended_ = true;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return malformed(name(), stream_.msg != nullptr ? stream_.msg : "malformed");
      }
      if (made > 0 || input.empty()) return made;
    }
  }

 private:
  z_stream stream_{};
  bool ended_ = false;
};

class BrotliStage final : public ContentDecoder::Stage {
 public:
  BrotliStage() : state_(::BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
    TERN_CHECK(state_ != nullptr);
  }
  ~BrotliStage() override { ::BrotliDecoderDestroyInstance(state_); }

  std::string_view name() const noexcept override { return "br"; }
  bool complete() const noexcept override { return ::BrotliDecoderIsFinished(state_) != 0; }

  Result<std::size_t> step(ByteView& input) override {
    if (complete()) {
      if (!input.empty()) return malformed(name(), "bytes after the end");
      return std::size_t{0};
    }
    std::size_t left = input.size();
    const std::uint8_t* next = input.data();
    std::size_t room = output_.size();
    std::uint8_t* out = output_.data();
    const BrotliDecoderResult result =
        ::BrotliDecoderDecompressStream(state_, &left, &next, &room, &out, nullptr);
    input = input.subspan(input.size() - left);
    if (result == BROTLI_DECODER_RESULT_ERROR) {
      return malformed(name(), ::BrotliDecoderErrorString(::BrotliDecoderGetErrorCode(state_)));
    }
    const std::size_t made = output_.size() - room;
    if (made == 0 && complete() && !input.empty()) return malformed(name(), "bytes after the end");
    return made;
  }

 private:
  BrotliDecoderState* state_;
};

class ZstdStage final : public ContentDecoder::Stage {
 public:
  ZstdStage() : stream_(::ZSTD_createDStream()) {
    TERN_CHECK(stream_ != nullptr);
    ::ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kZstdWindowLog);
  }
  ~ZstdStage() override { ::ZSTD_freeDStream(stream_); }

  std::string_view name() const noexcept override { return "zstd"; }
  bool complete() const noexcept override { return at_end_; }

  Result<std::size_t> step(ByteView& input) override {
    while (true) {
      ZSTD_inBuffer in{input.data(), input.size(), 0};
      ZSTD_outBuffer out{output_.data(), output_.size(), 0};
      if (input.empty() && !pending_) return std::size_t{0};
      const std::size_t hint = ::ZSTD_decompressStream(stream_, &out, &in);
      if (::ZSTD_isError(hint) != 0) return malformed(name(), ::ZSTD_getErrorName(hint));
      input = input.subspan(in.pos);
      at_end_ = hint == 0;
      pending_ = !at_end_ && out.pos == out.size;  // more may be ready without further input
      if (out.pos > 0 || input.empty()) return out.pos;
    }
  }

 private:
  ZSTD_DStream* stream_;
  bool at_end_ = false;
  bool pending_ = false;
};

std::unique_ptr<ContentDecoder::Stage> stage_for(Coding coding) {
  switch (coding) {
    case Coding::gzip: return std::make_unique<GzipStage>();
    case Coding::br: return std::make_unique<BrotliStage>();
    case Coding::zstd: return std::make_unique<ZstdStage>();
    case Coding::identity: break;
  }
  return nullptr;
}

}  // namespace

ContentDecoder::ContentDecoder(DecodeLimits limits) noexcept : limits_(limits) {}
ContentDecoder::ContentDecoder(ContentDecoder&&) noexcept = default;
ContentDecoder& ContentDecoder::operator=(ContentDecoder&&) noexcept = default;
ContentDecoder::~ContentDecoder() = default;

Result<ContentDecoder> ContentDecoder::make(std::string_view content_encoding,
                                            DecodeLimits limits) {
  ContentDecoder decoder(limits);
  for (bool more = true; more;) {
    const std::size_t comma = content_encoding.find(',');
    std::string_view name = content_encoding.substr(0, comma);
    more = comma != std::string_view::npos;
    if (more) content_encoding.remove_prefix(comma + 1);
    while (!name.empty() && (name.front() == ' ' || name.front() == '\t')) name.remove_prefix(1);
    while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
    if (name.empty()) continue;
    const auto coding = coding_of(name);
    if (!coding) {
      return fail(Error(Code::unsupported,
                        "a content coding that was not asked for: \"" + escaped(name, 32) + "\"",
                        Origin::remote));
    }
    if (*coding == Coding::identity) continue;
    if (decoder.stages_.size() == kMaxCodings) {
      return fail(Error::limit("more than 3 content codings one on the other"));
    }
    // The coding applied last is named last, and undone first.
    decoder.stages_.insert(decoder.stages_.begin(), stage_for(*coding));
  }
  return decoder;
}

Result<void> ContentDecoder::decode(ByteView input, const Sink& sink) {
  in_ += input.size();
  return run(0, input, sink);
}

Result<void> ContentDecoder::run(std::size_t stage, ByteView input, const Sink& sink) {
  if (stage == stages_.size()) {
    if (input.empty()) return {};
    out_ += input.size();
    const bool bomb = out_ > limits_.grace() && out_ / limits_.ratio() > in_;
    if (out_ > limits_.output() || bomb) {
      return fail(Error::limit("the decoded body is too large: " + std::to_string(out_) +
                               " bytes from " + std::to_string(in_)));
    }
    return sink(input);
  }
  Stage& current = *stages_[stage];
  for (;;) {
    const Result<std::size_t> made = current.step(input);
    if (!made) return fail(made.error());
    if (*made == 0) return {};
    if (auto passed = run(stage + 1, current.output(*made), sink); !passed) return passed;
  }
}

Result<void> ContentDecoder::finish() const {
  for (const auto& stage : stages_) {
    if (in_ > 0 && !stage->complete()) return malformed(stage->name(), "the body was cut short");
  }
  return {};
}

}  // namespace tern::http
