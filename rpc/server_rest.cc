#include "rpc/server_rest.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <google/protobuf/descriptor.h>

#include "base/check.h"
#include "http/escape.h"
#include "rpc/dispatcher.h"
#include "rpc/server_call.h"
#include "rpc/server_rest_call.h"

namespace tern::rpc {

namespace {

class RestDialect final : public Dialect {
 public:
  RestDialect(const Services& services, RestOptions options) : options_(options) {
    for (const std::shared_ptr<Service>& service : services) {
      for (const Method& method : service->methods()) add(method);
    }
  }

  bool accepts(const http::Exchange& exchange, const Dispatcher&) const override {
    if (routes_.empty() || exchange.method() == "CONNECT") return false;
    return find(exchange).outcome != PathTable::Match::Outcome::no_path;
  }

  Task<void> serve(http::Exchange& exchange, const Dispatcher& dispatcher) const override {
    using Outcome = PathTable::Match::Outcome;
    PathTable::Match match = find(exchange);
    if (match.outcome == Outcome::no_method) {
      http::Response response;
      response.field("allow", match.allow);
      respond_rest_error(exchange, dispatcher, http::Status::method_not_allowed,
                         Status(Code::unimplemented,
                                "the path is not for " + http::escaped(exchange.method(), 32)),
                         std::move(response));
      return Task<void>::completed();
    }
    if (match.outcome == Outcome::malformed) {
      respond_rest_error(exchange, dispatcher, http::Status::bad_request,
                         Status(Code::invalid_argument, "the path cannot be decoded"));
      return Task<void>::completed();
    }
    const Entry& entry = routes_[match.route];
    const Endpoint& endpoint = *dispatcher.find(entry.path);
    if (streams_requests(endpoint.method->pattern) && entry.route.body == RestRoute::Body::none) {
      respond_rest_error(exchange, dispatcher, http::Status::not_implemented,
                         Status(Code::unimplemented, "a stream of requests wants a body"));
      return Task<void>::completed();
    }
    return serve_call<RestServerCall>(exchange, dispatcher, endpoint, &entry.route, &options_,
                                      std::move(match.values));
  }

 private:
  struct Entry {
    std::string_view path;
    RestRoute route;
  };

  void add(const Method& method) {
    tern::Result<std::vector<RestRoute>> found = rest_routes(*method.descriptor);
    TERN_CHECK(found.has_value());  // check_rest says what is wrong
    for (RestRoute& route : *found) {
      const bool added = table_.add(route.http_method, route.path, routes_.size()).has_value();
      TERN_CHECK(added);
      routes_.push_back({method.path, std::move(route)});
    }
  }

  PathTable::Match find(const http::Exchange& exchange) const {
    return table_.find(exchange.method(), exchange.request().path_only());
  }

  RestOptions options_;
  std::vector<Entry> routes_;
  PathTable table_;
};

}  // namespace

tern::Result<void> check_rest(const Services& services) {
  PathTable table;
  for (const std::shared_ptr<Service>& service : services) {
    for (const Method& method : service->methods()) {
      TERN_TRY(const std::vector<RestRoute> routes, rest_routes(*method.descriptor));
      for (const RestRoute& route : routes) {
        if (auto added = table.add(route.http_method, route.path, 0); !added) {
          return tern::fail(Error::invalid("google.api.http of " + method.descriptor->full_name() +
                                           ": " + added.error().detail));
        }
      }
    }
  }
  return {};
}

std::unique_ptr<Dialect> make_rest_dialect(const Services& services, RestOptions options) {
  return std::make_unique<RestDialect>(services, options);
}

}  // namespace tern::rpc
