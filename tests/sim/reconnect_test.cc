#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/sim/scene.h"

/// What no migration can save: a QUIC connection keeps its server's address (RFC 9000 §9), so a
/// client whose next network runs the other IP version needs another connection, and quickly.

namespace tern::sim {
namespace {

using udp::InterfaceKind;
using Type = ClientEvent::Type;

constexpr Duration kMobileRtt = 80ms;

/// A phone whose Wi-Fi has IPv6 alone, and whose cellular network has IPv4 alone.
struct TwoFamilies : Scene {
  TwoFamilies()
      : wifi(link(
            LinkOptions().name("wifi").kind(InterfaceKind::wifi).delay(10ms).mbps(30).v6_only())),
        cellular(link(LinkOptions()
                          .name("cellular")
                          .kind(InterfaceKind::cellular)
                          .delay(kMobileRtt / 2)
                          .mbps(15)
                          .v4_only())) {}

  std::ptrdiff_t told(Type type) const {
    return std::count_if(events.begin(), events.end(),
                         [&](const ClientEvent& event) { return event.type == type; });
  }
  std::string story() const {
    std::string text;
    for (const ClientEvent& event : events) {
      text += std::to_string(static_cast<int>(event.type)) + " " + event.text + "\n";
    }
    return text;
  }
  std::size_t open_connections() {
    const auto all = client().connections();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [](const auto& info) { return info.open; }));
  }
  /// RFC 9002 §6.2.1, of the path in use.
  Duration pto() {
    const quic::ConnectionStats stats = connection().stats;
    return stats.smoothed_rtt + std::max<Duration>(4 * stats.rtt_variation, 1ms) + 25ms;
  }

  Link& wifi;
  Link& cellular;
};

/// A GET through Client::send, which repeats what may be repeated.
struct PhoneGet {
  PhoneGet(Scene& scene, std::string path) : scope(scene.client_host.runtime().ready()) {
    const auto run = [](Client& with, std::string url,
                        std::optional<Result<ClientResponse>>& out) -> Task<void> {
      out.emplace(co_await with.get(std::move(url)));
    };
    scope.spawn(run(scene.client(), "https://server" + path, response));
  }
  std::optional<Result<ClientResponse>> response;
  Scope scope;
};

TEST(Reconnect, AGetGoesAgainOverTheOtherFamily) {
  TwoFamilies phone;
  phone.serve();
  PhoneGet get(phone, "/bytes/4000000");
  phone.world.at(500ms, [&] { phone.wifi.take_down(phone.client_host); });
  ASSERT_TRUE(phone.world.run_until([&] { return get.response.has_value(); }));
  ASSERT_TRUE(*get.response) << get.response->error().to_string() << "\n" << phone.story();
  EXPECT_EQ((*get.response)->body().size(), 4'000'000u);
  EXPECT_EQ((*get.response)->attempts(), 2u);
  EXPECT_EQ(phone.told(Type::reconnecting), 1) << phone.story();
  EXPECT_EQ(phone.told(Type::retried), 1) << phone.story();
  EXPECT_TRUE(phone.connection().path.remote.is_v4());
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 2u);
}

TEST(Reconnect, TakesAHandshakeWhenTheAddressIsGone) {
  TwoFamilies phone;
  phone.serve();
  const Fetch& fetch = phone.download(4'000'000);
  phone.world.at(500ms, [&] { phone.wifi.take_down(phone.client_host); });
  ASSERT_TRUE(phone.wait(fetch));
  ASSERT_TRUE(fetch.error) << "no migration leads from IPv6 to IPv4";
  EXPECT_TRUE(fetch.error->is(Code::closed)) << fetch.error->to_string();
  // What is open fails when the way to repeat it is there.
  EXPECT_GE(fetch.ended, 500ms + kMobileRtt);
  EXPECT_LE(fetch.ended, 500ms + kMobileRtt + 20ms) << phone.story();
  const Fetch& again = phone.fetch("/hello");
  EXPECT_TRUE(again.ok());
  EXPECT_LT(again.took(), 2 * kMobileRtt) << "the connection is there: no handshake";
}

TEST(Reconnect, TakesAPtoAndAHandshakeWhenThePathIsSilent) {
  TwoFamilies phone;
  phone.serve();
  const Fetch& fetch = phone.download(4'000'000);
  Duration pto{};
  phone.world.at(500ms, [&] {
    pto = phone.pto();
    phone.wifi.cut();
  });
  ASSERT_TRUE(phone.wait(fetch));
  ASSERT_TRUE(fetch.error);
  EXPECT_LE(fetch.ended, 500ms + pto + kMobileRtt + 20ms) << phone.story();
  EXPECT_TRUE(phone.fetch("/hello").ok());
  EXPECT_TRUE(phone.connection().path.remote.is_v4()) << phone.story();
}

