#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "http/exchange.h"
#include "http/origin_policy.h"
#include "webtransport/session_options.h"

namespace tern::webtransport {

/// What a server says of the sessions at one place. Fluent; the defaults are meant to be left
/// alone.
class ServerOptions {
 public:
  /// Pages of browsers that are let in (`http::OriginPolicy`): without any only the server's own.
  /// Others are refused with 403.
  ServerOptions& allow_origin(std::string origin) & {
    origins_.allow(std::move(origin));
    return *this;
  }
  ServerOptions&& allow_origin(std::string origin) && {
    return std::move(allow_origin(std::move(origin)));
  }
  ServerOptions& allow_any_origin() & { return origins_.allow_any(), *this; }
  ServerOptions&& allow_any_origin() && { return std::move(allow_any_origin()); }
  ServerOptions& require_origin() & { return origins_.require(), *this; }
  ServerOptions&& require_origin() && { return std::move(require_origin()); }
  /// Looks at the request before it is accepted, its token for instance: anything but `Status::ok`
  /// is the answer instead. Runs on the worker's thread.
  ServerOptions& authorize(std::function<http::Status(const http::Exchange&)> check) & {
    return authorize_ = std::move(check), *this;
  }
  ServerOptions&& authorize(std::function<http::Status(const http::Exchange&)> check) && {
    return std::move(authorize(std::move(check)));
  }
  /// An application protocol that we speak, the best first: visible ASCII. The first of ours that
  /// the client offers is taken; none, when there is none in common.
  ServerOptions& protocol(std::string name) & {
    protocols_.push_back(std::move(name));
    return *this;
  }
  ServerOptions&& protocol(std::string name) && { return std::move(protocol(std::move(name))); }
  /// Which one is the client's to say: the first that it offers and we speak. (HTTP/3 and HTTP/2;
  /// over WebSocket the order stays ours.)
  ServerOptions& client_preference() & { return client_preference_ = true, *this; }
  ServerOptions&& client_preference() && { return std::move(client_preference()); }
  /// Sessions at this place on one connection, whatever it speaks; one more is answered 429.
  /// Default 16, and over HTTP/3 never more, as so many are announced. 0: no limit of the place's.
  ServerOptions& max_sessions_per_connection(std::size_t count) & {
    return max_sessions_per_connection_ = count, *this;
  }
  ServerOptions&& max_sessions_per_connection(std::size_t count) && {
    return std::move(max_sessions_per_connection(count));
  }
  /// Sessions at this place of pages of one origin, of all workers together; one more is answered
  /// 429. Programs, which have none, are not counted. Default 10,000. 0: no limit.
  ServerOptions& max_sessions_per_origin(std::size_t count) & {
    return max_sessions_per_origin_ = count, *this;
  }
  ServerOptions&& max_sessions_per_origin(std::size_t count) && {
    return std::move(max_sessions_per_origin(count));
  }
  /// A session in which nothing has moved for so long, no byte on a stream and no datagram either
  /// way, is closed with code 0 and the reason "idle". Default 10 min. 0: never.
  ServerOptions& idle_timeout(Duration time) & { return idle_timeout_ = time, *this; }
  ServerOptions&& idle_timeout(Duration time) && { return std::move(idle_timeout(time)); }
  /// When the server drains, the peer and the handler are told (WT_DRAIN_SESSION,
  /// `Session::wait_until_draining`); what has not ended after so long is closed with code 0 and
  /// the reason "the server is going away". Default 3 s; less than the server's `drain_timeout`.
  ServerOptions& drain_grace(Duration time) & { return drain_grace_ = time, *this; }
  ServerOptions&& drain_grace(Duration time) && { return std::move(drain_grace(time)); }
  ServerOptions& session(SessionOptions options) & { return session_ = options, *this; }
  ServerOptions&& session(SessionOptions options) && { return std::move(session(options)); }

  const http::OriginPolicy& origins() const noexcept { return origins_; }
  const std::function<http::Status(const http::Exchange&)>& authorize() const noexcept {
    return authorize_;
  }
  const std::vector<std::string>& protocols() const noexcept { return protocols_; }
  const SessionOptions& session() const noexcept { return session_; }
  bool client_preference_set() const noexcept { return client_preference_; }
  std::size_t max_sessions_per_connection() const noexcept { return max_sessions_per_connection_; }
  std::size_t max_sessions_per_origin() const noexcept { return max_sessions_per_origin_; }
  Duration idle_timeout() const noexcept { return idle_timeout_; }
  Duration drain_grace() const noexcept { return drain_grace_; }

 private:
  http::OriginPolicy origins_;
  std::function<http::Status(const http::Exchange&)> authorize_;
  std::vector<std::string> protocols_;
  SessionOptions session_;
  bool client_preference_ = false;
  std::size_t max_sessions_per_connection_ = 16;
  std::size_t max_sessions_per_origin_ = 10'000;
  Duration idle_timeout_ = std::chrono::minutes(10);
  Duration drain_grace_ = std::chrono::seconds(3);
};

}  // namespace tern::webtransport
