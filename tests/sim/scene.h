#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/scope.h"
#include "gateway/client.h"
#include "gateway/server.h"
#include "http/router.h"
#include "transport/sim/capture.h"
#include "transport/sim/world.h"
#include "transport/tls/development.h"

/// What the scenarios have in common: a world with a server and a client, and the bodies they
/// exchange. Checked in every scenario: each body arrives whole, in order and unchanged; when
/// everything is closed the server has no connection left and the world has everything back.

namespace tern::sim {

using namespace std::chrono_literals;

/// A request under way or finished, and when its parts came.
struct Fetch {
  Duration begun{};
  Duration head_at{};
  Duration ended{};
  bool done = false;
  int status = 0;
  std::uint64_t bytes = 0;  ///< of the response's body
  bool intact = true;       ///< every byte was the one that belongs there
  bool early_data = false;
  std::string text;  ///< the body, if it is short
  std::optional<Error> error;
  std::vector<std::pair<Duration, std::uint64_t>> progress;  ///< bytes so far, by time

  /// Whole, unharmed, 200. If not, the assertion says what is wrong.
  testing::AssertionResult ok() const;
  Duration took() const { return ended - begun; }
  /// The longest time between two pieces of the body.
  Duration longest_stall() const;
};

class Scene {
 public:
  explicit Scene(std::uint64_t seed = sim::seed());
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
  /// Ends client and server and makes the last checks.
  ~Scene();

  /// Between client and server; "up" is the client's direction.
  Link& link(const LinkOptions& options) { return world.link(client_host, server_host, options); }

  /// A certificate for "server" that the default client trusts, every address, port 443. Each
  /// padding name makes the certificate 40 bytes longer.
  ServerOptions server_options(int padding_names = 0) const;
  ClientOptions client_options() const;
  /// Starts the server on all of the server host's workers.
  Server& serve(ServerOptions options);
  Server& serve() { return serve(server_options()); }
  /// Replaces the client; its connections end without a word.
  Client& use_client(ClientOptions options);
  /// The default one, but that it tries for a minute to connect.
  Client& use_patient_client();
  Client& client();
  Server& server() { return *server_; }

  /// The machine dies: no close packets, nothing. It is up again, without a server, on return.
  void crash_server();
  /// The server closes its connections and ends, as on SIGTERM; the world runs meanwhile.
  void stop_server();

  /// Starts a request, to go on while the world runs. The reference stays valid.
  Fetch& get(std::string_view path);
  Fetch& send(ClientRequest request);
  Fetch& download(std::uint64_t bytes) { return get("/bytes/" + std::to_string(bytes)); }
  Fetch& upload(std::uint64_t bytes);
  /// Lets time pass until the request, or every one of them, has ended; false after `limit`.
  bool wait(const Fetch& fetch, Duration limit = 60s);
  bool wait_all(Duration limit = 60s);
  /// Gives up every request under way.
  void abandon_all() noexcept { scope_.cancel(); }
  /// get, then wait. The scenario fails if there is no answer.
  Fetch& fetch(std::string_view path, Duration limit = 60s);

  /// Sum over the server's workers; 0 for a counter that does not exist.
  std::uint64_t server_counter(std::string_view name) const;
  std::uint64_t client_counter(std::string_view name) const;
  /// The client's newest connection.
  ClientConnectionInfo connection();

  World world;
  Host& server_host;
  Host& client_host;
  http::Router router;
  /// Wraps the network of each of the server's workers, to look at what passes. Default: bare.
  std::function<udp::Network&(std::size_t worker)> server_network;
  std::vector<ClientEvent> events;  ///< what clients with `client_options` told

 private:
  tls::Identity authority_;
  std::unique_ptr<TraceText> text_;
  std::ofstream capture_file_;
  std::unique_ptr<Capture> capture_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
  std::deque<Fetch> fetches_;
  Scope scope_;
};

/// The byte at each offset of every body.
std::uint8_t pattern(std::uint64_t offset) noexcept;
Bytes pattern_bytes(std::uint64_t offset, std::size_t size);
bool is_pattern(ByteView bytes, std::uint64_t offset) noexcept;

/// Payload bytes and datagrams in one direction of the only link, as they leave.
class Meter final : public TraceObserver {
 public:
  explicit Meter(std::uint8_t direction) noexcept : direction_(direction) {}
  void observe(const TraceEvent& event) override;
  std::uint64_t bytes = 0;
  std::uint64_t datagrams = 0;
  std::size_t largest = 0;

 private:
  std::uint8_t direction_;
};

}  // namespace tern::sim
