#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/time.h"
#include "http/connection_age.h"
#include "http/exchange.h"
#include "http/fallback/options.h"
#include "http3/options.h"
#include "transport/engine/engine.h"
#include "transport/quic/cid.h"
#include "transport/quic/options.h"
#include "transport/tls/certificate.h"
#include "transport/tls/key_log.h"
#include "transport/tls/server_context.h"

namespace tern {

/// What a Server is to be. Every option has a default that serves; a certificate alone is needed.
/// Paths are read when the server starts, and certificates again on reload_certificates().
class ServerOptions {
 public:
  /// PEM files. Call it again for more names: SNI chooses, the first is for clients that name none.
  ServerOptions& certificate(std::string chain_file, std::string key_file);
  /// One that is in memory; reload_certificates() leaves it as it is.
  ServerOptions& certificate(tls::Certificate certificate);
  /// mTLS: clients show a certificate that chains to a CA of this PEM file.
  ServerOptions& client_ca(std::string pem_file,
                           tls::ClientCertificate mode = tls::ClientCertificate::required);

  /// "[::]:4433", "127.0.0.1:443", ":4433" (any address), port 0: the system chooses. Call it again
  /// for more addresses. Default "[::]:4433", which takes IPv4 as well.
  ServerOptions& listen(std::string address);
  /// Threads, each with its own socket of every address, event loop and connections. 0: one a core.
  /// Default 1; at most 256. Not for servers that start on a runtime given to them.
  ServerOptions& workers(std::size_t count);
  /// io_uring or epoll, and their buffers. Default: io_uring where the kernel has it.
  ServerOptions& engine(engine::EngineOptions options);

  /// Everything about the connections that has no option of its own here.
  ServerOptions& transport(quic::TransportOptions options);
  quic::TransportOptions& transport() noexcept { return transport_; }
  /// Of QUIC connections; on TCP it is the system's.
  ServerOptions& congestion(quic::Congestion algorithm);
  /// Silence after which a QUIC connection is given up. Default 30 s. On TCP:
  /// `fallback::SessionOptions::idle_timeout`.
  ServerOptions& idle_timeout(Duration silence);
  /// QUIC versions, best first. Default: v1, v2.
  ServerOptions& versions(std::vector<std::uint32_t> versions);
  /// Addresses that clients move to after the handshake (RFC 9000 §9.6), "192.0.2.1:4433": one for
  /// each family at most. They must reach this server, so it also listens there.
  ServerOptions& preferred_address(std::string address);
  /// When new QUIC clients must show that their address is theirs (RFC 9000 §8.1.2). Default: when
  /// many handshakes are under way.
  ServerOptions& retry(quic::RetryPolicy policy);
  /// Over all workers, QUIC and TCP together. Beyond it, new ones are refused. Default 100,000.
  ServerOptions& max_connections(std::size_t count);
  /// HTTP/3 limits (headers, streams, resets, bodies) and settings.
  ServerOptions& http3(http3::SessionOptions options);
  http3::SessionOptions& http3() noexcept { return http3_; }
  /// Listens on TCP as well, at the same addresses and ports, and speaks HTTP/2 and HTTP/1.1 over
  /// TLS there, for clients that cannot use QUIC or do not know yet that they can
  /// (docs/fallback.md). Default true.
  ServerOptions& tcp(bool on);
  /// Speaks HTTP/2 and HTTP/1.1 without TLS at this address ("127.0.0.1:8080"): behind a proxy, or
  /// for local tools. Call it again for more. Default: none.
  ServerOptions& cleartext(std::string address);
  /// The `alt-svc` field of every answer over TCP and TLS (RFC 7838), by which browsers find
  /// HTTP/3. Empty: none. Default `h3=":PORT"; ma=86400` with the port the client came to; say it
  /// yourself where clients see another port.
  ServerOptions& alt_svc(std::string value);
  /// Limits and times of HTTP/2 and HTTP/1.1. Default: what http3() says where they share a limit.
  ServerOptions& fallback(fallback::SessionOptions options);
  /// Speaks HTTP/0.9 (ALPN "hq-interop", http3/hq_session.h) with clients that offer it and not
  /// "h3". For interoperability tests: it has neither fields nor statuses. Default false.
  ServerOptions& hq_interop(bool on);

