#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scene.h"
#include "webtransport/client.h"
#include "webtransport/server.h"
#include "webtransport/session.h"

/// What a server allows its sessions: how many, how long without a word, and how they end when it
/// goes away. On every carrier.

namespace tern::sim {
namespace {

using webtransport::Session;
using webtransport::Stream;

constexpr const char* kPageOrigin = "https://page.example";

webtransport::Carrier carrier_for(std::string_view name) {
  if (name == "h3") return webtransport::Carrier::http3;
  return name == "h2" ? webtransport::Carrier::http2 : webtransport::Carrier::websocket;
}

/// A client's session, and what became of it.
class Guest {
 public:
  Guest(Scene& scene, std::string carrier, std::string path, std::string origin = {})
      : scope_(scene.client_host.runtime().ready()) {
    scope_.spawn(run(scene.client(), std::move(carrier), std::move(path), std::move(origin)));
  }

  int status() const { return refused ? static_cast<int>(refused->code) : session ? 200 : 0; }

  std::unique_ptr<Session> session;
  std::optional<Error> refused;
  std::optional<webtransport::SessionClose> close;

 private:
  Task<void> run(Client& client, std::string carrier, std::string path, std::string origin) {
    ClientRequest request("https://server" + path);
    if (!origin.empty()) request.field("origin", origin);
    webtransport::ClientOptions options;
    options.carrier(carrier_for(carrier));
    Result<std::unique_ptr<Session>> opened =
        co_await client.webtransport(std::move(request), std::move(options));
    if (!opened) {
      refused = opened.error();
      co_return;
    }
    session = std::move(*opened);
    co_await session->wait_until_ended();
    close = *session->closed();
  }
  Scope scope_;
};

/// Reads everything and waits for the end.
Task<void> swallow(std::unique_ptr<Stream> stream) { co_await stream->read_all(SIZE_MAX); }
Task<void> accept_all(Session& session, Scope& scope) {
  while (auto stream = co_await session.accept_unidirectional()) {
    scope.spawn(swallow(std::move(stream)));
  }
}
Task<void> sit(Session& session) {
  Scope scope(session.runtime().ready());
  scope.spawn(accept_all(session, scope));
  co_await session.wait_until_ended();
}

class WebTransportServer : public testing::TestWithParam<std::string> {
 public:
  WebTransportServer() {
    scene.use_client(scene.client_options().protocols(ClientProtocols::automatic));
  }
  void serve(webtransport::ServerOptions options) {
    scene.link(LinkOptions().delay(10ms));
    webtransport::route(scene.router, "/sit", sit, std::move(options));
    scene.router.get("/page", [](http::Exchange& exchange) -> Task<void> {
      co_await exchange.respond(http::Status::ok, "a page\n");
    });
    scene.serve();
  }
  Guest& visit(std::string origin = {}, std::string path = "/sit") {
    return visits.emplace_back(scene, GetParam(), std::move(path), std::move(origin));
  }
  /// The answer's status.
  int outcome(Guest& who) {
    scene.world.run_until([&] { return who.status() != 0; }, 10s);
    return who.status();
  }
  Duration until_closed(Guest& who, Duration limit = 60s) {
    const Duration begun = scene.world.elapsed();
    EXPECT_TRUE(scene.world.run_until([&] { return who.close.has_value(); }, limit));
    return scene.world.elapsed() - begun;
  }

