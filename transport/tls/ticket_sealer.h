#pragma once

#include "transport/tls/boringssl.h"
#include "transport/tls/key_ring.h"

/// Session tickets sealed with a key ring (RFC 5077 §4 in spirit, AES-256-GCM). Internal to
/// transport/tls.
///
///     key id (8) ‖ nonce (12) ‖ sealed session ‖ tag (16),   AD = "tern ticket" ‖ QUIC version
///
/// The version in the AD binds a ticket to the version it was issued in (RFC 9369 §5): in another
/// one it does not open, and the client gets a full handshake.

namespace tern::tls {

/// Makes the connections of `context` issue and accept tickets. Each asks `ticket_keys_of` anew, so
/// that a rotation takes effect at once.
void seal_tickets(SSL_CTX* context);

/// Implemented by the server context: its key ring, never null where seal_tickets was called.
const KeyRing& ticket_keys_of(const SSL* ssl) noexcept;

}  // namespace tern::tls
