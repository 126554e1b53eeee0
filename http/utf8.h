#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace tern::http {

/// Checks UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF) that arrives
/// in pieces, which may be cut anywhere. A wrong byte is seen when it comes, not at the end.
/// Bounded memory: what is kept of a character cut in two is how it may go on. A value.
class Utf8Validator {
 public:
  /// False at the first byte that no text may have there; from then on always.
  bool feed(ByteView piece) noexcept;
  /// No character has begun and not ended: the text may end here.
  bool complete() const noexcept { return missing_ == 0 && !wrong_; }
  void reset() noexcept { *this = Utf8Validator(); }

 private:
  std::uint8_t missing_ = 0;  // continuation bytes that the character still needs
  std::uint8_t low_ = 0x80;   // what the next one may be
  std::uint8_t high_ = 0xbf;
  bool wrong_ = false;
};

/// The whole text at once.
bool is_utf8(ByteView text) noexcept;

}  // namespace tern::http
