#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/recycled_memory.h"

/// Task<T>: a lazily started coroutine. `co_await task` runs it inline until it first suspends; if
/// it is finished by then the awaiting coroutine never suspends.
///
/// gcc 12.2 does not tail-call symmetric transfer without optimisation or under ASan, so a loop
/// over finished tasks would overflow the stack. Therefore `await_suspend` resumes the child
/// itself and returns whether it is still running, and the child's final suspend resumes its
/// continuation only when it was not running inline. docs/ARCHITECTURE.md lists the expressions
/// that gcc 12 miscompiles around `co_await`.
///
/// Owner: whoever holds the Task. Destroying a suspended Task destroys its frame, and with it
/// whatever it awaits. Exceptions travel to the awaiting coroutine.

namespace tern {

template <typename T = void>
class Task;

namespace detail {

class TaskPromiseBase : public Recycled {
 public:
  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> finished) const noexcept {
      TaskPromiseBase& promise = finished.promise();
      if (!promise.running_inline_ && promise.continuation_) promise.continuation_.resume();
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }

  std::coroutine_handle<> continuation_;
  bool running_inline_ = false;
  std::exception_ptr exception_;
};

template <typename T>
class TaskPromise final : public TaskPromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <typename U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() {
    rethrow();
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class TaskPromise<void> final : public TaskPromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const { rethrow(); }
};

}  // namespace detail

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;

  Task() noexcept = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() { destroy(); }

  /// A task that is over already: for functions that, this time, have nothing to wait for and so
  /// need no coroutine.
  static Task completed() noexcept
    requires std::is_void_v<T>
  {
    return Task(std::coroutine_handle<promise_type>::from_address(&over_));
  }

  explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> child;
      bool await_ready() const noexcept { return is_over(child); }
      bool await_suspend(std::coroutine_handle<> parent) const {
        promise_type& promise = child.promise();
        promise.continuation_ = parent;
        promise.running_inline_ = true;
        child.resume();
        promise.running_inline_ = false;
        return !child.done();
      }
      T await_resume() const {
        if constexpr (std::is_void_v<T>) {
          if (is_over(child)) return;
        }
        return child.promise().take();
      }
    };
    TERN_CHECK(handle_);
    return Awaiter{handle_};
  }
  auto operator co_await() & noexcept { return std::move(*this).operator co_await(); }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  void destroy() noexcept {
    if (handle_ && !is_over(handle_)) handle_.destroy();
    handle_ = nullptr;
  }
  static bool is_over(std::coroutine_handle<promise_type> handle) noexcept {
    return std::is_void_v<T> && handle.address() == &over_;
  }

  /// Stands for the frame of a task that is completed.
  static inline std::max_align_t over_{};

  std::coroutine_handle<promise_type> handle_;
};

namespace detail {

template <typename T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

}  // namespace detail

}  // namespace tern
