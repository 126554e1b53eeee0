#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/varint.h"
#include "tests/sim/scene.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/tls/client_context.h"

/// `Server::drain` with clients that are in the middle of something, or are gone without a word.

namespace tern::sim {
namespace {

constexpr std::uint64_t kConnectionRefused = 0x02;  // RFC 9000 §20.1

/// How long the server takes to end once it was told to drain.
Duration drain(Scene& scene) {
  const Duration told = scene.world.elapsed();
  scene.server().drain();
  EXPECT_TRUE(scene.world.run_until([&] { return scene.server().stopped(); }, 60s));
  return scene.world.elapsed() - told;
}

/// A client that begins a connection of which nothing is expected, with a ClientHello that takes
/// two datagrams.
class LongHello {
 public:
  explicit LongHello(Scene& scene) {
    Host& host = scene.client_host;
    endpoint_ = *quic::BoundEndpoint::create(host.runtime(), host.network(), {});
    udp::SocketOptions socket;
    socket.bind = udp::Address::v4(0, 0);
    quic::ConnectOptions options;
    options.context = *tls::ClientContext::create(tls::ClientContextOptions().insecure(true));
    options.local = *endpoint_->bind(socket);
    options.remote = scene.server_host.v4(443);
    options.server_name = "server";
    // RFC 9000 §18.1: to be ignored.
    constexpr std::size_t kSize = 1000;
    options.more_parameters.resize(2 * kMaxVarintSize + kSize);
    std::uint8_t* end = write_varint(options.more_parameters.data(), 31 * 77 + 27);
    end = write_varint(end, kSize);
    options.more_parameters.resize(static_cast<std::size_t>(end - options.more_parameters.data()) +
                                   kSize);
    const auto failed = [this](const Error& error) { end_of_it = error; };
    if (!endpoint_->connect(options, nullptr, failed)) throw std::runtime_error("no connection");
  }

  std::optional<Error> end_of_it;

 private:
  std::unique_ptr<quic::BoundEndpoint> endpoint_;
};

TEST(Drain, DoesNotWaitForAHandshakeThatTheClientHasLeft) {
  // As happy eyeballs do with the address that answers last.
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms));
  scene.serve();
  scene.get("/hello");
  scene.world.run_for(11ms);
  link.cut();
  ASSERT_EQ(scene.server_counter("quic.connections_open"), 1u);
  ASSERT_EQ(scene.server_counter("quic.handshakes_completed"), 0u);
  EXPECT_LE(drain(scene), 100ms);
  scene.abandon_all();
}

TEST(Drain, DoesNotWaitForTheRestOfAClientHello) {
  // There is no telling yet what protocol it is going to be.
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms));
  bool first = true;
  link.up().filter([&first](ByteView) { return std::exchange(first, false); });
  scene.serve();
  const LongHello client(scene);
  scene.world.run_for(30ms);
  ASSERT_EQ(scene.server_counter("quic.connections_open"), 1u);
  EXPECT_LE(drain(scene), 100ms);
}

TEST(Drain, AClientInItsHandshakeHearsThatItIsRefused) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms));
  bool answers = true;
  link.down().filter([&answers](ByteView) { return answers; });
  scene.serve();
  const LongHello client(scene);
  scene.world.run_for(5ms);
  answers = false;  // else the handshake was complete before it is noticed
  scene.world.run_for(10ms);
  ASSERT_EQ(scene.server_counter("quic.connections_open"), 1u);
  answers = true;
  EXPECT_LE(drain(scene), 100ms);
  scene.world.run_for(100ms);
  ASSERT_TRUE(client.end_of_it.has_value());
  EXPECT_EQ(client.end_of_it->domain, Domain::quic) << client.end_of_it->to_string();
  EXPECT_EQ(client.end_of_it->code, kConnectionRefused) << "it may go elsewhere at once";
}

TEST(Drain, DoesNotWaitForAnIdleClientThatIsGone) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms));
  scene.serve();
  ASSERT_TRUE(scene.fetch("/hello").ok());
  scene.world.run_for(1s);
  link.cut();
  EXPECT_LE(drain(scene), 500ms) << "two GOAWAYs and a round trip between them";
}

TEST(Drain, AnAnswerThatNobodyAcknowledgesIsNotWaitedForLong) {
  // curl has what it wants and ends without CONNECTION_CLOSE. The server sends the answer again,
  // for it may have been lost.
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms));
  scene.serve();
  ASSERT_TRUE(scene.fetch("/hello").ok());
  const Fetch& last = scene.get("/hello");
  ASSERT_TRUE(scene.world.run_until([&] { return scene.server_counter("http3.requests") == 2; }));
  scene.world.run_for(1ms);
  link.up().cut();
  ASSERT_TRUE(scene.wait(last));
  EXPECT_LE(drain(scene), 3s);
}

TEST(Drain, AnAnswerIsSentAgainWhileTheClientIsAway) {
  // Two seconds in a lift, just when the answer was sent.
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms));
  scene.serve();
  ASSERT_TRUE(scene.fetch("/hello").ok());
  const Fetch& last = scene.get("/hello");
  ASSERT_TRUE(scene.world.run_until([&] { return scene.server_counter("http3.requests") == 2; }));
  scene.world.run_for(1ms);
  link.cut();
  const Duration told = scene.world.elapsed();
  scene.server().drain();
  scene.world.run_for(1500ms);
  link.restore();
  ASSERT_TRUE(scene.wait(last));
  EXPECT_TRUE(last.ok());
  ASSERT_TRUE(scene.world.run_until([&] { return scene.server().stopped(); }, 60s));
  EXPECT_LE(scene.world.elapsed() - told, 5s);
}

TEST(Drain, AnUnfinishedAnswerIsGivenTheWholeTime) {
  // The client may be back any moment.
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms).mbps(10));
  ServerOptions options = scene.server_options();
  options.drain_timeout(7s);
  scene.serve(std::move(options));
  scene.download(20'000'000);
  scene.world.run_for(1s);
  link.cut();
  const Duration took = drain(scene);
  EXPECT_GE(took, 7s);
  EXPECT_LE(took, 7100ms);
  scene.abandon_all();
}

TEST(Drain, ASlowHandlerIsWaitedForHoweverSilentTheClientIs) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  scene.router.get("/slow", [](http::Exchange& exchange) -> Task<void> {
    co_await exchange.runtime().sleep(8s);
    co_await exchange.respond(http::Status::ok, "done");
  });
  scene.serve();
  const Fetch& slow = scene.get("/slow");
  scene.world.run_for(100ms);
  scene.server().drain();
  ASSERT_TRUE(scene.wait(slow));
  EXPECT_EQ(slow.status, 200);
  EXPECT_EQ(slow.text, "done");
}

}  // namespace
}  // namespace tern::sim
