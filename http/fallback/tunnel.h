#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/runtime.h"
#include "transport/tcp/network.h"

namespace tern::fallback {

/// What a tunnel through a proxy is asked for with (RFC 9110 §9.3.6).
struct TunnelRequest {
  std::string authority;      ///< where it is to lead: "example.org:443"
  std::string authorization;  ///< `proxy-authorization`; empty: none
};

/// Byte streams that lead through an HTTP proxy: `connect` reaches the proxy (its address is
/// `ConnectOptions::remote`), asks it for a tunnel in HTTP/1.1, and `StreamSink::connected` comes
/// when that stands. What the peer at the other end sends is the first that is received. TLS goes
/// over it as over any other network. Errors, besides the streams' own: Domain::http with the
/// proxy's status when it refuses; Code::closed, Code::invalid when it answers none.
///
/// Its streams may outlive it. Belongs to the runtime's thread.
class TunnelNetwork final : public tcp::Network {
 public:
  /// Reaches the proxy itself, over TCP or TLS.
  using Connect = std::function<Result<std::unique_ptr<tcp::Stream>>(const tcp::ConnectOptions&,
                                                                     tcp::StreamSink&)>;
  /// Interim responses (1xx) that a proxy may send before its answer.
  static constexpr int kMaxInterim = 16;

  TunnelNetwork(Runtime& runtime, Connect to_proxy, TunnelRequest request);

  /// Unsupported.
  Result<std::unique_ptr<tcp::Listener>> listen(const tcp::ListenOptions& options,
                                                tcp::ListenSink& sink) override;
  Result<std::unique_ptr<tcp::Stream>> connect(const tcp::ConnectOptions& options,
                                               tcp::StreamSink& sink) override;

 private:
  Runtime& runtime_;
  Connect to_proxy_;
  TunnelRequest request_;
};

}  // namespace tern::fallback
