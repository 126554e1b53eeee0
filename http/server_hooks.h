#pragma once

#include <functional>

#include "http/connection_age.h"
#include "http/exchange.h"

namespace tern::http {

/// What a server does with requests and their connections, whatever protocol they come in.
struct ServerHooks {
  /// Called for each request, in a task of its own, on the session's thread; outlives them.
  Handler handler;
  /// Called when a request's handler is through, for the access log; may be empty.
  std::function<void(const Exchange&)> done;
  /// How old connections may get.
  ConnectionAge age;
};

}  // namespace tern::http
