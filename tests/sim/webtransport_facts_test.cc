#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scene.h"
#include "webtransport/server.h"
#include "webtransport/session.h"

/// What a session knows of itself and of what it stands on: keying material, and what has become of
/// its datagrams.

namespace tern::sim {
namespace {

using ::testing::Each;
using ::testing::SizeIs;
using webtransport::Session;

/// Opens a session and leaves it open.
struct Opened {
  std::optional<Result<std::unique_ptr<Session>>> result;
  Session& session() const { return ***result; }
};

Task<void> open_with(Client& client, std::string url, webtransport::ClientOptions options,
                     Opened& out) {
  out.result.emplace(co_await client.webtransport(ClientRequest(std::move(url)), options));
}

bool open_now(Scene& scene, Scope& scope, std::string url, webtransport::ClientOptions options,
              Opened& out) {
  scope.spawn(open_with(scene.client(), std::move(url), std::move(options), out));
  scene.world.run_until([&] { return out.result.has_value(); }, 10s);
  return out.result.has_value() && out.result->has_value();
}

// ---- keying material ----------------------------------------------------------------------------

using Material = std::vector<std::uint8_t>;

Material material(const Session& session, std::string_view label, std::string_view context,
                  std::size_t size = 32) {
  Result<Material> made = session.export_keying_material(label, as_bytes(context), size);
  return made ? std::move(*made) : Material();
}

std::optional<Error> refusal(const Session& session, std::string_view label,
                             std::string_view context, std::size_t size) {
  const Result<Material> made = session.export_keying_material(label, as_bytes(context), size);
  if (made) return std::nullopt;
  return made.error();
}

struct CarrierCase {
  const char* name;
  webtransport::Carrier carrier;
  ClientProtocols protocols;
};
void PrintTo(const CarrierCase& test, std::ostream* out) { *out << test.name; }

class KeyingMaterial : public testing::TestWithParam<CarrierCase> {};

TEST_P(KeyingMaterial, IsTheSameAtBothEndsOfOneSession) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  std::vector<Session*> ends;
  webtransport::route(scene.router, "/wt", [&ends](Session& session) -> Task<void> {
    ends.push_back(&session);
    co_await session.wait_until_ended();
  });
  scene.serve();
  scene.use_client(scene.client_options().protocols(GetParam().protocols));
  webtransport::ClientOptions options;
  options.carrier(GetParam().carrier);
  Scope scope(scene.client_host.runtime().ready());
  Opened first;
  Opened second;
  ASSERT_TRUE(open_now(scene, scope, "https://server/wt", options, first));
  ASSERT_TRUE(open_now(scene, scope, "https://server/wt", options, second));
  scene.world.run_for(1s);
  ASSERT_THAT(ends, SizeIs(2));
  const Material known = material(first.session(), "label", "context");
  ASSERT_THAT(known, SizeIs(32));
  EXPECT_EQ(material(*ends[0], "label", "context"), known);
  EXPECT_NE(material(second.session(), "label", "context"), known);
  EXPECT_EQ(material(*ends[1], "label", "context"), material(second.session(), "label", "context"));
  EXPECT_NE(material(first.session(), "labels", "context"), known);
  EXPECT_NE(material(first.session(), "label", "contexts"), known);
  // Lengths are part of it: nothing moves from the label to the context unseen.
  EXPECT_NE(material(first.session(), "labelc", "ontext"), known);
  EXPECT_THAT(material(first.session(), std::string(255, 'l'), std::string(255, 'c'), 8160),
              SizeIs(8160));
  EXPECT_THAT(material(first.session(), "label", ""), SizeIs(32));

