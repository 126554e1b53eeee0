// Servers with several workers, and their clients, on real sockets: each worker, client and
// resolver has a thread of its own. What ThreadSanitizer has to see (CONTRIBUTING.md).

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/log.h"
#include "base/runtime.h"
#include "gateway/client.h"
#include "gateway/server.h"
#include "tests/unit/temporary_folder.h"
#include "transport/engine/engine.h"
#include "transport/tls/development.h"
#include "transport/tls/key_log.h"

namespace tern {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kWorkers = 3;
constexpr std::size_t kBig = 300'000;

/// Lines from all the threads.
class CountedLines final : public LogSink {
 public:
  bool enabled(LogLevel) const noexcept override { return true; }
  void line(LogLevel, std::string_view) noexcept override { ++count; }
  std::atomic<std::size_t> count{0};
};

Task<void> hello(http::Exchange& exchange) { co_await exchange.respond(http::Status::ok, "hello"); }

Task<void> big(http::Exchange& exchange) {
  std::string text(kBig, 'x');
  co_await exchange.respond(http::Status::ok, std::move(text));
}

Task<void> echo(http::WebSocket& socket) {
  for (;;) {
    auto message = co_await socket.receive();
    if (!message) break;
    auto sent = co_await socket.send(std::move(*message));
    if (!sent) break;
  }
}

http::Router site() {
  http::Router router;
  router.get("/hello", hello);
  router.get("/big", big);
  router.websocket("/echo", echo);
  return router;
}

/// What a client got wrong, as text; empty when all went well.
Task<std::string> use(Client& client, std::string base, int rounds, bool moves, bool websocket) {
  for (int i = 0; i < rounds; ++i) {
    const bool large = i % 4 == 3;
    std::string url = base + (large ? "/big" : "/hello");
    const auto response = co_await client.get(std::move(url));
    if (!response) co_return response.error().to_string();
    if (response->body().size() != (large ? kBig : 5)) co_return "another body";
    if (moves && i % 3 == 2) {
      const Result<void> moved = client.migrate();
      if (!moved) co_return moved.error().to_string();
    }
  }
  if (!websocket) co_return std::string();
  ClientRequest handshake(base + "/echo");
  auto socket = co_await client.websocket(std::move(handshake));
  if (!socket) co_return socket.error().to_string();
  for (int i = 0; i < rounds; ++i) {
    const auto sent = co_await (*socket)->send_text("there and back");
    if (!sent) co_return sent.error().to_string();
    const auto back = co_await (*socket)->receive();
    if (!back) co_return "closed with " + std::to_string((*socket)->closed().code);
    if (back->data != "there and back") co_return "another message";
  }
  co_await (*socket)->close();
  co_return std::string();
}

class ServerThreads : public ::testing::Test {
 protected:
  ServerThreads() {
    auto network = engine::open();
    const UnixSeconds now = (*network)->unix_seconds();
    authority_ = *tls::make_authority(tls::DevelopmentOptions(now).days(30));
    leaf_ = *tls::make_leaf(authority_, tls::DevelopmentOptions(now));
    EXPECT_TRUE(leaf_.save(chain_, key_).has_value());
  }

  ServerOptions options() {
    ServerOptions made;
    made.certificate(chain_, key_).listen("127.0.0.1:0").workers(kWorkers).log(log_);
    made.cleartext("127.0.0.1:0").drain_timeout(5s);
    made.access_log([this](const http::Exchange&) { ++logged_; });
    made.key_log(*tls::KeyLog::open(folder_ / "keys.log"));
    made.qlog_dir(folder_ / "qlog");
    return made;
  }

  /// A client on a thread of its own, with its own engine.
  void start_client(ClientProtocols protocols, const udp::Address& server, int rounds,
                    bool moves = false, std::string scheme = "https", bool websocket = true) {
    std::string base = scheme + "://localhost:" + std::to_string(server.port());
    clients_.emplace_back([this, protocols, rounds, moves, websocket, base = std::move(base)] {
      auto network = engine::open();
      Runtime runtime(**network);
      ClientOptions wanted;
      wanted.ca_pem(authority_.certificate).protocols(protocols);
      Client client(runtime, **network, std::move(wanted));
      const std::string wrong = runtime.block_on(use(client, base, rounds, moves, websocket));
      runtime.block_on(client.close());
      if (!wrong.empty()) note(wrong);
    });
  }