  /// 0-RTT for clients that come back. Default true: the router lets safe methods alone through
  /// and answers 425 to the others (RFC 8470).
  ServerOptions& early_data(bool on);
  /// TLS_CHACHA20_POLY1305_SHA256 alone. Default false.
  ServerOptions& chacha20_only(bool on);
  /// A folder, made with mode 0700, for the secrets that outlive the process and may be shared by
  /// the machines behind one name: `keys` (session tickets and address tokens, rotated) and
  /// `reset-key` (stateless resets). Default: secrets of this process alone.
  ServerOptions& state_dir(std::string folder);
  /// How often those secrets are replaced, at least 1 s; the last three still open what they have
  /// sealed. Tickets are good for three periods, at most 7 days (RFC 8446 §4.6.1), address tokens
  /// for as long, at most a day. Default 8 hours.
  ServerOptions& key_rotation(Duration period);
  /// How connection IDs look: machine ID and key for QUIC-LB. The worker is filled in.
  ServerOptions& cids(quic::CidConfig config);

  /// A file per connection, "<original DCID>_server.sqlog". The folder is made if needed.
  ServerOptions& qlog_dir(std::string folder);
  /// The same, to wherever `opener` says. Called on the workers' threads.
  ServerOptions& qlog(quic::QlogOpener opener);
  /// Where the secrets of every connection go, for Wireshark (SSLKEYLOGFILE). Default: nowhere.
  ServerOptions& key_log(std::shared_ptr<tls::KeyLog> log);
  /// Called for each request when its handler is through, on the worker's thread.
  ServerOptions& access_log(std::function<void(const http::Exchange&)> log);
  /// Where the server's own messages go; thread-safe, outlives the server. Default: nowhere.
  ServerOptions& log(LogSink& sink);
  /// How long drain() waits for requests before it closes their connections. Default 10 s.
  ServerOptions& drain_timeout(Duration limit);
  /// A connection that is so old, give or take a tenth (each has its own, by chance), is drained as
  /// by drain(), alone: requests under way finish, new ones go to a new connection, which may lead
  /// to another server (gRFC A9). HTTP/1.1: `connection: close` with the next answer that begins.
  /// Tunnels and event streams hear that they are to end (`http::Exchange::draining`). Not for
  /// HTTP/0.9. Zero, the default: connections may be as old as they like.
  ServerOptions& max_connection_age(Duration age);
  /// After that, how long what is under way on it may take; then the connection is ended and open
  /// requests fail. Default: as long as it needs.
  ServerOptions& max_connection_age_grace(Duration grace);
  /// The path of a unix socket by which this process takes over from the one that serves at
  /// present, if there is one, with its sockets and (without state_dir) its keys, and by which the
  /// next one takes over from this: no connection is lost (docs/deployment.md). Of the same user.
  /// Not for servers that start on a runtime given to them. Default: none.
  ServerOptions& handover(std::string path);
  /// How long a process that was replaced keeps its connections before it drains. Default 10 min.
  ServerOptions& handover_drain(Duration limit);

 private:
  friend class Server;
  friend class ServerShared;
  friend class ServerWorker;

  struct CertificateFiles {
    std::string chain_file;
    std::string key_file;
    std::optional<tls::Certificate> loaded;
  };
  std::vector<CertificateFiles> certificates_;
  std::string client_ca_file_;
  tls::ClientCertificate client_certificate_ = tls::ClientCertificate::none;
  std::vector<std::string> listen_;
  std::size_t workers_ = 1;
  engine::EngineOptions engine_;
  quic::TransportOptions transport_;
  std::vector<std::string> preferred_addresses_;
  quic::RetryPolicy retry_ = quic::RetryPolicy::when_busy;
  std::size_t max_connections_ = 100'000;
  http3::SessionOptions http3_;
  bool tcp_ = true;
  std::vector<std::string> cleartext_;
  std::optional<std::string> alt_svc_;
  std::optional<fallback::SessionOptions> fallback_;
  bool hq_interop_ = false;
  bool early_data_ = true;
  bool chacha20_only_ = false;
  std::string state_dir_;
  Duration key_rotation_ = std::chrono::hours(8);
  quic::CidConfig cids_;
  std::string qlog_dir_;
  quic::QlogOpener qlog_;
  std::shared_ptr<tls::KeyLog> key_log_;
  std::function<void(const http::Exchange&)> access_log_;
  LogSink* log_ = &null_log();
  Duration drain_timeout_ = std::chrono::seconds(10);
  http::ConnectionAge age_;
  std::string handover_;
  Duration handover_drain_ = std::chrono::minutes(10);
};

}  // namespace tern
