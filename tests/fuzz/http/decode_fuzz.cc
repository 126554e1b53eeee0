// Content decoding: any split of a body decodes to the same, or fails just as well, within the
// limit. The first byte chooses the codings, the second the size of the pieces.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "http/decode.h"

namespace {

using namespace tern;
using namespace tern::http;

constexpr std::uint64_t kLimit = 1024 * 1024;

struct Run {
  std::string output;
  bool good = false;
  bool complete = false;
  bool operator==(const Run&) const = default;
};

Run decode(std::string_view codings, ByteView body, std::size_t piece) {
  auto decoder = ContentDecoder::make(codings, DecodeLimits().output(kLimit));
  TERN_CHECK(decoder.has_value());
  Run run;
  run.good = true;
  const ContentDecoder::Sink sink = [&run](ByteView part) -> Result<void> {
    run.output += as_text(part);
    return {};
  };
  while (!body.empty() && run.good) {
    const std::string part(as_text(body.first(std::min(piece, body.size()))));
    body = body.subspan(part.size());
    run.good = decoder->decode(as_bytes(part), sink).has_value();
  }
  TERN_CHECK(run.output.size() <= kLimit);
  if (run.good) {
    run.complete = decoder->finish().has_value();
  } else {
    run.output.clear();  // how much of it came before the fault is a matter of the pieces
  }
  return run;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  constexpr std::array<std::string_view, 5> kCodingsTried = {"gzip", "br", "zstd", "gzip, zstd",
                                                             ""};
  const std::string_view codings = kCodingsTried[data[0] % kCodingsTried.size()];
  const ByteView body(data + 2, size - 2);
  const Run whole = decode(codings, body, SIZE_MAX);
  const Run split = decode(codings, body, std::size_t{data[1]} + 1);
  // libzstd holds a frame whose last block is empty to the size it announces only if it gets the
  // frame whole.
  const bool alike = codings.ends_with("zstd") ? whole.good && split.good : true;
  if (alike) TERN_CHECK(split == whole);
  return 0;
}
