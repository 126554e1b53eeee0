// Text as others send it: UTF-8 in any pieces is what the standard's own definition says, what is
// percent-encoded or in base64 comes back, and escaped text can do no harm where it goes. Input: a
// byte that chooses the split, then the text.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "http/escape.h"
#include "http/utf8.h"

namespace {

using namespace tern;
using namespace tern::http;

/// By what the characters come to (RFC 3629 §3), not by which byte may follow which.
bool decodes(ByteView text) {
  while (!text.empty()) {
    const std::uint8_t lead = text[0];
    const std::size_t size = lead < 0x80   ? 1
                             : lead < 0xc0 ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                                           : 4;
    if (size == 0 || lead >= 0xf8 || text.size() < size) return false;
    std::uint32_t character = size == 1 ? lead : lead & (0x7fU >> size);
    for (std::size_t i = 1; i < size; ++i) {
      if ((text[i] & 0xc0) != 0x80) return false;
      character = character << 6 | (text[i] & 0x3f);
    }
    constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = character >= 0xd800 && character <= 0xdfff;
    if (character < kSmallest[size] || surrogate || character > 0x10ffff) return false;
    text = text.subspan(size);
  }
  return true;
}

bool validates(ByteView text, std::size_t piece) {
  Utf8Validator validator;
  while (!text.empty()) {
    const std::size_t size = std::min(piece, text.size());
    if (!validator.feed(text.first(size))) return false;
    text = text.subspan(size);
  }
  return validator.complete();
}

void escapes(std::string_view text) {
  for (const char c : escaped(text)) {
    TERN_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '"');
  }
  std::string html;
  append_html_escaped(html, text);
  TERN_CHECK(html.find_first_of("<>\"'") == std::string::npos);
  std::string json;
  append_json_escaped(json, text);
  TERN_CHECK(is_utf8(as_bytes(json)));
  std::string encoded;
  append_percent_encoded(encoded, text, "/");
  std::string decoded;
  TERN_CHECK(percent_decode(encoded, decoded) && decoded == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView text(data + 1, size - 1);
  const bool good = decodes(text);
  TERN_CHECK(is_utf8(text) == good);
  TERN_CHECK(validates(text, 1) == good);
  TERN_CHECK(validates(text, std::size_t{data[0]} + 1) == good);
  escapes(as_text(text));
  return 0;
}