  for (const auto& error :
       {refusal(first.session(), "", "", 32),
        refusal(first.session(), std::string(256, 'l'), "", 32),
        refusal(first.session(), "label", std::string(256, 'c'), 32),
        refusal(first.session(), "label", "", 0), refusal(first.session(), "label", "", 8161),
        refusal(first.session(), "label", "", SIZE_MAX)}) {
    ASSERT_TRUE(error);
    EXPECT_TRUE(error->is(Code::invalid)) << error->to_string();
  }
  first.session().close();
  const std::optional<Error> late = refusal(first.session(), "label", "context", 32);
  ASSERT_TRUE(late);
  EXPECT_TRUE(late->is(Code::closed)) << late->to_string();
  second.session().close();
  scene.world.run_for(1s);
}

using webtransport::Carrier;
INSTANTIATE_TEST_SUITE_P(
    Carriers, KeyingMaterial,
    testing::Values(
        CarrierCase{"Http3", Carrier::http3, ClientProtocols::automatic},
        CarrierCase{"Http2", Carrier::http2, ClientProtocols::automatic},
        CarrierCase{"WebSocketOverHttp3", Carrier::websocket, ClientProtocols::http3_only},
        CarrierCase{"WebSocketOverHttp2", Carrier::websocket, ClientProtocols::http2_only},
        CarrierCase{"WebSocketOverHttp1", Carrier::websocket, ClientProtocols::http1}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(KeyingMaterial, ThereIsNoneWithoutTls) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  webtransport::route(scene.router, "/wt",
                      [](Session& session) -> Task<void> { co_await session.wait_until_ended(); });
  ServerOptions options = scene.server_options();
  options.cleartext("[::]:80");
  scene.serve(std::move(options));
  scene.use_client(scene.client_options().protocols(ClientProtocols::automatic));
  Scope scope(scene.client_host.runtime().ready());
  Opened opened;
  ASSERT_TRUE(open_now(scene, scope, "http://server/wt", {}, opened));
  EXPECT_EQ(opened.session().carrier(), "websocket");
  const std::optional<Error> none = refusal(opened.session(), "label", "", 32);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->is(Code::unsupported)) << none->to_string();
  opened.session().close();
  scene.world.run_for(1s);
}

// ---- what has become of datagrams ---------------------------------------------------------------

/// Each says when it was sent, and the server notes how old it was when it came.
Bytes stamped(Timestamp now, std::size_t size) {
  return Bytes::make(size, [&](MutableBytes out) {
    std::fill(out.begin(), out.end(), std::uint8_t{0});
    std::memcpy(out.data(), &now, sizeof(now));
    return size;
  });
}

Task<void> note_ages(Session& session, std::vector<Duration>& ages) {
  for (;;) {
    const std::optional<Bytes> datagram = co_await session.receive_datagram();
    if (!datagram) break;
    Timestamp sent;
    std::memcpy(&sent, datagram->data(), sizeof(sent));
    ages.push_back(session.runtime().now() - sent);
  }
}

Task<void> send_steadily(Session& session, std::size_t count, std::size_t size,
                         std::size_t& taken) {
  for (std::size_t i = 0; i < count; ++i) {
    if (session.send_datagram(stamped(session.runtime().now(), size))) ++taken;
    co_await session.runtime().sleep(10ms);
  }
}

class Datagrams : public testing::Test {
 public:
  Datagrams() {
    webtransport::route(scene.router, "/wt",
                        [this](Session& session) { return note_ages(session, ages); });
    webtransport::route(scene.router, "/other",
                        [this](Session& session) { return note_ages(session, others); });
  }
  void begin(const LinkOptions& options, webtransport::SessionOptions session = {}) {
    link = &scene.link(options);
    scene.serve();
    client_options.carrier(Carrier::http3).session(session);
    ASSERT_TRUE(open_now(scene, scope, "https://server/wt", client_options, opened));
  }
  Session& session() { return opened.session(); }
  void end() {
    session().close();
    scene.world.run_for(1s);
    scope.cancel();
  }
  static Duration oldest(const std::vector<Duration>& all) {
    return all.empty() ? Duration::zero() : *std::max_element(all.begin(), all.end());
  }

