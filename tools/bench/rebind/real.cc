#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "base/scope.h"
#include "gateway/server.h"
#include "tools/bench/rebind/rebind.h"
#include "transport/engine/workers.h"
#include "transport/quic/balanced_relay.h"

namespace tern::bench {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kBytesASecond = 20'000;

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().to_string());
  return std::move(*result);
}

/// Every client's way to the server, on a thread of its own.
class RelayThread {
 public:
  explicit RelayThread(const udp::Address& server) {
    const auto set_up = [&](engine::Worker& worker) -> engine::Workers::SetUpResult {
      quic::CidConfig cids;
      const std::uint8_t id = 1;
      TERN_TRY(quic::LoadBalancer balancer,
               quic::LoadBalancer::create(cids, {quic::ConnectionId(ByteView(&id, 1))}));
      TERN_TRY(auto relay,
               quic::BalancedRelay::create(worker.runtime(), worker.network(), std::move(balancer),
                                           *udp::Address::parse("127.0.0.1:0"), {server}));
      address = relay->listening();
      relay_ = relay.get();
      return std::shared_ptr<void>(std::move(relay));
    };
    threads_ = must(engine::Workers::start(engine::WorkersOptions().name("relay"), set_up));
  }
  ~RelayThread() {
    threads_->stop();
    threads_->join();
  }
  void rebind_everybody() {
    threads_->runtime(0).submit([relay = relay_] { relay->forget_clients(); });
  }
  udp::Address address;

 private:
  quic::BalancedRelay* relay_ = nullptr;
  std::unique_ptr<engine::Workers> threads_;
};

Task<void> rebind(Runtime& runtime, RelayThread& relay, std::size_t times, Duration slice) {
  co_await runtime.sleep(slice / 2);
  for (std::size_t i = 0; i < times; ++i) {
    relay.rebind_everybody();
    co_await runtime.sleep(slice);
  }
}

std::vector<Download> run_once(const RebindOptions& options, Server& server, bool disturbed) {
  RelayThread relay(server.addresses().front());
  auto network = must(engine::open());
  Runtime runtime(*network);
  const auto bytes = static_cast<std::uint64_t>(options.seconds * kBytesASecond);
  const std::string url = "https://server:4433/paced/" + std::to_string(bytes) + "/" +
                          std::to_string(static_cast<std::uint64_t>(options.seconds * 1000));
  std::vector<Download> downloads(options.connections);
  std::deque<Client> clients;
  std::size_t left = options.connections;
  {
    Scope scope(runtime.ready());
    // All are connected before the first begins, or the handshakes of some would delay others.
    for (std::size_t i = 0; i < options.connections; ++i) {
      Client& client = clients.emplace_back(
          runtime, *network, client_options(options).resolve("server", 4433, relay.address));
      const auto connected = runtime.block_on(client.connect("https://server:4433/"));
      if (!connected) {
        throw std::runtime_error("client " + std::to_string(i + 1) +
                                 " cannot connect: " + connected.error().to_string());
      }
    }
    for (std::size_t i = 0; i < options.connections; ++i) {
      scope.spawn(download(clients[i], url, bytes, downloads[i], left));
    }
    if (disturbed) {
      const auto slice = std::chrono::duration_cast<Duration>(
          std::chrono::duration<double>(options.seconds / static_cast<double>(options.rebindings)));
      scope.spawn(rebind(runtime, relay, options.rebindings, slice));
    }
    const Timestamp deadline =
        runtime.now() + std::chrono::seconds(static_cast<int>(options.seconds * 6) + 60);
    while (left > 0 && runtime.now() < deadline) runtime.turn();
  }
  clients.clear();
  return downloads;
}

}  // namespace

RebindResult run_real(const RebindOptions& options) {
  Server server(server_options(options).listen("127.0.0.1:0"));
  const auto started = server.start(make_router());
  if (!started) throw std::runtime_error(started.error().to_string());
  RebindResult result;
  for (std::size_t round = 0; round < options.rounds; ++round) {
    const std::vector<Download> alone = run_once(options, server, false);
    const std::vector<Download> disturbed = run_once(options, server, true);
    for (std::size_t i = 0; i < options.connections; ++i) {
      result.pairs.push_back(
          {alone[i].took, disturbed[i].took, !alone[i].good || !disturbed[i].good});
    }
  }
  count(result, server.counters());
  return result;
}

}  // namespace tern::bench
