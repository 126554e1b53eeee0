#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scene.h"
#include "webtransport/server.h"

/// Which carrier a client's session takes: HTTP/3, HTTP/2 or WebSocket (docs/webtransport.md).

namespace tern::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using webtransport::Carrier;
using webtransport::Session;
using Type = ClientEvent::Type;

/// The first stream's bytes come back on it.
Task<void> echo_streams(Session& session) {
  for (;;) {
    std::unique_ptr<webtransport::Stream> stream = co_await session.accept_bidirectional();
    if (!stream) break;
    Result<std::string> text = co_await stream->read_all();
    if (text) co_await stream->finish(Bytes::take(std::move(*text)));
  }
}

struct SessionVisit {
  bool open = false;
  bool done = false;
  std::optional<Error> refused;
  std::string carrier;
  bool reliable = false;
  std::string answer;
  std::optional<webtransport::SessionClose> end;
};

/// One echo, then `stay`; a session that ends meanwhile ends the stay.
Task<void> visit_session(Client& client, ClientRequest request, webtransport::ClientOptions options,
                         Duration stay, SessionVisit& seen) {
  auto opened = co_await client.webtransport(std::move(request), std::move(options));
  if (!opened) {
    seen.refused = opened.error();
    seen.done = true;
    co_return;
  }
  Session& session = **opened;
  seen.carrier = session.carrier();
  seen.reliable = session.datagrams_are_reliable();
  seen.open = true;
  auto stream = co_await session.open_bidirectional();
  if (stream) {
    co_await (*stream)->finish(Bytes::copy(std::string_view("hello")));
    Result<std::string> answer = co_await (*stream)->read_all();
    if (answer) seen.answer = *answer;
  }
  const Timestamp until = session.runtime().now() + stay;
  while (!session.ended() && session.runtime().now() < until) co_await session.runtime().sleep(1s);
  session.close();
  co_await session.wait_until_ended();
  seen.end = *session.closed();
  seen.done = true;
}

struct Rungs : Scene {
  Rungs() : wire(link(LinkOptions().delay(10ms).mbps(50))) {
    webtransport::route(router, "/wt", echo_streams);
    use(ClientProtocols::automatic);
  }
  void use(ClientProtocols protocols) { use_client(client_options().protocols(protocols)); }

  ServerOptions rungs(bool h3, bool h2) {
    ServerOptions options = server_options();
    options.http3().extended_connect = h3;
    fallback::SessionOptions tcp;
    tcp.extended_connect = h2;
    options.fallback(tcp);
    return options;
  }
  SessionVisit& begin(const std::string& url, Carrier carrier, Duration stay = 0s) {
    visits_.emplace_back();
    scope_.spawn(visit_session(client(), ClientRequest(url),
                               webtransport::ClientOptions().carrier(carrier), stay,
                               visits_.back()));
    return visits_.back();
  }
  SessionVisit& go(Carrier carrier = Carrier::automatic,
                   const std::string& url = "https://server/wt") {
    SessionVisit& seen = begin(url, carrier);
    EXPECT_TRUE(world.run_until([&] { return seen.done; }, 60s));
    return seen;
  }
  /// What it ran over, or why it did not.
  std::string carrier(Carrier wanted = Carrier::automatic,
                      const std::string& url = "https://server/wt") {
    const SessionVisit& seen = go(wanted, url);
    if (seen.refused) return seen.refused->to_string();
    EXPECT_EQ(seen.answer, "hello");
    EXPECT_EQ(seen.reliable, seen.carrier != "h3");
    EXPECT_TRUE(seen.end && !seen.end->error);
    return seen.carrier;
  }
  std::vector<std::string> open_connections() {
    std::vector<std::string> all;
    for (const auto& info : client().connections()) {
      if (info.open) all.push_back(info.handshake.alpn);
    }
    return all;
  }
  std::vector<std::string> falls() {
    std::vector<std::string> all;
    for (const ClientEvent& event : events) {
      if (event.type == Type::falling_back) all.push_back(event.text);
    }
    events.clear();
    return all;
  }

  Link& wire;

 private:
  std::deque<SessionVisit> visits_;
  Scope scope_{client_host.runtime().ready()};
};

