#include "gateway/origin_connection.h"

#include <utility>

#include "gateway/client_pool.h"

namespace tern {

OriginConnection::OriginConnection(ClientPool& pool, http::Url url, std::uint64_t id)
    : pool_(pool), url_(std::move(url)), origin_(url_.origin()), id_(id), changed_(pool.runtime) {}

OriginConnection::~OriginConnection() = default;

Task<Result<void>> OriginConnection::ready() {
  while (establishing()) co_await changed_.wait();
  co_return *outcome_;
}

void OriginConnection::finish_establishing(Result<void> outcome) {
  if (!outcome) give_up_attempts();
  outcome_ = std::move(outcome);
  changed_.notify_all();
}

Task<void> OriginConnection::replaced() {
  while (stranded()) co_await changed_.wait();
}

void OriginConnection::tell(ClientEvent::Type type, std::string text) const {
  if (!pool_.options.watcher_) return;
  const ClientConnectionInfo facts = info();
  ClientEvent event;
  event.type = type;
  event.origin = origin_;
  event.path = facts.path;
  event.handshake = facts.handshake;
  event.text = std::move(text);
  event.over_tcp = facts.over_tcp;
  pool_.options.watcher_(event);
}

}  // namespace tern
