#include "transport/quic/packet_aead.h"

#include <array>
#include <memory>

#include <gtest/gtest.h>

namespace tern::quic {
namespace {

constexpr std::array<std::uint8_t, 16> kKey{1, 2, 3};
constexpr std::array<std::uint8_t, 12> kNonce{4, 5, 6};

std::array<std::uint8_t, 20> seal(PacketAead& key) {
  std::array<std::uint8_t, 20> out{'d', 'a', 't', 'a'};
  EXPECT_TRUE(key.key().seal(out.data(), ByteView(out).first(4), kNonce, {}));
  return out;
}

TEST(RestingKeys, RestTogetherAndWakeTogether) {
  RestingKeys keys;
  PacketAead current(Aead::aes_128_gcm, kKey);
  PacketAead next(Aead::aes_128_gcm, kKey);
  PacketAead unused(Aead::aes_128_gcm, kKey);
  for (PacketAead* key : {&current, &next, &unused}) keys.add(*key);
  const auto sealed = seal(current);
  static_cast<void>(next.key());
  for (int round = 0; round < 2; ++round) {
    keys.rest();
    for (PacketAead* key : {&current, &next, &unused}) EXPECT_FALSE(key->has_schedule());
    EXPECT_EQ(seal(current), sealed);
    EXPECT_TRUE(current.has_schedule());
    EXPECT_TRUE(next.has_schedule()) << "before a packet asks for it";
    EXPECT_FALSE(unused.has_schedule()) << "it had none";
    EXPECT_EQ(seal(next), sealed);
  }
}

TEST(RestingKeys, KeysComeAndGo) {
  RestingKeys keys;
  auto first = std::make_unique<PacketAead>(Aead::aes_128_gcm, kKey);
  PacketAead second(Aead::chacha20_poly1305, std::array<std::uint8_t, 32>{7});
  auto third = std::make_unique<PacketAead>(Aead::aes_128_gcm, kKey);
  keys.add(*first);
  keys.add(second);
  keys.add(*third);
  const auto sealed = seal(second);
  first.reset();
  keys.rest();
  EXPECT_FALSE(second.has_schedule());
  third.reset();
  EXPECT_EQ(seal(second), sealed);
}

}  // namespace
}  // namespace tern::quic
