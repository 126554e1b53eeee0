#include "http/alt_svc.h"

#include <string>

#include <gtest/gtest.h>

namespace tern::http {
namespace {

using namespace std::chrono_literals;

AltService service(std::string protocol, std::string host, std::uint16_t port,
                   Duration max_age = 24h, bool persist = false) {
  AltService made;
  made.protocol = std::move(protocol);
  made.host = std::move(host);
  made.port = port;
  made.max_age = max_age;
  made.persist = persist;
  return made;
}

TEST(AltSvcTest, ReadsWhatServersSend) {
  const AltSvc parsed = AltSvc::parse(
      R"(h3=":443"; ma=86400, h3-29=":443"; ma=60; persist=1,h2="alt.example.com:8000")");
  ASSERT_EQ(parsed.services.size(), 3u);
  EXPECT_FALSE(parsed.clear);
  EXPECT_EQ(parsed.services[0], service("h3", "", 443));
  EXPECT_EQ(parsed.services[1], service("h3-29", "", 443, 60s, true));
  EXPECT_EQ(parsed.services[2], service("h2", "alt.example.com", 8000));
}

TEST(AltSvcTest, ReadsTheRfcsExamples) {
  const AltSvc escaped = AltSvc::parse(R"(w%3Dx%3Ay#z="[2001:db8::1]:1"; v="a;b,c"; ma="5")");
  ASSERT_EQ(escaped.services.size(), 1u);
  EXPECT_EQ(escaped.services[0], service("w=x:y#z", "2001:db8::1", 1, 5s));
  EXPECT_EQ(AltSvc::parse("h2=\"\\:\\4\\43\"").services.at(0), service("h2", "", 443));
}

TEST(AltSvcTest, HostsAreThoseOfUrls) {
  EXPECT_EQ(AltSvc::parse("h3=\"Alt.Example.COM:443\"").services.at(0),
            service("h3", "alt.example.com", 443));
  EXPECT_EQ(AltSvc::parse("h3=\"192.0.2.1:443\"").services.at(0), service("h3", "192.0.2.1", 443));
}

TEST(AltSvcTest, Clear) {
  EXPECT_TRUE(AltSvc::parse("clear").clear);
  EXPECT_TRUE(AltSvc::parse("  clear \t").clear);
  EXPECT_FALSE(AltSvc::parse("Clear").clear);  // case-sensitive, RFC 7838 §3
  EXPECT_FALSE(AltSvc::parse("clear, h3=\":1\"").clear);
}

TEST(AltSvcTest, LeavesOutWhatIsMalformed) {
  EXPECT_TRUE(AltSvc::parse("").services.empty());
  EXPECT_TRUE(AltSvc::parse("h3").services.empty());
  EXPECT_TRUE(AltSvc::parse("h3=:443").services.empty());
  EXPECT_TRUE(AltSvc::parse("h3=\":443").services.empty());
  for (const char* authority :
       {"", ":", ":0", ":65536", ":x", "host", "[::1:443", "::1:443", "[]:1", "[[]:1", "[x]:1",
        "a b:1", "a/b:1", "a?:1", "a@b:1", "a#:1", "\x7f:1"}) {
    const AltSvc parsed = AltSvc::parse("h3=\"" + std::string(authority) + "\", h2=\":1\"");
    ASSERT_EQ(parsed.services.size(), 1u) << authority;
    EXPECT_EQ(parsed.services[0].protocol, "h2") << authority;
  }
  EXPECT_EQ(AltSvc::parse("h3=\":1\"; ma=soon, h2=\":2\"").services.size(), 1u);
  EXPECT_EQ(AltSvc::parse("%4=\":1\", h2=\":2\"").services.size(), 1u);
  // Where its end cannot be found, nothing after it is read.
  EXPECT_TRUE(AltSvc::parse("h3=\":1\" h2=\":2\"").services.empty());
  EXPECT_EQ(AltSvc::parse("h3=\":1\", h2=\":2\"; ma, h2=\":3\"").services.size(), 1u);
}

TEST(AltSvcTest, HasLimits) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += "h3=\":1\",";
  EXPECT_EQ(AltSvc::parse(many).services.size(), AltSvc::kMaxAlternatives);
  EXPECT_EQ(AltSvc::parse("h3=\":1\"; ma=18446744073709551615").services.at(0).max_age, 365 * 24h);
  EXPECT_TRUE(AltSvc::parse("h3=\":1\"; ma=99999999999999999999").services.empty());
}

}  // namespace
}  // namespace tern::http
