#include "transport/sim/packet.h"

namespace tern::sim {

Packet* PacketPool::take() {
  if (free_.empty()) {
    packets_.emplace_back();
    free_.reserve(packets_.size());  // so that give() never allocates
    return &packets_.back();
  }
  Packet* packet = free_.back();
  free_.pop_back();
  packet->hops = 0;
  packet->epoch = 0;
  packet->is_tcp = false;
  packet->damaged = false;
  return packet;
}

Packet* PacketPool::copy(const Packet& original) {
  Packet* packet = take();
  *packet = original;
  return packet;
}

void PacketPool::give(Packet* packet) noexcept { free_.push_back(packet); }

}  // namespace tern::sim
