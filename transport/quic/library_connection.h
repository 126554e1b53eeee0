#pragma once

#include <utility>

#include "transport/quic/packed_slot.h"

struct ngtcp2_conn;
struct ngtcp2_mem;

namespace tern::quic {

class Connection;
class ConnectionSlot;
class LibraryMemory;

/// ngtcp2's part of a connection, awake or asleep (docs/decisions/0031). Asleep it lies packed
/// somewhere else, and it is back where it was before anybody sees it: nobody else has its pointer,
/// and whoever calls ngtcp2 gets it from here. What ngtcp2's functions return points into it, and
/// is good until the connection's timer next expires.
class LibraryConnection {
 public:
  /// `owner` is told when it wakes.
  explicit LibraryConnection(Connection& owner) noexcept;
  LibraryConnection(const LibraryConnection&) = delete;
  LibraryConnection& operator=(const LibraryConnection&) = delete;
  ~LibraryConnection() { end(); }

  /// Wakes it. Null before `begin`.
  operator ngtcp2_conn*() const noexcept {
    if (asleep()) [[unlikely]]
      wake();
    return conn_;
  }
  bool exists() const noexcept { return conn_ != nullptr; }
  bool asleep() const noexcept { return !packed_.empty(); }
  /// Blocks that it has beside its slot; 0 without one. Awake.
  std::size_t blocks_beyond() const noexcept;

  /// Makes it: `make(ngtcp2_conn**, const ngtcp2_mem*)` is ngtcp2_conn_server_new or _client_new,
  /// whose result this is. Only one that `may_sleep` has memory that can be packed.
  template <typename Make>
  int begin(LibraryMemory& memory, bool may_sleep, Make&& make) {
    return std::forward<Make>(make)(&conn_, allocator(memory, may_sleep));
  }

  /// Deletes it. ngtcp2 calls back for that: the owner's CryptoBridge and qlog are still there.
  void end() noexcept;

  /// Packs it, if that is possible and worth it. Not within a call of ngtcp2's.
  void sleep();

 private:
  const ngtcp2_mem* allocator(LibraryMemory& memory, bool may_sleep) noexcept;
  void wake() const noexcept;

  Connection& owner_;
  ngtcp2_conn* conn_ = nullptr;
  LibraryMemory* memory_ = nullptr;
  ConnectionSlot* slot_ = nullptr;  // null: it lies in the pool, and does not sleep
  mutable PackedSlot packed_;
};

}  // namespace tern::quic
