// The server on TCP, in virtual time: ALPN, Alt-Svc, clear text, limits, drain, certificates.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/client.h"
#include "gateway/server.h"
#include "http/fallback/context.h"
#include "transport/sim/world.h"
#include "transport/tls/development.h"
#include "transport/tls/secure_stream.h"

namespace tern {
namespace {

using namespace std::chrono_literals;
using fallback::Protocol;

const tls::Identity& stream_authority() {
  static const tls::Identity made = *tls::make_authority(
      tls::DevelopmentOptions(sim::World::kUnixEpoch).key_type(tls::KeyType::ed25519).days(3650));
  return made;
}

tls::Certificate stream_leaf() {
  static const tls::Identity made =
      *tls::make_leaf(stream_authority(), tls::DevelopmentOptions(sim::World::kUnixEpoch)
                                              .key_type(tls::KeyType::ed25519)
                                              .days(365)
                                              .names({"server"}));
  return *tls::Certificate::parse(made.certificate, made.key);
}

Task<void> say_protocol(http::Exchange& exchange) {
  if (exchange.request().path == "/slow") co_await exchange.runtime().sleep(3s);
  http::Response response;
  response.field("x-protocol", exchange.protocol());
  response.field("x-scheme", exchange.request().scheme);
  if (exchange.request().path == "/own") response.field("alt-svc", "clear");
  co_await exchange.respond(std::move(response).text("hello"));
}

struct Answer {
  bool done = false;
  std::optional<Error> error;
  int status = 0;
  http::Fields fields;
  std::string body;
  std::string_view field(std::string_view name) const {
    return fields.find(name).value_or(std::string_view("none"));
  }
};

Task<void> fetch(std::shared_ptr<http::ClientExchange> exchange, std::string path,
                 std::shared_ptr<Answer> answer) {
  http::RequestHead head;
  head.authority = "server";
  head.path = std::move(path);
  co_await exchange->send(head, true);
  auto response = co_await exchange->response();
  if (!response) {
    answer->error = response.error();
    answer->done = true;
    co_return;
  }
  answer->status = http::code(response->status());
  answer->fields = response->fields();
  auto body = co_await exchange->read_all();
  if (body) answer->body = *body;
  answer->done = true;
}

/// A connection of a client's: TCP, TLS perhaps, a session.
class Dialed final : public tcp::StreamSink {
 public:
  std::unique_ptr<tcp::Stream> stream;
  std::string alpn;
  bool is_connected = false;
  std::optional<Error> error;
  fallback::Session* session = nullptr;
  bool closed = false;

 private:
  void connected(tcp::Stream& on) override {
    is_connected = true;
    if (auto* secure = dynamic_cast<tls::SecureStream*>(&on)) alpn = secure->handshake().alpn;
  }
  void receive(tcp::Stream&, MutableBytes) override {}
  void end_of_stream(tcp::Stream&) override { error = Error::closed(); }
  void failed(tcp::Stream&, const Error& failure) override { error = failure; }
};

class StreamServerTest : public ::testing::Test {
 protected:
  StreamServerTest() {
    world.link(client_host(), server_host(), sim::LinkOptions().delay(10ms));
    sessions.emplace(client_host().runtime());
  }
  ~StreamServerTest() override {
    sessions.reset();
    dialed.clear();
    client.reset();
    server.reset();
  }
  sim::Host& server_host() { return world.host("server"); }
  sim::Host& client_host() { return world.host("client"); }

  void serve(ServerOptions options) {
    server.reset();
    server.emplace(std::move(options.certificate(stream_leaf())));
    const auto started =
        server->start(server_host().runtime(), server_host().network(), say_protocol);
    ASSERT_TRUE(started) << started.error().to_string();
  }

  Dialed& dial(std::vector<std::string> alpn, std::uint16_t port = 443) {
    dialed.push_back(std::make_unique<Dialed>());
    Dialed& made = *dialed.back();
    tcp::ConnectOptions connect;
    connect.remote = server_host().v4(port);
    if (alpn.size() == 1 && alpn[0].empty()) {
      made.stream = *client_host().network().tcp().connect(connect, made);
    } else {
      tls::SecureClientOptions options;
      options.server_name("server").alpn(std::move(alpn));
      auto context = *tls::ClientContext::create(
          tls::ClientContextOptions().ca_pem(stream_authority().certificate));
      made.stream =
          *tls::SecureStream::connect(client_host().runtime(), client_host().network().tcp(),
                                      connect, std::move(context), options, made);
    }
    world.run_until([&] { return made.is_connected || made.error; }, 20s);
    return made;
  }
  void begin(Dialed& on, Protocol protocol) {
    ASSERT_TRUE(on.is_connected);
    fallback::ClientHooks hooks;
    hooks.closed = [&on](const Error&) {
      on.session = nullptr;
      on.closed = true;
    };
    on.session = &sessions->connect(std::move(on.stream), protocol, std::move(hooks));
  }
  std::shared_ptr<Answer> start(Dialed& on, std::string path) {
    auto answer = std::make_shared<Answer>();
    std::shared_ptr<http::ClientExchange> exchange = std::move(*on.session->open());
    client_host().runtime().spawn(fetch(std::move(exchange), std::move(path), answer));
    return answer;
  }
  Answer ask(Dialed& on, std::string path) {
    auto answer = start(on, std::move(path));
    EXPECT_TRUE(world.run_until([&] { return answer->done; }));
    return *answer;
  }
  std::uint64_t count(std::string_view name) {
    return server_host().runtime().counters().at(name).value();
  }

