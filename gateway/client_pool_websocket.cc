#include <memory>
#include <string>
#include <utility>

#include "gateway/client_pool.h"

/// The pool's part in a WebSocket's ladder (docs/fallback.md).

namespace tern {
namespace {

/// Closes a connection that nobody has come to use.
class Unused {
 public:
  explicit Unused(std::shared_ptr<OriginConnection> connection)
      : connection_(std::move(connection)) {}
  Unused(const Unused&) = delete;
  Unused& operator=(const Unused&) = delete;
  ~Unused() {
    if (connection_ != nullptr) connection_->close();
  }
  OriginConnection* operator->() const noexcept { return connection_.get(); }
  std::shared_ptr<OriginConnection> take() noexcept { return std::move(connection_); }

 private:
  std::shared_ptr<OriginConnection> connection_;
};

}  // namespace

Task<Result<std::shared_ptr<OriginConnection>>> ClientPool::acquire_for_websocket(
    http::Url url, WebSocketRung from) {
  // Nothing but HTTP/1.1 is spoken there.
  const bool http1 = options.protocols() == ClientProtocols::http1 ||
                     (url.scheme() == "http" && options.protocols() == ClientProtocols::automatic);
  std::shared_ptr<OriginConnection> found;
  if (from == WebSocketRung::any && !http1) {
    Result<std::shared_ptr<OriginConnection>> usual = co_await acquire(url);
    if (!usual) co_return usual;
    found = std::move(*usual);
  } else if (from == WebSocketRung::over_tcp && !by_origin_[url.origin()].websockets_in_http1) {
    Result<std::shared_ptr<OriginConnection>> beside = co_await acquire_beside(url);
    if (!beside) co_return beside;
    found = std::move(*beside);
  }
  if (found != nullptr && found->serial()) {
    const bool free = found->session()->requests() == 0;
    if (free) {
      set_apart(found);
    } else {
      found = nullptr;
    }
  }
  if (found == nullptr) {
    Result<std::shared_ptr<OriginConnection>> alone = co_await connect_alone(std::move(url));
    co_return alone;
  }
  co_return found;
}

Task<Result<std::shared_ptr<OriginConnection>>> ClientPool::acquire_beside(http::Url url) {
  const std::string name = url.origin();
  std::shared_ptr<OriginConnection> beside = by_origin_[name].beside;
  if (beside == nullptr || !beside->usable()) {
    beside = begin_tcp(url);
    if (beside->establishing()) by_origin_[name].beside = beside;  // else it has failed at once
  }
  Result<void> ready = co_await beside->ready();
  if (!ready) co_return fail(std::move(ready).error());
  if (beside->session() == nullptr) {
    co_return fail(Error(Code::rejected, name + " closes connections without a request",
                         tern::Origin::remote));
  }
  if (beside->serial()) {
    Origin& origin = by_origin_[name];
    if (origin.beside == beside) origin.beside = nullptr;
    origin.websockets_in_http1 = true;
  }
  co_return beside;
}

Task<Result<std::shared_ptr<OriginConnection>>> ClientPool::connect_alone(http::Url url) {
  const Result<void> prepared = prepare();
  if (!prepared) co_return fail(prepared.error());
  if (all_.size() >= kMaxConnections) {
    co_return fail(Error::limit("the client has " + std::to_string(all_.size()) + " connections"));
  }
  Unused connection(begin_tcp(url, true));
  Result<void> ready = co_await connection->ready();
  if (!ready) co_return fail(std::move(ready).error());
  if (connection->session() == nullptr) {
    co_return fail(Error(Code::rejected, url.origin() + " closes connections without a request",
                         tern::Origin::remote));
  }
  co_return connection.take();
}

void ClientPool::set_apart(const std::shared_ptr<OriginConnection>& connection) {
  const auto found = by_origin_.find(connection->origin());
  if (found == by_origin_.end()) return;
  Origin& origin = found->second;
  std::erase(origin.serial, connection);
  if (origin.current != connection) return;
  origin.current = nullptr;
  if (origin.serial.empty()) return;
  origin.current = std::move(origin.serial.back());
  origin.serial.pop_back();
}

std::optional<ClientPool::WebSocketRung> ClientPool::next_rung(
    const std::shared_ptr<OriginConnection>& failed, std::string_view version) {
  const bool may_fall = options.protocols() == ClientProtocols::automatic ||
                        options.protocols() == ClientProtocols::http2;
  if (!may_fall || version == "http/1.1") return std::nullopt;
  if (version == "h3") {
    failed->tell(ClientEvent::Type::falling_back, "the server has no WebSockets over HTTP/3");
    return WebSocketRung::over_tcp;
  }
  failed->tell(ClientEvent::Type::falling_back, "the server has no WebSockets over HTTP/2");
  Origin& origin = by_origin_[failed->origin()];
  origin.websockets_in_http1 = true;
  if (origin.beside == failed) {
    origin.beside = nullptr;
    if (failed->session() != nullptr) failed->session()->drain();
  }
  return WebSocketRung::http1;
}

}  // namespace tern
