#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "gateway/client.h"
#include "gateway/client_options.h"
#include "gateway/server_options.h"
#include "http/router.h"

/// Downloads during which every client's NAT forgets it, several times, against the same downloads
/// left alone: what a NAT rebinding costs, and whether it costs a connection.

namespace tern::bench {

struct RebindOptions {
  std::size_t connections = 1000;
  std::size_t rebindings = 5;
  bool addresses = false;  ///< each changes the IP address as well as the port; simulated only
  std::size_t workers = 4;
  bool encrypted = false;
  double seconds = 10;                                   ///< a download's, left alone
  double megabits = 2;                                   ///< simulated: of each access link …
  Duration delay = std::chrono::milliseconds(20);        ///< … one way …
  std::size_t queue = 32 * 1024;                         ///< … in front of it: bytes
  Duration keep_alive = std::chrono::milliseconds(100);  ///< the clients' PINGs; 0: none
  std::uint64_t seed = 1;
  std::size_t rounds = 2;  ///< of real sockets: pairs of runs, one after the other
};

/// One connection's pair of downloads.
struct RebindPair {
  Duration undisturbed{};
  Duration disturbed{};
  bool lost = false;  ///< either failed, or what came was not what was sent
};

struct RebindResult {
  std::vector<RebindPair> pairs;
  std::uint64_t handshakes = 0;  ///< the server's, of all runs
  std::uint64_t paths_changed = 0;
  std::uint64_t handed_over = 0;
};

/// In virtual time: each client behind a NAT and an access link of its own.
RebindResult run_simulated(const RebindOptions& options);
/// Over loopback: server threads, all clients behind one relay, whose sockets are closed.
RebindResult run_real(const RebindOptions& options);

// What both have in common:

struct Download {
  Duration took{};
  bool done = false;
  bool good = false;
};
Task<void> download(Client& client, std::string url, std::uint64_t bytes, Download& result,
                    std::size_t& left);
/// /bytes/SIZE as fast as it goes; /paced/SIZE/SECONDS at an even rate.
http::Router make_router();
ServerOptions server_options(const RebindOptions& options);
ClientOptions client_options(const RebindOptions& options);
void count(RebindResult& result,
           const std::vector<std::pair<std::string, std::uint64_t>>& counters);

}  // namespace tern::bench
