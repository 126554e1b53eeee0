#include <algorithm>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/network_policy.h"
#include "tests/sim/scene.h"

/// A client that follows the network, with the defaults and nobody's help.

namespace tern::sim {
namespace {

using udp::InterfaceKind;
using Type = ClientEvent::Type;

/// A phone with Wi-Fi and cellular.
struct Phone : Scene {
  explicit Phone(std::uint64_t world_seed = sim::seed(), Duration wifi_delay = 10ms,
                 Duration cellular_delay = 40ms)
      : Scene(world_seed),
        wifi(link(LinkOptions().name("wifi").kind(InterfaceKind::wifi).delay(wifi_delay).mbps(30))),
        cellular(link(LinkOptions()
                          .name("cellular")
                          .kind(InterfaceKind::cellular)
                          .delay(cellular_delay)
                          .mbps(15))) {}

  bool on(const Link& network) {
    const udp::Address local = connection().path.local;
    return local.same_ip(network.v6(client_host)) || local.same_ip(network.v4(client_host));
  }
  std::size_t told(Type type) const {
    return static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(),
                      [&](const ClientEvent& event) { return event.type == type; }));
  }
  std::string story() const {
    std::string text;
    for (const ClientEvent& event : events) {
      if (event.type >= Type::path_changed) {
        text += std::to_string(static_cast<int>(event.type)) + " " + event.text + "\n";
      }
    }
    return text;
  }
  /// RFC 9002 §6.2.1, of the path in use.
  Duration pto() {
    const quic::ConnectionStats stats = connection().stats;
    return stats.smoothed_rtt + std::max<Duration>(4 * stats.rtt_variation, 1ms) + 25ms;
  }

  Link& wifi;
  Link& cellular;
};

constexpr Duration kCellularRtt = 80ms;

TEST(Network, ASuddenCutStallsADownloadForAPto) {
  for (std::uint64_t i = 0; i < 20; ++i) {
    Phone phone(sim::seed() * 1000 + i);
    phone.serve();
    const Fetch& fetch = phone.download(4'000'000);
    Duration pto{};
    phone.world.at(500ms + i * 7ms, [&] {
      pto = phone.pto();
      phone.wifi.cut();
    });
    ASSERT_TRUE(phone.wait(fetch)) << phone.story();
    EXPECT_TRUE(fetch.ok());
    EXPECT_TRUE(phone.on(phone.cellular)) << phone.story();
    EXPECT_EQ(phone.told(Type::path_lost), 1u) << phone.story();
    EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 1u);
    // A datagram takes 0.8 ms on the new path, and the server sends ten at once.
    EXPECT_LE(fetch.longest_stall(), pto + 2 * kCellularRtt + 10ms) << "seed " << i;
  }
}

TEST(Network, ASuddenCutStallsAnUploadForAPto) {
  Phone phone;
  phone.serve();
  const Fetch& fetch = phone.upload(4'000'000);
  phone.world.at(500ms, [&] { phone.wifi.cut(); });
  ASSERT_TRUE(phone.wait(fetch)) << phone.story();
  EXPECT_TRUE(fetch.ok());
  EXPECT_EQ(fetch.text, "4000000");
  EXPECT_TRUE(phone.on(phone.cellular)) << phone.story();
  EXPECT_LE(fetch.took(), 5s);
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 1u);
}

TEST(Network, AnAddressThatGoesAwayIsLeftAtOnce) {
  Phone phone;
  phone.serve();
  const Fetch& fetch = phone.download(4'000'000);
  phone.world.at(500ms, [&] { phone.wifi.take_down(phone.client_host); });
  ASSERT_TRUE(phone.wait(fetch)) << phone.story();
  EXPECT_TRUE(fetch.ok());
  EXPECT_TRUE(phone.on(phone.cellular)) << phone.story();
  EXPECT_LE(fetch.longest_stall(), 2 * kCellularRtt + 20ms);
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 1u);
  EXPECT_EQ(phone.told(Type::closed), 0u);
}

