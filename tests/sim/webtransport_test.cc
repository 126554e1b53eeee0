#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scene.h"
#include "webtransport/server.h"
#include "webtransport/session.h"

/// WebTransport between the public `Server` and `Client`, over networks, on every carrier.

namespace tern::sim {
namespace {

using webtransport::Session;
using webtransport::Stream;

Task<void> echo_stream(std::unique_ptr<Stream> stream) {
  for (;;) {
    Result<Bytes> piece = co_await stream->read();
    if (!piece) co_return;
    if (piece->empty()) break;
    const Result<void> written = co_await stream->write(std::move(*piece));
    if (!written) co_return;
  }
  co_await stream->finish();
}

/// A stream of the server's answers each unidirectional one of the client's.
Task<void> echo_back(Session& session, std::unique_ptr<Stream> stream) {
  Result<std::string> text = co_await stream->read_all();
  if (!text) co_return;
  Result<std::unique_ptr<Stream>> answer = co_await session.open_unidirectional();
  if (!answer) co_return;
  co_await (*answer)->finish(Bytes::take(std::move(*text)));
}

Task<void> accept_bidirectional(Session& session, Scope& scope) {
  while (auto stream = co_await session.accept_bidirectional()) {
    scope.spawn(echo_stream(std::move(stream)));
  }
}
Task<void> accept_unidirectional(Session& session, Scope& scope) {
  while (auto stream = co_await session.accept_unidirectional()) {
    scope.spawn(echo_back(session, std::move(stream)));
  }
}
Task<void> echo_datagrams(Session& session) {
  while (auto datagram = co_await session.receive_datagram()) {
    session.send_datagram(std::move(*datagram));
  }
}

/// Echoes whatever comes, until the session ends.
Task<void> echo(Session& session) {
  Scope scope(session.runtime().ready());
  scope.spawn(accept_bidirectional(session, scope));
  scope.spawn(accept_unidirectional(session, scope));
  scope.spawn(echo_datagrams(session));
  co_await session.wait_until_ended();
}

/// What a client saw.
struct Visit {
  bool done = false;
  std::optional<Error> refused;
  std::string carrier;
  std::string protocol;
  std::size_t echoed = 0;
  std::size_t returned = 0;
  std::size_t datagrams = 0;
  std::optional<webtransport::SessionClose> close;
  webtransport::SessionStats stats;
};

std::string payload(std::size_t round) {
  std::string text;
  const std::size_t size = round % 7 == 6 ? 60'000 : 10 + round * 3 % 400;
  while (text.size() < size) text += std::to_string(round * 7919 + text.size()) + " ";
  return text;
}

Task<void> ask(Session& session, std::size_t round, std::size_t& echoed) {
  Result<std::unique_ptr<Stream>> stream = co_await session.open_bidirectional();
  if (!stream) co_return;
  co_await (*stream)->finish(Bytes::take(payload(round)));
  const Result<std::string> text = co_await (*stream)->read_all();
  if (text && *text == payload(round)) ++echoed;
}
Task<void> tell(Session& session, std::size_t round) {
  Result<std::unique_ptr<Stream>> stream = co_await session.open_unidirectional();
  if (!stream) co_return;
  co_await (*stream)->finish(Bytes::take(payload(round)));
}
Task<void> listen(Session& session, std::size_t& returned) {
  while (auto stream = co_await session.accept_unidirectional()) {
    const Result<std::string> text = co_await stream->read_all();
    if (text) ++returned;
  }
}
Task<void> count_datagrams(Session& session, std::size_t& count) {
  while (const auto datagram = co_await session.receive_datagram()) ++count;
}

Task<void> use(Session& session, std::size_t count, Visit& seen) {
  Scope scope(session.runtime().ready());
  scope.spawn(listen(session, seen.returned));
  scope.spawn(count_datagrams(session, seen.datagrams));
  for (std::size_t i = 0; i < count; ++i) {
    scope.spawn(ask(session, i, seen.echoed));
    scope.spawn(tell(session, i));
    session.send_datagram(Bytes::take(payload(1)));
  }
  while (!session.ended() && (seen.echoed < count || seen.returned < count)) {
    co_await session.runtime().sleep(10ms);
  }
  co_await session.runtime().sleep(1s);
}

webtransport::Carrier carrier_of(std::string_view name) {
  if (name == "h3") return webtransport::Carrier::http3;
  return name == "h2" ? webtransport::Carrier::http2 : webtransport::Carrier::websocket;
}

Task<Result<std::unique_ptr<Session>>> open(Client& client, std::string carrier, std::string path,
                                            webtransport::ClientOptions options) {
  ClientRequest request("https://server" + path);
  options.carrier(carrier_of(carrier));
  Result<std::unique_ptr<Session>> session =
      co_await client.webtransport(std::move(request), std::move(options));
  co_return session;
}

Task<void> visit(Client& client, std::string carrier, std::string path,
                 webtransport::ClientOptions options, std::size_t count, Visit& seen) {
  Result<std::unique_ptr<Session>> opened =
      co_await open(client, std::move(carrier), std::move(path), std::move(options));
  if (!opened) {
    seen.refused = opened.error();
    seen.done = true;
    co_return;
  }
  Session& session = **opened;
  seen.carrier = session.carrier();
  seen.protocol = session.protocol();
  co_await use(session, count, seen);
  session.close(7, "done");
  co_await session.wait_until_ended();
  seen.close = *session.closed();
  seen.stats = session.stats();
  seen.done = true;
}

bool wait(Scene& scene, const bool& done, Duration limit = 60s) {
  return scene.world.run_until([&] { return done; }, limit);
}

class WebTransport : public testing::TestWithParam<std::string> {
 public:
  static Client& any_version(Scene& scene) {
    return scene.use_client(scene.client_options().protocols(ClientProtocols::automatic));
  }
  static webtransport::ClientOptions protocols() {
    return webtransport::ClientOptions().protocol("chat v1").protocol("other");
  }
};

TEST_P(WebTransport, EchoesStreamsAndDatagramsOverABadNetwork) {
  Scene scene;
  scene.link(LinkOptions().delay(20ms).mbps(20).queue_bytes(60'000).loss(0.02));
  webtransport::route(scene.router, "/echo", echo,
                      webtransport::ServerOptions().protocol("chat.v2").protocol("chat v1"));
  scene.serve();
  Visit seen;
  Scope scope(scene.client_host.runtime().ready());
  scope.spawn(visit(any_version(scene), GetParam(), "/echo", protocols(), 150, seen));
  ASSERT_TRUE(wait(scene, seen.done));
  ASSERT_FALSE(seen.refused) << seen.refused->to_string();
  EXPECT_EQ(seen.carrier, GetParam());
  EXPECT_EQ(seen.protocol, "chat v1");
  EXPECT_EQ(seen.echoed, 150u);
  EXPECT_EQ(seen.returned, 150u);
  EXPECT_GE(seen.stats.datagrams_sent, 100u);
  if (GetParam() != "h3") {
    EXPECT_EQ(seen.datagrams, seen.stats.datagrams_sent);
  } else {
    EXPECT_GE(seen.datagrams, 50u);  // of which the network loses some
    EXPECT_GT(seen.stats.round_trip, 30ms);
  }
  ASSERT_TRUE(seen.close);
  EXPECT_EQ(seen.close->code, 7u);
  EXPECT_FALSE(seen.close->error) << seen.close->error->to_string();
  scene.world.run_for(1s);
  EXPECT_EQ(scene.server_counter("webtransport.opened"), 1u);
  EXPECT_EQ(scene.server_counter("webtransport.closed"), 1u);
}

TEST_P(WebTransport, TheServersEndReachesTheClient) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  webtransport::route(scene.router, "/bye", [](Session& session) -> Task<void> {
    co_await session.runtime().sleep(100ms);
    session.close(42, "tired");
  });
  scene.serve();
  Visit seen;
  Scope scope(scene.client_host.runtime().ready());
  scope.spawn(visit(any_version(scene), GetParam(), "/bye", protocols(), 3, seen));
  ASSERT_TRUE(wait(scene, seen.done));
  ASSERT_FALSE(seen.refused) << seen.refused->to_string();
  ASSERT_TRUE(seen.close);
  EXPECT_EQ(seen.close->code, 42u);
  EXPECT_EQ(seen.close->reason, "tired");
  EXPECT_EQ(seen.close->by, Origin::remote);
  EXPECT_EQ(seen.echoed, 0u);
}

TEST_P(WebTransport, AForeignOriginIsRefused) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  webtransport::route(scene.router, "/echo", echo, webtransport::ServerOptions().require_origin());
  scene.serve();
  Visit seen;
  Scope scope(scene.client_host.runtime().ready());
  scope.spawn(visit(any_version(scene), GetParam(), "/echo", protocols(), 3, seen));
  ASSERT_TRUE(wait(scene, seen.done));
  ASSERT_TRUE(seen.refused);
  EXPECT_EQ(seen.refused->domain, Domain::http);
  EXPECT_EQ(seen.refused->code, 403u);
  EXPECT_EQ(
      scene.server_counter("webtransport.refused") + scene.server_counter("websocket.refused"), 1u);
}

INSTANTIATE_TEST_SUITE_P(Carriers, WebTransport, testing::Values("h3", "h2", "websocket"),
                         [](const testing::TestParamInfo<std::string>& carrier) {
                           return carrier.param;
                         });

/// A session on its own connection's back: nobody reads what comes.
Task<void> hold(Session& session) { co_await session.wait_until_ended(); }

Task<void> push(Session& session, std::size_t total, std::size_t& written) {
  Result<std::unique_ptr<Stream>> stream = co_await session.open_unidirectional();
  while (stream && written < total) {
    const Result<void> sent = co_await (*stream)->write(pattern_bytes(written, 16 * 1024));
    if (!sent) co_return;
    written += 16 * 1024;
  }
  co_await session.wait_until_ended();
}

/// Of one connection: `stuck` is not read on the server, the other echoes.
struct Neighbours {
  std::unique_ptr<Session> stuck;
  std::unique_ptr<Session> other;
  std::array<std::size_t, 3> written{};
  bool ready = false;
};

Task<void> open_both(Client& client, Neighbours& both) {
  webtransport::ClientOptions options;
  options.carrier(webtransport::Carrier::http3);
  Result<std::unique_ptr<Session>> stuck =
      co_await client.webtransport(ClientRequest("https://server/hold"), options);
  Result<std::unique_ptr<Session>> other =
      co_await client.webtransport(ClientRequest("https://server/echo"), options);
  if (stuck && other) {
    both.stuck = std::move(*stuck);
    both.other = std::move(*other);
  }
  both.ready = true;
}

TEST(WebTransportFlowControl, ASessionThatIsNotReadHoldsUpNoOther) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms).mbps(50));
  webtransport::route(scene.router, "/hold", hold);
  webtransport::route(scene.router, "/echo", echo);
  scene.serve();
  Neighbours both;
  Scope scope(scene.client_host.runtime().ready());
  scope.spawn(open_both(scene.client(), both));
  ASSERT_TRUE(wait(scene, both.ready));
  ASSERT_TRUE(both.stuck && both.other);
  // More streams than would use up the connection's window, if it were theirs.
  for (std::size_t& written : both.written) {
    scope.spawn(push(*both.stuck, 4'000'000, written));
  }
  scene.world.run_for(5s);
  // What the session may have, and what waits on each of its streams.
  const std::size_t total = both.written[0] + both.written[1] + both.written[2];
  EXPECT_GE(total, 512u * 1024);
  EXPECT_LE(total, (512u + 3 * (256u + 32u)) * 1024);
  std::size_t echoed = 0;
  for (std::size_t i = 0; i < 40; ++i) scope.spawn(ask(*both.other, 6, echoed));
  scene.world.run_for(10s);
  EXPECT_EQ(echoed, 40u);
  EXPECT_FALSE(both.stuck->ended());
  EXPECT_EQ(scene.client().connections().size(), 1u);
  both.stuck->close();
  both.other->close();
  scene.world.run_for(1s);
  scope.cancel();
}

