#pragma once

#include <memory>

#include "base/task.h"
#include "http/exchange.h"

namespace tern::rpc {

class Dispatcher;

/// One way to write calls in HTTP: an adapter between exchanges and the dispatcher's methods. Has
/// no state of its own that a call would change: all workers share it.
class Dialect {
 public:
  virtual ~Dialect() = default;
  /// Whether the request is this dialect's, by its method, content type or path.
  virtual bool accepts(const http::Exchange& exchange, const Dispatcher& dispatcher) const = 0;
  /// Serves it: finds the method, reads the request, `Dispatcher::admit`, `Dispatcher::invoke`,
  /// answers. Also answers for methods that there are not. The dispatcher outlives the task.
  virtual Task<void> serve(http::Exchange& exchange, const Dispatcher& dispatcher) const = 0;
};

std::unique_ptr<Dialect> make_grpc_dialect();
std::unique_ptr<Dialect> make_grpc_web_dialect();
std::unique_ptr<Dialect> make_connect_dialect();
std::unique_ptr<Dialect> make_websocket_dialect();

}  // namespace tern::rpc
