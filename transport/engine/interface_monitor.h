#pragma once

#include <functional>
#include <memory>

#include "base/error.h"
#include "transport/udp/interface_watchers.h"
#include "transport/udp/interfaces.h"

namespace tern::engine {

/// The kernel's network interfaces: NETLINK_ROUTE dumps for a snapshot, its multicast groups for
/// changes. The groups' socket is opened by the first who watches.
///
/// Notifications are not added up to a picture: each that matters makes `changed` true, and who
/// wants the picture has a fresh dump made. So lost ones (ENOBUFS) cost nothing but a dump.
class InterfaceMonitor {
 public:
  InterfaceMonitor() = default;
  InterfaceMonitor(const InterfaceMonitor&) = delete;
  InterfaceMonitor& operator=(const InterfaceMonitor&) = delete;
  ~InterfaceMonitor();

  static Result<udp::Interfaces> snapshot();
  static Result<udp::Address> source_for(const udp::Address& remote);

  Result<std::unique_ptr<udp::InterfaceWatch>> watch(std::function<void()> changed);
  /// The socket to poll for reading; -1 until the first watch. It stays for the network's life.
  int fd() const noexcept { return fd_; }
  /// Reads what has come, at most kMaxReads datagrams; calls the watchers if it matters. True:
  /// there may be more.
  bool reap();

  static constexpr int kMaxReads = 64;

 private:
  Result<void> open();

  int fd_ = -1;
  udp::InterfaceWatchers watchers_;
};

}  // namespace tern::engine
