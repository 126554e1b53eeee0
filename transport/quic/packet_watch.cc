#include "transport/quic/packet_watch.h"

#include "transport/quic/return_challenge.h"

namespace tern::quic {

void PacketWatch::seal_probe(MutableBytes payload) noexcept {
  make_old_path_first();
  sealed_probe_ = true;
  // ngtcp2 1.11 puts it before all other frames.
  if (payload[0] != kPathResponse) return;
  sealed_path_response_ = true;
  if (challenges_ != nullptr) add_return_challenge(payload, *challenges_);
}

}  // namespace tern::quic
