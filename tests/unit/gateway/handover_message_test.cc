#include "gateway/handover_message.h"

#include <gmock/gmock.h>

namespace tern::handover {
namespace {

TEST(HandoverMessage, DatagramsKeepTheirWay) {
  for (const char* remote : {"192.0.2.1:4000", "[2001:db8::7]:4000", "[fe80::1%3]:1"}) {
    udp::Path path;
    path.local = *udp::Address::parse("[2001:db8::1]:443");
    path.remote = *udp::Address::parse(remote);
    const auto head = datagram_head(path, udp::Ecn::ce);
    std::vector<std::uint8_t> whole(head.begin(), head.end());
    EXPECT_EQ(kind_of(whole), Kind::datagram);
    EXPECT_FALSE(read_datagram(whole)) << "nothing in it";
    whole.push_back(7);
    const auto read = read_datagram(whole);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->path, path);
    EXPECT_EQ(read->ecn, udp::Ecn::ce);
    EXPECT_THAT(read->bytes, testing::ElementsAre(7));
    whole[2] = 5;
    EXPECT_FALSE(read_datagram(whole)) << "no address family";
    EXPECT_FALSE(read_datagram(ByteView(whole).first(30)));
  }
}

TEST(HandoverMessage, AddressesAndHandshakes) {
  const std::vector<udp::Address> addresses{*udp::Address::parse("127.0.0.1:443"),
                                            *udp::Address::parse("[::]:8443")};
  for (const Kind kind :
       {Kind::sockets, Kind::listeners, Kind::cleartext, Kind::listening, Kind::ready}) {
    const auto message = addresses_message(kind, addresses);
    EXPECT_EQ(kind_of(message), kind);
    EXPECT_EQ(read_addresses(message), addresses);
    EXPECT_TRUE(read_addresses(ByteView(message).first(10)).empty());
  }

  std::vector<quic::ConnectionId> cids;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    const std::vector<std::uint8_t> bytes(8 + i % 13, static_cast<std::uint8_t>(i));
    cids.emplace_back(bytes);
  }
  const auto messages = handshake_messages(cids);
  EXPECT_GT(messages.size(), 1u);
  std::vector<quic::ConnectionId> read;
  for (const auto& one : messages) {
    EXPECT_LT(one.size(), 64u * 1024);
    EXPECT_EQ(kind_of(one), Kind::handshakes);
    read_handshakes(one, read);
  }
  EXPECT_EQ(read, cids);
  read.clear();
  const std::vector<std::uint8_t> cut{'I', 8, 1, 2};
  read_handshakes(cut, read);
  EXPECT_TRUE(read.empty());
  EXPECT_TRUE(handshake_messages({}).empty());
}

TEST(HandoverMessage, UnknownKindsAreNone) {
  EXPECT_FALSE(kind_of({}));
  const std::vector<std::uint8_t> unknown{'?'};
  EXPECT_FALSE(kind_of(unknown));
}

}  // namespace
}  // namespace tern::handover
