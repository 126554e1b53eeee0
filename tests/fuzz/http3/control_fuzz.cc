// A peer's control stream (SETTINGS, GOAWAY, MAX_PUSH_ID, PRIORITY_UPDATE, unknown frames) as
// ControlReader follows it, and the first varint of streams: any split gives the same frames and
// the same verdict. Input: one byte that chooses side and split, then the stream.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/varint.h"
#include "http3/control_reader.h"

namespace {

using tern::ByteView;
using namespace tern::http3;

struct Run {
  std::optional<Violation> error;
  std::vector<std::string> frames;
  bool operator==(const Run&) const = default;
};

Run follow(ByteView stream, bool server, std::size_t piece) {
  Run run;
  ControlReader reader(server);
  while (!stream.empty() && !run.error) {
    const std::size_t size = std::min(piece, stream.size());
    run.error = reader.take(stream.first(size), [&](const ControlReader::Frame& frame) {
      TERN_CHECK(frame.payload.size() <= ControlReader::kKept);
      TERN_CHECK(frame.payload.size() <= frame.length);
      run.frames.push_back(std::to_string(frame.type) + ":" + std::to_string(frame.length) + ":" +
                           std::string(tern::as_text(frame.payload)));
      return true;
    });
    stream = stream.subspan(size);
  }
  return run;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const ByteView stream(data + 1, size - 1);
  const bool server = (data[0] & 1) != 0;
  const Run whole = follow(stream, server, stream.size());
  const Run split = follow(stream, server, data[0] / 2 % 16 + 1);
  TERN_CHECK(whole == split);

  const auto varint = tern::read_varint(stream);
  tern::VarintReader reader;
  ByteView rest = stream;
  TERN_CHECK(reader.take(rest) == varint.has_value());
  if (varint) {
    TERN_CHECK(reader.value() == varint->value && stream.size() - rest.size() == varint->size);
    TERN_CHECK(tern::varint_size(varint->value) <= varint->size);
  }
  return 0;
}
