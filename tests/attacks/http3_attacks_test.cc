#include <gtest/gtest.h>

#include "http/queued_bytes.h"
#include "tests/attacks/http3_scene.h"

/// Each attack on HTTP/3 that http::Limits is there for, beside good clients: they keep nine tenths
/// of their goodput, the server's memory stays bounded, the attacker's connections end.

namespace tern::attacks {
namespace {

namespace h3 = http3::testing;
using Peer = Http3Peer;

std::string post_headers(int length) {
  return h3::headers({{":method", "POST"},
                      {":scheme", "https"},
                      {":authority", "server"},
                      {":path", "/page"},
                      {"content-length", std::to_string(length)}});
}

/// The control stream first, then the same again and again: on it, or on a request's stream.
Http3Attack flood(const char* name, std::string one, bool on_control) {
  Http3Attack attack;
  attack.name = name;
  std::string many;
  for (int i = 0; i < 50; ++i) many += one;
  attack.act = [many, on_control](Peer& peer) {
    if (peer.rounds == 0) {
      const auto control = peer.raw->uni(h3::control(h3::settings()));
      peer.last = on_control ? control : open(peer, post_headers(1'000'000));
      return;
    }
    if (peer.rounds < 200) peer.raw->more(peer.last, many);
  };
  return attack;
}

/// What a connection with 100 requests may cost that does not take what it asks for: what it may
/// queue (http::QueuedBytes), a piece of each request's, and the connection at both ends.
constexpr std::size_t kGreedy = http::QueuedBytes::kMost + 100 * 16 * 1024 + 512 * 1024;
/// What it has got and not taken is in this process, too, in strings that grow by doubling.
constexpr std::size_t kWindow = 2 * 1024 * 1024;

std::vector<Http3Attack> attacks() {
  std::vector<Http3Attack> all;
  Http3Attack rapid_reset;
  rapid_reset.name = "RapidReset";
  rapid_reset.act = [](Peer& peer) {
    if (peer.last >= 0) {
      peer.raw->connection().reset(peer.last, 0x10c);
      peer.raw->connection().stop_sending(peer.last, 0x10c);
    }
    peer.last = open(peer, post_headers(100));
  };
  all.push_back(std::move(rapid_reset));

  Http3Attack made;
  made.name = "MadeYouReset";
  made.act = [](Peer& peer) { open(peer, post_headers(1) + h3::frame(http3::kFrameData, "xx")); };
  all.push_back(std::move(made));

  Http3Attack bomb;
  bomb.name = "QpackBomb";
  bomb.act = [](Peer& peer) {
    if (peer.rounds == 0) {
      // A capacity of 4096, and a line of about 3.9 kB.
      std::string insert =
          "\x3f\xe1\x1f"
          "\x41"
          "a"
          "\x7f";
      std::size_t rest = 3900 - 127;
      for (; rest >= 128; rest >>= 7) insert += static_cast<char>(0x80 | (rest & 0x7f));
      insert += static_cast<char>(rest);
      peer.raw->uni(h3::control(h3::settings()));
      peer.raw->uni(h3::varint(http3::kStreamQpackEncoder) + insert + std::string(3900, 'x'));
      return;
    }
    if (peer.rounds < 50) return;  // until it has arrived
    std::string section = h3::section(
        {{":method", "GET"}, {":scheme", "https"}, {":authority", "server"}, {":path", "/page"}});
    section[0] = '\2';  // one insertion is required
    section += std::string(8000, '\x80');
    open(peer, h3::frame(http3::kFrameHeaders, section), true);
  };
  all.push_back(std::move(bomb));

  all.push_back(flood("UnknownFrames", h3::frame(0x42, "x"), false));
  all.push_back(flood("EmptyData", h3::frame(http3::kFrameData, ""), false));
  all.push_back(flood("PriorityUpdateFlood",
                      h3::frame(http3::kFramePriorityUpdate, h3::varint(0) + "u=1"), true));

  Http3Attack oversized;
  oversized.name = "OversizedSections";
  oversized.act = [](Peer& peer) {
    if (peer.rounds == 0) peer.raw->uni(h3::control(h3::settings()));
    // Two bytes each for a line of a hundred: a content-security-policy of the static table.
    std::string section = h3::section(
        {{":method", "GET"}, {":scheme", "https"}, {":authority", "server"}, {":path", "/page"}});
    for (int i = 0; i < 700; ++i) section += "\xff\x16";
    open(peer, h3::frame(http3::kFrameHeaders, section), true);
  };
  all.push_back(std::move(oversized));

  Http3Attack pings;
  pings.name = "PingFlood";
  pings.act = [](Peer& peer) { peer.raw->connection().ping(); };
  pings.domain = Domain::quic;  // by its own limit
  pings.code = 0x0a;            // PROTOCOL_VIOLATION
  all.push_back(std::move(pings));

  Http3Attack unknown;
  unknown.name = "UnknownStreams";
  unknown.act = [](Peer& peer) {
    if (peer.rounds == 0) peer.raw->uni(h3::control(h3::settings()));
    while (const auto id = peer.raw->connection().open_uni()) {
      peer.raw->more(*id, h3::varint(0x42) + "x", true);
    }
  };
  all.push_back(std::move(unknown));

  // Lines that push each other out: nghttp3 takes 128 KiB of them between two field sections.
  Http3Attack inserts;
  inserts.name = "QpackInserts";
  inserts.act = [](Peer& peer) {
    if (peer.rounds == 0) {
      peer.raw->uni(h3::control(h3::settings()));
      peer.last = peer.raw->uni(h3::varint(http3::kStreamQpackEncoder) + "\x3f\xe1\x1f");
      return;
    }
    std::string many;
    for (int i = 0; i < 20; ++i) {
      many +=
          "\x41"
          "a"
          "\x64" +
          std::string(100, 'x');
    }
    peer.raw->more(peer.last, many);
  };
  inserts.code = static_cast<std::uint64_t>(http3::ErrorCode::qpack_encoder_stream_error);
  all.push_back(std::move(inserts));

  Http3Attack windows;
  windows.name = "ZeroWindow";
  windows.act = [](Peer& peer) {
    if (peer.rounds < 100) open(peer, h3::get_headers("/large"), true);
  };
  windows.connections = 20;
  windows.memory = windows.connections * kGreedy;
  windows.window = 1;
  windows.reads = false;
  windows.is_ended = false;  // send_timeout is longer than this
  all.push_back(std::move(windows));

  Http3Attack zero;
  zero.name = "DoesNotRead";
  zero.act = [](Peer& peer) {
    if (peer.rounds < 100) open(peer, h3::get_headers("/large"), true);
  };
  zero.connections = 20;
  zero.memory = zero.connections * (kGreedy + kWindow);
  zero.reads = false;
  zero.is_ended = false;
  all.push_back(std::move(zero));

  Http3Attack slow;
  slow.name = "SlowHead";
  slow.act = [](Peer& peer) {
    const std::string bytes = h3::get_headers("/page");
    if (peer.rounds == 0) peer.last = open(peer, bytes.substr(0, 3));
    if (peer.rounds > 0 && peer.rounds < 10) {
      peer.raw->more(peer.last, bytes.substr(2 + peer.rounds, 1));
    }
  };
  slow.pace = 1s;
  slow.connections = 100;
  slow.is_ended = false;  // the request is, with H3_REQUEST_INCOMPLETE
  all.push_back(std::move(slow));

  Http3Attack slow_body;
  slow_body.name = "SlowBody";
  slow_body.act = [](Peer& peer) {
    if (peer.rounds == 0) {
      peer.last = open(peer, post_headers(1000));
    } else {
      peer.raw->more(peer.last, h3::frame(http3::kFrameData, "x"));
    }
  };
  slow_body.pace = 500ms;
  slow_body.connections = 100;
  slow_body.is_ended = false;  // it goes on, if slowly, and holds nothing but its connection
  all.push_back(std::move(slow_body));
  return all;
}

const Outcome& undisturbed() {
  static const Outcome outcome = Http3Scene().run(nullptr);
  return outcome;
}

class Http3Attacks : public ::testing::TestWithParam<Http3Attack> {};

TEST_P(Http3Attacks, GoodClientsDoNotNotice) {
  const Http3Attack& attack = GetParam();
  const Outcome before = undisturbed();
  const Outcome outcome = Http3Scene().run(&attack);
  EXPECT_GT(before.good, 1000U);
  EXPECT_EQ(outcome.failed, 0U);
  EXPECT_GE(static_cast<double>(outcome.good), 0.9 * static_cast<double>(before.good));
  EXPECT_LE(outcome.memory, attack.memory);
  EXPECT_EQ(outcome.left, attack.is_ended ? 0U : attack.connections);
  RecordProperty("goodput_percent", std::to_string(100 * outcome.good / before.good));
  RecordProperty("memory", std::to_string(outcome.memory));
}

INSTANTIATE_TEST_SUITE_P(All, Http3Attacks, ::testing::ValuesIn(attacks()),
                         [](const auto& test) { return std::string(test.param.name); });

/// The measurement shows what the limits are for: without them the same attack hurts.
TEST(Http3Attacks, WithoutLimitsMadeYouResetHurts) {
  http3::SessionOptions none;
  none.max_resets = 1'000'000'000;
  none.max_glitches = 1'000'000'000;
  Http3Attack attack;
  attack.name = "MadeYouReset";
  attack.is_ended = false;
  attack.act = [](Peer& peer) {
    for (int i = 0; i < 5; ++i) {
      open(peer, post_headers(1) + h3::frame(http3::kFrameData, "xx"));
    }
  };
  Http3Scene scene(none);
  scene.measures_memory = false;
  const Outcome outcome = scene.run(&attack);
  EXPECT_LT(static_cast<double>(outcome.good), 0.9 * static_cast<double>(undisturbed().good));
}

}  // namespace
}  // namespace tern::attacks