TEST(Network, ReturnsToThePreferredNetworkBeforeTheOtherOneGoes) {
  for (int i = 0; i < 5; ++i) {
    Phone phone;
    phone.serve();
    const Fetch& fetch = phone.download(20'000'000);
    phone.world.at(300ms, [&] { phone.wifi.take_down(phone.client_host); });
    phone.world.at(1s + i * 37ms, [&] { phone.wifi.bring_up(phone.client_host); });
    phone.world.run_for(3s);
    EXPECT_TRUE(phone.on(phone.cellular)) << "not before it has proved stable\n" << phone.story();
    const std::size_t before = fetch.progress.size();
    ASSERT_TRUE(phone.wait(fetch)) << phone.story();
    EXPECT_TRUE(fetch.ok());
    EXPECT_TRUE(phone.on(phone.wifi)) << phone.story();
    Duration stall{};
    for (std::size_t j = before; j + 1 < fetch.progress.size(); ++j) {
      stall = std::max(stall, fetch.progress[j + 1].first - fetch.progress[j].first);
    }
    // More than the new path's round trip: packets overtake those in the old one's queue, and
    // ngtcp2 sends these again (docs/handoff.md, "Bounds").
    EXPECT_LE(stall, 2 * kCellularRtt) << "make before break, " << i;
    EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 1u);
  }
}

TEST(Network, RadioSilenceThatEndsIsNoticedByProbes) {
  Phone phone;
  phone.serve();
  const Fetch& fetch = phone.download(1'000'000);
  phone.world.at(200ms, [&] { phone.wifi.cut(); });
  phone.world.at(20s, [&] { phone.wifi.restore(); });
  ASSERT_TRUE(phone.wait(fetch));
  EXPECT_TRUE(phone.on(phone.cellular));
  // An idle connection may time out meanwhile.
  for (int i = 0; i < 20; ++i) {
    phone.world.run_for(10s);
    EXPECT_TRUE(phone.fetch("/hello").ok());
  }
  EXPECT_TRUE(phone.on(phone.wifi)) << phone.story();
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 1u);
}

TEST(Network, TheSpareIsProbedAndProbesAreFew) {
  Phone phone;
  phone.serve();
  ASSERT_TRUE(phone.fetch("/hello").ok());
  phone.world.run_for(20s);
  EXPECT_EQ(phone.told(Type::spare_ready), 1u) << phone.story();
  // At 0, 3 and 9 s; and their answers.
  EXPECT_LE(phone.cellular.up().stats().packets_in, 4u);
  EXPECT_EQ(phone.server_counter("quic.version_negotiations_sent"),
            phone.cellular.up().stats().packets_in);
  EXPECT_TRUE(phone.on(phone.wifi));
}

TEST(Network, ACaptivePortalIsNoPlaceToGo) {
  Phone phone;
  phone.cellular.cut();  // associated, with an address and a route, and nothing gets through
  phone.serve();
  const Fetch& fetch = phone.download(4'000'000);
  phone.world.run_for(700ms);
  const Fetch& slow = phone.download(30'000'000);
  phone.world.run_for(8s);  // by now the spare has been given up
  phone.wifi.cut();
  phone.world.run_for(1s);
  phone.wifi.restore();
  ASSERT_TRUE(phone.wait(fetch));
  ASSERT_TRUE(phone.wait(slow)) << phone.story();
  EXPECT_TRUE(slow.ok());
  EXPECT_TRUE(phone.on(phone.wifi)) << phone.story();
  EXPECT_EQ(phone.told(Type::migrating), 0u) << phone.story();
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 1u);
}

TEST(Network, AFailedMigrationIsTakenBack) {
  // Cellular answers probes and dies in the very moment it is needed; Wi-Fi was away for a second.
  Phone phone;
  phone.serve();
  const Fetch& fetch = phone.download(10'000'000);
  phone.world.at(500ms, [&] {
    phone.cellular.cut();
    phone.wifi.cut();
  });
  phone.world.at(1500ms, [&] { phone.wifi.restore(); });
  ASSERT_TRUE(phone.wait(fetch)) << phone.story();
  EXPECT_TRUE(fetch.ok());
  EXPECT_TRUE(phone.on(phone.wifi)) << phone.story();
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 1u) << phone.story();
}

TEST(Network, SurvivesMomentsWithNoNetworkAtAll) {
  Phone phone;
  phone.serve();
  const Fetch& fetch = phone.download(4'000'000);
  phone.world.at(500ms, [&] {
    phone.wifi.take_down(phone.client_host);
    phone.cellular.take_down(phone.client_host);
  });
  phone.world.at(5s, [&] {
    phone.cellular.renumber(phone.client_host);
    phone.cellular.bring_up(phone.client_host);
  });
  ASSERT_TRUE(phone.wait(fetch)) << phone.story();
  EXPECT_TRUE(fetch.ok());
  EXPECT_TRUE(phone.on(phone.cellular)) << phone.story();
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 1u);
}

