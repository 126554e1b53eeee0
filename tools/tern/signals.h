#pragma once

#include <atomic>
#include <functional>
#include <initializer_list>
#include <signal.h>
#include <thread>

namespace tern::cli {

/// Takes signals on a thread of its own, in ordinary code. Make it before any other thread, so that
/// those inherit the blocked mask.
class SignalThread {
 public:
  /// `handle` is called on the thread, for one signal after the other.
  SignalThread(std::initializer_list<int> signals, std::function<void(int signal)> handle);
  SignalThread(const SignalThread&) = delete;
  SignalThread& operator=(const SignalThread&) = delete;
  /// Stops taking them; they stay blocked.
  ~SignalThread();

 private:
  sigset_t set_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace tern::cli
