#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/task.h"
#include "base/time.h"
#include "http/cors.h"
#include "rpc/compression.h"
#include "rpc/rest_route.h"
#include "rpc/status.h"

namespace tern::rpc {

class Dispatcher;
class ServerContext;
struct Invocation;

/// What is behind an interceptor: the interceptors after it, and then the handler. Valid during the
/// call; called at most once.
class Next {
 public:
  Task<Status> operator()() const;

 private:
  friend class Dispatcher;
  Next(const Dispatcher& dispatcher, const Invocation& invocation, std::size_t index) noexcept
      : dispatcher_(dispatcher), invocation_(invocation), index_(index) {}

  const Dispatcher& dispatcher_;
  const Invocation& invocation_;
  std::size_t index_;
};

/// Runs around every call of every dialect: looks at the metadata before, answers instead of the
/// handler, looks at the status after, adds metadata.
///
///   Task<Status> only_with_a_token(ServerContext& context, const Next& next) {
///     if (!context.metadata().find("authorization")) co_return Status(Code::unauthenticated);
///     co_return co_await next();
///   }
/// With several workers it runs on several threads at once.
using Interceptor = std::function<Task<Status>(ServerContext&, const Next&)>;

/// How services are served. Fluent.
class ServeOptions {
 public:
  /// The largest request message, after decompression; larger ones are RESOURCE_EXHAUSTED. 4 MiB.
  ServeOptions& max_request(std::size_t bytes) { return max_request_ = bytes, *this; }
  std::size_t max_request() const noexcept { return max_request_; }
  /// The largest response message; larger ones are RESOURCE_EXHAUSTED. 2 GiB.
  ServeOptions& max_response(std::size_t bytes) { return max_response_ = bytes, *this; }
  std::size_t max_response() const noexcept { return max_response_; }
  /// Calls that run at the same time, over all workers; more are UNAVAILABLE at once, before any of
  /// their messages is read. 100,000.
  ServeOptions& max_calls(std::size_t calls) { return max_calls_ = calls, *this; }
  std::size_t max_calls() const noexcept { return max_calls_; }
  /// Ends calls after that time (DEADLINE_EXCEEDED) which the caller has given no deadline, or a
  /// later one; over a WebSocket with its close code. Duration::max(): never.
  ServeOptions& max_duration(Duration duration) { return max_duration_ = duration, *this; }
  Duration max_duration() const noexcept { return max_duration_; }
  /// Compresses responses where the caller understands it (ServerContext::compress changes it for a
  /// call). Identity: not.
  ServeOptions& compression(Coding coding) { return compression_ = coding, *this; }
  Coding compression() const noexcept { return compression_; }
  /// The first to be added is the outermost.
  ServeOptions& interceptor(Interceptor interceptor) {
    interceptors_.push_back(std::move(interceptor));
    return *this;
  }
  const std::vector<Interceptor>& interceptors() const noexcept { return interceptors_; }
  /// Lets pages of other origins call (gRPC-Web, Connect, REST): preflights are answered, and what
  /// comes back may be read. None: only the server's own pages call.
  ServeOptions& cors(http::Cors cors) { return cors_ = std::move(cors), *this; }
  const http::Cors* cors() const noexcept { return cors_ ? &*cors_ : nullptr; }
  /// How REST takes requests and writes JSON.
  ServeOptions& rest(RestOptions options) { return rest_ = options, *this; }
  const RestOptions& rest() const noexcept { return rest_; }

 private:
  std::size_t max_request_ = std::size_t{4} * 1024 * 1024;
  std::size_t max_response_ = INT32_MAX;
  std::size_t max_calls_ = 100'000;
  Duration max_duration_ = Duration::max();
  Coding compression_ = Coding::identity;
  std::vector<Interceptor> interceptors_;
  std::optional<http::Cors> cors_;
  RestOptions rest_;
};

}  // namespace tern::rpc
