// What a server says when a client closes the connection: nothing, unless something is wrong.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/server.h"
#include "http/router.h"
#include "http3/error_code.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/sim/world.h"
#include "transport/tls/client_context.h"
#include "transport/tls/development.h"

namespace tern {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::EndsWith;
using testing::IsEmpty;

class Lines final : public LogSink {
 public:
  bool enabled(LogLevel level) const noexcept override { return level != LogLevel::debug; }
  void line(LogLevel, std::string_view text) noexcept override { lines.emplace_back(text); }
  std::vector<std::string> lines;
};

/// A client that says one thing: goodbye.
class Goodbye final : public quic::Application {
 public:
  explicit Goodbye(std::uint64_t code) : code_(code) {}
  void handle(const quic::Event& event) override {
    if (event.type == quic::Event::Type::handshake_confirmed) event.connection->close(code_, "");
  }

 private:
  std::uint64_t code_;
};

struct Closed {
  std::vector<std::string> lines;
  std::uint64_t peer_errors = 0;
};

Closed close_with(std::uint64_t code) {
  const auto authority = tls::make_authority(
      tls::DevelopmentOptions(sim::World::kUnixEpoch).key_type(tls::KeyType::ed25519));
  const auto leaf = tls::make_leaf(*authority, tls::DevelopmentOptions(sim::World::kUnixEpoch)
                                                   .key_type(tls::KeyType::ed25519)
                                                   .names({"server"}));
  sim::World world(sim::seed());
  sim::Host& server_host = world.host("server");
  sim::Host& client_host = world.host("client");
  world.link(server_host, client_host, sim::LinkOptions().delay(10ms));
  Lines log;
  Server server(ServerOptions()
                    .certificate(*tls::Certificate::parse(leaf->certificate, leaf->key))
                    .listen("[::]:443")
                    .log(log));
  EXPECT_TRUE(server.start(server_host.runtime(), server_host.network(), http::Router()));

  auto endpoint = quic::BoundEndpoint::create(client_host.runtime(), client_host.network(),
                                              quic::EndpointOptions());
  EXPECT_TRUE(endpoint);
  quic::ConnectOptions connect;
  connect.context = *tls::ClientContext::create(tls::ClientContextOptions().insecure(true));
  udp::SocketOptions socket;
  socket.bind = client_host.v4();
  connect.local = *(*endpoint)->bind(socket);
  connect.remote = server_host.v4(443);
  connect.server_name = "server";
  EXPECT_TRUE((*endpoint)->connect(
      connect, [&](quic::Connection&) { return std::make_unique<Goodbye>(code); },
      [](const Error& error) { ADD_FAILURE() << error.to_string(); }));
  const auto count = [&](std::string_view wanted) {
    for (const auto& [name, value] : server.counters()) {
      if (name == wanted) return value;
    }
    return std::uint64_t{0};
  };
  EXPECT_TRUE(world.run_until([&] { return count("quic.connections_closed") == 1; }, 5s));
  return {log.lines, count("http3.peer_errors")};
}

TEST(CloseLog, AnOrdinaryEndIsNothingToTell) {
  for (const std::uint64_t code : {http3::code(http3::ErrorCode::no_error), std::uint64_t{0}}) {
    const Closed closed = close_with(code);
    EXPECT_THAT(closed.lines, IsEmpty()) << code;
    EXPECT_EQ(closed.peer_errors, 0U);
  }
}

TEST(CloseLog, AnErrorIsNamedIfItHasAName) {
  Closed closed = close_with(http3::code(http3::ErrorCode::frame_error));
  EXPECT_THAT(
      closed.lines,
      ElementsAre(EndsWith("closed by the peer with H3_FRAME_ERROR, application 0x106 (remote)")));
  EXPECT_EQ(closed.peer_errors, 1U);
  closed = close_with(0x4242);
  EXPECT_THAT(closed.lines,
              ElementsAre(EndsWith("closed by the peer with application 0x4242 (remote)")));
}

}  // namespace
}  // namespace tern
