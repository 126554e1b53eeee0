#include "transport/engine/provided_buffers.h"

#include <algorithm>
#include <sys/mman.h>

namespace tern::engine {

namespace {

void* map(std::size_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

ProvidedBuffers::~ProvidedBuffers() {
  if (ring_ != nullptr) ::munmap(ring_, ring_size_);
  if (memory_ != nullptr) ::munmap(memory_, memory_size_);
}

Result<void> ProvidedBuffers::open(io_uring& ring, const Shape& shape) {
  shape_ = shape;
  ring_size_ = shape.count * sizeof(io_uring_buf);
  ring_ = static_cast<io_uring_buf_ring*>(map(ring_size_));
  memory_size_ = shape.count * shape.size;
  memory_ = static_cast<std::uint8_t*>(map(memory_size_));
  if (ring_ == nullptr || memory_ == nullptr) {
    return fail(Error(Code::unsupported, "no memory for receive buffers"));
  }
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(ring_);
  registration.ring_entries = static_cast<unsigned>(shape.count);
  registration.bgid = shape.group;
  const int error = io_uring_register_buf_ring(&ring, &registration, 0);
  if (error < 0) {
    return fail(Error(Code::unsupported, Error::os(-error, "provided buffers").detail));
  }
  mask_ = io_uring_buf_ring_mask(static_cast<unsigned>(shape.count));
  io_uring_buf_ring_init(ring_);
  wanted_ = std::min(shape.count, shape.few);
  spare_.reserve(shape.count);
  for (std::size_t id = shape.count; id-- > wanted_;) {
    spare_.push_back(static_cast<std::uint16_t>(id));
  }
  for (std::size_t id = 0; id < wanted_; ++id) circulate(static_cast<std::uint16_t>(id));
  return {};
}

void ProvidedBuffers::circulate(std::uint16_t id) noexcept {
  io_uring_buf_ring_add(ring_, at(id), static_cast<unsigned>(shape_.size), id, mask_, 0);
  io_uring_buf_ring_advance(ring_, 1);
  ++circulating_;
}

void ProvidedBuffers::give_back(std::uint16_t id) noexcept {
  --circulating_;
  if (circulating_ < wanted_) {
    circulate(id);
  } else {
    spare_.push_back(id);
  }
}

void ProvidedBuffers::ran_out() noexcept {
  quiet_turns_ = 0;
  wanted_ = std::min(2 * wanted_, circulating_ + spare_.size());
  while (circulating_ < wanted_ && !spare_.empty()) {
    circulate(spare_.back());
    spare_.pop_back();
  }
}

void ProvidedBuffers::used(std::size_t count) noexcept {
  if (wanted_ <= shape_.few || count > wanted_ / 4) {
    quiet_turns_ = 0;
  } else if (++quiet_turns_ == kQuietTurns) {
    quiet_turns_ = 0;
    wanted_ /= 2;
  }
}

}  // namespace tern::engine
