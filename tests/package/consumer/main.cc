// A program outside the tree: it compiles against the installed headers, links, and finds its
// libraries when it runs. The server has no certificate to start with, and has to say so.

#include <string>

#include "gateway/server.h"
#include "http/router.h"

int main() {
  tern::http::Router router;
  tern::Server server(tern::ServerOptions().certificate("no-such.pem", "no-such.key"));
  const auto started = server.start(router);
  const bool named = !started && started.error().to_string().find("no-such") != std::string::npos;
  return named ? 0 : 1;
}
