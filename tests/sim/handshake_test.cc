#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scene.h"

namespace tern::sim {
namespace {

using testing::AllOf;
using testing::Ge;
using testing::Le;

TEST(Handshake, TakesOneRoundTrip) {
  Scene scene;
  scene.link(LinkOptions().delay(50ms));
  scene.serve();
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.ok());
  EXPECT_EQ(fetch.text, "hello over h3");
  EXPECT_EQ(fetch.took(), 200ms) << "one round trip for the handshake, one for the request";
  const ClientConnectionInfo connection = scene.connection();
  EXPECT_EQ(connection.handshake.alpn, "h3");
  EXPECT_EQ(connection.handshake.version, quic::kVersion1);
  EXPECT_FALSE(connection.handshake.resumed);
  EXPECT_FALSE(connection.handshake.retried);
  EXPECT_EQ(scene.server_counter("quic.handshakes_completed"), 1u);
}

TEST(Handshake, WorksOverIpv4AndIpv6) {
  for (const bool v4 : {true, false}) {
    Scene scene;
    LinkOptions options;
    options.delay(5ms);
    scene.link(v4 ? options.v4_only() : options.v6_only());
    scene.serve();
    EXPECT_TRUE(scene.fetch("/hello").ok());
    EXPECT_EQ(scene.connection().path.remote.is_v4(), v4);
  }
}

TEST(Handshake, SurvivesLongRoundTrips) {
  Scene scene;
  scene.link(LinkOptions().delay(750ms));
  scene.serve();
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.ok());
  EXPECT_EQ(fetch.took(), 3s);
}

TEST(Handshake, AServerIsTriedForAsLongAsItWasAskedForThoughConnectionsIdleOutEarlier) {
  Scene scene;
  scene.link(LinkOptions().delay(20ms)).blackhole(0s, 35s);
  scene.serve();
  scene.use_patient_client();  // a minute; the idle timeout is 30 s
  const Fetch& fetch = scene.fetch("/hello", 61s);
  ASSERT_TRUE(fetch.ok());
  EXPECT_GT(fetch.took(), 35s);
  EXPECT_LT(fetch.took(), 40s) << "begun anew after 30 s, when the time between packets was 16 s";
}

TEST(Handshake, NorIsAServerThatIsNotThereTriedForLonger) {
  Scene scene;
  scene.link(LinkOptions().delay(20ms)).cut();
  scene.serve();
  scene.use_patient_client();
  const Fetch& fetch = scene.fetch("/hello", 61s);
  ASSERT_TRUE(fetch.error);
  EXPECT_TRUE(fetch.error->is(Code::timed_out)) << fetch.error->to_string();
  EXPECT_EQ(fetch.took(), 60s);
}

TEST(Handshake, SurvivesTheLossOfAnyOneDatagram) {
  for (int direction = 0; direction < 2; ++direction) {
    for (int n = 1; n <= 6; ++n) {
      Scene scene;
      Link& link = scene.link(LinkOptions().delay(20ms));
      (direction == 0 ? link.up() : link.down()).drop(n);
      scene.serve();
      const Fetch& fetch = scene.fetch("/hello");
      ASSERT_TRUE(fetch.ok()) << "direction " << direction << ", datagram " << n;
      EXPECT_LE(fetch.took(), 2s) << "direction " << direction << ", datagram " << n;
    }
  }
}

TEST(Handshake, SurvivesHeavyLoss) {
  for (std::uint64_t i = 0; i < 30; ++i) {
    Scene scene(seed() + i);
    scene.link(LinkOptions().delay(15ms).loss(0.3));
    scene.serve();
    scene.use_patient_client();
    EXPECT_TRUE(scene.fetch("/hello", 120s).ok()) << "SIM_SEED=" << scene.world.seed();
  }
}

