#include "transport/quic/non_productive.h"

#include "transport/quic/frames.h"

namespace tern::quic {

bool NonProductivePackets::non_productive(ByteView payload) noexcept {
  bool wants_ack = false;
  while (!payload.empty()) {
    const std::uint8_t type = payload[0];
    // STREAM, CRYPTO, DATAGRAM, the end of a stream or of the connection, and all that is unknown.
    if ((type > kAckEcn && type < kMaxData) || type > kPathResponse) return false;
    wants_ack = wants_ack || type == kPing || type > kAckEcn;
    if (!skip_frame(payload)) return false;
  }
  return wants_ack;
}

}  // namespace tern::quic
