#include <algorithm>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "gateway/http3_knowledge.h"
#include "http3/error_code.h"
#include "tests/sim/scene.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/quic/connection.h"
#include "transport/sim/service_zone.h"
#include "transport/tls/server_context.h"

/// HTTPS records (RFC 9460): where a client goes by them, and that they never keep it waiting.

namespace tern::sim {
namespace {

constexpr Duration kLinkRtt = 20ms;

udp::ServiceRecord service(std::uint16_t priority, std::vector<std::string> alpn) {
  udp::ServiceRecord record;
  record.priority = priority;
  record.alpn = std::move(alpn);
  return record;
}

udp::ServiceRecord alias(std::string target) {
  udp::ServiceRecord record;
  record.priority = 0;
  record.target = std::move(target);
  return record;
}

struct Services : Scene {
  Services()
      : wire(link(LinkOptions().delay(kLinkRtt / 2).mbps(50))),
        zone(std::make_shared<ServiceZone>(client_host.runtime())) {}

  void go(ClientProtocols protocols = ClientProtocols::automatic) {
    use_client(client_options().protocols(protocols).services(zone));
  }
  std::string get(const std::string& url) {
    const auto response = client_host.runtime().block_on(client().get(url));
    return response ? response->protocol() : response.error().to_string();
  }
  std::string resolved() const {
    for (auto event = events.rbegin(); event != events.rend(); ++event) {
      if (event->type == ClientEvent::Type::resolved) return event->text;
    }
    return {};
  }

  Link& wire;
  std::shared_ptr<ServiceZone> zone;
};

TEST(HttpsRecords, APortOfTheirOwn) {
  Services scene;
  scene.world.alias("www.example", scene.server_host);
  scene.serve(std::move(scene.server_options().listen("[::]:8443")));
  udp::ServiceRecord record = service(1, {"h3", "h2"});
  record.port = 8443;
  scene.zone->add("www.example", record);
  for (const auto& [protocols, spoken] :
       {std::pair(ClientProtocols::automatic, "h3"), std::pair(ClientProtocols::http2, "h2")}) {
    scene.go(protocols);
    EXPECT_EQ(scene.get("https://www.example/hello"), spoken);
    EXPECT_EQ(scene.connection().path.remote.port(), 8443);
    EXPECT_TRUE(scene.resolved().ends_with(" by its HTTPS record")) << scene.resolved();
  }
}

/// A server of HTTP/3 that has everything but answers: it wants another version of HTTP.
class Refusing final : public quic::Application {
 public:
  explicit Refusing(quic::Connection& connection) noexcept : connection_(connection) {}

  void handle(const quic::Event& event) override {
    if (event.type != quic::Event::Type::stream_data || event.stream % 4 != 0) return;
    const std::uint64_t code = http3::code(http3::ErrorCode::version_fallback);
    connection_.stop_sending(event.stream, code);
    connection_.reset(event.stream, code);
  }

