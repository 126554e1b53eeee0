#include <deque>
#include <memory>
#include <stdexcept>

#include "base/random.h"
#include "base/scope.h"
#include "gateway/server.h"
#include "tools/bench/rebind/rebind.h"
#include "transport/sim/world.h"

namespace tern::bench {

namespace {

using namespace std::chrono_literals;

std::vector<Download> run_once(const RebindOptions& options, bool disturbed, RebindResult& result) {
  sim::World world(options.seed);
  sim::Host& server_host = world.host("server");
  while (server_host.workers() < options.workers) server_host.add_worker();
  const http::Router router = make_router();
  Server server(server_options(options).listen("[::]:443"));
  for (std::size_t i = 0; i < options.workers; ++i) {
    const auto started = server.start(server_host.runtime(i), server_host.network(i), router, i);
    if (!started) throw std::runtime_error(started.error().to_string());
  }
  const auto bytes = static_cast<std::uint64_t>(options.seconds * options.megabits * 1e6 / 8);
  const std::string url = "https://server/bytes/" + std::to_string(bytes);
  struct Phone {
    std::unique_ptr<Client> client;
    std::unique_ptr<Scope> scope;
  };
  std::vector<Download> downloads(options.connections);
  std::deque<Phone> phones;
  std::size_t left = options.connections;
  Random::Key key{};
  key[0] = static_cast<std::uint8_t>(options.seed);
  Random random(key);
  for (Download& one : downloads) {
    sim::Host& host = world.host("phone" + std::to_string(phones.size()));
    sim::Link& access = world.link(
        host, server_host,
        sim::LinkOptions().delay(options.delay).mbps(options.megabits).queue_bytes(options.queue));
    sim::Nat& nat = world.nat(host, access);
    Phone& phone = phones.emplace_back();
    phone.client =
        std::make_unique<Client>(host.runtime(), host.network(), client_options(options));
    phone.scope = std::make_unique<Scope>(host.runtime().ready());
    phone.scope->spawn(download(*phone.client, url, bytes, one, left));
    const Duration slice = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(options.seconds / static_cast<double>(options.rebindings)));
    for (std::size_t i = 0; disturbed && i < options.rebindings; ++i) {
      const auto within =
          static_cast<Duration::rep>(random.next() % static_cast<std::uint64_t>(slice.count()));
      world.at(100ms + (slice * i) + Duration(within), [&nat, addresses = options.addresses] {
        addresses ? nat.rebind_address() : nat.rebind();
      });
    }
  }
  world.run_until([&] { return left == 0; }, 600s);
  count(result, server.counters());
  for (Phone& phone : phones) phone.scope.reset();
  phones.clear();
  server.stop();
  world.run_until([&] { return server.stopped(); }, 10s);
  return downloads;
}

}  // namespace

RebindResult run_simulated(const RebindOptions& options) {
  RebindResult result;
  const std::vector<Download> alone = run_once(options, false, result);
  const std::vector<Download> disturbed = run_once(options, true, result);
  for (std::size_t i = 0; i < options.connections; ++i) {
    result.pairs.push_back(
        {alone[i].took, disturbed[i].took, !alone[i].good || !disturbed[i].good});
  }
  return result;
}

}  // namespace tern::bench
