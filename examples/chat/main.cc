// A chat for browsers: WebTransport over HTTP/3, WebSocket where UDP does not pass, one room.
//   chat CERT.pem KEY.pem [ADDRESS], then open https://localhost:4433/chat/
// `tern serve` has the same room on its demo page, and makes a certificate by itself.

#include <cstdio>
#include <optional>
#include <string>

#include "examples/chat/site.h"
#include "gateway/server.h"

int main(int argument_count, char** arguments) {
  if (argument_count != 3 && argument_count != 4) {
    return std::fputs("usage: chat CERT.pem KEY.pem [ADDRESS]\n", stderr), 2;
  }
  tern::ServerOptions options;
  options.certificate(arguments[1], arguments[2]).workers(2);
  if (argument_count == 4) options.listen(arguments[3]);
  tern::Server server(std::move(options));
  tern::http::Router router;
  tern::chat::add_chat(router, tern::chat::Room::make(),
                       [&server] { return server.certificates(); });
  router.get("/", [](tern::http::Exchange& exchange) -> tern::Task<void> {
    tern::http::Response response(tern::http::Status::found);
    response.field("location", "/chat/");
    co_await exchange.respond(std::move(response));
  });
  const auto ended = server.run(router);
  if (!ended) std::fprintf(stderr, "chat: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
