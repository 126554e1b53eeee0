#include "transport/quic/path_credit.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/unit/quic/pair.h"

namespace tern::quic::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kFull = 1452;
const udp::Address kRebound = udp::Address::v4(0x0a000002, 50001);

TEST(PathCredit, AValidatedAddressHasNoLimit) {
  PathCredit credit;
  EXPECT_EQ(credit.room(kFull), kFull);
  credit.begin();
  EXPECT_EQ(credit.room(kFull), 0u);
  credit.lift();
  EXPECT_EQ(credit.room(kFull), kFull);
}

TEST(PathCredit, IsThreeTimesWhatCameButAByte) {
  PathCredit credit;
  credit.begin();
  credit.received(100);
  EXPECT_EQ(credit.room(kFull), 299u);
  credit.sent(200);
  EXPECT_EQ(credit.room(kFull), 99u);
  credit.sent(49);
  EXPECT_EQ(credit.room(kFull), PathCredit::kLeast);
  credit.sent(1);
  EXPECT_EQ(credit.room(kFull), 0u) << "no challenge has room in it";
  credit.sent(1000);
  EXPECT_EQ(credit.room(kFull), 0u);
  credit.received(1000);
  EXPECT_EQ(credit.room(kFull), kFull);
}

TEST(PathCredit, OnePacketOfAClientsIsEnoughForAChallenge) {
  // The smallest there is: an 8-byte connection ID, and four bytes of packet number and frames.
  PathCredit credit;
  credit.begin();
  credit.received(1 + 8 + 4 + 16);
  EXPECT_GE(credit.room(kFull), PathCredit::kLeast);
}

std::string response(std::uint8_t filler) { return "\x1b" + std::string(8, char(filler)); }
PathCredit::Challenge challenge(std::uint8_t filler) {
  PathCredit::Challenge data;
  data.fill(filler);
  return data;
}

TEST(PathCredit, AnAnswerAnywhereInAPacketLiftsIt) {
  for (const std::string before : {"", "\x01", "\x1b\x1b and more"}) {
    PathCredit credit;
    credit.begin();
    credit.challenged(challenge(7));
    credit.opened(as_bytes(before + response(8)));
    EXPECT_TRUE(credit.limited());
    const std::string cut = before + response(7);
    credit.opened(as_bytes(cut).first(cut.size() - 1));
    EXPECT_TRUE(credit.limited());
    credit.opened(as_bytes(before + response(7) + "\x01"));
    EXPECT_FALSE(credit.limited());
  }
}

TEST(PathCredit, RemembersTheLastEightChallengesOfThisAddress) {
  PathCredit credit;
  credit.begin();
  for (std::uint8_t i = 1; i <= 9; ++i) credit.challenged(challenge(i));
  credit.opened(as_bytes(response(1)));
  EXPECT_TRUE(credit.limited());
  credit.opened(as_bytes(response(0)));
  EXPECT_TRUE(credit.limited());
  credit.opened(as_bytes(response(2)));
  EXPECT_FALSE(credit.limited());
  credit.begin();
  credit.opened(as_bytes(response(9)));
  EXPECT_TRUE(credit.limited());
}

TEST(ProbedPath, CountsWhatCameWithAChallengeAndWentBack) {
  const udp::Path path{udp::Address::v4(0x0a000001, 4433), kRebound};
  const udp::Path other{path.local, udp::Address::v4(0x0a000002, 50002)};
  const Timestamp now{5s};
  ProbedPath probed;
  probed.received(path, 1200);
  EXPECT_EQ(probed.left(path, now, 100ms), 0u) << "no answer yet: perhaps no challenge";
  probed.sent(other, 1200, now);
  EXPECT_EQ(probed.left(path, now, 100ms), 0u);
  probed.sent(path, 1200, now);
  EXPECT_EQ(probed.left(path, now + 99ms, 100ms), 2400u);
  EXPECT_EQ(probed.left(path, now + 100ms, 100ms), 0u) << "forgotten";
  EXPECT_EQ(probed.left(other, now, 100ms), 0u);
  probed.sent(path, 1200, now);
  EXPECT_EQ(probed.left(path, now, 100ms), 1200u);
  // Clients challenge twice.
  probed.received(path, 1200);
  probed.received(path, 1200);
  probed.sent(path, 1200, now);
  probed.sent(path, 1200, now);
  EXPECT_EQ(probed.left(path, now, 100ms), 1200u + 4800u);
  // One of these was the challenge.
  probed.received(path, 1200);
  probed.received(path, 40);
  probed.sent(path, 1200, now);
  EXPECT_EQ(probed.left(path, now, 100ms), 6000u + 120u - 1200u);
  probed.received(other, 1200);
  EXPECT_EQ(probed.left(path, now, 100ms), 0u);
}

/// A download, whose client's NAT forgets it when the congestion window is full.
class Rebound {
 public:
  Rebound() : pair(Pair::default_server(), lively()) {
    client = pair.connect();
    pair.run();
    pair.network = [this](const Side& from, std::vector<std::uint8_t>& datagram) {
      const bool from_server = &from == &pair.server;
      if ((from_server ? pair.going.remote : pair.going.local) == kRebound) {
        (from_server ? to_new_address : from_new_address) += datagram.size();
        // The client never learns the challenge, if it hears nothing.
        if (!open) {
          EXPECT_LE(to_new_address, 3 * from_new_address);
        }
      }
      return !from_server || (open && lost_++ >= lose);
    };
    stream = *client->open_bidi();
    client->write(stream, Bytes::literal("?"), true);
    pair.run(10ms);
    pair.server_connection()->write(stream, Bytes::copy(as_bytes(body)), true);
    pair.run(10ms);
    const ConnectionStats stats = pair.server_connection()->stats();
    EXPECT_GE(stats.bytes_in_flight + 1500, stats.congestion_window);
    client->rebind_local(kRebound);
  }

  static EndpointOptions lively() {
    EndpointOptions options;
    options.transport.keep_alive = 100ms;
    return options;
  }

  const std::string body = std::string(300'000, 'x');
  Pair pair;
  Connection* client = nullptr;
  StreamId stream = -1;
  bool open = false;     // what the server sends arrives
  std::size_t lose = 0;  // but for the first of it
  std::size_t from_new_address = 0;
  std::size_t to_new_address = 0;

 private:
  std::size_t lost_ = 0;
};

TEST(Rebinding, WhateverIsLostTheDownloadGoesOn) {
  // The challenge and both probes of a timer of loss recovery, or the next, or their answers'
  // acknowledgements. ngtcp2 has no more than three times the client's PINGs for them.
  for (std::size_t lose = 0; lose <= 20; ++lose) {
    Rebound download;
    download.lose = lose;
    download.open = true;
    download.pair.run(20s);
    EXPECT_TRUE(download.pair.client.finished[download.stream]) << lose << " lost";
    EXPECT_EQ(download.pair.client.received[download.stream].size(), download.body.size());
    EXPECT_EQ(download.pair.server_connection()->path().remote, kRebound);
  }
}

TEST(Rebinding, AServerThatHearsAndIsNotHeardKeepsToThreeTimes) {
  Rebound download;
  download.client->ping();
  download.pair.run(2s);
  EXPECT_GT(download.from_new_address, 500u);
  EXPECT_GT(download.to_new_address, 500u);
}

}  // namespace
}  // namespace tern::quic::testing