  void wait_for_clients() {
    for (std::thread& client : clients_) client.join();
    clients_.clear();
    const std::lock_guard lock(mutex_);
    for (const std::string& what : wrong_) ADD_FAILURE() << what;
  }

  void note(const std::string& what) {
    const std::lock_guard lock(mutex_);
    wrong_.push_back(what);
  }

  test::TemporaryFolder folder_;
  const std::string chain_ = folder_ / "chain.pem";
  const std::string key_ = folder_ / "key.pem";
  tls::Identity authority_;
  tls::Identity leaf_;
  CountedLines log_;
  std::atomic<std::size_t> logged_{0};
  std::vector<std::thread> clients_;
  std::mutex mutex_;
  std::vector<std::string> wrong_;
};

std::uint64_t count_of(const Server& server, std::string_view wanted) {
  for (const auto& [name, value] : server.counters()) {
    if (name == wanted) return value;
  }
  return 0;
}

TEST_F(ServerThreads, ServeEveryProtocolWhileTheOwnerLooksOn) {
  Server server(options());
  ASSERT_TRUE(server.start(site()).has_value());
  const udp::Address tls = server.addresses().front();
  for (int i = 0; i < 2; ++i) {
    start_client(ClientProtocols::http3_only, tls, 12);
    start_client(ClientProtocols::http2, tls, 12);
    start_client(ClientProtocols::http1, tls, 12);
  }
  start_client(ClientProtocols::automatic, tls, 12);
  start_client(ClientProtocols::http1, server.cleartext_addresses().front(), 12, false, "http");
  // Meanwhile, as an operator does it.
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(server.reload_certificates().has_value());
    EXPECT_FALSE(server.counters().empty());
    EXPECT_EQ(server.certificates().size(), 1U);
    EXPECT_EQ(server.addresses().size(), 1U);
    std::this_thread::yield();
  }
  wait_for_clients();
  server.drain();
  server.wait();
  EXPECT_TRUE(server.stopped());
  EXPECT_GE(logged_.load(), 8U * 12U);
}

/// Encrypted connection IDs tell the kernel nothing, so what a client sends from its new port
/// reaches any worker.
TEST_F(ServerThreads, HandStraysToTheirOwner) {
  ServerOptions wanted = options();
  quic::CidConfig cids;
  quic::CidCodec::Key key{};
  key.fill(0x17);
  cids.key(key);
  wanted.cids(cids);
  Server server(std::move(wanted));
  ASSERT_TRUE(server.start(site()).has_value());
  for (int i = 0; i < 6; ++i) {
    start_client(ClientProtocols::http3_only, server.addresses().front(), 12, true);
  }
  wait_for_clients();
  EXPECT_GT(count_of(server, "server.handed_over"), 0U);
  server.stop();
  server.wait();
}

/// In one process, so that both sides are seen: each server's thread for the hand-over, and its
/// workers.
TEST_F(ServerThreads, TakeOverFromEachOther) {
  const std::string socket = folder_ / "handover";
  std::vector<std::unique_ptr<Server>> servers;
  std::string address = "127.0.0.1:0";
  for (int generation = 0; generation < 3; ++generation) {
    ServerOptions wanted = options();
    wanted.handover(socket).handover_drain(60s).workers(generation == 1 ? 1 : kWorkers);
    servers.push_back(std::make_unique<Server>(std::move(wanted)));
    ASSERT_TRUE(servers.back()->start(site()).has_value());
    const udp::Address at = servers.back()->addresses().front();
    EXPECT_EQ(at, servers.front()->addresses().front());
    start_client(ClientProtocols::http3_only, at, 12);
    // Over TCP a server that is replaced drains at once, and closes WebSockets with 1001.
    start_client(ClientProtocols::http2, at, 12, false, "https", false);
  }
  wait_for_clients();
  for (const auto& server : servers) server->stop();
  for (const auto& server : servers) server->wait();
}

}  // namespace
}  // namespace tern