constexpr char kNoneInHttp3[] = "the server has no WebTransport over HTTP/3";
constexpr char kNoneInHttp2[] = "the server has no WebTransport over HTTP/2";

TEST(WebTransportLadder, EachCarrierByItself) {
  Rungs scene;
  scene.serve();
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(scene.carrier(Carrier::automatic), "h3");
    EXPECT_EQ(scene.carrier(Carrier::http2), "h2");
    EXPECT_EQ(scene.carrier(Carrier::websocket), "websocket");
    EXPECT_EQ(scene.carrier(Carrier::http3), "h3");
    EXPECT_EQ(scene.carrier(Carrier::automatic, "wt://server/wt"), "h3");
  }
  EXPECT_THAT(scene.open_connections(), ElementsAre("h3", "h2")) << "one each, for both rounds";
  EXPECT_THAT(scene.falls(), ElementsAre());
}

TEST(WebTransportLadder, Http2WhereUdpIsBlocked) {
  Rungs scene;
  scene.wire.block_udp();
  scene.serve();
  EXPECT_EQ(scene.carrier(), "h2");
  EXPECT_THAT(scene.falls(), ElementsAre("no answer over UDP yet"));
  // The second one knows: nothing is raced any more.
  const Duration before = scene.world.elapsed();
  EXPECT_EQ(scene.carrier(), "h2");
  EXPECT_LT(scene.world.elapsed() - before, 200ms);
  EXPECT_THAT(scene.falls(), ElementsAre());
}

TEST(WebTransportLadder, WebSocketWhereUdpIsBlockedAndHttp2HasNone) {
  Rungs scene;
  scene.wire.block_udp();
  scene.serve(scene.rungs(true, false));
  EXPECT_EQ(scene.carrier(), "websocket");
  EXPECT_THAT(scene.falls(), ElementsAre("no answer over UDP yet", kNoneInHttp2,
                                         "the server has no WebSockets over HTTP/2"));
}

TEST(WebTransportLadder, Http2BesideAnHttp3ThatHasNone) {
  Rungs scene;
  scene.serve(scene.rungs(false, true));
  EXPECT_EQ(scene.fetch("/hello").text, "hello over h3");
  EXPECT_EQ(scene.carrier(), "h2");
  EXPECT_EQ(scene.carrier(), "h2");
  EXPECT_EQ(scene.fetch("/hello").text, "hello over h3");
  EXPECT_THAT(scene.open_connections(), ElementsAre("h3", "h2"));
  EXPECT_THAT(scene.falls(), ElementsAre(kNoneInHttp3, kNoneInHttp3));
}

TEST(WebTransportLadder, WebSocketWhereNeitherHasAny) {
  Rungs scene;
  scene.serve(scene.rungs(false, false));
  EXPECT_EQ(scene.carrier(), "websocket");
  EXPECT_THAT(scene.falls(),
              ElementsAre(kNoneInHttp3, kNoneInHttp2, "the server has no WebSockets over HTTP/3",
                          "the server has no WebSockets over HTTP/2"));
  // HTTP/2 is not asked again.
  EXPECT_EQ(scene.carrier(), "websocket");
  EXPECT_THAT(scene.falls(), ElementsAre(kNoneInHttp3, "the server has no WebSockets over HTTP/3"));
}

TEST(WebTransportLadder, WhoWantsOneCarrierGetsNoOther) {
  Rungs scene;
  scene.serve(scene.rungs(false, false));
  for (const Carrier each : {Carrier::http3, Carrier::http2}) {
    const SessionVisit& seen = scene.go(each);
    ASSERT_TRUE(seen.refused);
    EXPECT_TRUE(seen.refused->is(Code::unsupported)) << seen.refused->to_string();
  }
  EXPECT_THAT(scene.falls(), ElementsAre());
}

TEST(WebTransportLadder, AConnectionForNothingButSessionsEndsWithoutThem) {
  Rungs scene;
  scene.serve(scene.rungs(false, false));
  EXPECT_TRUE(scene.go(Carrier::http3).refused);
  EXPECT_THAT(scene.open_connections(), ElementsAre());
  // One that pages come over stays.
  EXPECT_EQ(scene.fetch("/hello").text, "hello over h3");
  EXPECT_TRUE(scene.go(Carrier::http3).refused);
  EXPECT_THAT(scene.open_connections(), ElementsAre("h3"));
}

