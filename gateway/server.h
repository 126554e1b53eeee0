#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "gateway/server_options.h"
#include "http/exchange.h"
#include "http/router.h"
#include "transport/tls/certificate.h"
#include "transport/udp/address.h"
#include "transport/udp/network.h"

namespace tern {

namespace engine {
class Workers;
}
class ServerHandover;
class ServerShared;
class ServerWorker;

/// A server for HTTP/3, and for HTTP/2 and HTTP/1.1 at the same addresses on TCP.
///
///   http::Router router;
///   router.get("/hello", hello);
///   Server server(ServerOptions().certificate("cert.pem", "key.pem").listen("[::]:4433"));
///   auto ended = server.run(router);
///
/// The handler is called for each request, on the thread of the worker that has the connection:
/// with several workers it runs on several threads at once, so what it shares it must lock. A
/// connection never changes its worker.
///
/// In the simulator, or in a program with an event loop of its own, `start(runtime, network, …)`
/// puts the same server on a runtime that is there already.
///
/// Thread-safe: drain, stop, reload_certificates, counters, addresses, certificates. Everything
/// else belongs to the thread that made the server. Destruction stops it.
class Server {
 public:
  explicit Server(ServerOptions options);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  /// Starts the workers, each on a thread of its own, and returns once all of them listen. Errors
  /// name the certificate, address or engine that does not work.
  Result<void> start(http::Handler handler);
  /// Returns when the server has stopped; at once if it has no threads.
  void wait();
  /// start, then wait.
  Result<void> run(http::Handler handler);

  /// Starts on a runtime of the caller's and returns at once; runtime and network outlive the
  /// server. A second call with another `worker` index adds a worker (on its own runtime).
  Result<void> start(Runtime& runtime, udp::Network& network, http::Handler handler,
                     std::size_t worker = 0);

  /// Takes no new connections, refuses those whose handshake is not complete (CONNECTION_REFUSED),
  /// tells the clients (GOAWAY, RFC 9114 §5.2; HTTP/1.1: `connection: close`), lets the requests
  /// that are under way finish, then stops; at the latest after ServerOptions::drain_timeout. A
  /// client that acknowledges nothing for 2.5 s, or three PTOs, after its answers have left whole
  /// is not waited for. Returns at once. Before `start`, or while that is under way: then it stops
  /// as soon as it stands.
  void drain();
  /// Closes every connection and stops. Returns at once; before `start` as `drain`.
  void stop();
  bool stopped() const noexcept;

  /// Reads the certificate files again, for new connections. Existing connections go on. On an
  /// error everything stays as it was.
  Result<void> reload_certificates();

  /// The sum over all workers, sorted by name.
  std::vector<std::pair<std::string, std::uint64_t>> counters() const;
  /// Where it listens, with the real ports; the preferred addresses, on UDP alone, come last.
  std::vector<udp::Address> addresses() const;
  /// Where it speaks without TLS, on TCP.
  std::vector<udp::Address> cleartext_addresses() const;
  /// It listens on TCP at `addresses`, too.
  bool tcp() const noexcept;
  std::vector<tls::Certificate> certificates() const;
  /// The engine at work and why, for people.
  std::string engine() const;
  std::size_t workers() const noexcept;

 private:
  std::shared_ptr<ServerShared> shared_;
  std::unique_ptr<ServerHandover> handover_;                // with ServerOptions::handover
  std::vector<std::shared_ptr<ServerWorker>> own_workers_;  // on runtimes of the caller's
  std::unique_ptr<engine::Workers> threads_;
};

}  // namespace tern
