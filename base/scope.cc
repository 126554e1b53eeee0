#include "base/scope.h"

#include <utility>

namespace tern {

Scope::Spawned Scope::run(Scope&, Task<void> task) { co_await task; }

void Scope::spawn(Task<void> task) { run(*this, std::move(task)); }

void Scope::cancel() noexcept {
  while (head_.next != &head_) {
    auto& promise = static_cast<Spawned::promise_type&>(*head_.next);
    std::coroutine_handle<Spawned::promise_type>::from_promise(promise).destroy();
  }
}

}  // namespace tern
