#include <cstdint>
#include <cstring>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/relay/tcp_stage.h"
#include "transport/sim/tcp_header.h"

namespace tern::relay {
namespace {

using testing::ElementsAre;

/// A TCP segment of a file, as Wireshark would read it.
struct Segment {
  std::uint64_t time;
  udp::Address source, destination;
  std::uint32_t sequence;
  std::uint8_t flags;
  std::string payload;

  bool is_from(const udp::Address& address) const { return source == address; }
};

std::uint32_t native(const std::string& file, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, file.data() + at, 4);
  return value;
}

std::uint32_t big(std::string_view bytes, std::size_t at, int size) {
  std::uint32_t value = 0;
  for (int i = 0; i < size; ++i) value = value << 8U | static_cast<std::uint8_t>(bytes[at + i]);
  return value;
}

/// The IPv4 TCP segments of a pcapng file, in its order.
std::vector<Segment> segments(const std::string& file) {
  constexpr std::uint32_t kEnhancedPacket = 6;
  std::vector<Segment> found;
  for (std::size_t at = 0; at < file.size(); at += native(file, at + 4)) {
    if (native(file, at) != kEnhancedPacket) continue;
    const std::string_view packet = std::string_view(file).substr(at + 28, native(file, at + 20));
    EXPECT_EQ(packet[0], 0x45);
    if (packet[9] != 6) continue;
    const std::string_view tcp = packet.substr(20);
    Segment segment;
    segment.time = std::uint64_t{native(file, at + 12)} << 32U | native(file, at + 16);
    segment.source =
        udp::Address::v4(big(packet, 12, 4), static_cast<std::uint16_t>(big(tcp, 0, 2)));
    segment.destination =
        udp::Address::v4(big(packet, 16, 4), static_cast<std::uint16_t>(big(tcp, 2, 2)));
    segment.sequence = big(tcp, 4, 4);
    segment.flags = static_cast<std::uint8_t>(tcp[13]);
    segment.payload = tcp.substr(static_cast<std::uint8_t>(tcp[12]) / 16U * 4U);
    found.push_back(segment);
  }
  return found;
}

std::vector<unsigned> flags_of(const std::vector<Segment>& file, std::size_t count) {
  std::vector<unsigned> flags;
  for (std::size_t i = 0; i < count && i < file.size(); ++i) flags.push_back(file[i].flags);
  return flags;
}

using Header = sim::TcpHeader;
constexpr unsigned kSynAck = Header::kSyn | Header::kAck;

struct Files {
  std::ostringstream clients, servers;
  RelayOptions options(const ChannelModel& model) {
    return both(model).capture_clients(clients).capture_servers(servers);
  }
};

TEST(RelayCapture, ConnectionsAreThereFromTheirFirstSegmentUnderTheirRealAddresses) {
  Files files;
  TcpStage stage(files.options(lossy(10ms, 0)));
  stage.connect();
  stage.client.send(5);
  ASSERT_TRUE(stage.until([&] { return !stage.server->ends.empty() && stage.accepted().ended; }));
  stage.accepted().send(7);
  ASSERT_TRUE(stage.until([&] { return stage.client.ended; }));
  stage.world.run_for(1s);

  const udp::Address client = stage.client.stream->local();
  const udp::Address listening = stage.middle.v4(9000);
  const udp::Address outside = stage.accepted().stream->remote();
  const udp::Address server = stage.server_host.v4(443);
  const std::vector<Segment> left = segments(files.clients.str());
  const std::vector<Segment> right = segments(files.servers.str());
  EXPECT_THAT(flags_of(left, 3), ElementsAre(Header::kSyn, kSynAck, Header::kAck));
  EXPECT_THAT(flags_of(right, 3), ElementsAre(Header::kSyn, kSynAck, Header::kAck));
  for (const Segment& segment : left) {
    EXPECT_EQ(segment.source, segment.is_from(client) ? client : listening);
    EXPECT_EQ(segment.destination, segment.is_from(client) ? listening : client);
  }
  for (const Segment& segment : right) {
    EXPECT_EQ(segment.source, segment.is_from(outside) ? outside : server);
    EXPECT_EQ(segment.destination, segment.is_from(outside) ? server : outside);
  }
  // The same segments, a link's delay apart.
  ASSERT_EQ(left.size(), right.size());
  EXPECT_EQ(right[0].time - left[0].time, 10'000'000u);
  EXPECT_EQ(left[1].time - right[1].time, 10'000'000u);
  const auto bytes_from = [](const std::vector<Segment>& file, const udp::Address& address) {
    std::string bytes;
    for (const Segment& segment : file) {
      if (segment.is_from(address)) bytes += segment.payload;
    }
    return bytes.size();
  };
  EXPECT_EQ(bytes_from(left, client), 5u);
  EXPECT_EQ(bytes_from(right, server), 7u);
}

TEST(RelayCapture, WhatIsInOneFileOnlyWasLostBetween) {
  Files files;
  TcpStage stage(files.options(lossy(5ms, 0.03)));
  stage.connect();
  stage.client.send(300'000);
  ASSERT_TRUE(stage.until([&] { return !stage.server->ends.empty() && stage.accepted().ended; }));
  stage.accepted().send(0);
  ASSERT_TRUE(stage.until([&] { return stage.relay->stats().connections_open == 0; }));
  stage.world.run_for(10s);
  const std::vector<Segment> left = segments(files.clients.str());
  const std::vector<Segment> right = segments(files.servers.str());
  const udp::Address client = stage.client.stream->local();
  const udp::Address server = stage.server_host.v4(443);
  std::uint64_t sent = 0, arrived = 0, answered = 0, heard = 0;
  std::set<std::uint32_t> sequences;
  for (const Segment& segment : left) {
    segment.is_from(client) ? ++sent : ++heard;
    if (segment.is_from(client) && !segment.payload.empty()) sequences.insert(segment.sequence);
  }
  for (const Segment& segment : right) segment.is_from(server) ? ++answered : ++arrived;
  const RelayStats stats = stage.relay->stats();
  EXPECT_GT(stats.to_server.dropped_total(), 3u);
  EXPECT_EQ(sent - arrived, stats.to_server.dropped_total());
  EXPECT_EQ(answered - heard, stats.to_client.dropped_total());
  EXPECT_EQ(sent, stats.to_server.packets_in);
  // More segments than places in the stream: what was sent again is there twice.
  std::uint64_t with_bytes = 0;
  for (const Segment& segment : left) {
    with_bytes += segment.is_from(client) && !segment.payload.empty() ? 1 : 0;
  }
  EXPECT_GT(with_bytes, sequences.size());
}

TEST(RelayCapture, AServerThatIsNotThereIsShownUnderTheNatsPort) {
  Files files;
  TcpStage stage(files.options(lossy(1ms, 0)), false);
  stage.connect();
  ASSERT_TRUE(stage.until([&] { return stage.client.over(); }));
  stage.world.run_for(1s);
  stage.relay.reset();
  const std::vector<Segment> right = segments(files.servers.str());
  ASSERT_GE(right.size(), 4u);
  EXPECT_EQ(right[0].flags, Header::kSyn);
  EXPECT_TRUE(right[0].source.same_ip(stage.middle.v4()));
  EXPECT_EQ(right[0].destination, stage.server_host.v4(443));
  bool reset = false;
  for (const Segment& segment : right) reset |= (segment.flags & Header::kRst) != 0;
  EXPECT_TRUE(reset);
}

TEST(RelayCapture, AfterARebindingSegmentsComeFromElsewhere) {
  for (const NatPlace place : {NatPlace::carrier, NatPlace::home}) {
    Files files;
    TcpStage stage(files.options(lossy(10ms, 0)).nat_place(place));
    stage.connect();
    stage.client.send(100, false);
    ASSERT_TRUE(stage.until([&] { return !stage.server->ends.empty(); }));
    const udp::Address outside = stage.accepted().stream->remote();
    Action rebind;
    rebind.kind = Action::Kind::rebind;
    stage.relay->perform(rebind);
    stage.world.run_for(1s);
    stage.client.send(100, false);
    ASSERT_TRUE(stage.until([&] { return stage.client.over(); }));
    const std::vector<Segment> left = segments(files.clients.str());
    std::size_t from_client = 0;
    for (const Segment& segment : left) from_client += segment.is_from(left[0].source) ? 1 : 0;
    EXPECT_GE(from_client, 4u);  // at the client nothing has changed
    std::set<std::uint16_t> ports;
    for (const Segment& segment : segments(files.servers.str())) {
      if (segment.destination == stage.server_host.v4(443)) ports.insert(segment.source.port());
    }
    EXPECT_EQ(ports.size(), 2u);
    EXPECT_TRUE(ports.contains(outside.port()));
  }
}

TEST(RelayCapture, UdpAndTcpShareAFileAndItsInterface) {
  Files files;
  TcpStage stage(files.options(lossy(1ms, 0)).udp(true));
  stage.connect();
  stage.client.send(3);
  ASSERT_TRUE(stage.until([&] { return !stage.server->ends.empty() && stage.accepted().ended; }));
  stage.relay.reset();
  const std::string file = files.clients.str();
  std::size_t interfaces = 0;
  for (std::size_t at = 0; at < file.size(); at += native(file, at + 4)) {
    interfaces += native(file, at) == 1 ? 1 : 0;
  }
  EXPECT_EQ(interfaces, 1u);
}

}  // namespace
}  // namespace tern::relay