 private:
  quic::Connection& connection_;
};

TEST(HttpsRecords, LeadToAServerThatWantsNoNewVersion) {
  Services scene;
  scene.world.alias("www.example", scene.server_host);
  scene.serve();
  const tls::DevelopmentOptions named =
      tls::DevelopmentOptions(World::kUnixEpoch).names({"www.example"});
  const auto authority = tls::make_authority(tls::DevelopmentOptions(World::kUnixEpoch));
  const auto leaf = tls::make_leaf(*authority, named);
  quic::EndpointOptions options;
  options.server_context = *tls::ServerContext::create(
      tls::ServerContextOptions()
          .certificate(*tls::Certificate::parse(leaf->certificate, leaf->key))
          .alpn({"h3"}));
  auto endpoint = *quic::BoundEndpoint::create(scene.server_host.runtime(),
                                               scene.server_host.network(), options);
  udp::SocketOptions socket;
  socket.bind = udp::Address::v6(in6addr_any, 4444);
  ASSERT_TRUE(endpoint->bind(socket));
  int connections = 0;
  endpoint->serve([&](quic::Connection& connection) {
    ++connections;
    return std::unique_ptr<quic::Application>(std::make_unique<Refusing>(connection));
  });
  udp::ServiceRecord record = service(1, {"h3"});
  record.port = 4444;
  scene.zone->add("www.example", record);
  const auto go = [&](ClientProtocols protocols) {
    scene.use_client(
        scene.client_options().insecure(true).protocols(protocols).services(scene.zone));
  };
  go(ClientProtocols::automatic);
  EXPECT_EQ(scene.get("https://www.example/hello"), "http/1.1");
  EXPECT_EQ(scene.get("https://www.example/hello"), "http/1.1") << "it is remembered";
  EXPECT_EQ(connections, 1);
  const auto fell = [](const ClientEvent& event) {
    return event.type == ClientEvent::Type::falling_back;
  };
  EXPECT_EQ(std::count_if(scene.events.begin(), scene.events.end(), fell), 1);
  scene.world.run_for(Http3Knowledge::kHttp1For + 1s);
  EXPECT_EQ(scene.get("https://www.example/hello"), "h3") << "not for ever; and Alt-Svc goes first";
  EXPECT_EQ(connections, 1);
  go(ClientProtocols::http3_only);
  EXPECT_NE(scene.get("https://www.example/hello").find("H3_VERSION_FALLBACK"), std::string::npos);
}

TEST(HttpsRecords, AliasesAndTargets) {
  Services scene;
  scene.world.alias("pool.example", scene.server_host);
  scene.serve();
  // The name itself has no address at all.
  scene.zone->add("www.example", alias("a.example")).add("a.example", alias("b.example"));
  udp::ServiceRecord record = service(1, {"h3"});
  record.target = "pool.example";
  scene.zone->add("b.example", record);
  scene.go();
  EXPECT_EQ(scene.get("https://www.example/hello"), "h3");
  EXPECT_EQ(scene.connection().handshake.server_name, "www.example") << "whose certificate it is";
  EXPECT_EQ(scene.zone->asked(),
            (std::vector<std::string>{"www.example", "a.example", "b.example"}));
}

TEST(HttpsRecords, AliasesThatGoInCircles) {
  Services scene;
  scene.serve();
  scene.zone->add("www.example", alias("a.example")).add("a.example", alias("www.example"));
  scene.go();
  const std::string error = scene.get("https://www.example/hello");
  EXPECT_NE(error.find("www.example"), std::string::npos) << error;
  EXPECT_LE(scene.world.elapsed(), 1s);
}

TEST(HttpsRecords, HintsSaveALookUp) {
  Services scene;
  scene.serve();
  udp::ServiceRecord record = service(1, {"h3"});
  record.target = "nowhere.example";
  udp::Address hint = scene.server_host.v4(443);
  hint.set_port(0);
  record.hints.push_back(hint);
  scene.zone->add("www.example", record);
  scene.go();
  EXPECT_EQ(scene.get("https://www.example/hello"), "h3");
  EXPECT_TRUE(scene.connection().path.remote.is_v4());
}

TEST(HttpsRecords, PriorityAndWhatIsNotForUs) {
  Services scene;
  scene.world.alias("www.example", scene.server_host);
  scene.serve(std::move(scene.server_options().listen("[::]:8443")));
  udp::ServiceRecord not_for_us = service(1, {"h3"});
  not_for_us.port = 1;
  not_for_us.usable = false;
  udp::ServiceRecord other = service(2, {"h2"});
  other.no_default_alpn = true;
  other.port = 2;
  udp::ServiceRecord right = service(3, {"h3"});
  right.port = 8443;
  scene.zone->add("www.example", not_for_us).add("www.example", other).add("www.example", right);
  scene.go(ClientProtocols::http3_only);
  EXPECT_EQ(scene.get("https://www.example/hello"), "h3");
}

TEST(HttpsRecords, TheLadderIsTriedAllTheSame) {
  Services scene;
  scene.world.alias("www.example", scene.server_host);
  scene.serve();
  scene.zone->add("www.example", service(1, {"h2"}));
  scene.go();
  EXPECT_EQ(scene.get("https://www.example/hello"), "h3") << "the record need not tell of it";
}

TEST(HttpsRecords, ASlowAnswerKeepsNobodyWaiting) {
  Services scene;
  scene.world.alias("www.example", scene.server_host);
  scene.serve();
  scene.zone->add("www.example", service(1, {"h3"})).delay(10s);
  scene.go();
  const Duration begun = scene.world.elapsed();
  EXPECT_EQ(scene.get("https://www.example/hello"), "h3");
  EXPECT_LE(scene.world.elapsed() - begun, 50ms + 2 * kLinkRtt + 5ms);
  scene.world.run_for(11s);  // it comes when nobody waits any more
}

TEST(HttpsRecords, AreWaitedForWhereNobodyListens) {
  for (const auto& [protocols, spoken] :
       {std::pair(ClientProtocols::automatic, "h3"), std::pair(ClientProtocols::http3_only, "h3"),
        std::pair(ClientProtocols::http2, "h2")}) {
    Services scene;
    scene.world.alias("www.example", scene.server_host);
    scene.world.alias("pool.example", scene.server_host);
    scene.serve();
    udp::ServiceRecord record = service(1, {"h3", "h2"});
    record.port = 443;
    scene.zone->add("_99._https.www.example", alias("pool.example"))
        .add("pool.example", record)
        .delay(1s);
    scene.go(protocols);
    EXPECT_EQ(scene.get("https://www.example:99/hello"), spoken);
    EXPECT_TRUE(scene.resolved().ends_with(" by its HTTPS record")) << scene.resolved();
    EXPECT_LE(scene.world.elapsed(), 3s);
  }
}

TEST(HttpsRecords, ThatDoNotComeLeaveTheFailureAsItWas) {
  Services scene;
  scene.world.alias("www.example", scene.server_host);
  scene.serve();
  scene.zone->delay(1min);
  scene.go(ClientProtocols::http2);
  const std::string error = scene.get("https://www.example:99/hello");
  EXPECT_NE(error.find("nobody listens"), std::string::npos) << error;
  EXPECT_GE(scene.world.elapsed(), 5s);
  EXPECT_LE(scene.world.elapsed(), 6s);
}

TEST(HttpsRecords, LeadOnFromAServerThatIsSilent) {
  for (const ClientProtocols protocols : {ClientProtocols::http3_only, ClientProtocols::http2}) {
    Services scene;
    Host& silent = scene.world.host("silent");
    scene.world.link(scene.client_host, silent, LinkOptions().loss(1));
    scene.world.alias("www.example", silent);
    scene.world.alias("pool.example", scene.server_host);
    scene.serve();
    udp::ServiceRecord record = service(1, {"h3", "h2"});
    record.target = "pool.example";
    scene.zone->add("www.example", record).delay(2s);
    scene.go(protocols);
    const std::string spoken = protocols == ClientProtocols::http2 ? "h2" : "h3";
    EXPECT_EQ(scene.get("https://www.example/hello"), spoken);
    EXPECT_LE(scene.world.elapsed(), 2s + 50ms + 5 * kLinkRtt) << "as soon as it comes";
  }
}

TEST(HttpsRecords, AreAllThatIsThereWithoutAnAddress) {
  Services scene;
  scene.world.alias("pool.example", scene.server_host);
  scene.serve();
  scene.zone->add("www.example", alias("pool.example")).delay(2s);
  scene.go();
  EXPECT_EQ(scene.get("https://www.example/hello"), "h3") << "nothing else is there to wait for";

  scene.zone->delay(1min);
  scene.go();
  const Duration begun = scene.world.elapsed();
  const std::string error = scene.get("https://nowhere.example/hello");
  EXPECT_NE(error.find("nowhere.example"), std::string::npos) << error;
  EXPECT_LE(scene.world.elapsed() - begun, 11s) << "5 s for each protocol";
}

TEST(HttpsRecords, WhatTheyNameMayBeDead) {
  Services scene;
  scene.world.alias("www.example", scene.server_host);
  scene.serve();
  udp::ServiceRecord record = service(1, {"h3", "h2"});
  record.port = 9999;
  scene.zone->add("www.example", record);
  scene.go();
  const std::string spoken = scene.get("https://www.example/hello");
  EXPECT_TRUE(spoken == "h3" || spoken == "h2") << spoken;
  EXPECT_LE(scene.world.elapsed(), 1s);
}

TEST(HttpsRecords, WhoIsAskedFor) {
  Services scene;
  scene.world.alias("www.example", scene.server_host);
  scene.world.alias("printer.local", scene.server_host);
  scene.serve(std::move(scene.server_options().listen("[::]:8443")));
  scene.go();
  for (const std::string& url :
       {std::string("https://server/hello"), std::string("https://printer.local/hello"),
        "https://" + scene.server_host.v4(443).to_string() + "/hello"}) {
    scene.get(url);
  }
  EXPECT_TRUE(scene.zone->asked().empty()) << scene.zone->asked().front();
  EXPECT_EQ(scene.get("https://www.example:8443/hello"), "h3");
  EXPECT_EQ(scene.zone->asked(), (std::vector<std::string>{"_8443._https.www.example"}));
  // One answer is good for a while, even that there is none.
  scene.go();
  EXPECT_EQ(scene.get("https://www.example:8443/hello"), "h3");
  EXPECT_EQ(scene.zone->asked().size(), 2u) << "another client asks for itself";
  scene.use_client(scene.client_options()
                       .services(scene.zone)
                       .resolve("www.example", 8443, scene.server_host.v4(8443)));
  EXPECT_EQ(scene.get("https://www.example:8443/hello"), "h3");
  EXPECT_EQ(scene.zone->asked().size(), 2u) << "the caller knows the address";
}

TEST(HttpsRecords, AreKeptForTheirTime) {
  Services scene;
  scene.world.alias("www.example", scene.server_host);
  scene.serve();
  scene.zone->add("www.example", service(1, {"h3"})).ttl(10s);
  ClientOptions options = scene.client_options();
  options.transport().idle_timeout = 1s;
  scene.use_client(std::move(options.services(scene.zone)));
  EXPECT_EQ(scene.get("https://www.example/hello"), "h3");
  scene.world.run_for(5s);
  EXPECT_EQ(scene.get("https://www.example/hello"), "h3");
  EXPECT_EQ(scene.zone->asked().size(), 1u);
  scene.world.run_for(11s);
  EXPECT_EQ(scene.get("https://www.example/hello"), "h3");
  EXPECT_EQ(scene.zone->asked().size(), 2u);
}

}  // namespace
}  // namespace tern::sim
