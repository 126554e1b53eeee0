// Cookies as RFC 6265bis has them, and Netscape's files.

#include "http/cookie_jar.h"

#include <string>

#include <gtest/gtest.h>

namespace tern::http {
namespace {

constexpr UnixSeconds kNow = 1'767'225'600;  // 2026-01-01

Url url(std::string_view text) { return *Url::parse(text); }

/// What goes to `to` after `from` has set that one cookie.
std::string given(std::string_view set_cookie, const char* from, const char* to) {
  CookieJar jar;
  jar.store(url(from), set_cookie, kNow);
  return jar.header_for(url(to), kNow);
}

TEST(CookieJarTest, WhoGetsACookie) {
  struct Case {
    const char* set_cookie;
    const char* from;
    const char* to;
    const char* sent;
  };
  const char* const kSite = "https://www.example.com/";
  for (const Case& entry : {
           Case{"a=b", kSite, kSite, "a=b"},
           Case{" a = b ; x=y", kSite, kSite, "a=b"},
           Case{"a=\"b c\"", kSite, kSite, "a=\"b c\""},
           Case{"a=b=c", kSite, kSite, "a=b=c"},
           Case{"just-a-value", kSite, kSite, "just-a-value"},
           Case{"=value", kSite, kSite, "value"},
           Case{"name=", kSite, kSite, "name="},
           Case{"", kSite, kSite, ""},
           Case{"; Secure", kSite, kSite, ""},
           // Domains.
           Case{"a=b", kSite, "https://example.com/", ""},
           Case{"a=b", kSite, "https://x.www.example.com/", ""},
           Case{"a=b; Domain=example.com", kSite, "https://example.com/", "a=b"},
           Case{"a=b; domain=.EXAMPLE.com", kSite, "https://x.y.example.com/", "a=b"},
           Case{"a=b; Domain=example.com", kSite, "https://badexample.com/", ""},
           Case{"a=b; Domain=www.example.com", kSite, "https://x.www.example.com/", "a=b"},
           Case{"a=b; Domain=other.com", kSite, "https://other.com/", ""},
           Case{"a=b; Domain=x.www.example.com", kSite, "https://x.www.example.com/", ""},
           Case{"a=b; Domain=", kSite, kSite, "a=b"},
           Case{"a=b; Domain=other.com; Domain=example.com", kSite, "https://example.com/", "a=b"},
           // Public suffixes.
           Case{"a=b; Domain=com", kSite, kSite, ""},
           Case{"a=b; Domain=co.uk", "https://a.co.uk/", "https://b.co.uk/", ""},
           Case{"a=b; Domain=github.io", "https://me.github.io/", "https://you.github.io/", ""},
           Case{"a=b; Domain=me.github.io", "https://me.github.io/", "https://x.me.github.io/",
                "a=b"},
           Case{"a=b; Domain=github.io", "https://github.io/", "https://github.io/", "a=b"},
           Case{"a=b; Domain=github.io", "https://github.io/", "https://you.github.io/", ""},
           Case{"a=b; Domain=localhost", "https://localhost/", "https://localhost/", "a=b"},
           // Addresses are nobody's domain.
           Case{"a=b", "https://10.0.0.1/", "https://10.0.0.1/", "a=b"},
           Case{"a=b; Domain=0.0.1", "https://10.0.0.1/", "https://10.0.0.1/", ""},
           Case{"a=b; Domain=10.0.0.1", "https://10.0.0.1/", "https://10.0.0.1:8443/", "a=b"},
           // Paths.
           Case{"a=b", "https://e.com/x/y", "https://e.com/x/z", "a=b"},
           Case{"a=b", "https://e.com/x/y", "https://e.com/x", "a=b"},
           Case{"a=b", "https://e.com/x/y", "https://e.com/xy", ""},
           Case{"a=b", "https://e.com/x/y", "https://e.com/", ""},
           Case{"a=b; Path=/x", "https://e.com/", "https://e.com/x/y", "a=b"},
           Case{"a=b; Path=/x/", "https://e.com/", "https://e.com/x", ""},
           Case{"a=b; Path=/x", "https://e.com/", "https://e.com/xy", ""},
           Case{"a=b; Path=x", "https://e.com/p/q", "https://e.com/p/r", "a=b"},
           // Secure.
           Case{"a=b; Secure", "https://e.com/", "http://e.com/", ""},
           Case{"a=b; Secure", "http://e.com/", "https://e.com/", ""},
           Case{"a=b", "http://e.com/", "https://e.com/", "a=b"},
           Case{"a=b", "https://e.com/", "http://e.com/", "a=b"},
           Case{"__Secure-a=b; Secure", "https://e.com/", "https://e.com/", "__Secure-a=b"},
           Case{"__Secure-a=b", "https://e.com/", "https://e.com/", ""},
           Case{"__host-a=b; Secure; Path=/", "https://e.com/", "https://e.com/", "__host-a=b"},
           Case{"__Host-a=b; Secure", "https://e.com/", "https://e.com/", ""},
           Case{"__Host-a=b; Secure; Path=/; Domain=e.com", "https://e.com/", "https://e.com/", ""},
           Case{"__Secure-x; Secure", "https://e.com/", "https://e.com/", ""},
           // Time.
           Case{"a=b; Max-Age=1", kSite, kSite, "a=b"},
           Case{"a=b; Max-Age=0", kSite, kSite, ""},
           Case{"a=b; Max-Age=-5", kSite, kSite, ""},
           Case{"a=b; Max-Age=99999999999999999999", kSite, kSite, "a=b"},
           Case{"a=b; Max-Age=1x", kSite, kSite, "a=b"},
           Case{"a=b; Expires=Wed, 31 Dec 2025 23:59:59 GMT", kSite, kSite, ""},
           Case{"a=b; Expires=Thu, 01-Jan-26 00:00:01 GMT", kSite, kSite, "a=b"},
           Case{"a=b; Max-Age=5; Expires=Wed, 31 Dec 2025 23:59:59 GMT", kSite, kSite, "a=b"},
           Case{"a=b; Expires=never", kSite, kSite, "a=b"},
           // Control characters.
           Case{"a=b\x01", kSite, kSite, ""},
           Case{"a=b\nc", kSite, kSite, ""},
           Case{"a=b\tc", kSite, kSite, ""},
           Case{"a=b\t; Secure", kSite, kSite, "a=b"},
       }) {
    EXPECT_EQ(given(entry.set_cookie, entry.from, entry.to), entry.sent)
        << entry.set_cookie << " from " << entry.from << " to " << entry.to;
  }
}

TEST(CookieJarTest, LongerPathsFirstThenTheOlder) {
  CookieJar jar;
  for (const char* cookie : {"a=1; Path=/", "b=2; Path=/x", "c=3; Path=/", "a=4; Path=/"}) {
    EXPECT_TRUE(jar.store(url("https://e.com/x/y"), cookie, kNow));
  }
  EXPECT_EQ(jar.header_for(url("https://e.com/x/y"), kNow), "b=2; a=4; c=3");
  EXPECT_TRUE(jar.store(url("https://e.com/"), "a=; Max-Age=0; Path=/", kNow));
  EXPECT_EQ(jar.header_for(url("https://e.com/x/y"), kNow), "b=2; c=3");
}

TEST(CookieJarTest, ASecureCookieIsNotReplacedOverHttp) {
  CookieJar jar;
  ASSERT_TRUE(jar.store(url("https://e.com/"), "a=1; Secure; Path=/x", kNow));
  EXPECT_FALSE(jar.store(url("http://e.com/"), "a=2; Path=/x/y", kNow));
  EXPECT_TRUE(jar.store(url("http://e.com/"), "a=2; Path=/", kNow)) << "it does not hide the other";
  EXPECT_TRUE(jar.store(url("https://e.com/"), "a=3; Path=/x", kNow));
}

TEST(CookieJarTest, TheyExpire) {
  CookieJar jar;
  jar.store(url("https://e.com/"), "a=1; Max-Age=10", kNow);
  jar.store(url("https://e.com/"), "b=1; Max-Age=99999999999", kNow);
  EXPECT_EQ(jar.header_for(url("https://e.com/"), kNow + 9), "a=1; b=1");
  EXPECT_EQ(jar.header_for(url("https://e.com/"), kNow + 10), "b=1");
  EXPECT_EQ(jar.header_for(url("https://e.com/"), kNow + CookieJar::kMaxAge), "");
  EXPECT_EQ(jar.size(), 0u);
}

TEST(CookieJarTest, Limits) {
  CookieJar jar;
  EXPECT_FALSE(
      jar.store(url("https://e.com/"), "a=" + std::string(CookieJar::kMaxSize, 'x'), kNow));
  const std::string long_path = "/" + std::string(CookieJar::kMaxAttribute, 'p');
  EXPECT_TRUE(jar.store(url("https://e.com/"), "p=1; Path=" + long_path, kNow));
  EXPECT_EQ(jar.header_for(url("https://e.com/"), kNow), "p=1") << "that path is not looked at";
  for (int i = 0; i < 300; ++i) {
    jar.store(url("https://e.com/"), "n" + std::to_string(i) + (i == 0 ? "=1; Secure" : "=1"),
              kNow);
  }
  EXPECT_EQ(jar.size(), CookieJar::kMaxPerDomain);
  const std::string sent = jar.header_for(url("https://e.com/"), kNow);
  EXPECT_NE(sent.find("n0=1"), std::string::npos) << "secure ones stay longer";
  EXPECT_EQ(sent.find("n1=1"), std::string::npos);
  EXPECT_NE(sent.find("n299=1"), std::string::npos);
  for (int i = 0; i < 40; ++i) {
    jar.store(url("https://big.com/"), std::to_string(i) + "=" + std::string(4000, 'x'), kNow);
  }
  EXPECT_LE(jar.header_for(url("https://big.com/"), kNow).size(), CookieJar::kMaxHeader);
  for (std::size_t i = 0; i < CookieJar::kMaxCookies + 10; ++i) {
    jar.store(url("https://h" + std::to_string(i) + ".com/"), "a=1", kNow);
  }
  EXPECT_EQ(jar.size(), CookieJar::kMaxCookies);
}

TEST(CookieJarTest, NetscapesFile) {
  const std::string text =
      "# Netscape HTTP Cookie File\r\n\r\n"
      ".example.com\tTRUE\t/\tTRUE\t1798761600\ta\tb c\r\n"
      "#HttpOnly_www.example.com\tFALSE\t/x\tFALSE\t0\tsession\t\n"
      "old.com\tFALSE\t/\tFALSE\t1000\tgone\t1\n";
  CookieJar jar;
  const auto read = jar.from_text(text, kNow);
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(jar.size(), 2u);
  EXPECT_EQ(jar.header_for(url("https://www.example.com/x"), kNow), "session=; a=b c");
  EXPECT_EQ(jar.to_text(kNow),
            "# Netscape HTTP Cookie File\n# Made by tern.\n\n"
            ".example.com\tTRUE\t/\tTRUE\t1798761600\ta\tb c\n"
            "#HttpOnly_www.example.com\tFALSE\t/x\tFALSE\t0\tsession\t\n");
  for (const char* bad :
       {"example.com\tTRUE\t/\tTRUE\t0\n", "x\tTRUE\t/\tTRUE\tsoon\ta\tb\n",
        "\tTRUE\t/\tTRUE\t0\ta\tb\n", "x\tTRUE\tpath\tTRUE\t0\ta\tb\n", "Set-Cookie: a=b\n"}) {
    CookieJar other;
    const auto refused = other.from_text(std::string("# one\n") + bad, kNow);
    ASSERT_FALSE(refused) << bad;
    EXPECT_NE(refused.error().detail.find("line 2"), std::string::npos) << refused.error().detail;
  }
}

TEST(CookieDateTest, AsServersWriteThem) {
  EXPECT_EQ(parse_cookie_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784'111'777);
  EXPECT_EQ(parse_cookie_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784'111'777);
  EXPECT_EQ(parse_cookie_date("Sun Nov  6 08:49:37 1994"), 784'111'777);
  EXPECT_EQ(parse_cookie_date("6 november 1994 8:49:37"), 784'111'777);
  EXPECT_EQ(parse_cookie_date("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
  EXPECT_EQ(parse_cookie_date("29 Feb 2024 00:00:00"), 1'709'164'800);
  for (const char* text :
       {"", "tomorrow", "31 Feb 2024 00:00:00", "29 Feb 2023 00:00:00", "1 Jan 2024 24:00:00",
        "1 Jan 2024", "1 Jan 1600 00:00:00", "1 Jan 12345 00:00:00", "123 Jan 2024 00:00:00"}) {
    EXPECT_FALSE(parse_cookie_date(text)) << text;
  }
}

}  // namespace
}  // namespace tern::http
