#pragma once

#include <cstdint>
#include <string>

#include "http3/error_code.h"

namespace tern::http3 {

/// What ends the connection: the code that the peer is told, and which rule it broke in words, for
/// the log and errors.
struct Violation {
  ErrorCode code = ErrorCode::general_protocol_error;
  std::string rule;
  friend bool operator==(const Violation&, const Violation&) = default;
};

/// "HEADERS", "HTTP/2's PING", "frame 0x42".
std::string frame_name(std::uint64_t type);

}  // namespace tern::http3
