#pragma once

#include <functional>

#include "http/exchange.h"

namespace tern::http {

/// What a server does with requests, whatever protocol they come in.
struct ServerHooks {
  Handler handler;
  /// Called when a request's handler is through, for the access log; may be empty.
  std::function<void(const Exchange&)> done;
};

}  // namespace tern::http
