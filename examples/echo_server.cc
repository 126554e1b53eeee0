// Sends every request body back while it arrives; nothing is ever buffered whole, since a write
// waits when the client does not read, and a read opens the client's flow control:
//   echo_server CERT.pem KEY.pem, then `tern get -X POST -T big.bin https://localhost:4433/`.

#include <cstdio>
#include <utility>

#include "gateway/server.h"

tern::Task<void> echo(tern::http::Exchange& exchange) {
  tern::http::Response head(tern::http::Status::ok);
  head.field("content-type", "application/octet-stream");
  auto written = co_await exchange.start(std::move(head));
  while (written) {
    auto piece = co_await exchange.read();
    if (!piece) co_return exchange.abort(tern::http::Abort::cancelled);
    if (piece->empty()) break;
    written = co_await exchange.write(std::move(*piece));
  }
  co_await exchange.finish();
}

int main(int argument_count, char** arguments) {
  if (argument_count != 3) return std::fputs("usage: echo_server CERT.pem KEY.pem\n", stderr), 2;
  tern::Server server(tern::ServerOptions().certificate(arguments[1], arguments[2]).workers(0));
  const auto ended = server.run(echo);
  if (!ended) std::fprintf(stderr, "echo_server: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
