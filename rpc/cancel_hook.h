#pragma once

#include "base/runtime.h"
#include "rpc/client_context.h"

namespace tern::rpc {

/// Wakes a coroutine when its call is cancelled. In the coroutine's frame: a frame that is
/// destroyed while it waits leaves nothing behind in the context. Private to the room.
class CancelHook {
 public:
  CancelHook(ClientContext& context, Signal& signal) : context_(context) {
    context_.on_cancel([&signal] { signal.notify(); });
  }
  CancelHook(const CancelHook&) = delete;
  CancelHook& operator=(const CancelHook&) = delete;
  ~CancelHook() { context_.on_cancel(nullptr); }

 private:
  ClientContext& context_;
};

}  // namespace tern::rpc
