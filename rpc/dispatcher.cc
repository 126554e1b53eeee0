#include "rpc/dispatcher.h"

#include <string>
#include <utility>

#include "base/check.h"
#include "rpc/server_rest.h"

namespace tern::rpc {

Task<Status> Next::operator()() const { return dispatcher_.next(invocation_, index_); }

Dispatcher::Dispatcher(Services services, ServeOptions options)
    : services_(std::move(services)), options_(std::move(options)) {
  for (const std::shared_ptr<Service>& service : services_) {
    for (const Method& method : service->methods()) {
      const bool added = endpoints_.emplace(method.path, Endpoint{&method, service.get()}).second;
      TERN_CHECK(added);
    }
  }
}

Task<void> Dispatcher::operator()(http::Exchange& exchange) const {
  if (options_.cors() != nullptr && options_.cors()->answer_preflight(exchange)) {
    return Task<void>::completed();
  }
  for (const std::unique_ptr<Dialect>& dialect : dialects_) {
    if (dialect->accepts(exchange, *this)) return dialect->serve(exchange, *this);
  }
  const bool known = find(exchange.request().path_only()) != nullptr;
  // Queued at once; the exchange waits for nothing after its handler has returned.
  (void)exchange.respond(known ? http::Status::unsupported_media_type : http::Status::not_found,
                         known ? "No dialect of RPC has this method or content type.\n"
                               : "There is no such method.\n");
  return Task<void>::completed();
}

Status Dispatcher::admit(ServerContext& context) const {
  if (calls_.fetch_add(1, std::memory_order_relaxed) >= options_.max_calls()) {
    release();
    return Status(Code::unavailable,
                  "the server is busy with " + std::to_string(options_.max_calls()) + " calls");
  }
  context.hold_place(*this);
  return Status();
}

Task<Status> Dispatcher::call(const Invocation& invocation) {
  const Method& method = *invocation.endpoint.method;
  Service& service = *invocation.endpoint.service;
  ServerContext& context = invocation.context;
  switch (method.pattern) {
    case Pattern::client_stream:
      return method.client_stream(service, context, *invocation.reader, *invocation.response);
    case Pattern::server_stream:
      return method.server_stream(service, context, *invocation.request, *invocation.writer);
    case Pattern::bidi_stream:
      return method.bidi_stream(service, context, *invocation.reader, *invocation.writer);
    case Pattern::unary: break;
  }
  return method.unary(service, context, *invocation.request, *invocation.response);
}

Task<Status> Dispatcher::next(const Invocation& invocation, std::size_t index) const {
  if (index == options_.interceptors().size()) {
    co_return co_await call(invocation);
  }
  const Next following(*this, invocation, index + 1);
  co_return co_await options_.interceptors()[index](invocation.context, following);
}

http::Handler serve(Services services, ServeOptions options) {
  auto dispatcher = std::make_shared<Dispatcher>(std::move(services), std::move(options));
  dispatcher->add(make_grpc_dialect());
  dispatcher->add(make_grpc_web_dialect());
  dispatcher->add(make_connect_dialect());
  dispatcher->add(make_websocket_dialect());
  dispatcher->add(make_rest_dialect(dispatcher->services(), dispatcher->options().rest()));
  return [dispatcher = std::move(dispatcher)](http::Exchange& exchange) {
    return (*dispatcher)(exchange);
  };
}

http::Handler serve(std::shared_ptr<Service> service, ServeOptions options) {
  Services services;
  services.push_back(std::move(service));
  return serve(std::move(services), std::move(options));
}

}  // namespace tern::rpc
