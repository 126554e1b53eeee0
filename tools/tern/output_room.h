#pragma once

#include <memory>
#include <thread>

#include "base/runtime.h"

namespace tern::cli {

/// Waits, on a thread of its own, until a pipe or a terminal takes more: the loop must not.
class OutputRoom {
 public:
  /// Make it when signals are blocked (SignalThread). The runtime outlives it, and so does the
  /// file.
  OutputRoom(Runtime& runtime, int file);
  OutputRoom(const OutputRoom&) = delete;
  OutputRoom& operator=(const OutputRoom&) = delete;
  ~OutputRoom();

  /// Over when a write of PIPE_BUF bytes would not block, or would fail.
  Task<void> wait();

 private:
  void run();

  Runtime& runtime_;
  int file_;
  // What was submitted may run when the object has gone.
  std::shared_ptr<OutputRoom*> self_ = std::make_shared<OutputRoom*>(this);
  Signal came_;
  bool there_ = false;  // the runtime's thread
  int stop_read_ = -1;
  int stop_write_ = -1;
  std::thread thread_;
};

}  // namespace tern::cli
