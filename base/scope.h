#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>

#include "base/ready_queue.h"
#include "base/recycled_memory.h"
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

  /// What a coroutine returns that is spawned by being called: its first parameter is the scope.
  /// Saves a frame where every request would have one more.
  class Spawned;

 private:
  struct Link {
    Link* previous = nullptr;
    Link* next = nullptr;
  };

  static Spawned run(Scope& scope, Task<void> task);

  ReadyQueue& ready_;
  Link head_;
  std::size_t size_ = 0;
};

class Scope::Spawned {
 public:
  class promise_type : Link, public Recycled {
   public:
    template <typename... Parameters>
    explicit promise_type(Scope& owner, Parameters&...) noexcept : scope_(owner) {
      previous = scope_.head_.previous;
      next = &scope_.head_;
      previous->next = this;
      next->previous = this;
      ++scope_.size_;
    }
    ~promise_type() {
      previous->next = next;
      next->previous = previous;
      --scope_.size_;
    }
    Spawned get_return_object() const noexcept { return {}; }

    /// Suspends once, so that it starts from the ready queue.
    struct Start {
      promise_type& promise;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) const noexcept {
        promise.start_.suspend(handle);
        promise.start_.wake(promise.scope_.ready_);
      }
      void await_resume() const noexcept {}
    };
    Start initial_suspend() noexcept { return Start{*this}; }
    std::suspend_never final_suspend() const noexcept { return {}; }  // frees the frame
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }

   private:
    friend class Scope;
    Scope& scope_;
    Waiter start_;
  };
};

}  // namespace tern