  Scene scene;
  std::deque<Guest> visits;
};

TEST_P(WebTransportServer, AnIdleSessionIsReaped) {
  serve(webtransport::ServerOptions().idle_timeout(4s));
  Guest& idle = visit();
  ASSERT_EQ(outcome(idle), 200);
  const Duration took = until_closed(idle);
  EXPECT_GE(took, 3900ms);
  EXPECT_LE(took, 5200ms);
  EXPECT_EQ(idle.close->code, 0u);
  EXPECT_EQ(idle.close->reason, "idle");
  EXPECT_EQ(idle.close->by, Origin::remote);
  scene.world.run_for(1s);
  EXPECT_EQ(scene.server_counter("webtransport.idle"), 1u);
  EXPECT_EQ(scene.server_counter("webtransport.closed"), 1u);
}

Task<void> trickle(Session& session) {
  const Result<std::unique_ptr<Stream>> stream = co_await session.open_unidirectional();
  if (!stream) co_return;
  for (int i = 0; i < 10; ++i) {
    co_await (*stream)->write(Bytes::literal("."));
    co_await session.runtime().sleep(1s);
  }
}

TEST_P(WebTransportServer, OneStreamThatTricklesIsNoIdleSession) {
  serve(webtransport::ServerOptions().idle_timeout(4s));
  Guest& busy = visit();
  ASSERT_EQ(outcome(busy), 200);
  Scope scope(scene.client_host.runtime().ready());
  scope.spawn(trickle(*busy.session));
  scene.world.run_for(10s);
  EXPECT_FALSE(busy.close);
  EXPECT_GE(until_closed(busy), 2s);
  EXPECT_EQ(busy.close->reason, "idle");
}

TEST_P(WebTransportServer, DatagramsKeepASessionAlive) {
  serve(webtransport::ServerOptions().idle_timeout(4s));
  Guest& busy = visit();
  ASSERT_EQ(outcome(busy), 200);
  for (int i = 0; i < 10; ++i) {
    busy.session->send_datagram(Bytes::literal("here"));
    scene.world.run_for(1s);
    ASSERT_FALSE(busy.close);
  }
  until_closed(busy);
}

TEST_P(WebTransportServer, WithoutATimeoutNothingIsReaped) {
  // What is beneath would end a silent connection after 30 s.
  serve(webtransport::ServerOptions().idle_timeout(0s));
  Guest& idle = visit();
  ASSERT_EQ(outcome(idle), 200);
  scene.world.run_for(300s);
  EXPECT_FALSE(idle.close);
  EXPECT_TRUE(idle.session->send_datagram(Bytes::literal("still here")));
}

TEST_P(WebTransportServer, TooManyOnOneConnectionGet429) {
  serve(webtransport::ServerOptions().max_sessions_per_connection(2));
  Guest& first = visit();
  ASSERT_EQ(outcome(first), 200);
  ASSERT_EQ(outcome(visit()), 200);
  EXPECT_EQ(outcome(visit()), 429);
  first.session->close();
  until_closed(first);
  scene.world.run_for(1s);
  EXPECT_EQ(outcome(visit()), 200);
}

TEST_P(WebTransportServer, TooManyOfOneOriginGet429) {
  serve(webtransport::ServerOptions()
            .max_sessions_per_origin(2)
            .allow_origin(kPageOrigin)
            .allow_origin("https://other.example"));
  Guest& first = visit(kPageOrigin);
  ASSERT_EQ(outcome(first), 200);
  ASSERT_EQ(outcome(visit(kPageOrigin)), 200);
  EXPECT_EQ(outcome(visit(kPageOrigin)), 429);
  EXPECT_EQ(outcome(visit("https://other.example")), 200);
  EXPECT_EQ(outcome(visit()), 200);  // a program
  EXPECT_EQ(outcome(visit("https://foreign.example")), 403);
  first.session->close();
  until_closed(first);
  scene.world.run_for(1s);
  EXPECT_EQ(outcome(visit(kPageOrigin)), 200);
  EXPECT_EQ(
      scene.server_counter("webtransport.refused") + scene.server_counter("websocket.refused"), 2u);
}

TEST_P(WebTransportServer, WhereNoSessionsAreIsSaid) {
  serve(webtransport::ServerOptions());
  EXPECT_EQ(outcome(visit({}, "/page")), 405);
  EXPECT_EQ(outcome(visit({}, "/nowhere")), 404);
  EXPECT_EQ(scene.fetch("/sit").status, 405);
}

TEST_P(WebTransportServer, AServerThatGoesAwayTellsAndThenEnds) {
  serve(webtransport::ServerOptions().drain_grace(2s));
  Guest& stays = visit();
  Guest& leaves = visit();
  ASSERT_EQ(outcome(stays), 200);
  ASSERT_EQ(outcome(leaves), 200);
  scene.server().drain();
  ASSERT_TRUE(scene.world.run_until(
      [&] { return stays.session->draining() && leaves.session->draining(); }, 1s));
  leaves.session->close(7, "as asked");
  EXPECT_LT(until_closed(leaves), 500ms);
  // Everything goes on meanwhile.
  EXPECT_TRUE(stays.session->send_datagram(Bytes::literal("still here")));
  const Duration took = until_closed(stays);
  EXPECT_GE(took, 1500ms);
  EXPECT_LE(took, 2200ms);
  EXPECT_EQ(stays.close->code, 0u);
  EXPECT_EQ(stays.close->reason, "the server is going away");
  EXPECT_EQ(stays.close->by, Origin::remote);
  ASSERT_TRUE(scene.world.run_until([&] { return scene.server().stopped(); }, 4s));
}

TEST_P(WebTransportServer, AHandlerHearsThatTheServerGoesAway) {
  scene.link(LinkOptions().delay(10ms));
  webtransport::route(scene.router, "/sit", [](Session& session) -> Task<void> {
    co_await session.wait_until_draining();
    session.close(9, "bye");
  });
  scene.serve();
  Guest& guest = visit();
  ASSERT_EQ(outcome(guest), 200);
  scene.world.run_for(1s);
  ASSERT_FALSE(guest.close);
  scene.server().drain();
  EXPECT_LT(until_closed(guest), 500ms);
  EXPECT_EQ(guest.close->code, 9u);
}

INSTANTIATE_TEST_SUITE_P(Carriers, WebTransportServer, testing::Values("h3", "h2", "websocket"),
                         [](const testing::TestParamInfo<std::string>& carrier) {
                           return carrier.param;
                         });

}  // namespace
}  // namespace tern::sim
