// A service of protobuf: greeter_server CERT KEY [ADDR:PORT], then what docs/rpc.md calls it with.
#include "gateway/server.h"

#include <cstdio>
#include <memory>
#include <string>

#include "gateway/rpc_webtransport.h"
#include "greeter.tern.h"
#include "rpc/services/reflection.h"

using namespace greeter::v1;
using namespace tern::rpc;
using tern::Task;

class Hello final : public Greeter {
  Task<Status> SayHello(ServerContext& call, const HelloRequest& from, HelloReply& reply) override {
    if (from.name().empty()) co_return Status(Code::invalid_argument, "no name");
    reply.set_text("hello " + from.name() + " over " + std::string(call.wire()));
    co_return Status();
  }
  Task<Status> KeepSaying(ServerContext& call, const HelloRequest& from,
                          Writer<HelloReply>& replies) override {
    HelloReply reply;
    for (int i = 1; i <= 10; ++i) {
      reply.set_text("hello " + from.name() + ", " + std::to_string(i));
      co_await replies.send(reply);
      const bool slept = co_await call.sleep(std::chrono::milliseconds(100));
      if (!slept) co_return call.cancellation();
    }
    co_return Status();
  }
  Task<Status> GreetAll(ServerContext&, Reader<HelloRequest>& all, HelloReply& reply) override {
    for (HelloRequest from;;) {
      const bool more = co_await all.receive(from);
      if (!more) co_return all.status();
      reply.set_text(reply.text() + (reply.text().empty() ? "hello " : ", ") + from.name());
    }
  }
  Task<Status> Chat(ServerContext&, Reader<HelloRequest>& all, Writer<HelloReply>& out) override {
    HelloReply reply;
    for (HelloRequest from;;) {
      const bool more = co_await all.receive(from);
      if (!more) co_return all.status();
      reply.set_text("hello " + from.name());
      co_await out.send(reply);
    }
  }
};

int main(int count, char** arguments) {
  if (count < 3) return std::fputs("usage: greeter_server CERT KEY [ADDR:PORT]\n", stderr), 2;
  Services services{std::make_shared<Hello>()};
  add_reflection(services);  // so that callers need no .proto
  const auto calls = serve(services, ServeOptions().cors(tern::http::Cors().allow_any()));
  tern::http::Router router;
  router.mount("/", calls);
  tern::route_rpc(router, "/rpc", calls, tern::webtransport::ServerOptions().allow_any_origin());
  tern::ServerOptions options;
  options.certificate(arguments[1], arguments[2]).listen(count > 3 ? arguments[3] : "[::]:4433");
  const auto ended = tern::Server(options).run(router);
  if (!ended) std::fprintf(stderr, "greeter_server: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
