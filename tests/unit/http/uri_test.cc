#include "http/uri.h"

#include <array>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string parsed(std::string_view text) {
  const Result<Url> url = Url::parse(text);
  return url ? url->to_string() : "error: " + url.error().detail;
}

TEST(Url, HasParts) {
  const Result<Url> url = Url::parse("HTTPS://Example.ORG:8443/a/b?q=1&r#frag");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->scheme(), "https");
  EXPECT_EQ(url->host(), "example.org");
  EXPECT_FALSE(url->host_is_ip());
  EXPECT_EQ(url->port(), 8443);
  EXPECT_EQ(url->path(), "/a/b");
  EXPECT_EQ(url->query(), "q=1&r");
  EXPECT_EQ(url->authority(), "example.org:8443");
  EXPECT_EQ(url->target(), "/a/b?q=1&r");
  EXPECT_EQ(url->origin(), "https://example.org:8443");
}

TEST(Url, NormalisesWhatMeansTheSame) {
  EXPECT_EQ(parsed("https://example.org"), "https://example.org/");
  EXPECT_EQ(parsed("https://example.org:443/"), "https://example.org/");
  EXPECT_EQ(parsed("http://example.org:80/"), "http://example.org/");
  EXPECT_EQ(parsed("http://example.org:443/"), "http://example.org:443/");
  EXPECT_EQ(parsed("https://example.org:/x"), "https://example.org/x");
  EXPECT_EQ(parsed("https://example.org?q"), "https://example.org/?q");
  EXPECT_EQ(parsed("https://example.org/?"), "https://example.org/?");
  EXPECT_EQ(parsed("https://example.org#f"), "https://example.org/");
  EXPECT_EQ(parsed("https://example.org/a/../b/./c/.."), "https://example.org/b/");
  EXPECT_EQ(parsed("https://example.org/../../x"), "https://example.org/x");
  EXPECT_EQ(parsed("https://[2001:DB8:0:0::1]:4433/"), "https://[2001:db8::1]:4433/");
  EXPECT_EQ(parsed("https://127.0.0.1:4433"), "https://127.0.0.1:4433/");
  EXPECT_EQ(parsed("https://example.org./"), "https://example.org./");
}

TEST(Url, TakesHttpsForGranted) {
  EXPECT_EQ(parsed("example.org"), "https://example.org/");
  EXPECT_EQ(parsed("localhost:4433"), "https://localhost:4433/");
  EXPECT_EQ(parsed("localhost:4433/a:b"), "https://localhost:4433/a:b");
  EXPECT_EQ(parsed("[::1]:4433/x"), "https://[::1]:4433/x");
  EXPECT_EQ(parsed("//example.org/x"), "https://example.org/x");
}

TEST(Url, EncodesWhatARequestMayNotHold) {
  EXPECT_EQ(parsed("https://a/b c\"<>\\^`{|}"), "https://a/b%20c%22%3C%3E%5C%5E%60%7B%7C%7D");
  EXPECT_EQ(parsed("https://a/%41%zz%4"), "https://a/%41%25zz%254");
  EXPECT_EQ(parsed("https://a/\r\nx: y"), "https://a/%0D%0Ax:%20y");
  EXPECT_EQ(parsed("https://a/\xc3\xa4?\xc3\xb6?/"), "https://a/%C3%A4?%C3%B6?/");
  EXPECT_EQ(parsed("https://a/!$&'()*+,;=:@-._~"), "https://a/!$&'()*+,;=:@-._~");
  EXPECT_EQ(parsed("https://a/[1]"), "https://a/%5B1%5D");
}

