#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "webtransport/session_options.h"

namespace tern::webtransport {

/// What a session runs over.
enum class Carrier : std::uint8_t {
  /// HTTP/3 where UDP gets through and the server has sessions there, else HTTP/2, else WebSocket
  /// (docs/webtransport.md).
  automatic,
  http3,
  http2,
  websocket,  ///< in whichever version of HTTP has WebSockets
};

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
  /// Default automatic.
  ClientOptions& carrier(Carrier which) & { return carrier_ = which, *this; }
  ClientOptions&& carrier(Carrier which) && { return std::move(carrier(which)); }
  ClientOptions& session(SessionOptions options) & { return session_ = options, *this; }
  ClientOptions&& session(SessionOptions options) && { return std::move(session(options)); }

  const std::vector<std::string>& protocols() const noexcept { return protocols_; }
  Carrier carrier() const noexcept { return carrier_; }
  const SessionOptions& session() const noexcept { return session_; }

 private:
  std::vector<std::string> protocols_;
  Carrier carrier_ = Carrier::automatic;
  SessionOptions session_;
};

}  // namespace tern::webtransport