  Scene scene;
  Link* link = nullptr;
  std::vector<Duration> ages;
  std::vector<Duration> others;
  webtransport::ClientOptions client_options;
  Scope scope{scene.client_host.runtime().ready()};
  Opened opened;
};

/// A path that stalls for three seconds: what has waited longer than its lifetime is not sent.
TEST_F(Datagrams, AreDroppedWhenTheyHaveWaitedTooLong) {
  begin(LinkOptions().delay(20ms).mbps(20));
  std::size_t taken = 0;
  scope.spawn(send_steadily(session(), 500, 1000, taken));
  scene.world.run_for(1s);
  link->cut();
  scene.world.run_for(3s);
  EXPECT_GT(session().stats().datagrams_expired, 50u) << "they are given up while nobody asks";
  link->restore();
  scene.world.run_for(10s);
  const webtransport::SessionStats stats = session().stats();
  EXPECT_EQ(taken, 500u) << "a second's worth fits into the queue";
  EXPECT_EQ(stats.datagrams_sent + stats.datagrams_expired, taken);
  EXPECT_EQ(stats.datagrams_sent, ages.size() + stats.datagrams_lost);
  EXPECT_GT(stats.datagrams_lost, 0u);
  EXPECT_EQ(stats.datagrams_refused + stats.datagrams_too_large, 0u);
  EXPECT_GT(ages.size(), 110u) << "fresh ones follow the stall";
  EXPECT_LT(oldest(ages), 1s + 30ms);
  end();
}

TEST_F(Datagrams, HaveTheLifetimeAndTheQueueOfTheOptions) {
  begin(LinkOptions().delay(20ms).mbps(20),
        webtransport::SessionOptions().datagram_lifetime(200ms).max_waiting_datagrams(5));
  std::size_t taken = 0;
  scope.spawn(send_steadily(session(), 500, 1000, taken));
  scene.world.run_for(1s);
  link->cut();
  scene.world.run_for(3s);
  link->restore();
  scene.world.run_for(10s);
  const webtransport::SessionStats stats = session().stats();
  EXPECT_GT(stats.datagrams_expired, 20u);
  EXPECT_GT(stats.datagrams_refused, 100u) << "five wait, no more";
  EXPECT_EQ(taken + stats.datagrams_refused, 500u);
  EXPECT_EQ(stats.datagrams_sent + stats.datagrams_expired, taken);
  EXPECT_EQ(stats.datagrams_sent, ages.size() + stats.datagrams_lost);
  EXPECT_LT(oldest(ages), 200ms + 30ms);
  end();
}

TEST_F(Datagrams, ThatAreTooLargeAreCountedAsThat) {
  begin(LinkOptions().delay(20ms).mbps(20));
  EXPECT_FALSE(session().send_datagram(stamped({}, session().max_datagram() + 1)));
  EXPECT_TRUE(session().send_datagram(stamped({}, session().max_datagram())));
  scene.world.run_for(1s);
  EXPECT_EQ(session().stats().datagrams_too_large, 1u);
  EXPECT_EQ(session().stats().datagrams_sent, 1u);
  EXPECT_THAT(ages, SizeIs(1));
  session().close();
  EXPECT_FALSE(session().send_datagram(stamped({}, 100)));
  EXPECT_EQ(session().stats().datagrams_refused, 1u);
  end();
}

/// Each session has its own queue, and they take turns.
TEST_F(Datagrams, OfOneSessionDoNotHoldUpThoseOfAnother) {
  begin(LinkOptions().delay(20ms).mbps(1));
  Opened second;
  ASSERT_TRUE(open_now(scene, scope, "https://server/other", client_options, second));
  scene.world.run_for(1s);
  std::size_t waiting = 0;
  while (session().send_datagram(stamped(session().runtime().now(), 1000))) ++waiting;
  EXPECT_EQ(waiting, 128u);
  EXPECT_TRUE(second.session().send_datagram(stamped(session().runtime().now(), 1000)));
  scene.world.run_for(5s);
  EXPECT_THAT(others, SizeIs(1));
  EXPECT_LT(oldest(others), 100ms);
  EXPECT_GT(oldest(ages), 500ms);
  second.session().close();
  end();
}

/// What was sent right before the end is not left behind.
TEST_F(Datagrams, LeaveBeforeTheEnd) {
  begin(LinkOptions().delay(20ms).mbps(20));
  for (int i = 0; i < 5; ++i) session().send_datagram(stamped({}, 100));
  session().close(1, "bye");
  scene.world.run_for(1s);
  EXPECT_THAT(ages, SizeIs(5));
  EXPECT_EQ(session().stats().datagrams_sent, 5u);
  end();
}

}  // namespace
}  // namespace tern::sim
