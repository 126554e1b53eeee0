#pragma once

#include <memory>

#include "base/error.h"
#include "base/runtime.h"
#include "gateway/proxy.h"
#include "http/fallback/tunnel.h"
#include "http/uri.h"
#include "transport/tcp/network.h"
#include "transport/tls/client_context.h"

namespace tern {

/// TCP through a proxy, for whoever makes connections of his own. Copies go with the streams'
/// networks; `network` outlives it all.
class ProxyRoute {
 public:
  /// `tls`: for an https:// proxy; else null.
  ProxyRoute(Runtime& runtime, tcp::Network& network, Proxy proxy,
             std::shared_ptr<const tls::ClientContext> tls);

  /// To the proxy itself, at `to.remote`; over TLS if it is an https:// one.
  Result<std::unique_ptr<tcp::Stream>> connect(const tcp::ConnectOptions& to,
                                               tcp::StreamSink& sink) const;
  /// Streams that lead to the URL's host.
  fallback::TunnelNetwork tunnels_to(const http::Url& url) const;

 private:
  Runtime* runtime_;
  tcp::Network* network_;
  Proxy proxy_;
  std::shared_ptr<const tls::ClientContext> tls_;
};

/// Where a tunnel to the URL's host leads: "example.org:443", "[::1]:443".
std::string tunnel_authority(const http::Url& url);

/// What https:// proxies are trusted by.
Result<std::shared_ptr<const tls::ClientContext>> make_proxy_tls(
    const ProxyOptions& options, std::shared_ptr<tls::KeyLog> key_log);

}  // namespace tern
