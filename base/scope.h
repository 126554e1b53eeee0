#pragma once

#include <cstddef>

#include "base/ready_queue.h"
#include "base/task.h"

namespace tern {

/// Owns tasks that nobody awaits. `spawn` queues a task to start later in this turn; when it ends
/// it is freed. Destroying the scope destroys what is still suspended, which cancels it: awaitables
/// let go in their destructors. A task that ends with an exception ends the process (there is
/// nobody to give it to), so spawn tasks that handle their errors. Single-threaded.
class Scope {
 public:
  explicit Scope(ReadyQueue& ready) noexcept : ready_(ready) {
    head_.previous = head_.next = &head_;
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() { cancel(); }

  void spawn(Task<void> task);
  /// Destroys every task that is still suspended. Not from inside one of them.
  void cancel() noexcept;
  std::size_t size() const noexcept { return size_; }

 private:
  struct Link {
    Link* previous = nullptr;
    Link* next = nullptr;
  };
  struct Root;  // the coroutine that owns one spawned task

  static Root run(Scope& scope, Task<void> task);

  ReadyQueue& ready_;
  Link head_;
  std::size_t size_ = 0;
};

}  // namespace tern
