#pragma once

#include <string>
#include <utility>
#include <vector>

#include "webtransport/session_options.h"

namespace tern::webtransport {

/// What a client asks of a session. Fluent.
class ClientOptions {
 public:
  /// An application protocol that we speak, the best first: visible ASCII. The server takes one of
  /// them, or none (`Session::protocol`).
  ClientOptions& protocol(std::string name) & {
    protocols_.push_back(std::move(name));
    return *this;
  }
  ClientOptions&& protocol(std::string name) && { return std::move(protocol(std::move(name))); }
  ClientOptions& session(SessionOptions options) & { return session_ = options, *this; }
  ClientOptions&& session(SessionOptions options) && { return std::move(session(options)); }

  const std::vector<std::string>& protocols() const noexcept { return protocols_; }
  const SessionOptions& session() const noexcept { return session_; }

 private:
  std::vector<std::string> protocols_;
  SessionOptions session_;
};

}  // namespace tern::webtransport
