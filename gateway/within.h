#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/runtime.h"
#include "base/scope.h"
#include "base/task.h"
#include "base/timer_heap.h"

namespace tern {

namespace detail {
template <typename T>
Task<void> run_and_tell(Task<Result<T>> task, std::optional<Result<T>>& result, Signal& done) {
  result.emplace(co_await task);
  done.notify();
}
}  // namespace detail

/// Runs `task`, which is cancelled and gives Code::timed_out with the text `what` if it has not
/// ended within `limit`. A limit of zero or less is none.
template <typename T>
Task<Result<T>> within(Runtime& runtime, Duration limit, std::string what, Task<Result<T>> task) {
  if (limit <= Duration::zero()) {
    Result<T> result = co_await task;
    co_return result;
  }
  std::optional<Result<T>> result;
  Signal done(runtime);
  Timer timer(runtime.timers(), [&done](Timestamp) { done.notify(); });
  timer.arm(runtime.now() + limit);
  Scope scope(runtime.ready());
  scope.spawn(detail::run_and_tell(std::move(task), result, done));
  co_await done.wait();
  scope.cancel();
  if (!result) co_return fail(Error(Code::timed_out, std::move(what)));
  co_return std::move(*result);
}

}  // namespace tern
