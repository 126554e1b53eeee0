#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

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
  ServerOptions& session(SessionOptions options) & { return session_ = options, *this; }
  ServerOptions&& session(SessionOptions options) && { return std::move(session(options)); }

  const http::OriginPolicy& origins() const noexcept { return origins_; }
  const std::function<http::Status(const http::Exchange&)>& authorize() const noexcept {
    return authorize_;
  }
  const std::vector<std::string>& protocols() const noexcept { return protocols_; }
  const SessionOptions& session() const noexcept { return session_; }

 private:
  http::OriginPolicy origins_;
  std::function<http::Status(const http::Exchange&)> authorize_;
  std::vector<std::string> protocols_;
  SessionOptions session_;
};

}  // namespace tern::webtransport
