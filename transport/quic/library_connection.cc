#include "transport/quic/library_connection.h"

#include <ngtcp2/ngtcp2.h>

#include "transport/quic/connection.h"
#include "transport/quic/library_memory.h"

namespace tern::quic {

LibraryConnection::LibraryConnection(Connection& owner) noexcept : owner_(owner) {}

void LibraryConnection::end() noexcept {
  if (asleep()) memory_->unpack(*slot_, packed_);
  if (conn_ != nullptr) ngtcp2_conn_del(std::exchange(conn_, nullptr));
  if (slot_ != nullptr) memory_->give_back(*std::exchange(slot_, nullptr));
}

const ngtcp2_mem* LibraryConnection::allocator(LibraryMemory& memory, bool may_sleep) noexcept {
  memory_ = &memory;
  if (may_sleep) slot_ = memory.take_slot();
  return slot_ != nullptr ? slot_->native() : memory.native();
}

std::size_t LibraryConnection::blocks_beyond() const noexcept {
  return slot_ != nullptr ? slot_->blocks_beyond() : 0;
}

void LibraryConnection::sleep() {
  if (slot_ != nullptr && !asleep()) packed_ = memory_->pack(*slot_);
}

void LibraryConnection::wake() const noexcept {
  memory_->unpack(*slot_, packed_);
  owner_.woke();
}

}  // namespace tern::quic