TEST(Reconnect, ANewRequestWaitsForTheNewConnection) {
  TwoFamilies phone;
  phone.serve();
  ASSERT_TRUE(phone.fetch("/hello").ok());
  phone.wifi.take_down(phone.client_host);
  phone.world.run_for(10ms);
  const Fetch& upload = phone.upload(200'000);  // which could not be repeated
  ASSERT_TRUE(phone.wait(upload));
  EXPECT_TRUE(upload.ok());
  EXPECT_TRUE(phone.connection().path.remote.is_v4()) << phone.story();
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 2u);
}

TEST(Reconnect, APathThatWorksAgainInTimeIsKept) {
  TwoFamilies phone;
  phone.serve();
  const Fetch& fetch = phone.download(4'000'000);
  Duration back{};
  phone.world.at(500ms, [&] {
    back = phone.pto() + 30ms;
    phone.wifi.cut();
    phone.world.after(back, [&] { phone.wifi.restore(); });
  });
  ASSERT_TRUE(phone.wait(fetch)) << phone.story();
  EXPECT_TRUE(fetch.ok());
  EXPECT_EQ(phone.told(Type::reconnecting), 1) << phone.story();
  phone.world.run_for(1s);
  EXPECT_TRUE(phone.fetch("/hello").ok());
  EXPECT_EQ(phone.open_connections(), 1u) << "the other one was not needed";
}

/// It knows the server by its IPv6 address alone.
void use_client_of_one_address(TwoFamilies& phone) {
  ClientOptions options = phone.client_options();
  udp::Address only = phone.wifi.v6(phone.server_host);
  only.set_port(443);
  options.resolve("server", 443, only);
  phone.use_client(std::move(options));
}

TEST(Reconnect, ANetworkThatComesBackIsGoodAgainWhereNoOtherAddressIsKnown) {
  TwoFamilies phone;
  use_client_of_one_address(phone);
  phone.serve();
  const Fetch& fetch = phone.download(4'000'000);
  phone.world.at(500ms, [&] { phone.wifi.take_down(phone.client_host); });
  phone.world.at(2s, [&] { phone.wifi.bring_up(phone.client_host); });
  ASSERT_TRUE(phone.wait(fetch)) << phone.story();
  EXPECT_TRUE(fetch.ok()) << phone.story();
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 1u);
}

TEST(Reconnect, NoOtherAddressAndNoNetworkEndsTheConnection) {
  TwoFamilies phone;
  use_client_of_one_address(phone);
  phone.serve();
  const Fetch& fetch = phone.download(4'000'000);
  phone.world.at(500ms, [&] { phone.wifi.take_down(phone.client_host); });
  ASSERT_TRUE(phone.wait(fetch)) << phone.story();
  ASSERT_TRUE(fetch.error);
  EXPECT_LE(fetch.ended, 500ms + 3s + 10ms) << phone.story();
}

TEST(Reconnect, SilenceAloneIsNoReasonToGiveUp) {
  TwoFamilies phone;
  phone.cellular.cut();  // the other network is of no use either
  phone.serve();
  const Fetch& fetch = phone.download(4'000'000);
  phone.world.at(500ms, [&] { phone.wifi.cut(); });
  phone.world.at(8s, [&] { phone.wifi.restore(); });
  ASSERT_TRUE(phone.wait(fetch)) << phone.story();
  EXPECT_TRUE(fetch.ok()) << phone.story();
  EXPECT_EQ(phone.server_counter("quic.connections_accepted"), 1u);
}

TEST(Reconnect, AServerThatForbidsMigrationIsReachedAnewAsSoonAsThePathIsSilent) {
  Scene phone;
  Link& wifi =
      phone.link(LinkOptions().name("wifi").kind(InterfaceKind::wifi).delay(10ms).mbps(30));
  phone.link(
      LinkOptions().name("cellular").kind(InterfaceKind::cellular).delay(kMobileRtt / 2).mbps(15));
  ServerOptions options = phone.server_options();
  options.transport().disable_active_migration = true;
  phone.serve(std::move(options));
  PhoneGet get(phone, "/bytes/4000000");
  phone.world.at(500ms, [&] { wifi.cut(); });
  ASSERT_TRUE(phone.world.run_until([&] { return get.response.has_value(); }));
  ASSERT_TRUE(*get.response) << get.response->error().to_string();
  EXPECT_EQ((*get.response)->attempts(), 2u);
  EXPECT_LE(phone.world.elapsed(), 500ms + 3500ms) << "4 MB take 2.2 s on the other network";
  EXPECT_EQ(phone.connection().stats.migrations, 0u);
}

}  // namespace
}  // namespace tern::sim
