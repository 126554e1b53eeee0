// ICMP "unreachable" ends a connection attempt, and nothing that anybody could forge ends more.

#include <cerrno>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/server.h"
#include "http/router.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/sim/world.h"
#include "transport/tls/client_context.h"
#include "transport/tls/development.h"

namespace tern {
namespace {

using namespace std::chrono_literals;

class Idle final : public quic::Application {
 public:
  void handle(const quic::Event&) override {}
};

class UnreachableTest : public testing::Test {
 protected:
  UnreachableTest() {
    world.link(server_host, client_host, sim::LinkOptions().delay(10ms));
    const auto authority = tls::make_authority(
        tls::DevelopmentOptions(sim::World::kUnixEpoch).key_type(tls::KeyType::ed25519));
    const auto leaf = tls::make_leaf(*authority, tls::DevelopmentOptions(sim::World::kUnixEpoch)
                                                     .key_type(tls::KeyType::ed25519)
                                                     .names({"server"}));
    server.emplace(ServerOptions()
                       .certificate(*tls::Certificate::parse(leaf->certificate, leaf->key))
                       .listen("[::]:443"));
    EXPECT_TRUE(server->start(server_host.runtime(), server_host.network(), http::Router()));
    auto made = quic::BoundEndpoint::create(client_host.runtime(), client_host.network(),
                                            quic::EndpointOptions());
    EXPECT_TRUE(made);
    endpoint = std::move(*made);
    udp::SocketOptions socket;
    socket.bind = client_host.v4();
    quic::ConnectOptions connect;
    connect.context = *tls::ClientContext::create(tls::ClientContextOptions().insecure(true));
    connect.local = *endpoint->bind(socket);
    connect.remote = server_host.v4(443);
    connect.server_name = "server";
    connection = *endpoint->connect(
        connect, [](quic::Connection&) { return std::make_unique<Idle>(); },
        [this](const Error& error) { failure = error; });
  }

  /// The beginning of a long-header packet to that connection ID.
  static std::vector<std::uint8_t> quote(ByteView dcid) {
    std::vector<std::uint8_t> packet{0xc3, 0, 0, 0, 1, static_cast<std::uint8_t>(dcid.size())};
    packet.insert(packet.end(), dcid.begin(), dcid.end());
    packet.push_back(0);  // no source connection ID
    packet.resize(64);
    return packet;
  }
  void tell(const udp::Address& remote, ByteView quoted) {
    endpoint->endpoint().unreachable(remote, quoted, ECONNREFUSED, world.now());
  }

  sim::World world{sim::seed()};
  sim::Host& server_host = world.host("server");
  sim::Host& client_host = world.host("client");
  std::optional<Server> server;
  std::unique_ptr<quic::BoundEndpoint> endpoint;
  quic::Connection* connection = nullptr;
  std::optional<Error> failure;
};

TEST_F(UnreachableTest, EndsAnAttemptAtOnce) {
  tell(server_host.v4(443), quote(connection->original_dcid()));
  ASSERT_TRUE(world.run_until([&] { return failure.has_value(); }, 5ms));
  EXPECT_EQ(failure->domain, Domain::os);
  EXPECT_EQ(failure->code, static_cast<std::uint64_t>(ECONNREFUSED));
}

TEST_F(UnreachableTest, WhatDoesNotQuoteOurFirstFlightIsForged) {
  const std::vector<std::uint8_t> right = quote(connection->original_dcid());
  std::vector<std::uint8_t> wrong = right;
  wrong[6] ^= 1;
  tell(server_host.v4(443), wrong);
  tell(server_host.v4(444), right);  // another port
  tell(server_host.v4(443), {});
  for (std::size_t size = 1; size < 7 + connection->original_dcid().size(); ++size) {
    tell(server_host.v4(443), ByteView(right).first(size));
  }
  std::vector<std::uint8_t> short_header = right;
  short_header[0] = 0x43;
  tell(server_host.v4(443), short_header);
  EXPECT_TRUE(world.run_until([&] { return connection->handshake_confirmed(); }, 5s));
  EXPECT_FALSE(failure);
}

TEST_F(UnreachableTest, NothingEndsAConnectionWhosePeerWasHeard) {
  const std::vector<std::uint8_t> right = quote(connection->original_dcid());
  ASSERT_TRUE(world.run_until([&] { return connection->stats().packets_received != 0; }, 5s));
  EXPECT_FALSE(connection->handshake_confirmed());
  tell(server_host.v4(443), right);
  endpoint->endpoint().cannot_send(connection->path(), ENETUNREACH, world.now());
  ASSERT_TRUE(world.run_until([&] { return connection->handshake_confirmed(); }, 5s));
  tell(server_host.v4(443), right);
  endpoint->endpoint().cannot_send(connection->path(), ENETUNREACH, world.now());
  world.run_until([] { return false; }, 1s);
  EXPECT_FALSE(connection->closed());
}

TEST_F(UnreachableTest, AHostWithoutAWayNeedNotWait) {
  endpoint->endpoint().cannot_send(connection->path(), ENETUNREACH, world.now());
  ASSERT_TRUE(world.run_until([&] { return failure.has_value(); }, 5ms));
  EXPECT_EQ(failure->code, static_cast<std::uint64_t>(ENETUNREACH));
}

}  // namespace
}  // namespace tern
