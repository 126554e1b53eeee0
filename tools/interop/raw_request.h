#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/random.h"

/// HTTP/3 by hand, for what a well-behaved session does not send.

namespace tern::interop {

/// A unidirectional stream of a reserved type (RFC 9114 §6.2.3) with a few bytes on it.
Bytes reserved_stream(Random& random);

/// A GET request's stream with a frame of a reserved type (RFC 9114 §7.2.8) before its HEADERS
/// frame, whose fields use QPACK's static table alone (RFC 9204 §4.5).
Bytes request_after_reserved_frame(Random& random, std::string_view authority,
                                   std::string_view target, std::string_view user_agent);

/// Whether a HEADERS frame is among the first frames of a response's stream.
bool has_headers_frame(ByteView stream) noexcept;

}  // namespace tern::interop
