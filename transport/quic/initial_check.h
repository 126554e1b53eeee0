#pragma once

#include "base/bytes.h"

namespace tern::quic {

/// Whether a client's Initial, the first packet of `datagram`, is as its sender wrote it: protected
/// with the keys of its own version and destination connection ID (RFC 9001 §5.2). For packets of
/// which no connection is made; costs a key derivation and a decryption. Internal to
/// transport/quic.
bool is_intact_initial(ByteView datagram);

}  // namespace tern::quic
