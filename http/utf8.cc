#include "http/utf8.h"

#include <cstring>

namespace tern::http {

bool Utf8Validator::feed(ByteView piece) noexcept {
  if (wrong_) return false;
  const std::uint8_t* at = piece.data();
  const std::uint8_t* const end = at + piece.size();
  while (at != end) {
    if (missing_ == 0) {
      // Most text is ASCII: eight bytes a step.
      while (end - at >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, sizeof(word));
        if ((word & 0x8080808080808080U) != 0) break;
        at += 8;
      }
      if (at == end) break;
    }
    const std::uint8_t byte = *at++;
    if (missing_ > 0) {
      if (byte < low_ || byte > high_) return !(wrong_ = true);
      --missing_;
      low_ = 0x80;
      high_ = 0xbf;
      continue;
    }
    if (byte < 0x80) continue;
    if (byte < 0xc2 || byte > 0xf4) return !(wrong_ = true);
    missing_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    // The second byte's range keeps overlong forms, surrogates and U+110000 on out.
    if (byte == 0xe0) low_ = 0xa0;
    if (byte == 0xed) high_ = 0x9f;
    if (byte == 0xf0) low_ = 0x90;
    if (byte == 0xf4) high_ = 0x8f;
  }
  return true;
}

bool is_utf8(ByteView text) noexcept {
  Utf8Validator validator;
  return validator.feed(text) && validator.complete();
}

}  // namespace tern::http
