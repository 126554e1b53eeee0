// Names and messages of a chat's strangers: what is left of them is UTF-8 within its limit, without
// control characters, and cleaning it once more changes nothing. Input: the text.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "examples/chat/text.h"
#include "http/utf8.h"

namespace {

using namespace tern;

void check_clean(std::string_view text, std::string_view kept_controls) {
  TERN_CHECK(!text.empty() && http::is_utf8(as_bytes(text)));
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool kept = kept_controls.find(c) != std::string_view::npos;
    TERN_CHECK(byte >= 0x80 || (byte >= ' ' && byte != 0x7f) || kept);
  }
}

std::size_t characters(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(ByteView(data, size));
  if (const auto name = chat::clean_name(text)) {
    check_clean(*name, "");
    TERN_CHECK(characters(*name) <= chat::kMaxName);
    TERN_CHECK(chat::clean_name(*name) == name && chat::same_name(*name, *name));
  }
  if (const auto message = chat::clean_text(text)) {
    check_clean(*message, "\n");
    TERN_CHECK(message->size() <= chat::kMaxText && chat::clean_text(*message) == message);
  }
  return 0;
}
