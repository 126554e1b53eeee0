#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/exchange.h"

/// Requests made by tests, on whatever protocol.

namespace tern::http::testing {

/// What a fetch brought.
struct Reply {
  bool done = false;
  std::optional<Error> error;
  int status = 0;
  Fields fields;
  std::string body;
  Fields trailers;
  std::vector<int> interim;

  std::string_view field(std::string_view name) const {
    return fields.find(name).value_or(std::string_view());
  }
};

inline RequestHead get(std::string path) {
  RequestHead head;
  head.authority = "server";
  head.path = std::move(path);
  return head;
}

inline RequestHead post(std::string path) {
  RequestHead head = get(std::move(path));
  head.method = "POST";
  return head;
}

inline Task<void> send_body(std::shared_ptr<ClientExchange> exchange, std::string body,
                            Fields trailers) {
  for (std::size_t at = 0; at < body.size(); at += 16 * 1024) {
    Bytes piece = Bytes::copy(std::string_view(body).substr(at, 16 * 1024));
    auto sent = co_await exchange->write(std::move(piece));
    if (!sent) co_return;
  }
  co_await exchange->finish(trailers);
}

/// Sends the request, and reads everything there is while its body is on the way.
inline Task<void> fetch(std::shared_ptr<ClientExchange> exchange, RequestHead head,
                        std::string body, Fields trailers, std::shared_ptr<Reply> reply) {
  const bool bare = body.empty() && trailers.empty();
  auto sent = co_await exchange->send(head, bare);
  if (sent && !bare) {
    exchange->runtime().spawn(send_body(exchange, std::move(body), std::move(trailers)));
  }
  auto response = co_await exchange->response();
  for (const Response& interim : exchange->interim()) {
    reply->interim.push_back(code(interim.status()));
  }
  if (!response) {
    reply->error = response.error();
    reply->done = true;
    co_return;
  }
  reply->status = code(response->status());
  reply->fields = response->fields();
  for (;;) {
    auto piece = co_await exchange->read();
    if (!piece) {
      reply->error = piece.error();
      break;
    }
    if (piece->empty()) break;
    reply->body += piece->text();
  }
  reply->trailers = exchange->trailers();
  reply->done = true;
}

/// Starts a request on a client's `session`, whatever its protocol; the reply fills as the world
/// runs. `kept`, if any, shares the exchange.
template <typename Session>
std::shared_ptr<Reply> start(Runtime& runtime, Session& session, RequestHead head,
                             std::string body = {}, Fields trailers = {},
                             std::shared_ptr<ClientExchange>* kept = nullptr) {
  auto reply = std::make_shared<Reply>();
  auto exchange = session.open();
  if (!exchange) {
    reply->error = exchange.error();
    reply->done = true;
    return reply;
  }
  std::shared_ptr<ClientExchange> shared = std::move(*exchange);
  if (kept != nullptr) *kept = shared;
  runtime.spawn(
      fetch(std::move(shared), std::move(head), std::move(body), std::move(trailers), reply));
  return reply;
}

}  // namespace tern::http::testing