TEST(Handshake, SurvivesCorruption) {
  for (std::uint64_t i = 0; i < 20; ++i) {
    Scene scene(seed() + i);
    scene.link(LinkOptions().delay(15ms).corrupt(0.3));
    scene.serve();
    scene.use_patient_client();
    EXPECT_TRUE(scene.fetch("/hello", 120s).ok()) << "SIM_SEED=" << scene.world.seed();
  }
}

TEST(Handshake, SurvivesDuplicationAndReordering) {
  for (std::uint64_t i = 0; i < 20; ++i) {
    Scene scene(seed() + i);
    scene.link(LinkOptions().delay(15ms).duplicate(0.5).reorder(0.3, 20ms).v6_only());
    scene.serve();
    EXPECT_TRUE(scene.fetch("/hello").ok()) << "SIM_SEED=" << scene.world.seed();
    EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
  }
}

TEST(Handshake, ServerSendsAtMostThreeTimesWhatItGotFromAnUnknownAddress) {
  // RFC 9000 §8.1. The client's first datagram arrives, everything after it is lost.
  for (const int padding_names : {0, 150}) {
    Scene scene;
    Link& link = scene.link(LinkOptions().delay(10ms));
    std::uint64_t passed = 0;
    std::uint64_t received = 0;
    link.up().filter([&](ByteView payload) {
      if (++passed > 1) return false;
      received += payload.size();
      return true;
    });
    Meter sent(1);
    scene.world.observe(sent);
    scene.world.check([&] {
      if (sent.bytes > 3 * received) scene.world.fail("the server amplifies");
    });
    scene.serve(scene.server_options(padding_names));
    const Fetch& fetch = scene.get("/hello");
    EXPECT_TRUE(scene.wait(fetch, 90s));
    EXPECT_TRUE(fetch.error.has_value());
    EXPECT_GE(received, 1200u) << "RFC 9000 §14.1";
    EXPECT_GT(sent.bytes, 2 * received) << "the server does use what it may send";
    scene.world.stop_observing(sent);
  }
}

TEST(Handshake, LongCertificatesCostARoundTripButNoMore) {
  Scene scene;
  scene.link(LinkOptions().delay(50ms));
  scene.serve(scene.server_options(150));
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.ok());
  EXPECT_EQ(fetch.took(), 300ms);
}

TEST(Handshake, SmallInitialsAreDropped) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms));
  scene.serve();
  Meter sent(1);
  scene.world.observe(sent);
  // A v1 Initial's header in too small a datagram (RFC 9000 §14.1).
  std::vector<std::uint8_t> initial(1199, 0);
  initial[0] = 0xc3;
  initial[4] = 1;
  initial[5] = 8;
  link.up().inject(link.v4(scene.client_host, 999), scene.server_host.v4(443), initial);
  scene.world.run_for(1s);
  EXPECT_EQ(sent.datagrams, 0u);
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 0u);
}

TEST(Handshake, UnknownVersionsGetVersionNegotiation) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms));
  scene.serve();
  Meter sent(1);
  scene.world.observe(sent);
  std::vector<std::uint8_t> probe(1200, 0);
  probe[0] = 0xc0;
  probe[1] = 0x57;  // "WAIT", the interop runner's probe
  probe[2] = 0x41;
  probe[3] = 0x49;
  probe[4] = 0x54;
  probe[5] = 8;
  link.up().inject(link.v4(scene.client_host, 999), scene.server_host.v4(443), probe);
  scene.world.run_for(1s);
  EXPECT_EQ(sent.datagrams, 1u);
  EXPECT_LT(sent.bytes, 100u);
  EXPECT_EQ(scene.server_counter("quic.version_negotiations_sent"), 1u);
}

TEST(Handshake, RetryCostsOneRoundTrip) {
  Scene scene;
  scene.link(LinkOptions().delay(50ms));
  ServerOptions options = scene.server_options();
  options.retry(quic::RetryPolicy::always);
  scene.serve(std::move(options));
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.ok());
  EXPECT_EQ(fetch.took(), 300ms);
  EXPECT_TRUE(scene.connection().handshake.retried);
  EXPECT_EQ(scene.server_counter("quic.retries_sent"), 1u);
  EXPECT_EQ(scene.server_counter("quic.connections_accepted"), 1u);
}

