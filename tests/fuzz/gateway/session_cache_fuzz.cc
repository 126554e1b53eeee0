// The file of remembered sessions: refused with a line that says why, or read and written again the
// same. Input: the file.

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/check.h"
#include "gateway/session_cache.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tern;
  SessionCache cache;
  if (const auto read = cache.from_text(as_text(ByteView(data, size))); !read) {
    TERN_CHECK(!read.error().detail.empty() && cache.size() == 0);
    return 0;
  }
  TERN_CHECK(cache.size() <= SessionCache::kMaxSessions);
  const std::string text = cache.to_text();
  SessionCache again;
  TERN_CHECK(again.from_text(text).has_value());
  TERN_CHECK(again.size() == cache.size() && again.to_text() == text);
  return 0;
}
