#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/fallback/http1_rig.h"
#include "tests/unit/sanitizers.h"

/// RFC 9112 as a table: what a client sends, and what a server of ours says. Each case is also run
/// split at every byte: what a message means may not depend on how it arrives.

namespace tern::fallback::http1_testing {
namespace {

struct Exchange9112 {
  const char* name;
  std::string sent;
  /// The statuses of the responses in order, and parts of what the last body says.
  std::vector<int> statuses;
  std::string_view says = "";
  bool closes = false;
};

std::string repeat(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

const std::string kPlainGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

std::vector<Exchange9112> exchanges() {
  using std::string;
  const string post = "POST /p HTTP/1.1\r\nHost: a\r\n";
  const string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  std::vector<Exchange9112> all = {
      // ---- §2.2 and §3: start lines
      {"a plain GET", kPlainGet, {200}, "GET http a / []"},
      {"empty lines first", "\r\n\r\n" + kPlainGet, {200}, "GET http a / []"},
      {"too many empty lines", repeat("\r\n", 9) + kPlainGet, {400}, "", true},
      {"bare LF ends the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", {400}, "", true},
      {"bare LF ends a field line", "GET / HTTP/1.1\r\nHost: a\n\r\n", {400}, "", true},
      {"bare LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", {400}, "", true},
      {"bare CR in the request line", "GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n", {400}, "", true},
      {"bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", {400}, "", true},
      {"bare CR for an end of line", "GET / HTTP/1.1\rHost: a\r\r", {400}, "", true},
      {"NUL in a value",
       string("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 35),
       {400},
       "",
       true},
      {"NUL in the target", string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 28), {400}, "", true},
      {"a control character in a value",
       "GET / HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n",
       {400},
       "",
       true},
      {"DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n\r\n", {400}, "", true},
      {"a tab in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n\r\n", {200}},
      {"obs-text in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\r\n\r\n", {200}},
      {"two spaces in the request line", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", {400}, "", true},
      {"a tab in the request line", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", {400}, "", true},
      {"a space at the end of the request line",
       "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
       {400},
       "",
       true},
      {"no version", "GET /\r\nHost: a\r\n\r\n", {400}, "", true},
      {"a version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", {400}, "", true},
      {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", {505}, "", true},
      {"HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", {505}, "", true},
      {"HTTP/11", "GET / HTTP/11\r\nHost: a\r\n\r\n", {400}, "", true},
      {"a method that is no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", {400}, "", true},
      {"a method nobody knows",
       "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n",
       {200},
       "BREW http a /pot []"},
      {"methods are case-sensitive", "get / HTTP/1.1\r\nHost: a\r\n\r\n", {200}, "get http a / []"},
      {"bytes that are no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400}, "", true},

      // ---- §3.2: targets and Host
      {"no Host", "GET / HTTP/1.1\r\n\r\n", {400}, "", true},
      {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", {400}, "", true},
      {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", {400}, "", true},
      {"a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", {400}, "", true},
      {"a Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", {400}, "", true},
      {"a Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", {400}, "", true},
      {"a Host with a port", "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", {200}, "GET http a:80 / []"},
      {"a Host with a bad port", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", {400}, "", true},
      {"an IPv6 Host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", {200}, "GET http [::1]:80 / []"},
      {"an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", {400}, "", true},
      {"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", {200}, "GET http  / []", true},
      {"absolute-form",
       "GET http://b/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
       {200},
       "GET http b /x?y []"},
      {"absolute-form without a path",
       "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n",
       {200},
       "GET http b / []"},
      {"absolute-form with a query only",
       "GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n",
       {200},
       "GET http b /?q []"},
      {"absolute-form without a host",
       "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
       {400},
       "",
       true},
      {"absolute-form of another scheme",
       "GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
       {400},
       "",
       true},
      {"absolute-form does not excuse a bad Host",
       "GET http://b/ HTTP/1.1\r\n\r\n",
       {400},
       "",
       true},
      {"asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", {200}, "OPTIONS http a * []"},
      {"OPTIONS of an absolute URI",
       "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n",
       {200},
       "OPTIONS http b * []"},
      {"asterisk-form without OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", {400}, "", true},
      {"a relative target", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", {400}, "", true},
      {"a fragment", "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", {400}, "", true},
      {"CONNECT without a port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", {400}, "", true},
      {"CONNECT to a path", "CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", {400}, "", true},
      {"a target above the limit",
       "GET /" + repeat("x", 200) + " HTTP/1.1\r\nHost: a\r\n\r\n",
       {414},
       "",
       true},

      // ---- §5: field lines
      {"a blank before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", {400}, "", true},
      {"a tab before the colon", "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", {400}, "", true},
      {"a blank before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", {400}, "", true},
      {"a folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", {400}, "", true},
      {"a line folded by a tab",
       "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n",
       {400},
       "",
       true},
      {"no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", {400}, "", true},
      {"no name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", {400}, "", true},
      {"a name that is no token", "GET / HTTP/1.1\r\nHost: a\r\nX(Y: b\r\n\r\n", {400}, "", true},
      {"blanks around a value",
       "GET / HTTP/1.1\r\nHost: \t a \t \r\n\r\n",
       {200},
       "GET http a / []"},
      {"names in any case", "GET / HTTP/1.1\r\nhOsT: a\r\n\r\n", {200}, "GET http a / []"},
      {"too many fields",
       "GET / HTTP/1.1\r\nHost: a\r\n" + repeat("X: y\r\n", 20) + "\r\n",
       {431},
       "",
       true},
      {"a field above the limit",
       "GET / HTTP/1.1\r\nHost: a\r\nX: " + repeat("y", 900) + "\r\n\r\n",
       {431},
       "",
       true},

      // ---- §6: bodies
      {"content-length", post + "Content-Length: 3\r\n\r\nabc", {200}, "POST http a /p [abc]"},
      {"content-length 0", post + "Content-Length: 0\r\n\r\n", {200}, "[]"},
      {"POST without a length", post + "\r\n", {200}, "[]"},
      {"leading zeros", post + "Content-Length: 003\r\n\r\nabc", {200}, "[abc]"},
      {"a signed length", post + "Content-Length: +3\r\n\r\nabc", {400}, "", true},
      {"a negative length", post + "Content-Length: -3\r\n\r\nabc", {400}, "", true},
      {"a hexadecimal length", post + "Content-Length: 0x3\r\n\r\nabc", {400}, "", true},
      {"an empty length", post + "Content-Length:\r\n\r\nabc", {400}, "", true},
      {"a length with a blank inside", post + "Content-Length: 3 4\r\n\r\nabc", {400}, "", true},
      {"a length of 20 digits",
       post + "Content-Length: 18446744073709551619\r\n\r\nabc",
       {400},
       "",
       true},
      {"a list of lengths", post + "Content-Length: 3, 3\r\n\r\nabc", {400}, "", true},
      {"a list of differing lengths", post + "Content-Length: 3, 4\r\n\r\nabc", {400}, "", true},
      {"the same length twice",
       post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
       {400},
       "",
       true},
      {"differing lengths",
       post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
       {400},
       "",
       true},
      {"length and coding",
       post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       {400},
       "",
       true},
      {"coding and length",
       post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
       {400},
       "",
       true},
      {"chunked in any case", post + "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", {200}, "[]"},
      {"chunked twice",
       post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
       {400},
       "",
       true},
      {"chunked on two lines",
       post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       {400},
       "",
       true},
      {"an unknown coding before chunked",
       post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
       {501},
       "",
       true},
      {"a coding after chunked",
       post + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
       {400},
       "",
       true},
      {"identity", post + "Transfer-Encoding: identity\r\n\r\nabc", {400}, "", true},
      {"a coding that looks like chunked",
       post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
       {400},
       "",
       true},
      {"chunked in quotes",
       post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
       {400},
       "",
       true},
      {"chunked with a parameter",
       post + "Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
       {400},
       "",
       true},
      {"an empty coding", post + "Transfer-Encoding:\r\n\r\n0\r\n\r\n", {400}, "", true},
      {"chunked behind a control character",
       post + "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n0\r\n\r\n",
       {400},
       "",
       true},
      {"chunked in HTTP/1.0",
       "POST /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       {400},
       "",
       true},
      {"a body above the limit", post + "Content-Length: 5000\r\n\r\n", {413}, "", true},

      // ---- §7.1: chunks
      {"chunks", chunked + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", {200}, "[abcde]"},
      {"hexadecimal sizes",
       chunked + "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
       {200},
       "[01234567890123456789]"},
      {"leading zeros of a size", chunked + "0003\r\nabc\r\n000\r\n\r\n", {200}, "[abc]"},
      {"a size that is too long",
       chunked + "0000000000000003\r\nabc\r\n0\r\n\r\n",
       {400},
       "",
       true},
      {"a size that overflows", chunked + "fffffffffffffffff\r\nabc", {400}, "", true},
      {"a size in 0x form", chunked + "0x3\r\nabc\r\n0\r\n\r\n", {400}, "", true},
      {"a signed size", chunked + "+3\r\nabc\r\n0\r\n\r\n", {400}, "", true},
      {"a blank before a size", chunked + " 3\r\nabc\r\n0\r\n\r\n", {400}, "", true},
      {"a blank after a size", chunked + "3 \r\nabc\r\n0\r\n\r\n", {400}, "", true},
      {"an empty size", chunked + "\r\nabc\r\n0\r\n\r\n", {400}, "", true},
      {"a size that is no number", chunked + "xyz\r\nabc\r\n0\r\n\r\n", {400}, "", true},
      {"bare LF after a size", chunked + "3\nabc\r\n0\r\n\r\n", {400}, "", true},
      {"bare LF after a chunk", chunked + "3\r\nabc\n0\r\n\r\n", {400}, "", true},
      {"bare CR after a size", chunked + "3\rabc\r\n0\r\n\r\n", {400}, "", true},
      {"a chunk longer than its size", chunked + "3\r\nabcd\r\n0\r\n\r\n", {400}, "", true},
      {"an extension", chunked + "3;a=b\r\nabc\r\n0;c\r\n\r\n", {200}, "[abc]"},
      {"a quoted extension", chunked + "3;a=\"b;c\"\r\nabc\r\n0\r\n\r\n", {200}, "[abc]"},
      {"bare LF in an extension", chunked + "3;a\nb\r\nabc\r\n0\r\n\r\n", {400}, "", true},
      {"an extension above the limit",
       chunked + "3;a=" + repeat("b", 5000) + "\r\nabc\r\n0\r\n\r\n",
       {400},
       "",
       true},
      {"trailers", chunked + "3\r\nabc\r\n0\r\nX: y\r\nZ: \r\n\r\n", {200}, "[abc] x=y z="},
      {"a folded trailer", chunked + "0\r\nX: y\r\n z\r\n\r\n", {400}, "", true},
      {"a length among the trailers", chunked + "0\r\nContent-Length: 3\r\n\r\n", {400}, "", true},
      {"a coding among the trailers",
       chunked + "0\r\nTransfer-Encoding: chunked\r\n\r\n",
       {400},
       "",
       true},
      {"bare LF after trailers", chunked + "0\r\nX: y\n\r\n", {400}, "", true},
      {"trailers above the limit",
       chunked + "0\r\n" + repeat("X: y\r\n", 20) + "\r\n",
       {431},
       "",
       true},
      {"a chunked body, then a request",
       chunked + "3\r\nabc\r\n0\r\n\r\n" + kPlainGet,
       {200, 200},
       "GET http a / []"},

      // ---- §9: the connection
      {"two requests", kPlainGet + kPlainGet, {200, 200}},
      {"a body, then a request",
       post + "Content-Length: 3\r\n\r\nabc" + kPlainGet,
       {200, 200},
       "GET http a / []"},
      {"a request, then a body",
       kPlainGet + post + "Content-Length: 3\r\n\r\nabc",
       {200, 200},
       "[abc]"},
      {"a request behind one that fails",
       kPlainGet + "GET / HTTP/1.1\r\n\r\n" + kPlainGet,
       {200, 400},
       "",
       true},
      {"close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", {200}, "", true},
      {"close in a list",
       "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n",
       {200},
       "",
       true},
      {"nothing counts after close",
       "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + kPlainGet,
       {200},
       "",
       true},
      {"HTTP/1.0 closes", "GET / HTTP/1.0\r\nHost: a\r\n\r\n" + kPlainGet, {200}, "", true},
      {"HTTP/1.0 keep-alive",
       "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" + kPlainGet,
       {200, 200}},
      {"an upgrade to h2c is ignored",
       "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "
       "h2c\r\nHTTP2-Settings: AAAA\r\n\r\n",
       {200},
       "GET http a / []"},
      {"a WebSocket handshake without a key",
       "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
       {400},
       "",
       true},
      {"an HTTP/1.0 upgrade is ignored",
       "GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
       {200},
       "",
       true},
  };
  return all;
}

struct Seen {
  std::vector<int> statuses;
  std::string last_body;
  bool whole = true;
};

/// Reads responses that have a content-length, as all of this server's have.
Seen read_responses(std::string_view bytes) {
  Seen seen;
  while (!bytes.empty()) {
    const std::size_t head = bytes.find("\r\n\r\n");
    const std::size_t length = bytes.find("content-length: ");
    if (head == bytes.npos || length == bytes.npos || length > head ||
        !bytes.starts_with("HTTP/1.1 ")) {
      seen.whole = false;
      break;
    }
    seen.statuses.push_back(std::stoi(std::string(bytes.substr(9, 3))));
    const std::size_t size = std::stoul(std::string(bytes.substr(length + 16, 8)));
    if (bytes.size() < head + 4 + size) {
      seen.whole = false;
      break;
    }
    seen.last_body = bytes.substr(head + 4, size);
    bytes.remove_prefix(head + 4 + size);
  }
  return seen;
}

SessionOptions small_limits() {
  SessionOptions options;
  options.max_target = 100;
  options.max_fields = 16;
  options.max_field_section = 800;
  options.max_body = 4000;
  return options;
}

void expect_case(const Exchange9112& test, const std::string& received, bool closed,
                 std::size_t split) {
  const Seen seen = read_responses(received);
  EXPECT_TRUE(seen.whole) << test.name << ", split at " << split << ": " << received;
  EXPECT_EQ(seen.statuses, test.statuses) << test.name << ", split at " << split;
  EXPECT_NE(seen.last_body.find(test.says), std::string::npos)
      << test.name << ", split at " << split << ": " << seen.last_body;
  EXPECT_EQ(closed, test.closes) << test.name << ", split at " << split;
}

/// Who has it switched on in a load balancer finds the reason in the log.
TEST(Rfc9112, TheProxyProtocolIsNamed) {
  using namespace std::string_literals;
  for (const std::string& head :
       {"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n"s,
        "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x13\x88\x01\xbb"s}) {
    for (const std::size_t split : {std::size_t{0}, std::size_t{3}, std::size_t{8}}) {
      Rig rig(echo, small_limits());
      EXPECT_TRUE(rig.talk(head + kPlainGet, split).starts_with("HTTP/1.1 400 ")) << head;
      EXPECT_THAT(rig.server_log.all,
                  ::testing::Contains(::testing::HasSubstr("the PROXY protocol")))
          << head;
    }
  }
}

TEST(Rfc9112, Whole) {
  Rig rig(echo, small_limits());
  for (const Exchange9112& test : exchanges()) {
    const std::string received = rig.talk(test.sent);
    expect_case(test, received, rig.last_closed, 0);
  }
}

TEST(Rfc9112, SplitAtEveryByte) {
  // Long ones are all alike. With the sanitizers the others are split at each fourth byte, which is
  // another one in each exchange: they have much in common, and all come byte by byte as well.
  constexpr std::size_t kStride = test::kSanitized ? 4 : 1;
  std::size_t first = 0;
  for (const Exchange9112& test : exchanges()) {
    Rig rig(echo, small_limits());
    first = first % kStride + 1;
    const bool is_long = test.sent.size() > 1000;
    const std::size_t step = is_long ? 97 : kStride;
    for (std::size_t split = is_long ? 97 : first; split < test.sent.size(); split += step) {
      const std::string received = rig.talk(test.sent, split);
      expect_case(test, received, rig.last_closed, split);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

TEST(Rfc9112, ByteByByte) {
  for (const Exchange9112& test : exchanges()) {
    if (test.sent.size() > 1000) continue;
    Rig rig(echo, small_limits());
    RawStream& client = rig.dial();
    for (const char byte : test.sent) {
      if (!client.stream->write(Bytes::copy(std::string_view(&byte, 1)))) break;
      rig.world.run_for(1ms);
      if (client.error) break;
    }
    rig.world.run_until([&] { return client.over(); }, 1s);
    expect_case(test, client.received, client.over(), 1);
  }
}

}  // namespace
}  // namespace tern::fallback::http1_testing
