// The payload of a SETTINGS frame, and remembered settings: any split gives the same result, and
// what is accepted survives being written and read again. Input: one byte that chooses the split,
// then the payload.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/check.h"
#include "http3/settings.h"

namespace {

using tern::ByteView;
using namespace tern::http3;

struct Run {
  std::optional<Violation> error;
  Settings settings;
  bool operator==(const Run&) const = default;
};

Run parse(ByteView payload, std::size_t piece) {
  Run run;
  SettingsParser parser;
  while (!payload.empty() && !run.error) {
    const std::size_t size = std::min(piece, payload.size());
    run.error = parser.take(payload.first(size));
    payload = payload.subspan(size);
  }
  if (!run.error) run.error = parser.finish();
  if (!run.error) run.settings = parser.settings();
  return run;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView payload(data + 1, size - 1);
  const Run whole = parse(payload, std::max<std::size_t>(payload.size(), 1));
  TERN_CHECK(whole == parse(payload, data[0] % 16 + 1));
  if (!whole.error) {
    const auto again = Settings::deserialize(whole.settings.serialize());
    TERN_CHECK(again && *again == whole.settings);
    TERN_CHECK(whole.settings.keeps_promise_of(whole.settings));
  }
  const auto remembered = Settings::deserialize({data, size});
  if (remembered) TERN_CHECK(*Settings::deserialize(remembered->serialize()) == *remembered);
  return 0;
}
