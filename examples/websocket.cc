// A chat: what one sends, all get. The same handler serves HTTP/3, HTTP/2 and HTTP/1.1:
//   websocket CERT.pem KEY.pem, then `tern ws -k https://localhost:4433/chat`, twice.

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "gateway/server.h"

namespace http = tern::http;

// One worker, so one thread: nothing to lock.
std::vector<http::WebSocket*> guests;

tern::Task<void> chat(http::WebSocket& socket) {
  guests.push_back(&socket);
  // Nothing at the end: the guest has closed, or its network has.
  while (auto message = co_await socket.receive()) {
    const auto line = tern::Bytes::take(std::move(message->data));
    for (http::WebSocket* guest : guests) {
      // Who does not keep up misses lines rather than slow the others down.
      if (guest != &socket) guest->try_send(message->text, line);
    }
  }
  guests.erase(std::find(guests.begin(), guests.end(), &socket));
}

int main(int argument_count, char** arguments) {
  if (argument_count != 3) return std::fputs("usage: websocket CERT.pem KEY.pem\n", stderr), 2;
  http::Router router;
  // Pages of this server alone may connect, and programs, which send no origin.
  router.websocket("/chat", chat, http::WebSocketOptions().max_message(4096));
  tern::Server server(tern::ServerOptions().certificate(arguments[1], arguments[2]).workers(1));
  const auto ended = server.run(router);
  if (!ended) std::fprintf(stderr, "websocket: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
