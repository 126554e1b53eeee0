#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "gateway/client.h"

namespace tern {
namespace {

http::Response redirect_to(int status, std::string_view location) {
  http::Response head(static_cast<http::Status>(status));
  head.field("location", location);
  return head;
}

TEST(ClientRequest, FollowsRedirectsAsTheirStatusSays) {
  struct Case {
    int status;
    const char* method;
    const char* then;
  };
  for (const Case& c : {Case{301, "GET", "GET"}, Case{301, "POST", "GET"}, Case{302, "POST", "GET"},
                        Case{302, "PUT", "PUT"}, Case{303, "PUT", "GET"}, Case{303, "HEAD", "HEAD"},
                        Case{307, "POST", "POST"}, Case{308, "DELETE", "DELETE"}}) {
    ClientRequest request("https://example.com/a/b?q");
    request.method(c.method);
    const auto followed = request.redirect(redirect_to(c.status, "../c?d#e"));
    ASSERT_TRUE(followed);
    EXPECT_TRUE(*followed);
    EXPECT_EQ(request.url(), "https://example.com/c?d");
    EXPECT_EQ(request.method(), c.then) << c.status << " " << c.method;
  }
}

TEST(ClientRequest, OtherStatusesAreNoRedirects) {
  ClientRequest request("https://example.com/");
  for (const int status : {200, 201, 300, 304, 305, 400}) {
    const auto followed = request.redirect(redirect_to(status, "/elsewhere"));
    ASSERT_TRUE(followed);
    EXPECT_FALSE(*followed) << status;
  }
  const auto without = request.redirect(http::Response(http::Status::found));
  ASSERT_TRUE(without);
  EXPECT_FALSE(*without);
  EXPECT_EQ(request.url(), "https://example.com/");
}

TEST(ClientRequest, DoesNotFollowOutOfHttps) {
  ClientRequest request("https://example.com/");
  EXPECT_FALSE(request.redirect(redirect_to(302, "http://example.com/")));
  EXPECT_FALSE(request.redirect(redirect_to(302, "https://[broken")));
  EXPECT_EQ(request.url(), "https://example.com/");
}

}  // namespace
}  // namespace tern
