#include "transport/quic/path_probe.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "transport/quic/cid.h"

namespace tern::quic {
namespace {

using namespace std::chrono_literals;

constexpr Timestamp kInstant{5s};

struct Probing {
  Random random{3};
  PathProbes probes;
  udp::Path path{*udp::Address::parse("192.0.2.1:1000"), *udp::Address::parse("203.0.113.1:443")};
  ConnectionId own{as_bytes("eightown")};
  std::uint64_t id = 0;
  int answers = 0;
  std::vector<std::uint8_t> packet =
      probes.make(path, own, random, [this](Timestamp) { ++answers; }, id);

  /// What a server says to it (RFC 8999 §6).
  std::vector<std::uint8_t> answer() const {
    std::vector<std::uint8_t> bytes{0x80, 0, 0, 0, 0};
    const ByteView probe(packet);
    const std::size_t dcid = probe[5];
    const std::size_t scid = probe[6 + dcid];
    bytes.push_back(static_cast<std::uint8_t>(scid));
    const ByteView source = probe.subspan(7 + dcid, scid);
    bytes.insert(bytes.end(), source.begin(), source.end());
    bytes.push_back(static_cast<std::uint8_t>(dcid));
    const ByteView destination = probe.subspan(6, dcid);
    bytes.insert(bytes.end(), destination.begin(), destination.end());
    bytes.insert(bytes.end(), {0, 0, 0, 1});
    return bytes;
  }
};

TEST(PathProbe, IsWhatEveryServerMustAnswer) {
  const Probing it;
  EXPECT_EQ(it.packet.size(), 1200u);
  EXPECT_EQ(it.packet[0] & 0xc0, 0xc0);
  for (std::size_t i = 1; i < 5; ++i) EXPECT_EQ(it.packet[i] & 0x0f, 0x0a) << "RFC 9000 §15";
  EXPECT_GE(it.packet[5], 8) << "RFC 9000 §7.2";
}

TEST(PathProbe, ItsAnswerIsTakenOnce) {
  Probing it;
  const auto answer = it.answer();
  EXPECT_TRUE(it.probes.receive(it.path, answer, kInstant));
  EXPECT_EQ(it.answers, 1);
  EXPECT_FALSE(it.probes.receive(it.path, answer, kInstant));
  EXPECT_EQ(it.answers, 1);
}

TEST(PathProbe, AnAnswerToSomethingElseIsNone) {
  Probing it;
  const auto answer = it.answer();
  udp::Path elsewhere = it.path;
  elsewhere.local = *udp::Address::parse("192.0.2.2:1000");
  EXPECT_FALSE(it.probes.receive(elsewhere, answer, kInstant));
  for (std::size_t i = 0; i < answer.size() - 4; ++i) {
    auto other = answer;
    other[i] ^= 0x80;
    it.probes.receive(it.path, other, kInstant);
    EXPECT_EQ(it.answers, 0) << i;
  }
  for (std::size_t size = 0; size < answer.size() - 4; ++size) {
    const std::vector<std::uint8_t> cut(answer.begin(),
                                        answer.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(it.probes.receive(it.path, cut, kInstant)) << size;
  }
  it.probes.forget(it.id);
  EXPECT_FALSE(it.probes.receive(it.path, answer, kInstant));
}

TEST(PathProbe, NoTwoAreAlikeAndTheOldestMakeRoom) {
  Probing it;
  const auto first = it.answer();
  for (std::size_t i = 0; i < PathProbes::kMaxProbes; ++i) {
    std::uint64_t id = 0;
    const auto next = it.probes.make(it.path, it.own, it.random, [](Timestamp) {}, id);
    EXPECT_FALSE(std::equal(next.begin() + 6, next.begin() + 22, it.packet.begin() + 6));
  }
  EXPECT_EQ(it.probes.size(), PathProbes::kMaxProbes);
  EXPECT_FALSE(it.probes.receive(it.path, first, kInstant));
}

}  // namespace
}  // namespace tern::quic
