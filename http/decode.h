#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace tern::http {

/// How much a decoder puts out before it takes the body for a bomb. Fluent.
class DecodeLimits {
 public:
  /// Bytes in all. 16 GiB.
  std::uint64_t output() const noexcept { return output_; }
  DecodeLimits& output(std::uint64_t bytes) noexcept {
    output_ = bytes;
    return *this;
  }
  /// Bytes out for each byte in, beyond `grace`. 2000 (gzip reaches 1032 on zeros).
  std::uint64_t ratio() const noexcept { return ratio_; }
  DecodeLimits& ratio(std::uint64_t factor) noexcept {
    ratio_ = factor;
    return *this;
  }
  /// Bytes that may come out whatever the ratio. 8 MiB.
  std::uint64_t grace() const noexcept { return grace_; }
  DecodeLimits& grace(std::uint64_t bytes) noexcept {
    grace_ = bytes;
    return *this;
  }

 private:
  std::uint64_t output_ = std::uint64_t{16} * 1024 * 1024 * 1024;
  std::uint64_t ratio_ = 2000;
  std::uint64_t grace_ = 8 * 1024 * 1024;
};

/// Undoes the content codings of a response (RFC 9110 §8.4): gzip, br and zstd (with the 8 MiB
/// window of RFC 9659), several one on the other. Memory: the codings' windows and 64 KiB for each;
/// what comes out is handed on piece by piece.
class ContentDecoder {
 public:
  /// What a client sends as accept-encoding.
  static constexpr std::string_view kAcceptEncoding = "gzip, br, zstd";
  /// Codings one on the other.
  static constexpr std::size_t kMaxCodings = 3;

  /// For a content-encoding field value. Error unsupported for a coding it does not know, limit for
  /// more than kMaxCodings. "identity" and "" pass everything through.
  static Result<ContentDecoder> make(std::string_view content_encoding,
                                     DecodeLimits limits = DecodeLimits());

  ContentDecoder(ContentDecoder&&) noexcept;
  ContentDecoder& operator=(ContentDecoder&&) noexcept;
  ~ContentDecoder();

  /// Takes a decoded piece, which is valid during the call; its error ends the decoding.
  using Sink = std::function<Result<void>(ByteView)>;

  /// Error invalid when the body is malformed, limit when it is a bomb. Not used after an error.
  Result<void> decode(ByteView input, const Sink& sink);
  /// At the end of the body: Error invalid when it was cut short.
  Result<void> finish() const;

  class Stage;

 private:
  explicit ContentDecoder(DecodeLimits limits) noexcept;
  Result<void> run(std::size_t stage, ByteView input, const Sink& sink);

  DecodeLimits limits_;
  std::vector<std::unique_ptr<Stage>> stages_;  // in the order of decoding
  std::uint64_t in_ = 0;
  std::uint64_t out_ = 0;
};

}  // namespace tern::http