TEST(Network, AnAddressThatComesBackIsGoodAgain) {
  Scene scene;
  Link& only = scene.link(LinkOptions().delay(10ms).mbps(20));
  scene.serve();
  const Fetch& fetch = scene.download(4'000'000);
  scene.world.at(500ms, [&] { only.take_down(scene.client_host); });
  scene.world.at(4s, [&] { only.bring_up(scene.client_host); });
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
}

TEST(Network, ANetworkThatIsDeadFromTheStartIsGoneAround) {
  Phone phone;
  phone.serve();
  phone.wifi.cut();
  const Fetch& fetch = phone.fetch("/hello");
  EXPECT_TRUE(fetch.ok());
  EXPECT_LE(fetch.took(), 2s);
  EXPECT_TRUE(phone.on(phone.cellular));
}

TEST(Network, ANetworkThatGoesInTheHandshakeIsReplaced) {
  for (const Duration when : {5ms, 15ms, 25ms, 35ms, 45ms}) {
    Phone phone;
    phone.serve();
    Client& client = phone.client();
    std::optional<Result<ClientResponse>> response;
    Scope scope(phone.client_host.runtime().ready());
    const auto get = [](Client& with, std::optional<Result<ClientResponse>>& out) -> Task<void> {
      out.emplace(co_await with.get("https://server/hello"));
    };
    scope.spawn(get(client, response));
    phone.world.at(when, [&] { phone.wifi.take_down(phone.client_host); });
    ASSERT_TRUE(phone.world.run_until([&] { return response.has_value(); }, 20s));
    ASSERT_TRUE(*response) << (*response).error().to_string() << "\n" << phone.story();
    if (when < 40ms) {  // then the answer is there
      EXPECT_TRUE(phone.on(phone.cellular)) << phone.story();
    }
    EXPECT_LE(phone.world.elapsed(), 3s);
  }
}

TEST(Network, OverTcpAnotherNetworkIsTriedWhenTheFirstIsSilent) {
  Phone phone;
  phone.serve();
  phone.use_client(phone.client_options().protocols(ClientProtocols::http2));
  phone.wifi.cut();
  const Fetch& fetch = phone.fetch("/hello");
  EXPECT_TRUE(fetch.ok());
  EXPECT_TRUE(phone.on(phone.cellular));
  EXPECT_GE(fetch.took(), 1s);
  EXPECT_LE(fetch.took(), 2s) << "two addresses in turn, then the other network a second later";
}

TEST(Network, OverTcpAnAttemptEndsWithItsNetwork) {
  Phone phone;
  phone.serve();
  phone.use_client(phone.client_options().protocols(ClientProtocols::http2).connect_timeout(4s));
  phone.wifi.cut();
  phone.cellular.cut();
  const Fetch& fetch = phone.get("/hello");
  phone.world.run_for(2s);
  phone.cellular.take_down(phone.client_host);
  phone.world.run_for(100ms);
  phone.wifi.restore();
  ASSERT_TRUE(phone.wait(fetch));
  EXPECT_TRUE(fetch.ok()) << "SYNs go on being sent where there is still a network";
}

/// A GET through Client::send, which repeats what may be repeated.
struct Get {
  Get(Phone& phone, std::string path) : scope(phone.client_host.runtime().ready()) {
    const auto run = [](Client& with, std::string url,
                        std::optional<Result<ClientResponse>>& out) -> Task<void> {
      out.emplace(co_await with.get(std::move(url)));
    };
    scope.spawn(run(phone.client(), "https://server" + path, response));
  }
  std::optional<Result<ClientResponse>> response;
  Scope scope;
};

TEST(Network, WhereTheServerForbidsMigrationTheRequestGoesAgain) {
  Phone phone;
  ServerOptions options = phone.server_options();
  options.transport().disable_active_migration = true;
  phone.serve(std::move(options));
  Get get(phone, "/bytes/4000000");
  phone.world.at(500ms, [&] { phone.wifi.take_down(phone.client_host); });
  ASSERT_TRUE(phone.world.run_until([&] { return get.response.has_value(); }));
  ASSERT_TRUE(*get.response) << get.response->error().to_string();
  EXPECT_EQ((*get.response)->body().size(), 4'000'000u);
  EXPECT_EQ((*get.response)->attempts(), 2u);
  EXPECT_EQ(phone.told(Type::retried), 1u);
  EXPECT_TRUE(phone.on(phone.cellular)) << phone.story();
  EXPECT_EQ(phone.connection().stats.migrations, 0u);
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 2u);
}

