#pragma once

#include <string>

#include "base/bytes.h"

/// What a peer has done wrong, in the words of RFC 9000. Internal to transport/quic.

namespace tern::quic {

/// For an error of ngtcp2's that ends a connection: its name on the wire and the rule,
/// "STREAM_LIMIT_ERROR: a stream above the limit (RFC 9000 section 4.6)".
std::string broken_rule(int library_error);

/// Whether one of the encoded transport parameters is there twice (RFC 9000 section 7.4). They are
/// well-formed: ngtcp2, which takes the last, has read them.
bool has_parameter_twice(ByteView parameters);

}  // namespace tern::quic
