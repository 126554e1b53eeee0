// Which proxy for which URL: curl's environment variables and its rules for exceptions.

#include "gateway/proxy.h"

#include <map>
#include <optional>
#include <string>

#include <gtest/gtest.h>

namespace tern {
namespace {

http::Url url(std::string_view text) { return *http::Url::parse(text); }

TEST(ProxyTest, IsReadAsCurlReadsIt) {
  struct Case {
    const char* text;
    const char* name;
    const char* authorization;
  };
  for (const Case& entry : {
           Case{"proxy", "http://proxy:1080", ""},
           Case{"proxy:3128", "http://proxy:3128", ""},
           Case{"http://proxy:80/", "http://proxy:80", ""},
           Case{"HTTPS://Proxy", "https://proxy:443", ""},
           Case{"http://[2001:db8::1]", "http://[2001:db8::1]:1080", ""},
           Case{"http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080", ""},
           Case{"http://Aladdin:open%20sesame@proxy", "http://proxy:1080",
                "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
           Case{"a:b%40c@proxy:1", "http://proxy:1", "Basic YTpiQGM="},
           Case{"http://user@proxy:1", "http://proxy:1", "Basic dXNlcjo="},
       }) {
    const auto proxy = Proxy::parse(entry.text);
    ASSERT_TRUE(proxy) << entry.text << ": " << proxy.error().to_string();
    EXPECT_EQ(proxy->name(), entry.name) << entry.text;
    EXPECT_EQ(proxy->authorization(), entry.authorization) << entry.text;
  }
}

TEST(ProxyTest, WhatIsNoneIsSaidWithoutItsPassword) {
  for (const char* text : {"", "http://", "http://user:secret@", "http://user:secret@a b:1",
                           "http://secret%zz@proxy", "http://proxy:99999"}) {
    const auto proxy = Proxy::parse(text);
    ASSERT_FALSE(proxy) << text;
    EXPECT_TRUE(proxy.error().is(Code::invalid)) << text;
    EXPECT_EQ(proxy.error().detail.find("secret"), std::string::npos) << proxy.error().detail;
  }
  EXPECT_TRUE(Proxy::parse("socks5://proxy").error().is(Code::unsupported));
}

TEST(ProxyTest, TheEnvironment) {
  std::map<std::string, std::string> environment;
  const auto read = [&] {
    return ProxyOptions::from_environment([&](const char* name) -> std::optional<std::string> {
      const auto found = environment.find(name);
      return found == environment.end() ? std::nullopt : std::optional(found->second);
    });
  };
  const auto name = [&](const char* text) {
    const auto proxy = read()->proxy_for(url(text));
    return proxy ? proxy->host() : std::string("none");
  };
  EXPECT_EQ(name("https://a"), "none");
  environment = {{"HTTP_PROXY", "evil"}, {"HTTPS_PROXY", "upper"}};
  EXPECT_EQ(name("http://a"), "none") << "HTTP_PROXY may be a request's field";
  EXPECT_EQ(name("https://a"), "upper");
  environment = {{"http_proxy", "plain"}, {"https_proxy", "lower"}, {"HTTPS_PROXY", "upper"}};
  EXPECT_EQ(name("http://a"), "plain");
  EXPECT_EQ(name("https://a"), "lower");
  environment = {{"all_proxy", "all"}, {"http_proxy", "plain"}, {"NO_PROXY", "b"}};
  EXPECT_EQ(name("http://a"), "plain");
  EXPECT_EQ(name("https://a"), "all");
  EXPECT_EQ(name("https://b"), "none");
  environment["no_proxy"] = "c";
  EXPECT_EQ(name("https://b"), "all");
  EXPECT_EQ(name("https://c"), "none");
  environment["https_proxy"] = "socks5://x";
  ASSERT_FALSE(read());
  EXPECT_NE(read().error().detail.find("https_proxy: "), std::string::npos);
}

/// What curl 8 does with `--noproxy` (its test unit1614 among others).
TEST(ProxyTest, Exceptions) {
  struct Case {
    const char* hosts;
    const char* url;
    bool excepted;
  };
  for (const Case& entry : {
           Case{"*", "https://example.org", true},
           Case{"local.com", "https://local.com", true},
           Case{"local.com", "https://local.com:8443", true},
           Case{"local.com", "https://www.local.com", true},
           Case{"local.com", "https://www.notlocal.com", false},
           Case{".local.com", "https://local.com", true},
           Case{".local.com", "https://www.local.com", true},
           Case{"LOCAL.com.", "https://a.local.com", true},
           Case{"a.local.com", "https://local.com", false},
           Case{"foo, local.com", "https://local.com", true},
           Case{"foo local.com", "https://local.com", true},
           Case{"foo,*", "https://local.com", false},
           Case{"localhost", "https://localhost", true},
           Case{"com", "https://example.com", true},
           Case{"192.168.0.1", "https://192.168.0.1", true},
           Case{"168.0.1", "https://192.168.0.1", false},
           Case{"192.168.0.0/16", "https://192.168.77.1", true},
           Case{"192.168.0.0/16", "https://192.169.0.1", false},
           Case{"192.160.0.0/13", "https://192.167.0.1", true},
           Case{"192.160.0.0/13", "https://192.168.0.1", false},
           Case{"0.0.0.0/0", "https://192.168.0.1", true},
           Case{"192.168.0.0/33", "https://192.168.0.0", false},
           Case{"192.168.0.0/x", "https://192.168.0.0", false},
           Case{"::1", "https://[::1]", true},
           Case{"[::1]", "https://[::1]", true},
           Case{"fd00::/8", "https://[fd12::1]", true},
           Case{"fd00::/8", "https://[fe80::1]", false},
           Case{"fd00::/8", "https://10.0.0.1", false},
       }) {
    ProxyOptions options;
    options.all(*Proxy::parse("proxy")).except(entry.hosts);
    EXPECT_EQ(!options.proxy_for(url(entry.url)).has_value(), entry.excepted)
        << entry.hosts << " and " << entry.url;
  }
}

}  // namespace
}  // namespace tern