  sim::World world{1};
  std::optional<Server> server;
  std::optional<fallback::Context> sessions;
  std::optional<Client> client;
  std::vector<std::unique_ptr<Dialed>> dialed;
};

TEST_F(StreamServerTest, AlpnChoosesAndEveryAnswerNamesHttp3) {
  serve(ServerOptions().listen("[::]:443"));
  Dialed& h2 = dial({"http/1.1", "h2"});  // the server's preference counts
  EXPECT_EQ(h2.alpn, "h2");
  begin(h2, Protocol::http2);
  const Answer second = ask(h2, "/");
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(second.body, "hello");
  EXPECT_EQ(second.field("x-protocol"), "h2");
  EXPECT_EQ(second.field("x-scheme"), "https");
  EXPECT_EQ(second.field("alt-svc"), "h3=\":443\"; ma=86400");

  Dialed& h1 = dial({"http/1.1"});
  EXPECT_EQ(h1.alpn, "http/1.1");
  begin(h1, Protocol::http1);
  const Answer first = ask(h1, "/");
  EXPECT_EQ(first.field("x-protocol"), "http/1.1");
  EXPECT_EQ(first.field("x-scheme"), "https");
  EXPECT_EQ(first.field("alt-svc"), "h3=\":443\"; ma=86400");
  // What a handler says itself stands.
  EXPECT_EQ(ask(h1, "/own").field("alt-svc"), "clear");
  EXPECT_EQ(ask(h2, "/own").field("alt-svc"), "clear");
  EXPECT_EQ(count("server.tls.handshakes"), 2u);
  EXPECT_EQ(count("server.tcp.accepted"), 2u);
}

TEST_F(StreamServerTest, WhoForgetsTlsIsToldSo) {
  serve(ServerOptions().listen("[::]:443"));
  Dialed& on = dial({""});
  begin(on, Protocol::http1);
  const Answer answer = ask(on, "/");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, ::testing::HasSubstr("https://"));
  EXPECT_TRUE(world.run_until([&] { return on.closed; }));
  EXPECT_EQ(count("server.tls.failed"), 1u);
}

TEST_F(StreamServerTest, NoAlpnIsHttp1) {
  serve(ServerOptions().listen("[::]:443"));
  Dialed& on = dial({});
  EXPECT_EQ(on.alpn, "");
  begin(on, Protocol::http1);
  EXPECT_EQ(ask(on, "/").body, "hello");
}

TEST_F(StreamServerTest, OtherProtocolsAreRefusedWithTheAlert) {
  serve(ServerOptions().listen("[::]:443"));
  Dialed& on = dial({"h3"});
  ASSERT_TRUE(on.error);
  EXPECT_EQ(on.error->domain, Domain::tls);
  EXPECT_EQ(on.error->code, 120u);  // no_application_protocol
  EXPECT_EQ(count("server.tls.failed"), 1u);
  world.run_for(1s);
  EXPECT_EQ(count("server.tcp.open"), 0u);
}

TEST_F(StreamServerTest, AltSvcIsWhatTheOptionSays) {
  serve(ServerOptions().listen("[::]:443").alt_svc("h3=\":8443\""));
  Dialed& on = dial({"h2"});
  begin(on, Protocol::http2);
  EXPECT_EQ(ask(on, "/").field("alt-svc"), "h3=\":8443\"");
  server.reset();
  serve(ServerOptions().listen("[::]:443").alt_svc(""));
  Dialed& again = dial({"http/1.1"});
  begin(again, Protocol::http1);
  EXPECT_EQ(ask(again, "/").field("alt-svc"), "none");
}

TEST_F(StreamServerTest, ClearTextSpeaksWhateverTheClientDoes) {
  serve(ServerOptions().listen("[::]:443").cleartext("0.0.0.0:80"));
  ASSERT_EQ(server->cleartext_addresses().size(), 1u);
  EXPECT_EQ(server->cleartext_addresses()[0].port(), 80);
  for (const Protocol protocol : {Protocol::http1, Protocol::http2}) {
    Dialed& on = dial({""}, 80);
    begin(on, protocol);
    const Answer answer = ask(on, "/");
    EXPECT_EQ(answer.field("x-protocol"), protocol == Protocol::http1 ? "http/1.1" : "h2");
    EXPECT_EQ(answer.field("alt-svc"), "none");  // anybody could say it there
  }
}

TEST_F(StreamServerTest, WithoutTcpNobodyIsThere) {
  serve(ServerOptions().listen("[::]:443").tcp(false));
  EXPECT_FALSE(server->tcp());
  Dialed& on = dial({"h2"});
  ASSERT_TRUE(on.error);
  EXPECT_EQ(on.error->domain, Domain::os);
  EXPECT_EQ(on.error->code, static_cast<std::uint64_t>(ECONNREFUSED));
}

TEST_F(StreamServerTest, ConnectionsCountTogether) {
  serve(ServerOptions().listen("[::]:443").max_connections(2));
  Dialed& first = dial({"h2"});
  begin(first, Protocol::http2);
  EXPECT_EQ(ask(first, "/").status, 200);
  client.emplace(client_host().runtime(), client_host().network(),
                 ClientOptions().ca_pem(stream_authority().certificate));
  const auto over_quic = client_host().runtime().block_on(client->get("https://server/"));
  EXPECT_TRUE(over_quic) << over_quic.error().to_string();
  Dialed& third = dial({"h2"});
  EXPECT_TRUE(third.error);
  EXPECT_EQ(count("server.tcp.refused"), 1u);
  // And the other way round.
  serve(ServerOptions().listen("[::]:443").max_connections(1));
  Dialed& only = dial({"h2"});
  begin(only, Protocol::http2);
  EXPECT_EQ(ask(only, "/").status, 200);
  client.emplace(client_host().runtime(), client_host().network(),
                 ClientOptions().ca_pem(stream_authority().certificate));
  const std::uint64_t refused = count("quic.connections_refused");
  auto late = client_host().runtime().block_on(client->get("https://server/"));
  EXPECT_GT(count("quic.connections_refused"), refused);
}

TEST_F(StreamServerTest, DrainWaitsForRequests) {
  serve(ServerOptions().listen("[::]:443"));
  Dialed& idle = dial({"http/1.1"});
  begin(idle, Protocol::http1);
  EXPECT_EQ(ask(idle, "/").status, 200);
  Dialed& busy1 = dial({"http/1.1"});
  begin(busy1, Protocol::http1);
  Dialed& busy2 = dial({"h2"});
  begin(busy2, Protocol::http2);
  auto slow1 = start(busy1, "/slow");
  auto slow2 = start(busy2, "/slow");
  world.run_for(100ms);
  EXPECT_EQ(count("server.tcp.open"), 3u);
  server->drain();
  world.run_for(500ms);
  EXPECT_TRUE(idle.closed);
  EXPECT_FALSE(server->stopped());
  Dialed& late = dial({"h2"});
  EXPECT_TRUE(late.error);
  world.run_until([&] { return slow1->done && slow2->done; });
  EXPECT_EQ(slow1->body, "hello");
  EXPECT_EQ(slow2->body, "hello");
  EXPECT_TRUE(world.run_until([&] { return server->stopped(); }, 5s));
}

TEST_F(StreamServerTest, StopClosesEverything) {
  serve(ServerOptions().listen("[::]:443"));
  Dialed& on = dial({"h2"});
  begin(on, Protocol::http2);
  auto slow = start(on, "/slow");
  world.run_for(100ms);
  server->stop();
  EXPECT_TRUE(world.run_until([&] { return server->stopped() && on.closed; }, 2s));
  EXPECT_TRUE(slow->error);
}

TEST_F(StreamServerTest, AnyPortIsTheSameOnBoth) {
  serve(ServerOptions().listen("[::]:0"));
  const std::uint16_t port = server->addresses().front().port();
  EXPECT_NE(port, 0);
  Dialed& on = dial({"h2"}, port);
  begin(on, Protocol::http2);
  EXPECT_EQ(ask(on, "/").field("alt-svc"), "h3=\":" + std::to_string(port) + "\"; ma=86400");
}

TEST_F(StreamServerTest, HandshakesHaveALimit) {
  serve(ServerOptions().listen("[::]:443"));
  // Somebody who connects and says nothing.
  Dialed& silent = dial({""}, 443);
  EXPECT_TRUE(silent.is_connected);
  EXPECT_TRUE(world.run_until([&] { return silent.error.has_value(); }, 30s));
  world.run_for(1s);
  EXPECT_EQ(count("server.tls.failed"), 1u);
  EXPECT_EQ(count("server.tcp.open"), 0u);
}

}  // namespace
}  // namespace tern
