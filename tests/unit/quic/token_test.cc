#include "transport/quic/token.h"

#include <vector>

#include <gmock/gmock.h>

#include "transport/quic/session.h"

namespace tern::quic {
namespace {

constexpr UnixSeconds kNow = 1'750'000'000;
constexpr std::uint32_t kV1 = 1;
constexpr std::uint32_t kV2 = 0x6b3343cf;

class Tokens : public ::testing::Test {
 protected:
  AddressTokens::Token retry() {
    return tokens_.retry(random_, kV1, with_port_, odcid_, rscid_, kNow);
  }
  AddressTokens::Token fresh() { return tokens_.new_token(random_, kV1, address_, kNow); }
  tl::expected<ValidatedToken, TokenRefusal> open(ByteView token, UnixSeconds now) {
    return tokens_.open(token, kV1, with_port_, address_, rscid_, now);
  }

  Random random_{std::uint64_t{7}};
  std::shared_ptr<tls::KeyRing> keys_ = std::make_shared<tls::KeyRing>(random_, kNow);
  AddressTokens tokens_{keys_};
  std::vector<std::uint8_t> address_{192, 0, 2, 1};
  std::vector<std::uint8_t> with_port_{192, 0, 2, 1, 0x11, 0x51};
  std::vector<std::uint8_t> other_{192, 0, 2, 2, 0x11, 0x51};
  ConnectionId odcid_{as_bytes("original")};
  ConnectionId rscid_{as_bytes("retry id")};
};

TEST_F(Tokens, RetryGivesBackBothConnectionIds) {
  const auto token = retry();
  EXPECT_TRUE(AddressTokens::looks_like_retry(token.view()));
  const auto opened = open(token.view(), kNow + 1);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(opened->retry);
  EXPECT_EQ(opened->original_dcid, odcid_);
  EXPECT_EQ(opened->retry_scid, rscid_);
  EXPECT_EQ(opened->issued, kNow);
}

TEST_F(Tokens, NewTokenIsForTheAddressWhateverThePort) {
  const auto token = fresh();
  EXPECT_FALSE(AddressTokens::looks_like_retry(token.view()));
  const auto opened = tokens_.open(token.view(), kV1, other_, address_, odcid_, kNow + 3600);
  ASSERT_TRUE(opened);
  EXPECT_FALSE(opened->retry);
}

TEST_F(Tokens, Expire) {
  const auto first = retry();
  EXPECT_TRUE(open(first.view(), kNow + AddressTokens::kRetryLifetime));
  EXPECT_EQ(open(first.view(), kNow + AddressTokens::kRetryLifetime + 1).error(),
            TokenRefusal::expired);
  const auto second = fresh();
  EXPECT_TRUE(open(second.view(), kNow + AddressTokens::kNewTokenLifetime));
  EXPECT_EQ(open(second.view(), kNow + AddressTokens::kNewTokenLifetime + 1).error(),
            TokenRefusal::expired);
  EXPECT_EQ(open(second.view(), kNow - 60).error(), TokenRefusal::expired) << "from the future";
}

TEST_F(Tokens, AreForOneAddress) {
  EXPECT_EQ(tokens_.open(retry().view(), kV1, other_, address_, rscid_, kNow).error(),
            TokenRefusal::address);
  EXPECT_EQ(tokens_.open(fresh().view(), kV1, with_port_, other_, rscid_, kNow).error(),
            TokenRefusal::address);
}

TEST_F(Tokens, AreForOneVersion) {
  EXPECT_EQ(tokens_.open(fresh().view(), kV2, with_port_, address_, rscid_, kNow).error(),
            TokenRefusal::version);
}

TEST_F(Tokens, RetryWantsItsConnectionId) {
  EXPECT_EQ(tokens_.open(retry().view(), kV1, with_port_, address_, odcid_, kNow).error(),
            TokenRefusal::dcid);
}

TEST_F(Tokens, AnyChangedBitIsUnknown) {
  const auto token = retry();
  for (std::size_t bit = 0; bit < token.size * 8; ++bit) {
    auto changed = token;
    changed.bytes[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    EXPECT_EQ(open(changed.view(), kNow).error(), TokenRefusal::unknown) << "bit " << bit;
  }
  for (std::size_t size = 0; size < token.size; ++size) {
    EXPECT_EQ(open(token.view().first(size), kNow).error(), TokenRefusal::unknown) << size;
  }
  const std::vector<std::uint8_t> long_one(1000, 0xb7);
  EXPECT_EQ(open(long_one, kNow).error(), TokenRefusal::unknown);
}

TEST_F(Tokens, OutliveRotationsUntilTheirKeyIsDropped) {
  const auto token = fresh();
  for (std::size_t i = 1; i < tls::KeyRing::kMaxKeys; ++i) {
    keys_->rotate(random_, kNow);
    EXPECT_TRUE(open(token.view(), kNow)) << i << " rotations";
  }
  keys_->rotate(random_, kNow);
  EXPECT_EQ(open(token.view(), kNow).error(), TokenRefusal::unknown);
}

TEST_F(Tokens, FitTheLongestContents) {
  const std::vector<std::uint8_t> address(32, 1), cid(20, 2);
  const auto token = tokens_.retry(random_, kV1, address, cid, cid, kNow);
  EXPECT_LE(token.size, AddressTokens::kMaxTokenLength);
  const auto opened = tokens_.open(token.view(), kV1, address, {}, cid, kNow);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->original_dcid, ConnectionId(cid));
}

TEST(StatelessResetKey, IsAFunctionOfKeyAndCid) {
  std::array<std::uint8_t, 32> key{};
  const StatelessResetKey first(key);
  const auto token = first.token(as_bytes("12345678"));
  EXPECT_EQ(token, StatelessResetKey(key).token(as_bytes("12345678")));
  EXPECT_NE(token, first.token(as_bytes("12345679")));
  key[0] = 1;
  EXPECT_NE(token, StatelessResetKey(key).token(as_bytes("12345678")));
}

Session example() {
  Session session;
  session.server_name = "example.org";
  session.alpn = "h3";
  session.quic_version = kV2;
  session.expires = kNow;
  session.early_data = true;
  session.ticket = {1, 2, 3};
  session.transport_params = {4};
  session.token = {5, 6};
  session.application = {7};
  return session;
}

TEST(SessionFile, RoundTrips) {
  const auto parsed = Session::parse(example().serialize());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, example());
}

TEST(SessionFile, RefusesWhatIsCutOffOrTooLong) {
  const auto bytes = example().serialize();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(Session::parse(ByteView(bytes).first(size))) << size;
  }
  auto longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(Session::parse(longer));
  auto other_format = bytes;
  other_format[4] = 2;
  EXPECT_THAT(Session::parse(other_format).error().detail, ::testing::HasSubstr("version"));
}

}  // namespace
}  // namespace tern::quic
