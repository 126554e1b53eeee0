#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <malloc.h>
#include <string>
#include <utility>

#include "http/exchange.h"
#include "http/session.h"
#include "http/websocket.h"
#include "tests/unit/http/fetch.h"

/// A server under attack, in virtual time, and good clients whose goodput is measured.
///
/// Computing takes no virtual time, so what a request costs is put into its handler: all handlers
/// share one backend that does one thing at a time. An attacker that can have handlers started
/// without end takes it away from the others. Work below the handlers shows as bytes that the
/// server sends, connections it keeps and memory.

namespace tern::attacks {

using namespace std::chrono_literals;

/// One core that the handlers share.
class Backend {
 public:
  static constexpr Duration kCost = 200us;
  Task<void> work(Runtime& runtime) {
    busy_until_ = std::max(busy_until_, runtime.now()) + kCost;
    co_await runtime.sleep(busy_until_ - runtime.now());
  }

 private:
  Timestamp busy_until_{};
};

struct Outcome {
  std::uint64_t good = 0;      ///< requests of good clients that were answered
  std::uint64_t failed = 0;    ///< … that were not
  std::uint64_t echoed = 0;    ///< messages of good clients that came back
  std::size_t memory = 0;      ///< bytes above the beginning, at most: of the whole world
  std::size_t left = 0;        ///< attacker's connections that still stand
  std::uint64_t answered = 0;  ///< bytes that the attacker got
};

/// What is allocated in this process, by malloc's account.
inline std::size_t allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// Looks how much more than at its beginning is allocated. Malloc walks all that is free in small
/// pieces for its account, so this is done each 10 ms of an attack: what hurts stays for longer.
class MemoryMeter {
 public:
  void look(Duration at, std::size_t& most) {
    if (at < next_) return;
    next_ = at + 10ms;
    if (const std::size_t now = allocated(); now > before_) most = std::max(most, now - before_);
  }

 private:
  std::size_t before_ = allocated();
  Duration next_{0};
};

/// Limits of the WebSockets: their times are short enough for a measurement.
inline http::WebSocketOptions websocket_limits() {
  return http::WebSocketOptions()
      .max_message(4 * 1024 * 1024)
      .ping_interval(3s)
      .pong_timeout(3s)
      .send_timeout(5s)
      .close_timeout(2s);
}

/// WebSockets: "/echo", "/push" sends without end, "/leave" closes at once.
inline Task<void> websocket(http::WebSocket& socket) {
  const std::string path = socket.exchange()->request().path;
  if (path == "/leave") co_return;
  if (path == "/push") {
    const std::string piece(16 * 1024, 'x');
    while (true) {
      const Result<void> sent = co_await socket.send_text(piece);
      if (!sent) co_return;
    }
  }
  while (auto message = co_await socket.receive()) {
    const Result<void> sent = co_await socket.send(std::move(*message));
    if (!sent) co_return;
  }
}

/// A page's bytes: few, as an answer's cost is in the backend, and not in what carries them.
constexpr std::size_t kPage = 3000;

/// "/page": 3 kB that cost the backend something; a POST as well, when its body is there or lost.
/// "/large": without end, as fast as the client takes it; each piece has its own memory, as one
/// that is read from a file.
inline Task<void> handle(Backend& backend, http::Exchange& exchange) {
  const std::string path = exchange.request().path;
  if (exchange.request().protocol == "websocket") {
    static const http::Handler answer = http::websocket(websocket, websocket_limits());
    co_await answer(exchange);
    co_return;
  }
  if (path == "/large") {
    static const std::string piece(16 * 1024, 'x');
    co_await exchange.start(http::Response(http::Status::ok));
    while (true) {
      Bytes bytes = Bytes::copy(piece);
      auto sent = co_await exchange.write(std::move(bytes));
      if (!sent) co_return;
    }
  }
  if (exchange.method() == "POST") {
    auto body = co_await exchange.read_all(1'000'000);
    if (!body) {
      co_await backend.work(exchange.runtime());  // it had begun
      co_return;
    }
  }
  co_await backend.work(exchange.runtime());
  static const std::string page(kPage, 'y');
  http::Response response;
  response.body(Bytes::literal(page));
  co_await exchange.respond(std::move(response));
}

/// A good client: asks again when it has been answered.
inline Task<void> ask_on(http::Session& session, Outcome& outcome) {
  while (true) {
    auto opened = session.open();
    if (!opened) {
      ++outcome.failed;
      co_return;
    }
    http::ClientExchange& exchange = **opened;
    http::RequestHead head = http::testing::get("/page");
    auto sent = co_await exchange.send(head, true);
    auto response = co_await exchange.response();
    if (!response) {
      ++outcome.failed;
      co_return;
    }
    auto body = co_await exchange.read_all();
    if (body && body->size() == kPage) {
      ++outcome.good;
    } else {
      ++outcome.failed;
    }
  }
}

/// A good client with a WebSocket: says something again when it has come back.
inline Task<void> echo_on(http::Session& session, Outcome& outcome) {
  auto opened = session.open();
  if (!opened) {
    ++outcome.failed;
    co_return;
  }
  http::RequestHead head = http::testing::get("/echo");
  http::WebSocketOptions options;
  auto socket =
      co_await http::open_websocket(std::move(*opened), std::move(head), std::move(options));
  if (!socket) {
    ++outcome.failed;
    co_return;
  }
  const std::string text(1000, 'z');
  while (true) {
    const Result<void> sent = co_await (*socket)->send_text(text);
    const auto back = co_await (*socket)->receive();
    if (!sent || !back || back->data != text) {
      ++outcome.failed;
      co_return;
    }
    ++outcome.echoed;
  }
}

}  // namespace tern::attacks
