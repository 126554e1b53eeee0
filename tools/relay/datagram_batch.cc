#include "tools/relay/datagram_batch.h"

#include <cstring>

namespace tern::relay {

bool DatagramBatch::extends(const udp::Socket& socket, const udp::Path& path, udp::Ecn ecn,
                            std::size_t size) const noexcept {
  return socket_ == &socket && !complete_ && segments_ < udp::Slab::kMaxSegments &&
         size <= transmit_.segment_size && transmit_.length + size <= udp::Slab::kMaxTransmit &&
         transmit_.ecn == ecn && transmit_.path == path;
}

bool DatagramBatch::add(udp::Socket& socket, const udp::Path& path, udp::Ecn ecn,
                        ByteView datagram) {
  if (datagram.empty() || datagram.size() > udp::Slab::kMaxTransmit) return false;
  if (slab_ != nullptr && used_ + datagram.size() > udp::Slab::kSize) {
    end_transmit();
    full_.push_back(slab_);
    slab_ = nullptr;
  }
  if (slab_ == nullptr) {
    slab_ = network_.acquire();
    used_ = 0;
    if (slab_ == nullptr) return false;
  }
  if (!extends(socket, path, ecn, datagram.size())) {
    end_transmit();
    socket_ = &socket;
    transmit_.path = path;
    transmit_.ecn = ecn;
    transmit_.offset = static_cast<std::uint32_t>(used_);
    transmit_.length = 0;
    transmit_.segment_size = static_cast<std::uint32_t>(datagram.size());
    segments_ = 0;
    complete_ = false;
  }
  std::memcpy(slab_->space().data() + used_, datagram.data(), datagram.size());
  used_ += datagram.size();
  transmit_.length += static_cast<std::uint32_t>(datagram.size());
  ++segments_;
  complete_ = datagram.size() < transmit_.segment_size;
  return true;
}

void DatagramBatch::end_transmit() {
  if (socket_ == nullptr) return;
  slab_->add(*socket_, transmit_);
  socket_ = nullptr;
}

void DatagramBatch::flush() {
  end_transmit();
  for (udp::Slab* slab : full_) network_.submit(slab);
  full_.clear();
  if (slab_ != nullptr) network_.submit(slab_);
  slab_ = nullptr;
}

}  // namespace tern::relay
