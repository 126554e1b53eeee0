#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "gateway/network_policy.h"
#include "gateway/proxy.h"
#include "gateway/retry_policy.h"
#include "gateway/session_cache.h"
#include "http/fallback/options.h"
#include "http3/options.h"
#include "transport/quic/connection.h"
#include "transport/quic/options.h"
#include "transport/tls/certificate.h"
#include "transport/tls/key_log.h"
#include "transport/udp/address.h"
#include "transport/udp/service_record.h"

namespace tern::http {
class CookieJar;
}

namespace tern {

/// Something that happened on one of a client's connections, for people who watch (`tern get -v`).
struct ClientEvent {
  enum class Type : std::uint8_t {
    resolved,             ///< `text`: the addresses
    connecting,           ///< a first packet is about to go to `path.remote`
    tunnelling,           ///< a proxy is there, and asked for the way on; `text`: who, for what
    connected,            ///< the handshake is complete; `handshake` says what it settled
    early_data_rejected,  ///< the requests that went as 0-RTT are sent again
    session_received,     ///< a ticket for the next time
    path_changed,         ///< migration or NAT rebinding; `path` is the new one
    network_changed,      ///< interfaces, addresses or routes did; `text`: where it could go now
    spare_ready,          ///< the server answers through another network; `text` names it, with RTT
    path_lost,            ///< the path in use is silent or gone; `text` says which
    migrating,            ///< to `text`, for the reason it gives; path_changed tells of success
    migration_failed,     ///< `text` says why
    /// Another version of HTTP is tried, as well or instead: HTTP/2 or, for a WebSocket on a
    /// connection that is over TCP already, HTTP/1.1; for a WebTransport session HTTP/2 or
    /// WebSocket; `text` says why.
    falling_back,
    climbed,       ///< requests go over HTTP/3 from now on
    reconnecting,  ///< beside the one that no migration can save; `text` says why
    retried,       ///< a request goes again; `text` says which, why and when
    keys_updated,
    goaway,  ///< the server takes no new requests on this connection
    closed,  ///< `text` says why
  };

  Type type;
  std::string origin;  ///< "https://example.com"
  udp::Path path;
  quic::HandshakeInfo handshake;
  std::string text;
  bool over_tcp = false;
};

/// Which versions of HTTP a client speaks.
enum class ClientProtocols : std::uint8_t {
  /// HTTP/3 where it gets through, else HTTP/2 or HTTP/1.1, and HTTP/3 again later
  /// (docs/fallback.md).
  automatic,
  http3_only,
  http2,  ///< over TCP; HTTP/1.1 where the server has no HTTP/2. For http:// URLs: HTTP/2 at once.
  http2_only,  ///< the same, or nothing
  http1,
};

/// How a Client goes about it. The defaults suit a client that is a guest on the network.
class ClientOptions {
 public:
  /// Trust the CAs of this PEM file instead of the system's.
  ClientOptions& ca_file(std::string path);
  /// The same, with the file's content.
  ClientOptions& ca_pem(std::string pem);
  /// Trust any certificate. Default false.
  ClientOptions& insecure(bool on);
  /// mTLS: what the client shows a server that asks.
  ClientOptions& certificate(tls::Certificate certificate);
  /// TLS_CHACHA20_POLY1305_SHA256 alone. Default false.
  ClientOptions& chacha20_only(bool on);
  /// Where the secrets of every connection go, for Wireshark (SSLKEYLOGFILE). Default: nowhere.
  ClientOptions& key_log(std::shared_ptr<tls::KeyLog> log);

  /// Windows, timers, congestion control of QUIC connections.
  ClientOptions& transport(quic::TransportOptions options);
  quic::TransportOptions& transport() noexcept { return transport_; }
  /// Limits and SETTINGS of HTTP/3.
  ClientOptions& http3(http3::SessionOptions options);
  /// Limits, times and SETTINGS of HTTP/2 and HTTP/1.1.
  ClientOptions& fallback(fallback::SessionOptions options);
  /// Default automatic. http:// URLs are fetched over TCP whatever it says, unless it is
  /// http3_only: then they are refused.
  ClientOptions& protocols(ClientProtocols which);
  ClientProtocols protocols() const noexcept { return protocols_; }
  /// How long HTTP/3 has for its handshake before HTTP/2 is tried as well. Default 300 ms.
  ClientOptions& tcp_delay(Duration delay);
  Duration tcp_delay() const noexcept { return tcp_delay_; }
  /// Speaks this QUIC version alone: quic::kVersion1 or kVersion2. Default: begins with version 1
  /// (or that of the remembered session) and takes what the server chooses.
  ClientOptions& only_version(std::uint32_t version);
  /// Connects to `address` for that host and port (curl --resolve). Call it again for more. "*" is
  /// every host that is not named.
  ClientOptions& resolve(std::string_view host, std::uint16_t port, udp::Address address);
  /// What was said so.
  std::vector<udp::Address> addresses_for(const std::string& host, std::uint16_t port) const;
  /// Which requests go through an HTTP proxy (gateway/proxy.h). Default: none; the environment is
  /// looked at when `ProxyOptions::from_environment` is asked. With `http3_only`, a request that is
  /// to go through a proxy is refused.
  ClientOptions& proxy(ProxyOptions options);
  const ProxyOptions& proxy() const noexcept { return proxy_; }
  /// Asks for the HTTPS records (RFC 9460) of https hosts, beside their addresses: they tell of
  /// HTTP/3, ports and other hosts (docs/fallback.md). `engine::ServiceResolver` asks the DNS.
  /// Default null: nobody is asked. Outlived by the runtime.
  ClientOptions& services(std::shared_ptr<udp::ServiceResolver> resolver);
  const std::shared_ptr<udp::ServiceResolver>& services() const noexcept { return services_; }
  /// How long they may keep a connection waiting when the addresses are there. Default 50 ms.
  ClientOptions& service_delay(Duration most);
  Duration service_delay() const noexcept { return service_delay_; }
  /// Sends from this address, and stays there. Default: what the system chooses.
  ClientOptions& local_address(udp::Address address);
  /// Which of several networks to use, and when to change (docs/migration.md). Default
  /// NetworkPolicy::standard(). Null is NetworkPolicy::never().
  ClientOptions& network_policy(std::shared_ptr<const NetworkPolicy> policy);