TEST(Url, SaysWhatIsWrong) {
  const std::array<std::pair<const char*, const char*>, 19> wrong = {{
      {"", "empty"},
      {"ftp://example.org/", "scheme \"ftp\""},
      {"mailto:someone", "scheme \"mailto\""},
      {"https:/x", "no host"},
      {"https://", "no host"},
      {"https:///x", "no host"},
      {"/x", "no host"},
      {"https://user:secret@example.org/", "user name or password"},
      {"https://exa mple.org/", "may not hold ' '"},
      {"https://ex%61mple.org/", "may not hold '%'"},
      {"https://b\xc3\xbc"
       "cher.example/",
       "xn--"},
      {"https://a..b/", "empty label"},
      {"https://example.org:0/", "between 1 and 65535"},
      {"https://example.org:65536/", "between 1 and 65535"},
      {"https://example.org:99999999999999999999/", "between 1 and 65535"},
      {"https://example.org:4x/", "not a number"},
      {"https://::1/", "brackets"},
      {"https://[::1", "no ']'"},
      {"https://[::1]x/", "after ']'"},
  }};
  for (const auto& [text, what] : wrong) EXPECT_THAT(parsed(text), HasSubstr(what)) << text;
  EXPECT_THAT(parsed("https://[::g]/"), HasSubstr("not an IPv6 address"));
  EXPECT_THAT(parsed("https://256.1.1.1/"), HasSubstr("not an IPv4 address"));
  EXPECT_THAT(parsed("https://1.2.3/"), HasSubstr("not an IPv4 address"));
  EXPECT_THAT(parsed("https://" + std::string(64, 'a') + "/"), HasSubstr("63"));
  EXPECT_THAT(parsed("https://user:secret@example.org/"), Not(HasSubstr("secret")));
  EXPECT_THAT(parsed(std::string(100'000, 'a')), HasSubstr("64 KiB"));
}

// RFC 3986 §5.4, for the schemes we know.
TEST(Url, ResolvesReferences) {
  const Result<Url> base = Url::parse("http://a/b/c/d;p?q");
  ASSERT_TRUE(base);
  const auto resolved = [&base](std::string_view reference) {
    const Result<Url> url = base->resolve(reference);
    return url ? url->to_string() : "error: " + url.error().detail;
  };
  const std::array<std::pair<const char*, const char*>, 38> examples = {{
      {"g", "http://a/b/c/g"},
      {"./g", "http://a/b/c/g"},
      {"g/", "http://a/b/c/g/"},
      {"/g", "http://a/g"},
      {"//g", "http://g/"},
      {"?y", "http://a/b/c/d;p?y"},
      {"g?y", "http://a/b/c/g?y"},
      {"#s", "http://a/b/c/d;p?q"},
      {"g#s", "http://a/b/c/g"},
      {"g?y#s", "http://a/b/c/g?y"},
      {";x", "http://a/b/c/;x"},
      {"g;x", "http://a/b/c/g;x"},
      {"g;x?y#s", "http://a/b/c/g;x?y"},
      {"", "http://a/b/c/d;p?q"},
      {".", "http://a/b/c/"},
      {"./", "http://a/b/c/"},
      {"..", "http://a/b/"},
      {"../", "http://a/b/"},
      {"../g", "http://a/b/g"},
      {"../..", "http://a/"},
      {"../../", "http://a/"},
      {"../../g", "http://a/g"},
      {"../../../g", "http://a/g"},
      {"../../../../g", "http://a/g"},
      {"/./g", "http://a/g"},
      {"/../g", "http://a/g"},
      {"g.", "http://a/b/c/g."},
      {".g", "http://a/b/c/.g"},
      {"g..", "http://a/b/c/g.."},
      {"..g", "http://a/b/c/..g"},
      {"./../g", "http://a/b/g"},
      {"./g/.", "http://a/b/c/g/"},
      {"g/./h", "http://a/b/c/g/h"},
      {"g/../h", "http://a/b/c/h"},
      {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
      {"g;x=1/../y", "http://a/b/c/y"},
      {"g?y/./x", "http://a/b/c/g?y/./x"},
      {"https://other:1/x", "https://other:1/x"},
  }};
  for (const auto& [reference, expected] : examples) {
    EXPECT_EQ(resolved(reference), expected) << reference;
  }
  EXPECT_THAT(resolved("g:h"), HasSubstr("scheme \"g\""));
  EXPECT_THAT(resolved("http:g"), HasSubstr("no host"));
  EXPECT_THAT(resolved("javascript:alert(1)"), HasSubstr("scheme \"javascript\""));
  EXPECT_THAT(resolved("//u@h/"), HasSubstr("user name"));
}

}  // namespace
}  // namespace tern::http
