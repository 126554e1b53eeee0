#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "http/fields.h"
#include "rpc/status.h"

/// What gRPC-Web has beside gRPC (PROTOCOL-WEB.md): trailers at the end of the body, and bodies in
/// base64. Sans-IO, for both sides.

namespace tern::rpc {

/// "key: value\r\n" a line.
std::string web_trailers(const http::Fields& trailers);
/// The other way; names in any case, lines that end in a bare LF, blank lines and spaces around
/// values are put up with. INTERNAL for a line without a colon or with a name or value that no
/// header line could have.
Result<http::Fields> parse_web_trailers(std::string_view text);

/// Undoes `-text` bodies: base64 that may be padded in the middle, where a peer has flushed, and
/// that comes in any pieces. Memory: what is left of a group of four.
class WebTextDecoder {
 public:
  /// Appends what a piece decodes to. INTERNAL at the first character that is not base64's.
  Result<void> decode(ByteView piece, std::string& out);
  /// Whether the body may end here.
  bool complete() const noexcept { return count_ == 0; }

 private:
  std::uint8_t group_[4] = {};
  std::uint8_t count_ = 0;
};

}  // namespace tern::rpc
