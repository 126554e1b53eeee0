#include "tools/tern/demo_site.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/scope.h"
#include "http/date.h"
#include "http/embedded_files.h"
#include "http/event_stream.h"
#include "http/exchange.h"
#include "http/websocket.h"
#include "tools/tern/demo_files.h"
#include "tools/tern/webtransport_echo.h"
#include "webtransport/server.h"

namespace tern::cli {
namespace {

Task<void> hello(http::Exchange& exchange) {
  std::string text = "hello over ";
  text += exchange.protocol();
  text += '\n';
  co_await exchange.respond(http::Status::ok, std::move(text));
}

Task<void> echo(http::Exchange& exchange) {
  // Before the response: to some clients its head, with no 100 (Continue) read before, says that
  // the body is not wanted.
  Result<Bytes> piece = co_await exchange.read();
  http::Response head(http::Status::ok);
  const auto type = exchange.request().fields.find("content-type");
  head.field("content-type", type ? *type : "application/octet-stream");
  if (const auto length = exchange.request().fields.find("content-length")) {
    head.field("content-length", *length);
  }
  Result<void> written = co_await exchange.start(std::move(head));
  while (written && piece && !piece->empty()) {
    written = co_await exchange.write(std::move(*piece));
    if (written) piece = co_await exchange.read();
  }
  if (!piece) {
    exchange.abort(http::Abort::cancelled);
    co_return;
  }
  co_await exchange.finish();
}

/// The bytes 0, 1, … 250, 0, 1, …; its length is a multiple of 251, so that copies of it follow one
/// another.
const Bytes& pattern() {
  static const Bytes bytes = [] {
    std::vector<std::uint8_t> block(std::size_t{251} * 256);
    for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::uint8_t>(i % 251);
    return Bytes::take(std::move(block));
  }();
  return bytes;
}

Task<void> bytes(http::Exchange& exchange) {
  const std::string_view text = exchange.parameter("count");
  std::uint64_t count = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || rest != text.data() + text.size() || count > kMaxDemoBytes) {
    co_await exchange.respond(http::Status::bad_request, "/bytes/N: N is a number up to " +
                                                             std::to_string(kMaxDemoBytes) + "\n");
    co_return;
  }
  http::Response head(http::Status::ok);
  head.field("content-type", "application/octet-stream");
  head.field("content-length", std::to_string(count));
  head.field("cache-control", "no-store");
  if (exchange.method() == "HEAD") {
    co_await exchange.start(std::move(head));
    co_await exchange.finish();
    co_return;
  }
  Result<void> written = co_await exchange.start(std::move(head));
  while (written && count > 0) {
    Bytes piece = pattern().slice(
        0, static_cast<std::size_t>(std::min<std::uint64_t>(count, pattern().size())));
    count -= piece.size();
    if (count == 0) {
      co_await exchange.finish(std::move(piece));
      co_return;
    }
    written = co_await exchange.write(std::move(piece));
  }
  if (written) co_await exchange.finish();
}

/// The bytes that the text of a stream asks for.
Task<void> answer_with_bytes(std::unique_ptr<webtransport::Stream> stream) {
  constexpr std::size_t kMaxDigits = 20;
  const Result<std::string> text = co_await stream->read_all(kMaxDigits);
  if (!text) co_return;
  std::uint64_t count = 0;
  const auto [rest, error] = std::from_chars(text->data(), text->data() + text->size(), count);
  const bool fine = error == std::errc() && count <= kMaxDemoBytes &&
                    (rest == text->data() + text->size() || *rest == '\n');
  if (!fine) {
    stream->reset(static_cast<webtransport::ApplicationCode>(http::Status::bad_request));
    co_return;
  }
  while (count > 0) {
    Bytes piece = pattern().slice(
        0, static_cast<std::size_t>(std::min<std::uint64_t>(count, pattern().size())));
    count -= piece.size();
    const Result<void> written = co_await stream->write(std::move(piece));
    if (!written) co_return;
  }
  co_await stream->finish();
}

Task<void> webtransport_bytes(webtransport::Session& session) {
  Scope scope(session.runtime().ready());
  for (;;) {
    std::unique_ptr<webtransport::Stream> stream = co_await session.accept_bidirectional();
    if (!stream) break;
    scope.spawn(answer_with_bytes(std::move(stream)));
  }
}

/// A time a second, counted on from where the client was.
Task<void> events(http::Exchange& exchange) {
  http::EventStream stream(exchange);
  std::uint64_t count = 0;
  const std::string_view last = stream.last_event_id();
  std::from_chars(last.data(), last.data() + last.size(), count);
  co_await stream.start();
  bool there = true;
  while (there) {
    const http::Rfc3339 now(exchange.runtime().unix_seconds());
    http::ServerEvent event{std::string(now.view())};
    event.name("time").id(std::to_string(++count));
    const Result<void> sent = co_await stream.send(event);
    if (!sent) co_return;
    there = co_await stream.pause(std::chrono::seconds(1));
  }
}

Task<void> websocket_echo(http::WebSocket& socket) {
  while (auto message = co_await socket.receive()) {
    const Result<void> sent = co_await socket.send(std::move(*message));
    if (!sent) break;
  }
}

}  // namespace

http::Router demo_site(chat::Certificates development) {
  http::Router router;
  router.get("/hello", hello);
  router.get("/bytes/{count}", bytes);
  router.post("/echo", echo);
  router.get("/events", events);
  router.websocket("/ws/echo", websocket_echo);
  webtransport::route(router, "/wt/echo", webtransport_echo,
                      webtransport::ServerOptions().protocol("echo.v2").protocol("echo v1"));
  webtransport::route(router, "/wt/bytes", webtransport_bytes);
  chat::add_chat(router, chat::Room::make(), std::move(development));
  router.mount("/", http::EmbeddedFiles(demo_files()));
  return router;
}

}  // namespace tern::cli
