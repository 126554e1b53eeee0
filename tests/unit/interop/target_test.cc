#include "tools/interop/target.h"

#include <set>

#include <gtest/gtest.h>

namespace tern::interop {
namespace {

TEST(Targets, TheBuiltInListIsGood) {
  const auto targets = parse_targets(public_endpoints());
  ASSERT_TRUE(targets.has_value()) << targets.error().detail;
  EXPECT_GE(targets->size(), 25u);
  std::set<std::string> names;
  std::size_t with_retry = 0;
  for (const Target& each : *targets) {
    EXPECT_TRUE(names.insert(each.name).second) << each.name;
    if (each.retry) ++with_retry;
  }
  EXPECT_GE(with_retry, 4u);
  EXPECT_TRUE(names.contains("aioquic"));
  EXPECT_TRUE(names.contains("quic-go"));
}

TEST(Targets, ReadsEveryMember) {
  const auto targets = parse_targets(R"({"endpoints": [
    {"name": "a", "url": "https://a.example:4433/x?y", "retry": "https://a.example:4434/",
     "throughput": "/n/{size}", "alpn": "hq-interop", "insecure": true, "note": "n"},
    {"url": "https://b.example"}]})");
  ASSERT_TRUE(targets.has_value()) << targets.error().detail;
  const Target& first = targets->front();
  EXPECT_EQ(first.name, "a");
  EXPECT_EQ(first.url.target(), "/x?y");
  EXPECT_EQ(first.retry->port(), 4434);
  EXPECT_EQ(first.throughput, "/n/{size}");
  EXPECT_EQ(first.alpn, "hq-interop");
  EXPECT_TRUE(first.insecure);
  EXPECT_EQ(first.note, "n");
  EXPECT_EQ(targets->back().name, "b.example");
  EXPECT_EQ(targets->back().alpn, "h3");
}

TEST(Targets, RefusalsNameTheEntry) {
  const auto why = [](std::string_view entry) {
    const auto targets = parse_targets("{\"endpoints\":[" + std::string(entry) + "]}");
    return targets ? std::string() : targets.error().detail;
  };
  EXPECT_EQ(why(R"({"name":"x"})"), "endpoint 1 (x): it has no 'url'");
  EXPECT_EQ(why(R"({"url":"https://a","nane":"x"})"), "endpoint 1: there is no member 'nane'");
  EXPECT_EQ(why(R"({"url":7})"), "endpoint 1: 'url' is of another type");
  EXPECT_EQ(why(R"({"url":"https://a","insecure":"yes"})"),
            "endpoint 1: 'insecure' is of another type");
  EXPECT_EQ(why(R"({"url":"https://a","alpn":"h2"})"), "endpoint 1: 'alpn' is h3 or hq-interop");
  EXPECT_EQ(why(R"({"url":"https://a","retry":"https://b"})"),
            "endpoint 1: 'retry' names another host");
  EXPECT_EQ(why(R"({"url":"https://a","throughput":"/5mb"})"),
            "endpoint 1: 'throughput' is a path with {size} in it");
  EXPECT_NE(why(R"({"url":"http://a"})"), "");
  EXPECT_FALSE(parse_targets("{}").has_value());
  EXPECT_FALSE(parse_targets("[]").has_value());
  EXPECT_FALSE(parse_targets(R"({"endpoints":[]})").has_value());
}

}  // namespace
}  // namespace tern::interop
