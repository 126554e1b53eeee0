#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/error.h"
#include "transport/udp/interfaces.h"

namespace tern::udp {

/// The watches of one network: for whoever implements `Network`. Belongs to its thread.
class InterfaceWatchers {
 public:
  InterfaceWatchers() = default;
  InterfaceWatchers(const InterfaceWatchers&) = delete;
  InterfaceWatchers& operator=(const InterfaceWatchers&) = delete;
  /// No watch may be left.
  ~InterfaceWatchers();

  /// Error limit: Network::kMaxInterfaceWatches are there.
  Result<std::unique_ptr<InterfaceWatch>> add(std::function<void()> changed);
  /// Calls all that were there when it began and still are.
  void notify();
  bool empty() const noexcept { return watches_.empty(); }

 private:
  class Watch;
  std::vector<Watch*> watches_;
};

}  // namespace tern::udp