TEST(Network, WhereTheServerDoesNotFollowTheRequestGoesAgain) {
  // As nginx by default, which has connection IDs for two of a client's paths and drops what comes
  // from a third one: a probe without a connection is answered there, and a new connection is.
  Phone phone;
  phone.serve();
  Get get(phone, "/bytes/8000000");
  phone.world.at(300ms, [&] { phone.wifi.take_down(phone.client_host); });
  bool connecting = false;
  phone.world.at(1s, [&] {
    phone.wifi.filter([&connecting](ByteView packet) {
      const bool is_long = (packet[0] & 0x80) != 0;
      connecting = connecting || (is_long && packet[1] == 0 && packet[4] == 1);  // QUIC version 1
      return is_long || connecting;
    });
    phone.wifi.bring_up(phone.client_host);
  });
  phone.world.at(2s, [&] { phone.cellular.take_down(phone.client_host); });
  ASSERT_TRUE(phone.world.run_until([&] { return get.response.has_value(); }));
  ASSERT_TRUE(*get.response) << get.response->error().to_string() << "\n" << phone.story();
  EXPECT_EQ((*get.response)->body().size(), 8'000'000u);
  EXPECT_EQ((*get.response)->attempts(), 2u);
  EXPECT_TRUE(phone.on(phone.wifi)) << phone.story();
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 2u);
  // Long before the idle timeout.
  EXPECT_LE(phone.world.now() - Timestamp(), 10s) << phone.story();
}

TEST(Network, ALostConnectionsRequestsGoOnANewOne) {
  Phone phone;
  ClientOptions options = phone.client_options();
  options.transport().idle_timeout = 5s;
  phone.use_client(std::move(options));
  phone.serve();
  Get get(phone, "/bytes/4000000");
  phone.world.at(500ms, [&] {
    phone.wifi.take_down(phone.client_host);
    phone.cellular.take_down(phone.client_host);
  });
  // Longer than the idle timeout, shorter than connecting anew may take.
  phone.world.at(10s, [&] { phone.cellular.bring_up(phone.client_host); });
  ASSERT_TRUE(phone.world.run_until([&] { return get.response.has_value(); }));
  if (*get.response) {
    EXPECT_EQ((*get.response)->attempts(), 2u);
    EXPECT_EQ((*get.response)->body().size(), 4'000'000u);
  } else {
    ADD_FAILURE() << get.response->error().to_string() << "\n" << phone.story();
  }
}

TEST(Network, APostIsNotRepeated) {
  Phone phone;
  ServerOptions options = phone.server_options();
  options.transport().disable_active_migration = true;
  phone.serve(std::move(options));
  const Fetch& fetch = phone.upload(8'000'000);
  phone.world.at(500ms, [&] { phone.wifi.take_down(phone.client_host); });
  ASSERT_TRUE(phone.wait(fetch));
  ASSERT_TRUE(fetch.error);
  EXPECT_TRUE(fetch.error->is(Code::closed)) << fetch.error->to_string();
  EXPECT_EQ(phone.told(Type::retried), 0u);
}

TEST(Network, ASlowHandlerIsNoReasonToLeave) {
  for (std::uint64_t i = 0; i < 10; ++i) {
    Phone phone(sim::seed() * 1000 + i);
    phone.wifi.loss(0.02);
    const auto slow = [&](http::Exchange& exchange) -> Task<void> {
      co_await phone.server_host.runtime().sleep(8s);
      co_await exchange.respond(http::Status::ok, std::string("slow"));
    };
    phone.router.get("/slow", slow);
    phone.serve();
    const Fetch& fetch = phone.fetch("/slow");
    EXPECT_TRUE(fetch.ok());
    EXPECT_TRUE(phone.on(phone.wifi)) << phone.story();
    EXPECT_EQ(phone.told(Type::path_lost), 0u) << phone.story();
    // Patient PINGs, not a stream of them.
    EXPECT_LE(phone.wifi.up().stats().packets_in, 120u);
  }
}

