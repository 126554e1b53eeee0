#include "tools/handoff/service.h"

#include <algorithm>
#include <charconv>
#include <string>

#include <fmt/format.h>

#include "tools/handoff/body.h"
#include "tools/handoff/rpc_transfer.h"
#include "tools/handoff/session_transfer.h"
#include "tools/handoff/stage.h"
#include "webtransport/server.h"

namespace tern::handoff {
namespace {

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Service::Service(Stage& stage) : stage_(stage) {
  router_.get("/down/{id}/{attempt}/{offset}",
              [this](http::Exchange& exchange) { return send(exchange); });
  router_.put("/up/{id}/{attempt}/{offset}",
              [this](http::Exchange& exchange) { return receive(exchange); });
  router_.get("/have/{id}/{attempt}", [this](http::Exchange& exchange) { return tell(exchange); });
  webtransport::route(router_, "/session", [this](webtransport::Session& session) {
    return serve_transfers(*this, session);
  });
  router_.mount("/", transfer_calls(*this));
}

Transfer* Service::find(std::uint64_t id) { return stage_.transfer(id); }

Duration Service::now() const { return stage_.world().elapsed(); }

void Service::arrived(std::string_view what, std::uint64_t id, std::uint64_t attempt) {
  if (!seen_.emplace(id, attempt).second) {
    stage_.violate(fmt::format("{} {}: attempt {} reached the server twice", what, id, attempt));
  }
}

bool Service::begin_upload(std::uint64_t id, std::uint64_t attempt, std::uint64_t offset) {
  const Transfer* transfer = find(id);
  if (transfer == nullptr || offset != transfer->delivered()) return false;
  uploading_[id] = attempt;
  return true;
}

std::uint64_t Service::have(std::uint64_t id, std::uint64_t attempt) {
  uploading_[id] = attempt;
  const Transfer* transfer = find(id);
  return transfer == nullptr ? 0 : transfer->delivered();
}

bool Service::take(std::uint64_t id, std::uint64_t attempt, ByteView piece) {
  if (uploading_[id] != attempt) return false;
  Transfer& transfer = *stage_.transfer(id);
  if (stage_.deliver(transfer, piece)) return true;
  stage_.violate(fmt::format("upload {}: wrong bytes at {}", id, transfer.delivered()));
  return false;
}

Task<void> Service::send(http::Exchange& exchange) {
  const std::uint64_t id = number(exchange.parameter("id"));
  const Transfer* transfer = find(id);
  std::uint64_t offset = number(exchange.parameter("offset"));
  if (transfer == nullptr || offset > transfer->size()) {
    co_await exchange.respond(http::Status::not_found);
    co_return;
  }
  arrived(name(transfer->kind()), id, number(exchange.parameter("attempt")));
  http::Response head(http::Status::ok);
  Result<void> sent = co_await exchange.start(std::move(head));
  while (sent && offset < transfer->size()) {
    const std::uint64_t made = transfer->made(now());
    if (offset >= made) {
      co_await exchange.runtime().sleep(transfer->more_at(now()) - now());
      continue;
    }
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, made - offset));
    Bytes piece = body_bytes(id, offset, length);
    sent = co_await exchange.write(std::move(piece));
    offset += length;
  }
  if (sent) co_await exchange.finish();
}

Task<void> Service::receive(http::Exchange& exchange) {
  const std::uint64_t id = number(exchange.parameter("id"));
  const std::uint64_t attempt = number(exchange.parameter("attempt"));
  const Transfer* transfer = find(id);
  if (transfer == nullptr) {
    co_await exchange.respond(http::Status::not_found);
    co_return;
  }
  arrived("upload", id, attempt);
  if (!begin_upload(id, attempt, number(exchange.parameter("offset")))) {
    co_await exchange.respond(http::Status::conflict);
    co_return;
  }
  for (;;) {
    Result<Bytes> piece = co_await exchange.read();
    if (!piece) co_return;
    if (piece->empty()) break;
    if (!take(id, attempt, *piece)) {
      exchange.abort(http::Abort::cancelled);
      co_return;
    }
  }
  std::string text = std::to_string(transfer->delivered());
  co_await exchange.respond(http::Status::ok, std::move(text));
}

Task<void> Service::tell(http::Exchange& exchange) {
  const std::uint64_t id = number(exchange.parameter("id"));
  std::string text = std::to_string(have(id, number(exchange.parameter("attempt"))));
  co_await exchange.respond(http::Status::ok, std::move(text));
}

}  // namespace tern::handoff
