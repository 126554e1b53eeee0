#include <memory>
#include <string>
#include <utility>

#include "gateway/client_pool.h"

/// The pool's part in a session's ladder (docs/webtransport.md).

namespace tern {

Task<Result<std::shared_ptr<OriginConnection>>> ClientPool::acquire_for_session(http::Url url,
                                                                                SessionRung rung) {
  if (rung == SessionRung::http3) {
    Result<std::shared_ptr<OriginConnection>> quic = co_await acquire_http3(std::move(url));
    co_return quic;
  }
  if (rung == SessionRung::http2) {
    const auto found = by_origin_.find(url.origin());
    if (found != by_origin_.end() && found->second.current != nullptr) {
      std::shared_ptr<OriginConnection> current = found->second.current;
      if (current->usable() && current->over_tcp() && !current->serial()) co_return current;
    }
    const Result<void> prepared = prepare();
    if (!prepared) co_return fail(prepared.error());
    if (options.protocols() == ClientProtocols::http3_only ||
        options.protocols() == ClientProtocols::http1) {
      co_return fail(
          Error::invalid("HTTP/2 alone is asked for, and the client's protocols leave it out"));
    }
    Result<std::shared_ptr<OriginConnection>> beside = co_await acquire_beside(std::move(url));
    co_return beside;
  }
  Result<std::shared_ptr<OriginConnection>> usual = co_await acquire(std::move(url));
  co_return usual;
}

/// HTTP/3 or nothing, whatever requests run over.
Task<Result<std::shared_ptr<OriginConnection>>> ClientPool::acquire_http3(http::Url url) {
  const Result<void> prepared = prepare();
  if (!prepared) co_return fail(prepared.error());
  const ClientProtocols protocols = options.protocols();
  const bool allowed =
      protocols == ClientProtocols::automatic || protocols == ClientProtocols::http3_only;
  if (!allowed || !may_quic(url)) {
    co_return fail(Error::invalid(
        "HTTP/3 alone is asked for, and the client's protocols or its proxy leave it out"));
  }
  const std::string name = url.origin();
  for (int tries = 0; tries < kMaxConnects; ++tries) {
    const Origin& origin = by_origin_[name];
    if (origin.current != nullptr && origin.current->usable() && !origin.current->over_tcp()) {
      co_return origin.current;
    }
    std::shared_ptr<OriginConnection> quic = origin.climbing;
    if (quic == nullptr) quic = begin_quic(url);
    const Result<void> ready = co_await quic->ready();
    if (!ready) co_return fail(ready.error());
    if (quic->usable()) co_return quic;
  }
  co_return fail(
      Error(Code::rejected, name + " closes connections without a request", tern::Origin::remote));
}

ClientPool::SessionRung ClientPool::next_rung(const std::shared_ptr<OriginConnection>& failed) {
  Origin& origin = by_origin_[failed->origin()];
  const bool tcp = wants_tcp(failed->url()) && options.protocols() != ClientProtocols::http1;
  if (!failed->over_tcp()) {
    failed->tell(ClientEvent::Type::falling_back, "the server has no WebTransport over HTTP/3");
    return tcp && !origin.sessions_in_websockets ? SessionRung::http2 : SessionRung::websocket;
  }
  const std::string version = failed->serial() ? "HTTP/1.1" : "HTTP/2";
  failed->tell(ClientEvent::Type::falling_back, "the server has no WebTransport over " + version);
  origin.sessions_in_websockets = true;
  return SessionRung::websocket;
}

}  // namespace tern
