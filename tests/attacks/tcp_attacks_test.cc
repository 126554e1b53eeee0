#include <gtest/gtest.h>

#include "http/queued_bytes.h"
#include "tests/attacks/tcp_scene.h"
#include "tests/unit/fallback/http2_rig.h"

/// Each attack on HTTP/2 and HTTP/1.1 that http::Limits is there for, beside good clients: they
/// keep nine tenths of their goodput, the server's memory stays bounded, the attacker's connections
/// end.

namespace tern::attacks {
namespace {

namespace h2 = fallback::testing;
using fallback::Http2Code;
using fallback::Protocol;

std::string greeting(std::string_view entries = {}) {
  return h2::preface(entries) + h2::settings_ack();
}

TcpAttack http2(const char* name, std::function<std::string(std::uint32_t)> part,
                std::uint32_t burst = 20) {
  TcpAttack attack;
  attack.name = name;
  attack.greeting = greeting();
  attack.part = std::move(part);
  attack.burst = burst;
  return attack;
}

/// The same again and again, after a request that stays open on stream 1.
TcpAttack flood(const char* name, std::string one) {
  TcpAttack attack = http2(name, [one](std::uint32_t) { return one; }, 100);
  attack.greeting += h2::post(1, "/page");
  return attack;
}

/// Byte by byte, ten connections' worth of them.
TcpAttack drip(const char* name, Protocol protocol, std::string begin, std::string byte) {
  TcpAttack attack;
  attack.name = name;
  attack.protocol = protocol;
  attack.greeting = std::move(begin);
  attack.part = [byte](std::uint32_t) { return byte; };
  attack.pace = 500ms;
  attack.connections = 200;
  return attack;
}

/// What a connection with 100 requests may cost that does not take what it asks for: what it may
/// queue (http::QueuedBytes), a piece of each request's, and the connection at both ends.
constexpr std::size_t kGreedy = http::QueuedBytes::kMost + 100 * 16 * 1024 + 512 * 1024;

/// Ask for much and do not take it.
TcpAttack greedy(const char* name, std::string begin, bool reads) {
  TcpAttack attack = http2(
      name, [](std::uint32_t i) { return i < 100 ? h2::get(2 * i + 1, "/large") : std::string(); });
  attack.greeting = std::move(begin);
  attack.reads = reads;
  attack.connections = 20;
  attack.memory = attack.connections * kGreedy;
  attack.is_ended = false;  // send_timeout is longer than this
  return attack;
}

std::string hpack_bomb(std::uint32_t i) {
  // A line of about 3.9 kB into the dynamic table, then meant with a byte each.
  std::string value(3900, 'x');
  std::string block = h2::block(h2::request()) +
                      "\x40\x01"
                      "a"
                      "\x7f";
  std::size_t rest = value.size() - 127;
  for (; rest >= 128; rest >>= 7) block += static_cast<char>(0x80 | (rest & 0x7f));
  block += static_cast<char>(rest);
  block += value + std::string(8'000, '\xbe');
  return h2::frame(fallback::kFrameHeaders, fallback::kFlagEndHeaders | fallback::kFlagEndStream,
                   2 * i + 1, block);
}

std::vector<TcpAttack> attacks() {
  std::vector<TcpAttack> all;
  // CVE-2023-44487
  all.push_back(http2("RapidReset", [](std::uint32_t i) {
    return h2::post(2 * i + 1, "/page") + h2::rst(2 * i + 1);
  }));
  // CVE-2025-8671
  all.push_back(http2("MadeYouReset", [](std::uint32_t i) {
    return h2::headers(2 * i + 1, h2::plus(h2::request("POST"), {{"content-length", "1"}}), false) +
           h2::data(2 * i + 1, "xx");
  }));
  all.push_back(http2("MadeYouResetByWindow", [](std::uint32_t i) {
    return h2::post(2 * i + 1) + h2::window_update(2 * i + 1, 0x7fff'ffff);
  }));
  // CVE-2024-27316
  TcpAttack continuations = http2("ContinuationFlood", [](std::uint32_t) {
    return h2::frame(fallback::kFrameContinuation, 0, 1, h2::block({{"a", "b"}}));
  });
  continuations.greeting += h2::frame(fallback::kFrameHeaders, 0, 1, h2::block(h2::request()));
  all.push_back(std::move(continuations));
  all.push_back(http2("HpackBomb", hpack_bomb, 1));
  all.push_back(http2(
      "OversizedSections",
      [head = h2::block(h2::request()),
       line = h2::block({{"a", std::string(12'000, 'x')}})](std::uint32_t i) {
        std::string bytes =
            h2::frame(fallback::kFrameHeaders, fallback::kFlagEndStream, 2 * i + 1, head);
        for (int k = 0; k < 6; ++k) {
          bytes += h2::frame(fallback::kFrameContinuation, k == 5 ? fallback::kFlagEndHeaders : 0,
                             2 * i + 1, line);
        }
        return bytes;
      },
      2));
  // CVE-2019-9512, 9513, 9515, 9518 and their like
  all.push_back(flood("PingFlood", h2::ping()));
  all.push_back(flood("SettingsFlood", h2::settings(h2::setting(1, 0) + h2::setting(1, 4096))));
  all.push_back(flood("PriorityFlood",
                      h2::frame(fallback::kFramePriority, 0, 99, h2::number(0, 4) + "\x10")));
  all.push_back(flood("PriorityUpdateFlood",
                      h2::frame(fallback::kFramePriorityUpdate, 0, 0, h2::number(1, 4) + "u=1")));
  all.push_back(flood("WindowUpdateFlood", h2::window_update(1, 1)));
  all.push_back(flood("EmptyData", h2::data(1, "")));
  all.push_back(flood("UnknownFrames", h2::frame(0x42, 0, 1)));
  TcpAttack unread = flood("UnreadAcknowledgements", h2::ping());
  unread.reads = false;
  unread.is_ended = true;
  all.push_back(std::move(unread));
  all.push_back(greedy("ZeroWindow", greeting(h2::setting(4, 0)), true));
  all.push_back(greedy("DoesNotRead",
                       greeting(h2::setting(4, 0x7fff'ffff)) + h2::window_update(0, 0x7fff'0000),
                       false));
  all.push_back(drip("SlowHead", Protocol::http2,
                     greeting() + h2::frame(fallback::kFrameHeaders, 0, 1, "").substr(0, 2) +
                         h2::number(200, 1) + h2::frame(fallback::kFrameHeaders, 0, 1).substr(3),
                     std::string(1, '\x82')));
  all.push_back(drip("SlowPreface", Protocol::http2, "PRI", " "));
  TcpAttack slow_body =
      drip("SlowBody", Protocol::http2, greeting() + h2::post(1, "/page"), h2::data(1, "x"));
  slow_body.is_ended = false;  // it goes on, if slowly, and holds nothing but its connection
  all.push_back(std::move(slow_body));

  // HTTP/1.1
  all.push_back(drip("Slowloris", Protocol::http1, "GET /page HTTP/1.1\r\nhost: x\r\nx: ", "x"));
  TcpAttack slow_body1 =
      drip("SlowBodyHttp1", Protocol::http1,
           "POST /page HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n", "x");
  slow_body1.is_ended = false;
  all.push_back(std::move(slow_body1));
  TcpAttack slow_read =
      drip("DoesNotReadHttp1", Protocol::http1, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n", "");
  slow_read.reads = false;
  // One request each, and what TCP has taken at both ends.
  slow_read.memory = slow_read.connections * (http::Outgoing::kHighWater + 512 * 1024);
  slow_read.is_ended = false;
  all.push_back(std::move(slow_read));
  TcpAttack endless = drip("EndlessHeadHttp1", Protocol::http1, "GET /page HTTP/1.1\r\n",
                           "a: " + std::string(8000, 'x') + "\r\n");
  endless.pace = 1ms;
  endless.connections = 20;
  all.push_back(std::move(endless));
  return all;
}

const Outcome& undisturbed() {
  static const Outcome outcome = TcpScene().run(nullptr);
  return outcome;
}

class TcpAttacks : public ::testing::TestWithParam<TcpAttack> {};

TEST_P(TcpAttacks, GoodClientsDoNotNotice) {
  const TcpAttack& attack = GetParam();
  TcpScene scene;
  const Outcome outcome = scene.run(&attack);
  EXPECT_GT(undisturbed().good, 1000U);
  EXPECT_EQ(outcome.failed, 0U);
  EXPECT_GE(static_cast<double>(outcome.good), 0.9 * static_cast<double>(undisturbed().good));
  EXPECT_LE(outcome.memory, attack.memory);
  if (attack.is_ended) {
    EXPECT_EQ(outcome.left, 0U);
  } else {
    EXPECT_EQ(outcome.left, attack.connections);
  }
  // An attack that makes the server say much more than it is told would be one on others.
  if (attack.reads && attack.is_ended) {
    EXPECT_LE(outcome.answered, 200'000U * attack.connections);
  }
  RecordProperty("goodput_percent", std::to_string(100 * outcome.good / undisturbed().good));
  RecordProperty("memory", std::to_string(outcome.memory));
}

INSTANTIATE_TEST_SUITE_P(All, TcpAttacks, ::testing::ValuesIn(attacks()),
                         [](const auto& test) { return std::string(test.param.name); });

/// The measurement shows what the limits are for: without them the same attack hurts.
TEST(TcpAttacks, WithoutLimitsRapidResetHurts) {
  fallback::SessionOptions none;
  none.max_resets = 1'000'000'000;
  none.max_glitches = 1'000'000'000;
  TcpScene scene(none);
  // Four times what the backend can do.
  constexpr std::uint32_t kBurst = 4;
  TcpAttack attack = http2(
      "RapidReset",
      [](std::uint32_t i) {
        // Below the limit of Debian's nghttp2, which is 33 a second in the long run.
        return h2::headers(2 * i + 1, h2::plus(h2::request("POST"), {{"content-length", "1"}}),
                           false) +
               h2::data(2 * i + 1, "xx");
      },
      kBurst);
  const Outcome outcome = scene.run(&attack);
  EXPECT_LT(static_cast<double>(outcome.good), 0.9 * static_cast<double>(undisturbed().good));
}

}  // namespace
}  // namespace tern::attacks
