#include "transport/engine/send_slab.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>

#include "base/check.h"
#include "transport/engine/engine_network.h"

namespace tern::engine {

namespace {

std::size_t datagrams_of(const udp::Transmit& transmit) noexcept {
  return (transmit.length + transmit.segment_size - 1) / transmit.segment_size;
}

sockaddr_in6 map_v4(const udp::Address& address) noexcept {
  sockaddr_in6 mapped{};
  mapped.sin6_family = AF_INET6;
  mapped.sin6_port = htons(address.port());
  mapped.sin6_addr.s6_addr[10] = 0xff;
  mapped.sin6_addr.s6_addr[11] = 0xff;
  std::memcpy(mapped.sin6_addr.s6_addr + 12, address.ip().data(), 4);
  return mapped;
}

}  // namespace

void SendSlab::make(SendOperation& operation, SocketState& socket, const udp::Transmit& transmit,
                    std::uint32_t offset, std::uint32_t length, bool segmented) {
  const udp::Path& path = transmit.path;
  operation.socket = &socket;
  operation.slab = this;
  operation.transmit = &transmit;
  operation.next = nullptr;
  operation.error = 0;
  operation.retried = false;
  operation.after_split = false;
  operation.data = {base_ + offset, length};

  operation.header = {};
  operation.header.msg_iov = &operation.data;
  operation.header.msg_iovlen = 1;
  const bool v4 = path.remote.is_v4();
  if (v4 && socket.v6) {
    operation.mapped = map_v4(path.remote);
    operation.header.msg_name = &operation.mapped;
    operation.header.msg_namelen = sizeof operation.mapped;
  } else {
    operation.header.msg_name = const_cast<sockaddr*>(path.remote.data());
    operation.header.msg_namelen = path.remote.size();
  }

  SendControl control;
  control.v4 = v4;
  control.ecn = transmit.ecn;
  control.set_ecn = transmit.ecn != socket.default_ecn;
  if (segmented) control.segment_size = static_cast<std::uint16_t>(transmit.segment_size);
  // Where the socket has one address anyway there is nothing to choose.
  if (socket.wildcard && path.local.specified() && !path.local.is_wildcard() &&
      path.local.is_v4() == v4) {
    control.local = &path.local;
  }
  operation.header.msg_controllen = encode_control(control, operation.control);
  if (operation.header.msg_controllen != 0) operation.header.msg_control = operation.control;
  ++unfinished_;
}

void SendSlab::prepare() {
  std::size_t count = 0;
  for (const Entry& entry : entries()) {
    const udp::Transmit& transmit = entry.transmit;
    TERN_CHECK(transmit.length > 0 && transmit.segment_size > 0);
    TERN_CHECK(transmit.length <= kMaxTransmit && transmit.segment_size <= kMaxTransmit);
    TERN_CHECK(transmit.offset <= kSize && transmit.length <= kSize - transmit.offset);
    TERN_CHECK(datagrams_of(transmit) <= kMaxSegments);
    const SocketState& socket = static_cast<SocketHandle*>(entry.socket)->state();
    count += socket.segmentation ? 1 : datagrams_of(transmit);
  }
  // The kernel gets pointers to them: no reallocation from here on.
  operations_.reserve(count);
  for (const Entry& entry : entries()) {
    const udp::Transmit& transmit = entry.transmit;
    SocketState& socket = static_cast<SocketHandle*>(entry.socket)->state();
    if (socket.segmentation) {
      make(operations_.emplace_back(), socket, transmit, transmit.offset, transmit.length,
           transmit.length > transmit.segment_size);
      continue;
    }
    for (std::uint32_t done = 0; done < transmit.length; done += transmit.segment_size) {
      make(operations_.emplace_back(), socket, transmit, transmit.offset + done,
           std::min(transmit.segment_size, transmit.length - done), false);
    }
  }
}

std::vector<SendOperation>& SendSlab::split(const SendOperation& whole) {
  const udp::Transmit& transmit = *whole.transmit;
  std::vector<SendOperation>& parts =
      *splits_.emplace_back(std::make_unique<std::vector<SendOperation>>());
  parts.reserve(datagrams_of(transmit));
  for (std::uint32_t done = 0; done < transmit.length; done += transmit.segment_size) {
    make(parts.emplace_back(), *whole.socket, transmit, transmit.offset + done,
         std::min(transmit.segment_size, transmit.length - done), false);
  }
  return parts;
}

void SendSlab::reset() noexcept {
  TERN_CHECK(finished());
  clear();
  operations_.clear();
  splits_.clear();
}

SlabPool::~SlabPool() {
  if (memory_ != nullptr) ::munmap(memory_, size_);
}

Result<void> SlabPool::open(std::size_t count) {
  size_ = count * udp::Slab::kSize;
  void* memory = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail(Error::os(errno, "memory for send slabs"));
  memory_ = static_cast<std::uint8_t*>(memory);
  slabs_.reserve(count);
  free_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    slabs_.push_back(std::make_unique<SendSlab>(memory_ + i * udp::Slab::kSize));
  }
  for (auto slab = slabs_.rbegin(); slab != slabs_.rend(); ++slab) free_.push_back(slab->get());
  return {};
}

SendSlab* SlabPool::acquire() noexcept {
  if (free_.empty()) return nullptr;
  SendSlab* slab = free_.back();
  free_.pop_back();
  return slab;
}

void SlabPool::release(SendSlab& slab) noexcept {
  slab.reset();
  free_.push_back(&slab);
}

}  // namespace tern::engine