TEST(Handshake, RetrySurvivesLoss) {
  for (std::uint64_t i = 0; i < 20; ++i) {
    Scene scene(seed() + i);
    scene.link(LinkOptions().delay(15ms).loss(0.2));
    ServerOptions options = scene.server_options();
    options.retry(quic::RetryPolicy::always);
    scene.serve(std::move(options));
    scene.use_patient_client();
    EXPECT_TRUE(scene.fetch("/hello", 120s).ok()) << "SIM_SEED=" << scene.world.seed();
  }
}

TEST(Handshake, Version2AloneAndByCompatibleNegotiation) {
  {
    Scene scene;
    scene.link(LinkOptions().delay(10ms));
    scene.serve();
    ClientOptions options = scene.client_options();
    options.only_version(quic::kVersion2);
    scene.use_client(std::move(options));
    EXPECT_TRUE(scene.fetch("/hello").ok());
    EXPECT_EQ(scene.connection().handshake.version, quic::kVersion2);
  }
  {
    // RFC 9368 §2.3: the client begins with v1, the server prefers v2; no round trip is lost.
    Scene scene;
    scene.link(LinkOptions().delay(10ms));
    ServerOptions options = scene.server_options();
    options.versions({quic::kVersion2, quic::kVersion1});
    scene.serve(std::move(options));
    const Fetch& fetch = scene.fetch("/hello");
    ASSERT_TRUE(fetch.ok());
    EXPECT_EQ(fetch.took(), 40ms);
    EXPECT_EQ(scene.connection().handshake.version, quic::kVersion2);
  }
}

TEST(Handshake, NoCommonVersionIsAnError) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  ServerOptions options = scene.server_options();
  options.versions({quic::kVersion1});
  scene.serve(std::move(options));
  ClientOptions two = scene.client_options();
  two.only_version(quic::kVersion2);
  scene.use_client(std::move(two));
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.error.has_value());
  EXPECT_TRUE(fetch.error->is(Code::version)) << fetch.error->to_string();
}

TEST(Handshake, ChachaOnly) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  ServerOptions options = scene.server_options();
  options.chacha20_only(true);
  scene.serve(std::move(options));
  ASSERT_TRUE(scene.fetch("/hello").ok());
  EXPECT_EQ(scene.connection().handshake.cipher, "TLS_CHACHA20_POLY1305_SHA256");
}

TEST(Handshake, UntrustedCertificatesAreRefused) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  scene.serve();
  ClientOptions options;  // the system's CAs
  scene.use_client(std::move(options));
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.error.has_value());
  EXPECT_TRUE(fetch.error->is(Code::certificate)) << fetch.error->to_string();
}

TEST(Handshake, CertificatesExpireInVirtualTime) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  scene.serve();
  EXPECT_TRUE(scene.fetch("/hello").ok());
  scene.world.run_for(std::chrono::hours(24 * 366));
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.error.has_value());
  EXPECT_TRUE(fetch.error->is(Code::certificate)) << fetch.error->to_string();
}

TEST(Handshake, NobodyThereTimesOut) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.error.has_value());
  EXPECT_TRUE(fetch.error->is(Code::timed_out)) << fetch.error->to_string();
  EXPECT_EQ(fetch.took(), 10s);
}

TEST(Handshake, FallsBackToIpv4WhenIpv6IsDead) {
  // RFC 8305: the other family is tried after 250 ms.
  Scene scene;
  scene.link(LinkOptions().delay(10ms).v6_only()).cut();
  scene.link(LinkOptions().delay(10ms).v4_only());
  scene.serve();
  const Fetch& fetch = scene.fetch("/hello");
  ASSERT_TRUE(fetch.ok());
  EXPECT_EQ(fetch.took(), 290ms);
  EXPECT_TRUE(scene.connection().path.remote.is_v4());
}

}  // namespace
}  // namespace tern::sim
