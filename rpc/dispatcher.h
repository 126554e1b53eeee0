#pragma once

#include <atomic>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/task.h"
#include "http/exchange.h"
#include "rpc/dialect.h"
#include "rpc/serve_options.h"
#include "rpc/server_context.h"
#include "rpc/service.h"
#include "rpc/status.h"

namespace tern::rpc {

using Services = std::vector<std::shared_ptr<Service>>;

/// A method and whose it is.
struct Endpoint {
  const Method* method = nullptr;
  Service* service = nullptr;
};

/// One call, ready to be made. What it points at outlives the task.
struct Invocation {
  const Endpoint& endpoint;
  ServerContext& context;
  const google::protobuf::Message* request = nullptr;  ///< unless requests are streamed
  google::protobuf::Message* response = nullptr;       ///< unless responses are streamed
  MessageReader* reader = nullptr;
  MessageWriter* writer = nullptr;
};

/// The services of a server by path, and what every call goes through whatever it is written in:
/// limits, interceptors. Dialects are asked in order whose a request is. Immutable, so that all
/// workers share one; lives as long as the handler that `serve` has returned.
class Dispatcher {
 public:
  /// Two methods with the same path are a mistake of the program (TERN_CHECK).
  Dispatcher(Services services, ServeOptions options);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  /// Asked after those that are there already.
  void add(std::unique_ptr<Dialect> dialect) { dialects_.push_back(std::move(dialect)); }

  /// Serves a request. One that no dialect accepts: 415 where its path is a method's, else 404.
  Task<void> operator()(http::Exchange& exchange) const;

  // ---- for dialects
  const ServeOptions& options() const noexcept { return options_; }
  const Services& services() const noexcept { return services_; }
  /// By "/pkg.Service/Method"; null when there is none.
  const Endpoint* find(std::string_view path) const noexcept {
    const auto found = endpoints_.find(path);
    return found != endpoints_.end() ? &found->second : nullptr;
  }
  /// Takes one of the places for calls, which `context` gives back. UNAVAILABLE when all are taken.
  Status admit(ServerContext& context) const;
  /// Runs the interceptors and the handler. What they throw goes through.
  Task<Status> invoke(const Invocation& invocation) const {
    return options_.interceptors().empty() ? call(invocation) : next(invocation, 0);
  }
  /// Calls that run.
  std::size_t calls() const noexcept { return calls_.load(std::memory_order_relaxed); }
  void release() const noexcept { calls_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  friend class Next;
  static Task<Status> call(const Invocation& invocation);
  Task<Status> next(const Invocation& invocation, std::size_t index) const;

  Services services_;
  ServeOptions options_;
  std::vector<std::unique_ptr<Dialect>> dialects_;
  std::unordered_map<std::string_view, Endpoint> endpoints_;  // keys are Method::path
  mutable std::atomic<std::size_t> calls_{0};
};

/// A handler that serves the services in every dialect; mount it where it sees whole paths:
///
///   router.mount("/", rpc::serve(std::make_shared<Greeter>()));
///
/// Copies of the handler share the services, which live as long as one of them.
http::Handler serve(Services services, ServeOptions options = ServeOptions());
http::Handler serve(std::shared_ptr<Service> service, ServeOptions options = ServeOptions());

}  // namespace tern::rpc
