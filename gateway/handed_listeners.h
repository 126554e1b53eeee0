#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "transport/engine/unix_channel.h"
#include "transport/udp/address.h"

namespace tern {

/// A server's TCP listeners, as far as they go from one process to the next (server_handover.h):
/// those that it has, and those that came from the process before. The sockets that listen are the
/// same in both, so that clients in a backlog notice nothing.
class HandedListeners {
 public:
  HandedListeners() = default;
  HandedListeners(const HandedListeners&) = delete;
  HandedListeners& operator=(const HandedListeners&) = delete;

  // What this process has; from any thread. It keeps a descriptor of its own of each socket, as one
  // that a worker closes might be another file's when it is sent.
  void note(const udp::Address& local, std::size_t place, int descriptor);
  /// Nobody listens there any more …
  void forget(const udp::Address& local);
  /// … or at any other address than these.
  void keep(const std::vector<udp::Address>& addresses);
  struct Group {
    udp::Address local;
    std::vector<std::shared_ptr<const engine::Descriptors>> sockets;  // of one descriptor each
  };
  std::vector<Group> all() const;

  // What came. Before there are several workers, or on the thread of the one that is set up.
  engine::Descriptors& offered(const udp::Address& address);
  /// The address among them that `wanted` stands for, if there is one: with port 0, any of its IP
  /// that is not `taken`.
  std::optional<udp::Address> find_offered(const udp::Address& wanted) const;
  void note_taken(const udp::Address& address) { taken_.push_back(address); }
  const std::vector<udp::Address>& taken() const noexcept { return taken_; }
  void forget_offers() { offered_.clear(); }

 private:
  mutable std::mutex mutex_;
  std::vector<Group> groups_;
  std::vector<std::pair<udp::Address, engine::Descriptors>> offered_;
  std::vector<udp::Address> taken_;
};

}  // namespace tern
