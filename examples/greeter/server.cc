// A service of protobuf: greeter_server CERT.pem KEY.pem, then what docs/rpc.md calls it with.

#include "gateway/server.h"

#include <cstdio>
#include <memory>
#include <string>

#include "greeter.tern.h"
#include "http/router.h"
#include "rpc/dispatcher.h"
#include "rpc/services/reflection.h"

namespace rpc = tern::rpc;
using namespace greeter::v1;

class Hello final : public Greeter {
  tern::Task<rpc::Status> SayHello(rpc::ServerContext& context, const HelloRequest& request,
                                   HelloReply& reply) override {
    if (request.name().empty()) co_return rpc::Status(rpc::Code::invalid_argument, "no name");
    reply.set_text("hello " + request.name() + " over " + std::string(context.wire()));
    co_return rpc::Status();
  }
  tern::Task<rpc::Status> KeepSaying(rpc::ServerContext& context, const HelloRequest& request,
                                     rpc::Writer<HelloReply>& replies) override {
    HelloReply reply;
    for (int i = 1; i <= 10; ++i) {
      reply.set_text("hello " + request.name() + ", " + std::to_string(i));
      const bool sent = co_await replies.send(reply);
      if (!sent) break;
      const bool slept = co_await context.sleep(std::chrono::milliseconds(100));
      if (!slept) co_return context.cancellation();
    }
    co_return rpc::Status();
  }
  tern::Task<rpc::Status> GreetAll(rpc::ServerContext&, rpc::Reader<HelloRequest>& requests,
                                   HelloReply& reply) override {
    HelloRequest request;
    for (;;) {
      const bool more = co_await requests.receive(request);
      if (!more) co_return requests.status();
      reply.set_text(reply.text() + (reply.text().empty() ? "hello " : ", ") + request.name());
    }
  }
  tern::Task<rpc::Status> Chat(rpc::ServerContext&, rpc::Reader<HelloRequest>& requests,
                               rpc::Writer<HelloReply>& replies) override {
    HelloRequest request;
    HelloReply reply;
    for (;;) {
      const bool more = co_await requests.receive(request);
      if (!more) co_return requests.status();
      reply.set_text("hello " + request.name());
      co_await replies.send(reply);
    }
  }
};

int main(int argument_count, char** arguments) {
  if (argument_count < 3)
    return std::fputs("usage: greeter_server CERT KEY [ADDR:PORT]\n", stderr), 2;
  tern::http::Router router;
  rpc::Services services{std::make_shared<Hello>()};
  rpc::add_reflection(services);  // so that callers need no .proto
  router.mount("/", rpc::serve(services, rpc::ServeOptions().cors(tern::http::Cors().allow_any())));
  tern::ServerOptions options;
  options.certificate(arguments[1], arguments[2]);
  tern::Server server(options.listen(argument_count > 3 ? arguments[3] : "[::]:4433"));
  const auto ended = server.run(router);
  if (!ended) std::fprintf(stderr, "greeter_server: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
