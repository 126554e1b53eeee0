#include "transport/engine/receive_slots.h"

#include <algorithm>
#include <cerrno>
#include <sys/mman.h>

namespace tern::engine {

Result<std::unique_ptr<ReceiveSlots>> ReceiveSlots::open(std::size_t count) {
  const std::size_t size = count * kPayloadSize;
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail(Error::os(errno, "memory for receive buffers"));
  std::unique_ptr<ReceiveSlots> slots(new ReceiveSlots);
  slots->memory_ = memory;
  slots->memory_size_ = size;
  slots->slots_.resize(count);
  slots->messages_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    Slot& slot = slots->slots_[i];
    slot.data = {static_cast<std::uint8_t*>(memory) + i * kPayloadSize, kPayloadSize};
    msghdr& header = slots->messages_[i].msg_hdr;
    header.msg_iov = &slot.data;
    header.msg_iovlen = 1;
    header.msg_name = &slot.name;
    header.msg_control = slot.control;
    header.msg_namelen = sizeof slot.name;
    header.msg_controllen = sizeof slot.control;
  }
  return slots;
}

ReceiveSlots::~ReceiveSlots() {
  if (memory_ != nullptr) ::munmap(memory_, memory_size_);
}

int ReceiveSlots::receive(int fd, std::size_t first, std::size_t most) noexcept {
  return ::recvmmsg(fd, messages_.data() + first, static_cast<unsigned>(most), MSG_DONTWAIT,
                    nullptr);
}

ReceiveSlots::Message ReceiveSlots::take(std::size_t index) noexcept {
  Slot& slot = slots_[index];
  mmsghdr& message = messages_[index];
  msghdr& header = message.msg_hdr;
  const Message taken{
      udp::Address::from(reinterpret_cast<const sockaddr*>(&slot.name), header.msg_namelen),
      decode_control(slot.control, header.msg_controllen),
      {static_cast<std::uint8_t*>(slot.data.iov_base), message.msg_len},
      (header.msg_flags & MSG_TRUNC) == 0};
  header.msg_namelen = sizeof slot.name;
  header.msg_controllen = sizeof slot.control;
  return taken;
}

}  // namespace tern::engine
