#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

/// Packets of a server's that need no connection. Internal to transport/quic.

namespace tern::quic {

/// Writes a Retry packet (RFC 9000 §17.2.5, RFC 9369 §3.3.3) to `out` and returns its length.
/// `peer_scid` is the client's source CID, `retry_scid` the one we choose, `original_dcid` the one
/// the client chose. Stateless.
Result<std::size_t> write_retry(MutableBytes out, std::uint32_t version, ByteView peer_scid,
                                ByteView retry_scid, ByteView original_dcid, ByteView token);

/// Writes a server Initial packet that holds only CONNECTION_CLOSE, without any connection state:
/// to refuse a connection or an invalid token. `client_dcid` is the destination CID of the client's
/// Initial (it keys the packet and is our source CID). Returns the packet's length.
Result<std::size_t> write_initial_close(MutableBytes out, std::uint32_t version, ByteView peer_scid,
                                        ByteView client_dcid, std::uint64_t error_code,
                                        std::string_view reason);

}  // namespace tern::quic