TEST(Network, LossAloneIsNoReasonToLeave) {
  std::size_t lost = 0;
  for (std::uint64_t i = 0; i < 20; ++i) {
    Phone phone(sim::seed() * 1000 + i);
    phone.wifi.loss(0.02).jitter(5ms, Jitter::exponential);
    phone.serve();
    for (int request = 0; request < 20; ++request) {
      EXPECT_TRUE(phone.fetch("/hello").ok());
      phone.world.run_for(50ms);
    }
    EXPECT_TRUE(phone.fetch("/bytes/1000000").ok());
    lost += phone.told(Type::path_lost);
  }
  EXPECT_LE(lost, 1u) << "of 20 phones with 21 requests each";
}

TEST(Network, AnotherPathDiesWhileAHandlerThinks) {
  Phone phone;
  const auto slow = [&](http::Exchange& exchange) -> Task<void> {
    co_await phone.server_host.runtime().sleep(4s);
    co_await exchange.respond(http::Status::ok, std::string("slow"));
  };
  phone.router.get("/slow", slow);
  phone.serve();
  const Fetch& fetch = phone.get("/slow");
  phone.world.at(1s, [&] { phone.wifi.cut(); });
  ASSERT_TRUE(phone.wait(fetch)) << phone.story();
  EXPECT_TRUE(fetch.ok());
  EXPECT_LE(fetch.took(), 4s + 500ms) << "the PINGs found out before the answer was due";
  EXPECT_TRUE(phone.on(phone.cellular)) << phone.story();
}

