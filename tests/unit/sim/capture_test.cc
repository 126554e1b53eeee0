#include "transport/sim/capture.h"

#include <cstring>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sim/raw_peer.h"

namespace tern::sim {
namespace {

std::uint32_t word(const std::string& bytes, std::size_t offset) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + offset, 4);
  return value;
}

struct Block {
  std::uint32_t type;
  std::string body;
};

/// Splits a pcapng file, checking that both lengths of every block agree.
std::vector<Block> blocks(const std::string& file) {
  std::vector<Block> result;
  for (std::size_t at = 0; at < file.size();) {
    const std::uint32_t length = word(file, at + 4);
    if (length % 4 != 0 || at + length > file.size() || word(file, at + length - 4) != length) {
      throw std::runtime_error("bad block length");
    }
    result.push_back({word(file, at), file.substr(at + 8, length - 12)});
    at += length;
  }
  return result;
}

/// One's complement sum over 16-bit big-endian words; 0xffff when a checksum in it is right.
std::uint32_t internet_sum(std::string_view bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    sum += i % 2 == 0 ? std::uint32_t{byte} << 8 : byte;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

TEST(Capture, WritesPcapngWithDroppedPacketsAsComments) {
  std::ostringstream out;
  Capture capture(out);
  Pair pair(LinkOptions().up(ChannelOptions().drop(2)).name("wifi").delay(1ms));
  pair.world.observe(capture);
  pair.send(101, 'a', udp::Ecn::ect0);
  pair.send(33, 'b');
  pair.world.run_for(1s);
  const std::vector<Block> file = blocks(out.str());
  ASSERT_EQ(file.size(), 4u);
  EXPECT_EQ(file[0].type, 0x0a0d0d0au);
  EXPECT_EQ(word(file[0].body, 0), 0x1a2b3c4du);
  EXPECT_EQ(file[1].type, 1u);
  EXPECT_THAT(file[1].body, testing::HasSubstr("wifi client>server"));
  // The lost one comes first: it was lost before the other arrived.
  EXPECT_EQ(file[2].type, 6u);
  EXPECT_THAT(file[2].body, testing::HasSubstr("listed"));

  const std::string& body = file[3].body;
  const std::uint64_t time = std::uint64_t{word(body, 4)} << 32 | word(body, 8);
  EXPECT_EQ(time, 1'001'000'000u);
  EXPECT_EQ(word(body, 12), 129u);
  const std::string_view packet = std::string_view(body).substr(20, 129);
  EXPECT_EQ(packet[0], 0x45);
  EXPECT_EQ(packet[1], 2) << "ECT(0)";
  EXPECT_EQ(internet_sum(packet.substr(0, 20)), 0xffffu);
  const std::uint32_t pseudo = internet_sum(packet.substr(12, 8)) + 17 + 109;
  EXPECT_EQ(internet_sum(packet.substr(20), pseudo), 0xffffu);
  EXPECT_EQ(packet.substr(28), std::string(101, 'a'));
}

TEST(Capture, WritesIpv6) {
  std::ostringstream out;
  Capture capture(out);
  World world(1);
  world.link(world.host("client"), world.host("server"));
  world.observe(capture);
  RawPeer client(world.host("client"), any_v6());
  RawPeer server(world.host("server"), any_v6(4433));
  client.send(world.host("server").v6(4433), "hello", udp::Ecn::ce);
  world.run_for(1s);
  const std::vector<Block> file = blocks(out.str());
  ASSERT_EQ(file.size(), 3u);
  const std::string_view packet = std::string_view(file[2].body).substr(20, 53);
  EXPECT_EQ(packet[0], 0x60);
  EXPECT_EQ(packet[1], 0x30) << "CE in the traffic class";
  const std::uint32_t pseudo = internet_sum(packet.substr(8, 32)) + 17 + 13;
  EXPECT_EQ(internet_sum(packet.substr(40), pseudo), 0xffffu);
  EXPECT_EQ(packet.substr(48), "hello");
}

}  // namespace
}  // namespace tern::sim
