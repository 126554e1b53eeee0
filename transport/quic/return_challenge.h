#pragma once

#include "base/bytes.h"

namespace tern {
class Random;
}

namespace tern::quic {

/// A server's answer to a client that probes a path, which may be the one to its preferred address:
/// a PATH_RESPONSE, and beside it a PATH_CHALLENGE of the server's own (RFC 9000 §8.2), so that
/// both directions are tried at once, before traffic moves. §9.6.2 wants the server to validate the
/// client's address when a packet comes to the preferred one.
///
/// ngtcp2 1.11 answers with the PATH_RESPONSE alone and begins to validate when the client has
/// moved; it ignores what is answered to this challenge. `payload` is that of a packet about to be
/// sealed. If it is a PATH_RESPONSE and padding, as all are that do not go to the path in use, the
/// challenge takes the place of some of the padding; anything else is left as it is. True: it was.
bool add_return_challenge(MutableBytes payload, Random& random) noexcept;

}  // namespace tern::quic