/// Streams that are reset in mid-air, by either side: what was lost of them is credit again, so
/// that the session does not run dry.
Task<void> abandon_many(Session& session, std::size_t count, std::size_t& done) {
  for (; done < count; ++done) {
    Result<std::unique_ptr<Stream>> stream = co_await session.open_bidirectional();
    if (!stream) co_return;
    const Result<void> sent = co_await (*stream)->write(pattern_bytes(0, 100'000));
    if (!sent) continue;
    co_await session.runtime().sleep(15ms);
    // Its destructor resets what was not finished, and stops what comes.
  }
}

Task<void> stop_each(Session& session) {
  for (std::size_t i = 0;; ++i) {
    std::unique_ptr<Stream> stream = co_await session.accept_bidirectional();
    if (!stream) co_return;
    if (i % 2 == 0) stream->stop_sending(3);
    // The others are dropped with what has come of them.
  }
}

TEST(WebTransportFlowControl, StreamsThatAreResetGiveTheirCreditBack) {
  Scene scene;
  scene.link(LinkOptions().delay(20ms).mbps(20).queue_bytes(40'000).loss(0.02));
  webtransport::route(scene.router, "/stop", stop_each);
  webtransport::route(scene.router, "/echo", echo);
  scene.serve();
  std::optional<Result<std::unique_ptr<Session>>> opened;
  Scope scope(scene.client_host.runtime().ready());
  scope.spawn(
      [](Client& client, std::optional<Result<std::unique_ptr<Session>>>& out) -> Task<void> {
        webtransport::ClientOptions options;
        options.carrier(webtransport::Carrier::http3);
        out.emplace(co_await client.webtransport(ClientRequest("https://server/stop"), options));
      }(scene.client(), opened));
  ASSERT_TRUE(scene.world.run_until([&] { return opened.has_value(); }));
  ASSERT_TRUE(*opened);
  Session& session = ***opened;
  std::size_t done = 0;
  // Thirty times the session's first window.
  scope.spawn(abandon_many(session, 150, done));
  ASSERT_TRUE(scene.world.run_until([&] { return done == 150 || session.ended(); }, 300s));
  EXPECT_EQ(done, 150u);
  EXPECT_FALSE(session.ended());
  session.close();
  scene.world.run_for(1s);
  scope.cancel();
}

TEST(WebTransportOverWebSocket, AWebSocketOfAnotherKindIsSentAway) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  webtransport::route(scene.router, "/echo", echo);
  scene.serve();
  bool done = false;
  std::optional<http::WebSocketClose> end;
  Scope scope(scene.client_host.runtime().ready());
  scope.spawn(
      [](Client& client, bool& over, std::optional<http::WebSocketClose>& close) -> Task<void> {
        ClientRequest request("wss://server/echo");
        auto socket = co_await client.websocket(std::move(request), http::WebSocketOptions());
        if (socket) {
          const auto message = co_await (*socket)->receive();
          close = (*socket)->closed();
        }
        over = true;
      }(scene.client(), done, end));
  ASSERT_TRUE(wait(scene, done));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, 1008);
}

}  // namespace
}  // namespace tern::sim