TEST(Network, TheServersPreferredAddressIsKept) {
  Scene scene;
  Host& isp = scene.world.router("isp");
  Link& wifi = scene.world.link(
      scene.client_host, isp,
      LinkOptions().name("wifi").kind(InterfaceKind::wifi).delay(5ms).mbps(30).v6_only());
  scene.world.link(
      scene.client_host, isp,
      LinkOptions().name("cellular").kind(InterfaceKind::cellular).delay(40ms).mbps(15).v6_only());
  scene.world.link(isp, scene.server_host, LinkOptions().name("anycast").delay(5ms).v6_only());
  Link& direct =
      scene.world.link(isp, scene.server_host, LinkOptions().name("direct").delay(1ms).v6_only());
  const udp::Address preferred = direct.v6(scene.server_host, 443);
  ServerOptions options = scene.server_options();
  options.preferred_address(preferred.to_string());
  scene.serve(std::move(options));
  const Fetch& fetch = scene.download(4'000'000);
  scene.world.at(500ms, [&] {
    EXPECT_EQ(scene.connection().path.remote, preferred);
    wifi.cut();
  });
  ASSERT_TRUE(scene.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_EQ(scene.connection().path.remote, preferred);
  EXPECT_FALSE(scene.connection().path.local.same_ip(wifi.v6(scene.client_host)));
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
}

TEST(Network, NeverStays) {
  Phone phone;
  ClientOptions options = phone.client_options();
  options.network_policy(NetworkPolicy::never());
  phone.use_client(std::move(options));
  phone.serve();
  const Fetch& fetch = phone.download(4'000'000);
  phone.world.at(500ms, [&] { phone.wifi.cut(); });
  phone.world.at(2s, [&] { phone.wifi.restore(); });
  ASSERT_TRUE(phone.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_EQ(phone.connection().stats.migrations, 0u);
  EXPECT_EQ(phone.cellular.up().stats().packets_in, 0u) << "no probes";
}

TEST(Network, CheapestLeavesCellularAtOnceAndProbesItNever) {
  Phone phone;
  phone.wifi.take_down(phone.client_host);
  ClientOptions options = phone.client_options();
  options.network_policy(NetworkPolicy::cheapest());
  phone.use_client(std::move(options));
  phone.serve();
  const Fetch& fetch = phone.download(8'000'000);
  phone.world.at(500ms, [&] { phone.wifi.bring_up(phone.client_host); });
  phone.world.run_for(1s);
  EXPECT_TRUE(phone.on(phone.wifi)) << phone.story();
  ASSERT_TRUE(phone.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  const std::uint64_t before = phone.cellular.up().stats().packets_in;
  phone.world.run_for(20s);
  EXPECT_EQ(phone.cellular.up().stats().packets_in, before);
}

/// Somebody's own: cellular by all means.
class PreferCellular final : public NetworkPolicy {
 public:
  NetworkChoice choose(const NetworkView& view) const override {
    NetworkChoice choice;
    for (std::size_t i = 0; i < view.candidates.size(); ++i) {
      if (view.candidates[i].kind != InterfaceKind::cellular) continue;
      choice.spare = i;
      if (view.candidates[i].reach == NetworkCandidate::Reach::reachable) choice.use = i;
    }
    return choice;
  }
};

TEST(Network, APolicyMayBeAnybodys) {
  Phone phone;
  ClientOptions options = phone.client_options();
  options.network_policy(std::make_shared<const PreferCellular>());
  phone.use_client(std::move(options));
  phone.serve();
  const Fetch& fetch = phone.download(4'000'000);
  ASSERT_TRUE(phone.wait(fetch));
  EXPECT_TRUE(fetch.ok());
  EXPECT_TRUE(phone.on(phone.cellular)) << phone.story();
}

TEST(Network, APreferredNetworkIsTakenAgainThoughASpareAnswers) {
  Phone phone;
  Link& cable = phone.link(
      LinkOptions().name("cable").kind(InterfaceKind::wired).delay(5ms).mbps(50).metric(1));
  phone.serve();
  ASSERT_TRUE(phone.fetch("/hello").ok());
  ASSERT_TRUE(phone.on(cable)) << phone.story();
  const Fetch& fetch = phone.download(40'000'000);
  phone.world.at(500ms, [&] { cable.cut(); });
  // Long enough for it to be given up as unreachable, and cellular to be the spare.
  phone.world.run_for(8s);
  EXPECT_TRUE(phone.on(phone.wifi)) << phone.story();
  cable.restore();
  ASSERT_TRUE(phone.wait(fetch)) << phone.story();
  EXPECT_TRUE(fetch.ok());
  const Fetch& more = phone.download(40'000'000);
  ASSERT_TRUE(phone.wait(more)) << phone.story();
  EXPECT_TRUE(phone.on(cable)) << phone.story();
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 1u);
}

TEST(Network, AForcedMigrationIsRespected) {
  Phone phone;
  phone.serve();
  const Fetch& fetch = phone.download(8'000'000);
  phone.world.at(
      500ms, [&] { ASSERT_TRUE(phone.client().migrate(phone.cellular.v6(phone.client_host))); });
  ASSERT_TRUE(phone.wait(fetch));
  phone.world.run_for(10s);
  EXPECT_TRUE(phone.fetch("/hello").ok());
  EXPECT_TRUE(phone.on(phone.cellular)) << "Wi-Fi is preferred, but it was told otherwise\n"
                                        << phone.story();
}

TEST(Network, HandoffAfterHandoffUsesFreshConnectionIds) {
  Phone phone;
  class Ids final : public TraceObserver {
   public:
    void observe(const TraceEvent& event) override {
      if (event.direction != 0 || event.payload.size() < 9 || (event.payload[0] & 0x80) != 0)
        return;
      by_id[std::string(as_text(event.payload.subspan(1, 8)))].insert(event.source.to_string());
    }
    std::map<std::string, std::set<std::string>> by_id;
  } watcher;
  phone.world.observe(watcher);
  phone.serve();
  const Fetch& fetch = phone.download(30'000'000);
  for (int i = 0; i < 3; ++i) {
    phone.world.at(500ms + i * 6s, [&] { phone.wifi.take_down(phone.client_host); });
    phone.world.at(1s + i * 6s, [&] { phone.wifi.bring_up(phone.client_host); });
  }
  ASSERT_TRUE(phone.wait(fetch)) << phone.story();
  EXPECT_TRUE(fetch.ok());
  EXPECT_GE(phone.connection().stats.migrations, 3u) << phone.story();
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 1u);
  for (const auto& [id, sources] : watcher.by_id) {
    EXPECT_EQ(sources.size(), 1u) << "RFC 9000 §9.5";
  }
  phone.world.stop_observing(watcher);
}

TEST(Network, TheSameSeedTellsTheSameStory) {
  const auto run = [] {
    Phone phone(77);
    phone.wifi.loss(0.01);
    phone.serve();
    const Fetch& fetch = phone.download(4'000'000);
    phone.world.at(500ms, [&] { phone.wifi.cut(); });
    phone.world.at(2s, [&] { phone.wifi.restore(); });
    EXPECT_TRUE(phone.wait(fetch));
    phone.world.run_for(10s);
    return phone.world.trace_hash();
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace tern::sim
