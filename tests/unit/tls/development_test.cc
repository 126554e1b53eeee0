#include "transport/tls/development.h"

#include <sys/stat.h>

#include <gmock/gmock.h>

#include "tests/unit/temporary_folder.h"
#include "tests/unit/tls/now.h"
#include "transport/tls/certificate.h"

namespace tern::tls {
namespace {

using ::testing::HasSubstr;

Certificate parse(const Identity& identity) {
  auto parsed = Certificate::parse(identity.certificate, identity.key);
  EXPECT_TRUE(parsed) << parsed.error().detail;
  return *parsed;
}

TEST(DevelopmentCertificates, AreOneFunctionOfTheirSeeds) {
  const auto make = [](std::uint8_t seed) {
    std::array<std::uint8_t, 32> bytes{};
    bytes[0] = seed;
    const auto options =
        DevelopmentOptions(kNow).key_type(KeyType::ed25519).seed(bytes).names({"sim.test"});
    const auto authority = make_authority(options);
    bytes[1] = 1;
    return make_leaf(*authority, DevelopmentOptions(options).seed(bytes));
  };
  const auto first = make(1), again = make(1), other = make(2);
  ASSERT_TRUE(first && again && other);
  EXPECT_EQ(first->certificate, again->certificate);
  EXPECT_EQ(first->key, again->key);
  EXPECT_NE(first->certificate, other->certificate);
  EXPECT_EQ(first->certificate.size(), other->certificate.size());
  EXPECT_EQ(parse(*first).key_type(), "Ed25519");
  EXPECT_TRUE(parse(*first).covers("sim.test"));
}

TEST(DevelopmentCertificates, AreFreshWithoutASeed) {
  const auto first = make_authority(DevelopmentOptions(kNow));
  const auto second = make_authority(DevelopmentOptions(kNow));
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->key, second->key);
  EXPECT_NE(parse(*first).sha256(), parse(*second).sha256());
}

TEST(DevelopmentCertificates, TakeAnySerialNumber) {
  const auto authority = make_authority(DevelopmentOptions(kNow));
  EXPECT_TRUE(make_leaf(*authority, DevelopmentOptions(kNow).serial(1)));
  EXPECT_TRUE(make_leaf(*authority, DevelopmentOptions(kNow).serial(UINT64_MAX)));
}

TEST(DevelopmentCertificates, SaveTheKeyPrivately) {
  const test::TemporaryFolder folder;
  const auto authority = make_authority(DevelopmentOptions(kNow));
  ASSERT_TRUE(authority->save(folder / "ca.pem", folder / "ca.key"));
  struct stat info{};
  ASSERT_EQ(stat((folder / "ca.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto loaded = Identity::load(folder / "ca.pem", folder / "ca.key");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->certificate, authority->certificate);
  EXPECT_EQ(loaded->key, authority->key);
  EXPECT_FALSE(Identity::load(folder / "ca.pem", folder / "none"));
}

TEST(DevelopmentCertificates, SayWhatCannotBeDone) {
  const auto authority = make_authority(DevelopmentOptions(kNow));
  const auto error = [&](const DevelopmentOptions& options) {
    const auto leaf = make_leaf(*authority, options);
    return leaf ? "" : leaf.error().detail;
  };
  EXPECT_THAT(error(DevelopmentOptions(kNow).names({"a,DNS:b"})), HasSubstr("\"a,DNS:b\""));
  EXPECT_THAT(error(DevelopmentOptions(kNow).names({""})), HasSubstr("not a host name"));
  EXPECT_THAT(error(DevelopmentOptions(kNow).days(0)), HasSubstr("at least a day"));
  EXPECT_THAT(error(DevelopmentOptions(kNow).seed({})), HasSubstr("Ed25519"));
  EXPECT_THAT(error(DevelopmentOptions(INT64_MAX / 2)), HasSubstr("times"));
  const Identity broken{"", authority->key};
  EXPECT_THAT(make_leaf(broken, DevelopmentOptions(kNow)).error().detail,
              HasSubstr("the development CA's certificate"));
}

}  // namespace
}  // namespace tern::tls
