// A program outside the tree: it compiles against the installed headers and its own .proto, links,
// and finds its libraries when it runs. The server has no certificate to start with, and has to say
// so.

#include <memory>
#include <string>

#include "gateway/server.h"
#include "greeting.tern.h"
#include "http/router.h"
#include "rpc/dispatcher.h"

class Echo final : public consumer::Greeter {
  tern::Task<tern::rpc::Status> Greet(tern::rpc::ServerContext&, const consumer::Greeting& request,
                                      consumer::Greeting& response) override {
    response = request;
    co_return tern::rpc::Status();
  }
};

int main() {
  const auto service = std::make_shared<Echo>();
  if (service->methods().size() != 1) return 2;
  tern::http::Router router;
  router.mount("/", tern::rpc::serve(service));
  tern::Server server(tern::ServerOptions().certificate("no-such.pem", "no-such.key"));
  const auto started = server.start(router);
  const bool named = !started && started.error().to_string().find("no-such") != std::string::npos;
  return named ? 0 : 1;
}
