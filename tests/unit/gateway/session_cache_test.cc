#include "gateway/session_cache.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "tests/unit/temporary_folder.h"

namespace tern {
namespace {

constexpr UnixSeconds kNow = 1'000'000;

quic::Session session(std::uint8_t mark, UnixSeconds expires = kNow + 100,
                      std::uint32_t version = 1) {
  quic::Session made;
  made.server_name = "example.com";
  made.alpn = "h3";
  made.quic_version = version;
  made.expires = expires;
  made.ticket = {mark, 1, 2, 3};
  made.token = {mark, 9};
  return made;
}

TEST(SessionCache, GivesTheNewestAndEachButTheLastOnce) {
  SessionCache cache;
  cache.put("https://a", session(1));
  cache.put("https://a", session(2));
  EXPECT_EQ(cache.take("https://a", "h3", 0, kNow)->ticket[0], 2);
  EXPECT_EQ(cache.take("https://a", "h3", 0, kNow)->ticket[0], 1);
  const auto again = cache.take("https://a", "h3", 0, kNow);
  ASSERT_TRUE(again) << "the last ticket stays until the server gives another";
  EXPECT_EQ(again->ticket[0], 1);
  EXPECT_TRUE(again->token.empty()) << "an address token may be used once (RFC 9000 §8.1.3)";
}

TEST(SessionCache, KeepsOriginsVersionsAndProtocolsApart) {
  SessionCache cache;
  cache.put("https://a", session(1, kNow + 100, 1));
  EXPECT_FALSE(cache.take("https://b", "h3", 0, kNow));
  EXPECT_FALSE(cache.take("https://a", "h3", 2, kNow));
  EXPECT_FALSE(cache.take("https://a", "hq-interop", 0, kNow));
  EXPECT_TRUE(cache.take("https://a", "h3", 1, kNow));
}

TEST(SessionCache, ForgetsWhatHasExpired) {
  SessionCache cache;
  cache.put("https://a", session(1, kNow));
  EXPECT_FALSE(cache.take("https://a", "h3", 0, kNow));
  EXPECT_EQ(cache.size(), 0u);
}

TEST(SessionCache, IsBounded) {
  SessionCache cache;
  for (std::uint8_t i = 0; i < 10; ++i) cache.put("https://a", session(i));
  EXPECT_EQ(cache.size(), SessionCache::kMaxPerOrigin);
  EXPECT_EQ(cache.take("https://a", "h3", 0, kNow)->ticket[0], 9);
  for (int i = 0; i < 1000; ++i) cache.put("https://" + std::to_string(i), session(0));
  EXPECT_EQ(cache.size(), SessionCache::kMaxSessions);
  EXPECT_TRUE(cache.take("https://999", "h3", 0, kNow));
  EXPECT_FALSE(cache.take("https://a", "h3", 0, kNow));
}

TEST(SessionCache, ComesBackFromItsFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "sessions";
  SessionCache cache;
  cache.put("https://a", session(1));
  cache.put("https://b", session(2), *udp::Address::parse("[::1]:4433"));
  ASSERT_TRUE(cache.save(path));
  struct stat facts{};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  SessionCache loaded;
  ASSERT_TRUE(loaded.load(path));
  EXPECT_EQ(loaded.size(), 2u);
  EXPECT_EQ(*loaded.take("https://a", "h3", 0, kNow), session(1));
  EXPECT_FALSE(loaded.remote("https://a").specified());
  EXPECT_EQ(loaded.remote("https://b"), *udp::Address::parse("[::1]:4433"));
  loaded.forget_remote("https://b");
  EXPECT_FALSE(loaded.remote("https://b").specified());
}

TEST(SessionCache, FilesThatAreMissingOrEmptyHoldNothing) {
  const test::TemporaryFolder folder;
  SessionCache cache;
  EXPECT_TRUE(cache.load(folder / "missing"));
  std::ofstream(folder / "empty").flush();
  EXPECT_TRUE(cache.load(folder / "empty"));
  EXPECT_EQ(cache.size(), 0u);
}

TEST(SessionCache, RefusesFilesThatAreBroken) {
  const test::TemporaryFolder folder;
  const std::string good = [&] {
    SessionCache cache;
    cache.put("https://a", session(1));
    EXPECT_TRUE(cache.save(folder / "good"));
    std::ifstream file(folder / "good");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  for (const std::string& text :
       {std::string("something else\n"), std::string("tern sessions 1\nno-space\n"),
        std::string("tern sessions 1\nhttps://a xyz\n"),
        std::string("tern sessions 1\nhttps://a 00\n"), good.substr(0, good.size() - 3)}) {
    std::ofstream(folder / "bad", std::ios::trunc) << text;
    SessionCache cache;
    const Result<void> loaded = cache.load(folder / "bad");
    ASSERT_FALSE(loaded) << text;
    EXPECT_NE(loaded.error().detail.find(folder / "bad"), std::string::npos);
    EXPECT_EQ(cache.size(), 0u);
  }
}

}  // namespace
}  // namespace tern
