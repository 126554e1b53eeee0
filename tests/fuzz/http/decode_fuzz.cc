// Content decoding: the first byte chooses the codings, the second the size of the pieces.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "http/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tern;
  using namespace tern::http;
  if (size < 2) return 0;
  constexpr std::array<const char*, 5> kCodingsTried = {"gzip", "br", "zstd", "gzip, zstd", ""};
  constexpr std::uint64_t kLimit = 1024 * 1024;
  auto decoder = ContentDecoder::make(kCodingsTried[data[0] % kCodingsTried.size()],
                                      DecodeLimits().output(kLimit));
  TERN_CHECK(decoder.has_value());
  std::uint64_t out = 0;
  const ContentDecoder::Sink sink = [&out](ByteView piece) -> Result<void> {
    out += piece.size();
    return {};
  };
  ByteView rest(data + 2, size - 2);
  while (!rest.empty()) {
    const std::size_t piece = std::min<std::size_t>(rest.size(), std::size_t{data[1]} + 1);
    if (!decoder->decode(rest.first(piece), sink)) break;
    rest = rest.subspan(piece);
  }
  TERN_CHECK(out <= kLimit);
  (void)decoder->finish();
  return 0;
}
