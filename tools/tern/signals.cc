#include "tools/tern/signals.h"

#include <pthread.h>
#include <utility>

namespace tern::cli {

SignalThread::SignalThread(std::initializer_list<int> signals,
                           std::function<void(int signal)> handle) {
  sigemptyset(&set_);
  for (const int signal : signals) sigaddset(&set_, signal);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  thread_ = std::thread([this, handle = std::move(handle)] {
    int signal = 0;
    while (sigwait(&set_, &signal) == 0 && !done_.load()) handle(signal);
  });
}

SignalThread::~SignalThread() {
  done_.store(true);
  for (int signal = 1; signal < NSIG; ++signal) {
    if (sigismember(&set_, signal) == 1) {
      pthread_kill(thread_.native_handle(), signal);  // wakes sigwait
      break;
    }
  }
  thread_.join();
}

}  // namespace tern::cli
