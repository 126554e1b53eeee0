// The smallest server: hello_server CERT.pem KEY.pem, then `tern get https://localhost:4433/hello`.

#include <cstdio>
#include <string>

#include "gateway/server.h"
#include "http/router.h"

tern::Task<void> hello(tern::http::Exchange& exchange) {
  std::string text = "hello over " + std::string(exchange.protocol()) + "\n";
  co_await exchange.respond(tern::http::Status::ok, std::move(text));
}

int main(int argument_count, char** arguments) {
  if (argument_count != 3) return std::fputs("usage: hello_server CERT.pem KEY.pem\n", stderr), 2;
  tern::http::Router router;
  router.get("/hello", hello);
  tern::Server server(
      tern::ServerOptions().certificate(arguments[1], arguments[2]).listen("[::]:4433"));
  const auto ended = server.run(router);
  if (!ended) std::fprintf(stderr, "hello_server: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
