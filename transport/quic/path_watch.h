#pragma once

#include <functional>

#include "base/timer_heap.h"
#include "transport/quic/path_monitor.h"

namespace tern::quic {

/// What a connection that watches its path has for it. Internal to transport/quic.
class PathWatch {
 public:
  PathWatch(TimerHeap& timers, std::function<bool()> expects, std::function<void(Timestamp)> due)
      : expecting(std::move(expects)), timer(timers, std::move(due)) {}

  PathMonitor monitor;
  std::function<bool()> expecting;
  Timer timer;
};

}  // namespace tern::quic
