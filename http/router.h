#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "http/exchange.h"
#include "http/websocket.h"

namespace tern::http {

/// What a route allows beyond the ordinary. Fluent.
class RouteOptions {
 public:
  /// The handler bears a replayed request: an unsafe method may come in 0-RTT (RFC 8470). Without
  /// it the router answers 425.
  RouteOptions& early_data(bool allowed = true) & {
    early_data_ = allowed;
    return *this;
  }
  RouteOptions&& early_data(bool allowed = true) && {
    early_data_ = allowed;
    return std::move(*this);
  }
  bool allows_early_data() const noexcept { return early_data_; }

 private:
  bool early_data_ = false;
};

/// Finds the handler of a request by its method and path. Patterns start with '/' and are compared
/// segment by segment:
///
///   /users           exactly that; "/users/" is another path
///   /users/{id}      any one segment that is not empty, percent-decoded into parameter("id")
///   /files/{rest...} everything below, even nothing: "a/b%2Fc" of "/files/a/b%2Fc", still
///                    percent-encoded, as decoding would make %2F a '/'
///
/// A literal segment is better than a parameter, a parameter better than a tail. Hosts are not
/// looked at. HEAD is answered by GET's handler, OPTIONS by a list of the methods, other methods of
/// a known path by 405; an unknown path by 404, an extended CONNECT with a protocol nobody has
/// registered by 501 (RFC 9220 §3).
///
/// A value: build it, then hand copies to as many workers as there are; copies share the table, and
/// changing one leaves the others as they are. It is itself a `Handler`, so routers nest by
/// `mount`. A malformed pattern or a second handler for the same method and path is a mistake of
/// the program (TERN_CHECK); `check_pattern` asks first.
class Router {
 public:
  Router();
  Router(const Router&) = default;
  Router(Router&&) noexcept = default;
  Router& operator=(const Router&) = default;
  Router& operator=(Router&&) noexcept = default;
  ~Router() = default;

  Router& get(std::string_view pattern, Handler handler);
  Router& post(std::string_view pattern, Handler handler);
  Router& put(std::string_view pattern, Handler handler);
  Router& patch(std::string_view pattern, Handler handler);
  Router& del(std::string_view pattern, Handler handler);
  /// Any method but CONNECT.
  Router& handle(std::string_view method, std::string_view pattern, Handler handler,
                 RouteOptions options = RouteOptions());
  /// Extended CONNECT (RFC 9220) for that `:protocol`.
  Router& connect(std::string_view protocol, std::string_view pattern, Handler handler);
  /// WebSockets, over HTTP/1.1, HTTP/2 and HTTP/3 alike: `connect` with `http::websocket`.
  Router& websocket(std::string_view pattern, WebSocketHandler handler,
                    WebSocketOptions options = WebSocketOptions());
  /// Everything at `prefix` and below it that no route of this router matches, whatever the method.
  /// The handler sees what is below in `Exchange::mounted_path`. "/" mounts at the root; of several
  /// mounts the longest prefix wins.
  Router& mount(std::string_view prefix, Handler handler, RouteOptions options = RouteOptions());
  /// Answers instead of 404.
  Router& fallback(Handler handler);

  static Result<void> check_pattern(std::string_view pattern);

  /// Dispatches. The task refers to this router's table: the router outlives it.
  Task<void> operator()(Exchange& exchange) const;

 private:
  struct Table;
  Table& change();
  std::size_t node_for(std::string_view pattern, std::vector<std::string>* names);

  std::shared_ptr<const Table> table_;
};

}  // namespace tern::http
