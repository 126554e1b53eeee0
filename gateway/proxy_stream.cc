#include "gateway/proxy_stream.h"

#include <string>
#include <utility>

#include "transport/tls/secure_stream.h"

namespace tern {

ProxyRoute::ProxyRoute(Runtime& runtime, tcp::Network& network, Proxy proxy,
                       std::shared_ptr<const tls::ClientContext> tls)
    : runtime_(&runtime), network_(&network), proxy_(std::move(proxy)), tls_(std::move(tls)) {}

Result<std::unique_ptr<tcp::Stream>> ProxyRoute::connect(const tcp::ConnectOptions& to,
                                                         tcp::StreamSink& sink) const {
  if (!proxy_.secure()) return network_->connect(to, sink);
  tls::SecureClientOptions tls;
  tls.server_name(proxy_.host()).alpn({"http/1.1"}).handshake_timeout(to.timeout);
  return tls::SecureStream::connect(*runtime_, *network_, to, tls_, tls, sink);
}

fallback::TunnelNetwork ProxyRoute::tunnels_to(const http::Url& url) const {
  fallback::TunnelRequest request;
  request.authority = tunnel_authority(url);
  request.authorization = proxy_.authorization();
  return fallback::TunnelNetwork(
      *runtime_,
      [route = *this](const tcp::ConnectOptions& to, tcp::StreamSink& sink) {
        return route.connect(to, sink);
      },
      std::move(request));
}

std::string tunnel_authority(const http::Url& url) {
  const bool v6 = url.host().find(':') != std::string::npos;
  return (v6 ? "[" + url.host() + "]" : url.host()) + ":" + std::to_string(url.port());
}

Result<std::shared_ptr<const tls::ClientContext>> make_proxy_tls(
    const ProxyOptions& options, std::shared_ptr<tls::KeyLog> key_log) {
  tls::ClientContextOptions context;
  context.insecure(options.insecure()).key_log(std::move(key_log));
  if (!options.ca_file().empty()) context.ca_file(options.ca_file());
  if (!options.ca_pem().empty()) context.ca_pem(options.ca_pem());
  return tls::ClientContext::create(context);
}

}  // namespace tern