TEST(WebTransportLadder, Http3AloneWaitsForIt) {
  Rungs scene;
  scene.wire.block_udp();
  scene.serve();
  EXPECT_EQ(scene.fetch("/hello").text, "hello over h2");
  const SessionVisit& seen = scene.go(Carrier::http3);
  ASSERT_TRUE(seen.refused);
  EXPECT_TRUE(seen.refused->is(Code::timed_out)) << seen.refused->to_string();
}

/// Each version of HTTP that the client's options leave.
TEST(WebTransportLadder, WithinTheClientsProtocols) {
  Rungs scene;
  scene.serve();
  for (const auto& [protocols, carrier] : std::vector<std::pair<ClientProtocols, std::string>>{
           {ClientProtocols::http3_only, "h3"},
           {ClientProtocols::http2, "h2"},
           {ClientProtocols::http2_only, "h2"},
           {ClientProtocols::http1, "websocket"}}) {
    scene.use(protocols);
    EXPECT_EQ(scene.carrier(), carrier);
  }
  const SessionVisit& seen = scene.go(Carrier::http3);
  ASSERT_TRUE(seen.refused);
  EXPECT_THAT(seen.refused->detail, HasSubstr("HTTP/3 alone is asked for"));
  scene.use(ClientProtocols::http3_only);
  const SessionVisit& other = scene.go(Carrier::http2);
  ASSERT_TRUE(other.refused);
  EXPECT_THAT(other.refused->detail, HasSubstr("HTTP/2 alone is asked for"));
}

/// A session dies with its path; the next one finds another way, and the one after knows it.
TEST(WebTransportLadder, UdpThatIsBlockedLater) {
  Rungs scene;
  scene.serve();
  ClientOptions options = scene.client_options().protocols(ClientProtocols::automatic);
  options.transport().idle_timeout = 5s;
  scene.use_client(std::move(options));
  SessionVisit& first = scene.begin("https://server/wt", Carrier::automatic, 60s);
  ASSERT_TRUE(scene.world.run_until([&] { return first.open; }));
  scene.world.run_for(1s);
  scene.wire.block_udp();
  ASSERT_TRUE(scene.world.run_until([&] { return first.done; }, 30s));
  EXPECT_EQ(first.carrier, "h3");
  EXPECT_EQ(first.answer, "hello");
  ASSERT_TRUE(first.end && first.end->error);
  EXPECT_EQ(scene.carrier(), "h2");
  EXPECT_EQ(scene.carrier(), "h2");
}

TEST(WebTransportLadder, UdpThatComesBack) {
  Rungs scene;
  scene.wire.block_udp();
  scene.serve();
  EXPECT_EQ(scene.carrier(), "h2");
  scene.wire.block_udp(false);
  scene.world.run_for(6min);
  EXPECT_EQ(scene.fetch("/hello").text.substr(0, 10), "hello over");
  scene.world.run_for(2s);
  EXPECT_EQ(scene.carrier(), "h3");
}

TEST(WebTransportLadder, WithoutTlsThereIsWebSocketAlone) {
  Rungs scene;
  ServerOptions options = scene.server_options();
  options.cleartext("[::]:80");
  scene.serve(std::move(options));
  EXPECT_EQ(scene.carrier(Carrier::automatic, "http://server/wt"), "websocket");
  const SessionVisit& seen = scene.go(Carrier::http2, "http://server/wt");
  ASSERT_TRUE(seen.refused);
  EXPECT_THAT(seen.refused->detail, HasSubstr("want https://"));
}

/// A refusal is an answer: no other carrier is asked.
TEST(WebTransportLadder, RefusalsStand) {
  Rungs scene;
  scene.serve();
  for (const Carrier each : {Carrier::automatic, Carrier::http2, Carrier::websocket}) {
    const SessionVisit& seen = scene.go(each, "https://server/nowhere");
    ASSERT_TRUE(seen.refused);
    EXPECT_EQ(seen.refused->domain, Domain::http);
    EXPECT_EQ(seen.refused->code, 404u);
  }
  EXPECT_THAT(scene.falls(), ElementsAre());
}

}  // namespace
}  // namespace tern::sim
