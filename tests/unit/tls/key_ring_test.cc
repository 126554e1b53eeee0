#include "transport/tls/key_ring.h"

#include <algorithm>
#include <set>
#include <string>
#include <sys/stat.h>
#include <thread>

#include <gmock/gmock.h>

#include "tests/unit/temporary_folder.h"
#include "tests/unit/tls/now.h"

namespace tern::tls {
namespace {

using ::testing::HasSubstr;

TEST(KeyRing, RotationKeepsTheLatestKeysNewestFirst) {
  Random random(std::uint64_t{1});
  KeyRing ring(random, kNow);
  const auto first = ring.snapshot();
  ASSERT_EQ(first->size(), 1u);
  for (int i = 1; i <= 10; ++i) ring.rotate(random, kNow + i);
  const auto keys = ring.snapshot();
  ASSERT_EQ(keys->size(), KeyRing::kMaxKeys);
  std::set<std::array<std::uint8_t, 8>> ids;
  for (std::size_t i = 0; i < keys->size(); ++i) {
    EXPECT_EQ((*keys)[i].created, kNow + 10 - static_cast<UnixSeconds>(i));
    ids.insert((*keys)[i].id);
  }
  EXPECT_EQ(ids.size(), KeyRing::kMaxKeys);
  EXPECT_EQ(first->size(), 1u) << "a snapshot changes under its reader";
}

TEST(KeyRing, DerivesUnlikeKeysFromOneSecret) {
  const RingKey key = RingKey::from_secret({1, 2, 3}, kNow);
  const RingKey same = RingKey::from_secret({1, 2, 3}, kNow + 5);
  EXPECT_EQ(key.id, same.id);
  EXPECT_EQ(key.ticket_key, same.ticket_key);
  EXPECT_NE(key.ticket_key, key.secret);
  EXPECT_FALSE(std::equal(key.token_key.begin(), key.token_key.end(), key.ticket_key.begin()));
}

TEST(KeyRing, TravelsAsText) {
  Random random(std::uint64_t{2});
  KeyRing ring(random, kNow);
  ring.rotate(random, kNow + 60);
  const auto copy = KeyRing::parse(ring.serialize());
  ASSERT_TRUE(copy) << copy.error().detail;
  const auto ours = ring.snapshot();
  const auto theirs = (*copy)->snapshot();
  ASSERT_EQ(ours->size(), theirs->size());
  for (std::size_t i = 0; i < ours->size(); ++i) {
    EXPECT_EQ((*ours)[i].secret, (*theirs)[i].secret);
    EXPECT_EQ((*ours)[i].id, (*theirs)[i].id);
    EXPECT_EQ((*ours)[i].ticket_key, (*theirs)[i].ticket_key);
    EXPECT_EQ((*ours)[i].created, (*theirs)[i].created);
  }
}

TEST(KeyRing, TravelsAsAPrivateFileAndReplacesInPlace) {
  const test::TemporaryFolder folder;
  Random random(std::uint64_t{3});
  KeyRing elsewhere(random, kNow);
  ASSERT_TRUE(elsewhere.save(folder / "keys"));
  ASSERT_TRUE(elsewhere.save(folder / "keys")) << "over an older file";
  struct stat info{};
  ASSERT_EQ(stat((folder / "keys").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto loaded = KeyRing::load(folder / "keys");
  ASSERT_TRUE(loaded);
  KeyRing ours(random, kNow);
  ours.replace(**loaded);
  EXPECT_EQ(ours.snapshot()->front().id, elsewhere.snapshot()->front().id);
  EXPECT_THAT(KeyRing::load(folder / "none").error().to_string(), HasSubstr(folder / "none"));
  EXPECT_FALSE(elsewhere.save(folder / "no/such/folder"));
}

TEST(KeyRing, NamesTheBrokenLine) {
  const std::string secret(64, 'a');
  const auto error = [](const std::string& text) {
    const auto parsed = KeyRing::parse(text, "keys.txt");
    return parsed ? "" : parsed.error().detail;
  };
  EXPECT_EQ(error("tern-keys-1\n" + secret + " 5\n"), "");
  EXPECT_THAT(error(""), HasSubstr("keys.txt holds no key"));
  EXPECT_THAT(error("tern-keys-1\n"), HasSubstr("holds no key"));
  EXPECT_THAT(error("tern-keys-2\n" + secret + " 5\n"), HasSubstr("line 1"));
  EXPECT_THAT(error("tern-keys-1\n" + secret + "\n"), HasSubstr("line 2"));
  EXPECT_THAT(error("tern-keys-1\n" + secret + " x\n"), HasSubstr("line 2"));
  EXPECT_THAT(error("tern-keys-1\n" + secret + " 5 6\n"), HasSubstr("line 2"));
  EXPECT_THAT(error("tern-keys-1\n" + std::string(63, 'a') + "g 5\n"), HasSubstr("line 2"));
  std::string many = "tern-keys-1\n";
  for (int i = 0; i < 5; ++i) many += secret + " 5\n";
  EXPECT_THAT(error(many), HasSubstr("line 6"));
}

TEST(KeyRing, RotatesUnderItsReaders) {
  Random random(std::uint64_t{4});
  KeyRing ring(random, kNow);
  std::thread reader([&] {
    for (int i = 0; i < 1000; ++i) {
      const auto keys = ring.snapshot();
      ASSERT_FALSE(keys->empty());
      ASSERT_LE(keys->size(), KeyRing::kMaxKeys);
    }
  });
  for (int i = 0; i < 200; ++i) ring.rotate(random, kNow + i);
  reader.join();
}

}  // namespace
}  // namespace tern::tls
