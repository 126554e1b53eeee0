// Server-sent events: any split of a stream gives the same events and the same end, limits hold,
// and an event that is written reads back. Input: two bytes that choose the split, then the stream.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "http/event_stream.h"
#include "http/event_stream_reader.h"

namespace {

using tern::ByteView;
using tern::http::EventStreamReader;
using tern::http::ServerEvent;

constexpr std::size_t kMaxEvent = 60;

struct Run {
  std::vector<std::string> events;
  std::string last_id;
  std::optional<std::chrono::milliseconds> retry;
  bool too_long = false;
  bool operator==(const Run&) const = default;
};

Run read(ByteView stream, std::size_t piece, std::size_t growth) {
  Run run;
  EventStreamReader reader(kMaxEvent);
  while (!stream.empty() && !run.too_long) {
    const std::size_t size = std::min(std::max<std::size_t>(piece, 1), stream.size());
    const std::vector<std::uint8_t> copy(stream.begin(), stream.begin() + size);
    reader.feed(copy);
    for (;;) {
      const auto event = reader.next();
      run.too_long = !event;
      if (!event || !*event) break;
      TERN_CHECK((*event)->data.size() <= kMaxEvent && !(*event)->name.empty());
      run.events.push_back((*event)->name + '|' + (*event)->data + '|' + (*event)->id);
    }
    stream = stream.subspan(size);
    piece = piece * growth % 97;
  }
  run.last_id = reader.last_event_id();
  run.retry = reader.retry();
  return run;
}

/// As data, and its beginning as name and ID.
void write(std::string_view text) {
  const std::string name(text.substr(0, 5));
  const auto encoded = ServerEvent(std::string(text)).name(name).id(name).encoded();
  const bool one_line = name.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos;
  TERN_CHECK(encoded.has_value() == one_line);
  if (!encoded) return;
  std::string lines;  // with the ends of lines as they arrive
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && text.substr(i + 1).starts_with('\n')) continue;
    lines += text[i] == '\r' ? '\n' : text[i];
  }
  EventStreamReader reader;
  reader.feed(tern::as_bytes(*encoded));
  const auto event = reader.next();
  TERN_CHECK(event && *event && (*event)->data == lines && (*event)->id == name);
  TERN_CHECK((*event)->name == (name.empty() ? "message" : name));
  TERN_CHECK(!*reader.next());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const ByteView stream(data + 2, size - 2);
  const Run whole = read(stream, SIZE_MAX, 1);
  TERN_CHECK(read(stream, 1, 1) == whole);
  TERN_CHECK(read(stream, data[0], data[1]) == whole);
  write(tern::as_text(stream));
  return 0;
}
