#include "transport/udp/address.h"

#include <arpa/inet.h>
#include <cstring>
#include <unordered_set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "transport/udp/network.h"

namespace tern::udp {
namespace {

Address parse(std::string_view text) {
  auto address = Address::parse(text);
  EXPECT_TRUE(address) << text;
  return address ? *address : Address();
}

TEST(Address, TextGoesBothWays) {
  for (const char* text : {"127.0.0.1:443", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:443",
                           "[::]:4433", "[2001:db8::1]:1", "[fe80::1%1]:443"}) {
    EXPECT_EQ(parse(text).to_string(), text);
  }
  EXPECT_EQ(parse("[0:0:0:0:0:0:0:1]:7").to_string(), "[::1]:7");
  EXPECT_EQ(parse("127.0.0.1:443").ip_string(), "127.0.0.1");
  EXPECT_EQ(parse("[::1]:443").ip_string(), "::1");
}

TEST(Address, WhatIsNotOneIsAnErrorThatShowsIt) {
  for (const char* text : {"",
                           ":",
                           "127.0.0.1",
                           "127.0.0.1:",
                           "127.0.0.1:65536",
                           "127.0.0.1:-1",
                           "127.0.0.1:4x",
                           "127.0.0.1: 4",
                           "localhost:443",
                           "::1",
                           "::1:443",
                           "[::1]",
                           "[::1]:",
                           "[::1:443",
                           "[127.0.0.1]:443",
                           "[::1%nosuchif]:443",
                           "[::1]443",
                           "1.2.3:4",
                           "1.2.3.4.5:6",
                           "[]:1",
                           "127.0.0.1%1:443"}) {
    const auto address = Address::parse(text);
    ASSERT_FALSE(address) << text;
    EXPECT_TRUE(address.error().is(Code::invalid));
    EXPECT_THAT(address.error().detail, testing::HasSubstr(text));
  }
  EXPECT_FALSE(Address::parse_ip("example.com", 1));
  EXPECT_FALSE(Address::parse_ip("[::1]", 1));
  EXPECT_FALSE(Address::parse_ip("", 1));
}

TEST(Address, MappedIpv6IsIpv4) {
  const Address mapped = parse("[::ffff:192.0.2.1]:9");
  EXPECT_TRUE(mapped.is_v4());
  EXPECT_EQ(mapped, parse("192.0.2.1:9"));
  EXPECT_EQ(mapped.hash(), parse("192.0.2.1:9").hash());
  EXPECT_EQ(mapped.size(), sizeof(sockaddr_in));
}

TEST(Address, FromSockaddr) {
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(53);
  four.sin_addr.s_addr = htonl(0x0a000001);
  const auto* generic = reinterpret_cast<const sockaddr*>(&four);
  EXPECT_EQ(Address::from(generic, sizeof four), parse("10.0.0.1:53"));
  EXPECT_FALSE(Address::from(generic, sizeof four - 1).specified());
  four.sin_family = AF_UNIX;
  EXPECT_FALSE(Address::from(generic, sizeof four).specified());

  const Address six = parse("[2001:db8::5]:99");
  EXPECT_EQ(Address::from(six.data(), six.size()), six);
}

TEST(Address, Kinds) {
  EXPECT_TRUE(parse("0.0.0.0:1").is_wildcard());
  EXPECT_TRUE(parse("[::]:1").is_wildcard());
  EXPECT_FALSE(parse("[::1]:1").is_wildcard());
  EXPECT_FALSE(Address().is_wildcard());
  EXPECT_TRUE(parse("127.9.9.9:1").is_loopback());
  EXPECT_TRUE(parse("[::1]:1").is_loopback());
  EXPECT_FALSE(parse("128.0.0.1:1").is_loopback());
  EXPECT_FALSE(parse("[::2]:1").is_loopback());
  EXPECT_FALSE(Address().is_loopback());
}

TEST(Address, UnspecifiedIsAValueOfItsOwn) {
  const Address none;
  EXPECT_FALSE(none.specified());
  EXPECT_EQ(none, Address());
  EXPECT_NE(none, parse("0.0.0.0:0"));
  EXPECT_EQ(none.port(), 0);
  EXPECT_EQ(none.size(), 0U);
  EXPECT_TRUE(none.ip().empty());
  EXPECT_EQ(none.to_string(), "unspecified");
}

TEST(Address, EqualityIsFamilyIpPortAndScope) {
  const Address address = parse("[fe80::1%1]:443");
  EXPECT_NE(address, parse("[fe80::1%2]:443"));
  EXPECT_NE(address, parse("[fe80::1%1]:444"));
  EXPECT_NE(address, parse("[fe80::2%1]:443"));
  EXPECT_NE(parse("1.2.3.4:5"), parse("1.2.3.4:6"));
  EXPECT_TRUE(parse("1.2.3.4:5").same_ip(parse("1.2.3.4:6")));
  EXPECT_FALSE(parse("1.2.3.4:5").same_ip(parse("[::1]:5")));

  Address moved = parse("1.2.3.4:5");
  moved.set_port(6);
  EXPECT_EQ(moved, parse("1.2.3.4:6"));
}

TEST(Address, HashesSpread) {
  std::unordered_set<std::size_t> hashes;
  std::unordered_set<Address> addresses;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const Address address = Address::v4(0x0a000000 + i % 10, static_cast<std::uint16_t>(i));
    hashes.insert(address.hash());
    addresses.insert(address);
  }
  EXPECT_EQ(hashes.size(), 1000U);
  EXPECT_EQ(addresses.size(), 1000U);
}

TEST(Path, ComparesBothEnds) {
  const Path path{parse("127.0.0.1:1"), parse("127.0.0.1:2")};
  Path other = path;
  EXPECT_EQ(path, other);
  other.local = parse("127.0.0.1:3");
  EXPECT_NE(path, other);
}

}  // namespace
}  // namespace tern::udp
