// Any split of a capsule stream gives the same capsules. Input: two bytes that choose the split,
// then the stream.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "http/capsule.h"

namespace {

using tern::ByteView;
using tern::http::CapsuleDecoder;

constexpr std::size_t kMaxPayload = 64;

struct Run {
  std::vector<std::string> events;
  bool at_boundary = false;
  bool operator==(const Run&) const = default;
};

Run decode(ByteView stream, std::size_t piece, std::size_t growth) {
  Run run;
  CapsuleDecoder decoder(kMaxPayload);
  while (!stream.empty()) {
    const std::size_t size = std::min(std::max<std::size_t>(piece, 1), stream.size());
    decoder.feed(stream.first(size));
    while (const auto capsule = decoder.next()) {
      TERN_CHECK(capsule->too_long == (capsule->length > kMaxPayload));
      TERN_CHECK(capsule->too_long || capsule->payload.size() == capsule->length);
      run.events.push_back(std::to_string(capsule->type) + ":" + std::to_string(capsule->length) +
                           ":" + std::string(tern::as_text(capsule->payload)));
    }
    TERN_CHECK(decoder.buffered() <= kMaxPayload + 16);
    stream = stream.subspan(size);
    piece = piece * growth % 97;
  }
  run.at_boundary = decoder.at_boundary();
  return run;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const ByteView stream(data + 2, size - 2);
  const Run whole = decode(stream, SIZE_MAX, 1);
  TERN_CHECK(decode(stream, 1, 1) == whole);
  TERN_CHECK(decode(stream, data[0], data[1]) == whole);
  return 0;
}