  /// From the first look-up to the end of the handshake, over all addresses. Default 10 s.
  ClientOptions& connect_timeout(Duration limit);
  Duration connect_timeout() const noexcept { return connect_timeout_; }
  /// From the call to the last byte of a buffered response. 0 (default): none.
  ClientOptions& timeout(Duration limit);
  /// The next address is tried too when one has not answered by then. Default 250 ms.
  ClientOptions& address_delay(Duration delay);
  Duration address_delay() const noexcept { return address_delay_; }
  /// Largest buffered response body, in bytes. Default 64 MiB.
  ClientOptions& max_body(std::size_t bytes);
  /// 3xx responses to follow. Default 0: the caller sees them.
  ClientOptions& redirects(std::size_t count);
  /// When requests are sent again; ClientResponse::attempts tells.
  ClientOptions& retry(const RetryPolicy& policy);
  const RetryPolicy& retry() const noexcept { return retry_; }
  /// `RetryPolicy::on_close`.
  ClientOptions& retry_on_close(bool on);
  /// Asks for gzip, br or zstd, unless a request says itself what it accepts or wants a range, and
  /// decodes what comes (`Client::send`, `ClientStream::read`). Default false.
  ClientOptions& decode(bool on);
  /// Keeps the cookies that servers send, and sends them back. Default null: none. Several clients
  /// of a thread may share one.
  ClientOptions& cookies(std::shared_ptr<http::CookieJar> jar);

  /// Remembers tickets, tokens and settings; share one between clients of a thread. Default: a
  /// cache of this client's own.
  ClientOptions& sessions(std::shared_ptr<SessionCache> cache);
  /// Sends safe requests as 0-RTT when a ticket allows. Default false: they may be replayed.
  ClientOptions& early_data(bool on);

  ClientOptions& qlog(quic::QlogOpener opener);
  /// Called in the turn; must not call the client.
  ClientOptions& watch(std::function<void(const ClientEvent&)> watcher);

 private:
  friend class Client;
  friend class OriginConnection;
  friend class QuicOriginConnection;
  friend class ClientPool;
  friend class ClientTransfer;
  friend class PathFollower;

  struct Override {
    std::string host;
    std::uint16_t port;
    udp::Address address;
  };
  std::string ca_file_;
  std::string ca_pem_;
  bool insecure_ = false;
  std::optional<tls::Certificate> certificate_;
  bool chacha20_only_ = false;
  std::shared_ptr<tls::KeyLog> key_log_;
  quic::TransportOptions transport_;
  http3::SessionOptions http3_;
  fallback::SessionOptions fallback_;
  ClientProtocols protocols_ = ClientProtocols::automatic;
  Duration tcp_delay_ = std::chrono::milliseconds(300);
  std::uint32_t only_version_ = 0;
  std::vector<Override> overrides_;
  ProxyOptions proxy_;
  std::shared_ptr<udp::ServiceResolver> services_;
  Duration service_delay_ = std::chrono::milliseconds(50);
  std::optional<udp::Address> local_address_;
  std::shared_ptr<const NetworkPolicy> network_policy_ = NetworkPolicy::standard();
  Duration connect_timeout_ = std::chrono::seconds(10);
  Duration timeout_{};
  Duration address_delay_ = std::chrono::milliseconds(250);
  std::size_t max_body_ = 64 * 1024 * 1024;
  std::size_t redirects_ = 0;
  RetryPolicy retry_;
  bool decode_ = false;
  std::shared_ptr<http::CookieJar> cookies_;
  std::shared_ptr<SessionCache> sessions_;
  bool early_data_ = false;
  quic::QlogOpener qlog_;
  std::function<void(const ClientEvent&)> watcher_;
};

}  // namespace tern
