#include "http/websocket_protocol.h"

#include <memory>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/unit/http/websocket_bytes.h"

/// RFC 6455 as a table: what comes, and what it means. Each line is run whole, cut in two at every
/// place, and byte by byte.

namespace tern::http {
namespace {

using test::bare;
using test::bytes_of;
using test::close_frame;
using test::frame;
using test::more;
using test::RawFrame;
using test::text;
using Role = WebSocketProtocol::Role;
using Event = WebSocketProtocol::Event;

using namespace std::string_literals;

/// One end, and what it has seen, as text: "text(Hello) ping(x) close(1000,bye) failure(1002)".
class Reader {
 public:
  explicit Reader(Role role, WebSocketProtocol::Limits limits = {},
                  std::optional<WebSocketDeflateAgreement> deflate = std::nullopt)
      : protocol_(role, limits, random_, deflate, WebSocketDeflateOptions()) {}

  void feed(std::string_view bytes) {
    // In a block of its own, so that the sanitizers see who keeps a view too long.
    const auto copy = std::make_unique<std::vector<std::uint8_t>>(bytes.begin(), bytes.end());
    protocol_.feed(*copy);
    while (const std::optional<Event> event = protocol_.next()) note(*event);
  }
  const std::string& seen() const { return seen_; }
  WebSocketProtocol& protocol() { return protocol_; }

 private:
  void note(const Event& event) {
    switch (event.type) {
      case Event::Type::part:
        message_.append(as_text(event.payload));
        if (!event.last) return;
        add((event.text ? "text(" : "binary(") + message_ + ")");
        message_.clear();
        return;
      case Event::Type::ping: return add("ping(" + std::string(as_text(event.payload)) + ")");
      case Event::Type::pong: return add("pong(" + std::string(as_text(event.payload)) + ")");
      case Event::Type::close:
        return add("close(" + std::to_string(event.code) + "," + event.reason + ")");
      case Event::Type::failure:
        EXPECT_FALSE(event.reason.empty());
        return add("failure(" + std::to_string(event.code) + ")");
    }
  }
  void add(const std::string& what) {
    if (!seen_.empty()) seen_ += " ";
    seen_ += what;
  }

  Random random_{7};
  WebSocketProtocol protocol_;
  std::string message_;
  std::string seen_;
};

struct Case {
  const char* name;
  std::string bytes;
  std::string seen;
};

void check(Role role, const Case& row, WebSocketProtocol::Limits limits = {},
           std::optional<WebSocketDeflateAgreement> deflate = std::nullopt) {
  SCOPED_TRACE(row.name);
  Reader whole(role, limits, deflate);
  whole.feed(row.bytes);
  EXPECT_EQ(whole.seen(), row.seen);
  const std::size_t step = row.bytes.size() > 4096 ? 997 : 1;
  for (std::size_t cut = 1; cut < row.bytes.size(); cut += step) {
    Reader halves(role, limits, deflate);
    halves.feed(std::string_view(row.bytes).substr(0, cut));
    halves.feed(std::string_view(row.bytes).substr(cut));
    ASSERT_EQ(halves.seen(), row.seen) << "cut at " << cut;
  }
  Reader single(role, limits, deflate);
  for (const char byte : row.bytes) single.feed(std::string_view(&byte, 1));
  EXPECT_EQ(single.seen(), row.seen) << "byte by byte";
}

/// A frame with an announced length that it does not have, in an encoding of choice.
std::string with_length(int length_bytes, std::uint64_t length, std::string payload = {}) {
  RawFrame raw;
  raw.opcode = 2;
  raw.length_bytes = length_bytes;
  raw.length = length;
  raw.payload = std::move(payload);
  return bytes_of(raw);
}

TEST(WebSocketProtocol, ReadsMessages) {
  const std::string k125(125, 'a');
  const std::string k126(126, 'b');
  const std::string k65535(65535, 'c');
  const std::string k65536(65536, 'd');
  for (const Case& row : std::vector<Case>{
           {"nothing", "", ""},
           {"text", text("Hello"), "text(Hello)"},
           {"empty text", text(""), "text()"},
           {"binary", frame(2, "\0\xff"s), "binary(\0\xff)"s},
           {"two messages", text("a") + text("b"), "text(a) text(b)"},
           {"7 bits of length", frame(2, k125), "binary(" + k125 + ")"},
           {"16 bits of length", frame(2, k126), "binary(" + k126 + ")"},
           {"16 bits, the most", frame(2, k65535), "binary(" + k65535 + ")"},
           {"64 bits of length", frame(2, k65536), "binary(" + k65536 + ")"},
           {"half a frame", text("Hello").substr(0, 5), ""},
       }) {
    check(Role::server, row);
  }
}

TEST(WebSocketProtocol, ReadsFragments) {
  for (const Case& row : std::vector<Case>{
           {"two", text("Hel", false) + more("lo", true), "text(Hello)"},
           {"three", text("H", false) + more("ell", false) + more("o", true), "text(Hello)"},
           {"empty ones", text("", false) + more("", false) + more("", true), "text()"},
           {"an empty end", text("Hello", false) + more("", true), "text(Hello)"},
           {"of binary", frame(2, "a", false) + more("b", true), "binary(ab)"},
           {"a ping in between", text("Hel", false) + frame(9, "x") + more("lo", true),
            "ping(x) text(Hello)"},
           {"many control frames in between",
            text("a", false) + frame(9, "1") + frame(10, "2") + more("b", false) + frame(9, "") +
                more("c", true) + frame(9, "3"),
            "ping(1) pong(2) ping() text(abc) ping(3)"},
           {"a close in between", text("Hel", false) + close_frame(1000), "close(1000,)"},
           {"a message within a message", text("a", false) + text("b"), "failure(1002)"},
           {"binary within text", text("a", false) + frame(2, "b", false), "failure(1002)"},
           {"a continuation of nothing", more("a", true), "failure(1002)"},
           {"a first continuation of nothing", more("a", false), "failure(1002)"},
           {"a continuation after the end", text("a") + more("b", true), "text(a) failure(1002)"},
           {"after fragments", text("a", false) + more("b", true) + more("c", true),
            "text(ab) failure(1002)"},
       }) {
    check(Role::server, row);
  }
}

TEST(WebSocketProtocol, KnowsWhatControlFramesMayBe) {
  const std::string k125(125, 'p');
  for (const Case& row : std::vector<Case>{
           {"ping", frame(9, "are you there"), "ping(are you there)"},
           {"the largest ping", frame(9, k125), "ping(" + k125 + ")"},
           {"an unsolicited pong", frame(10, "yes"), "pong(yes)"},
           {"a ping of 126", frame(9, std::string(126, 'p')), "failure(1002)"},
           {"a pong of 126", frame(10, std::string(126, 'p')), "failure(1002)"},
           {"a close of 126", frame(8, "\x03\xe8"s + std::string(124, 'r')), "failure(1002)"},
           {"a ping of 65536", frame(9, std::string(65536, 'p')), "failure(1002)"},
           {"a fragmented ping", frame(9, "a", false) + more("b", true), "failure(1002)"},
           {"a fragmented close", frame(8, "", false), "failure(1002)"},
           {"a ping with a long length",
            bytes_of({.opcode = 9, .payload = "abc", .length_bytes = 2}), "failure(1002)"},
       }) {
    check(Role::server, row);
  }
}

TEST(WebSocketProtocol, RefusesWhatIsReserved) {
  std::vector<Case> rows;
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    rows.push_back({"an opcode", frame(opcode, "x"), "failure(1002)"});
    rows.push_back({"an opcode, empty", frame(opcode, ""), "failure(1002)"});
    rows.push_back(
        {"an opcode within a message", text("a", false) + frame(opcode, "x"), "failure(1002)"});
  }
  for (int rsv = 1; rsv < 8; ++rsv) {
    for (const int opcode : {1, 2, 8, 9, 10}) {
      rows.push_back({"bits", frame(opcode, "", true, rsv), "failure(1002)"});
      rows.push_back({"bits after a message", text("a") + frame(opcode, "xx", true, rsv),
                      "text(a) failure(1002)"});
    }
    rows.push_back(
        {"bits of a continuation", text("a", false) + frame(0, "b", true, rsv), "failure(1002)"});
  }
  for (const Case& row : rows) check(Role::server, row);
}

TEST(WebSocketProtocol, WantsClientsToMaskAndServersNotTo) {
  check(Role::server, {"bare text", bare(1, "Hello"), "failure(1002)"});
  check(Role::server, {"bare, empty", bare(1, ""), "failure(1002)"});
  check(Role::server, {"a bare ping", text("a") + bare(9, ""), "text(a) failure(1002)"});
  check(Role::server, {"a bare continuation", text("a", false) + bare(0, "b"), "failure(1002)"});
  check(Role::client, {"bare text", bare(1, "Hello") + bare(9, "x"), "text(Hello) ping(x)"});
  check(Role::client, {"masked text", text("Hello"), "failure(1002)"});
  check(Role::client, {"a masked ping", bare(1, "a") + frame(9, ""), "text(a) failure(1002)"});
  check(Role::client, {"a bare close", bare(8, "\x03\xe8"s), "close(1000,)"});
}

TEST(WebSocketProtocol, WantsLengthsInTheirShortestForm) {
  for (const Case& row : std::vector<Case>{
           {"0 in 16 bits", with_length(2, 0), "failure(1002)"},
           {"125 in 16 bits", with_length(2, 125), "failure(1002)"},
           {"0 in 64 bits", with_length(8, 0), "failure(1002)"},
           {"125 in 64 bits", with_length(8, 125), "failure(1002)"},
           {"65535 in 64 bits", with_length(8, 65535), "failure(1002)"},
           {"the top bit", with_length(8, std::uint64_t{1} << 63), "failure(1002)"},
           {"all bits", with_length(8, UINT64_MAX - 1, "x"), "failure(1002)"},
           {"2^63 - 1 bytes", with_length(8, (std::uint64_t{1} << 63) - 1, "x"), "failure(1009)"},
       }) {
    check(Role::server, row);
  }
}

TEST(WebSocketProtocol, ChecksUtf8AcrossFragments) {
  const std::string kosme = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
  const std::string smile = "\xf0\x9f\x98\x80";
  std::vector<Case> rows = {
      {"greek", text(kosme), "text(" + kosme + ")"},
      {"the last character", text("\xf4\x8f\xbf\xbf"), "text(\xf4\x8f\xbf\xbf)"},
      {"U+FFFF", text("\xef\xbf\xbf"), "text(\xef\xbf\xbf)"},
      {"a lone continuation", text("\x80"), "failure(1007)"},
      {"an overlong slash", text("\xc0\xaf"), "failure(1007)"},
      {"overlong in three", text("\xe0\x9f\xbf"), "failure(1007)"},
      {"overlong in four", text("\xf0\x8f\xbf\xbf"), "failure(1007)"},
      {"a surrogate", text("\xed\xa0\x80"), "failure(1007)"},
      {"U+110000", text("\xf4\x90\x80\x80"), "failure(1007)"},
      {"five bytes", text("\xf8\x88\x80\x80\x80"), "failure(1007)"},
      {"0xff", text("a\xff"), "failure(1007)"},
      {"cut short", text(kosme.substr(0, kosme.size() - 1)), "failure(1007)"},
      {"cut short in fragments", text("a", false) + more("\xce", true), "failure(1007)"},
      {"wrong in the first of many", text("\xc0", false), "failure(1007)"},
      {"wrong in the second", text(kosme, false) + more("\xed\xa0\x80", false) + more("z", true),
       "failure(1007)"},
      {"binary may be anything", frame(2, "\xff\xc0"), "binary(\xff\xc0)"},
      {"a new text begins anew", text("\xce\xba") + text("\xba"), "text(\xce\xba) failure(1007)"},
  };
  for (std::size_t cut = 0; cut <= smile.size(); ++cut) {
    rows.push_back(
        {"a smile in two",
         text(smile.substr(0, cut), false) + frame(9, "") + more(smile.substr(cut), true),
         "ping() text(" + smile + ")"});
  }
  for (const Case& row : rows) check(Role::server, row);
  // Seen when the wrong byte is there, not when the message is complete.
  Reader early(Role::server);
  early.feed(text("\xce\xba\xe1\xbd\xb9\xed\xa0").substr(0, 6 + 7));
  EXPECT_EQ(early.seen(), "failure(1007)");
}

TEST(WebSocketProtocol, KnowsWhichCloseCodesAreForTheWire) {
  std::vector<Case> rows = {
      {"no code", frame(8, ""), "close(1005,)"},
      {"half a code", frame(8, "\x03"), "failure(1002)"},
      {"a reason", close_frame(1000, "bye"), "close(1000,bye)"},
      {"the longest reason", close_frame(1001, std::string(123, 'r')),
       "close(1001," + std::string(123, 'r') + ")"},
      {"a reason that is no UTF-8", close_frame(1000, "\xce"), "failure(1007)"},
      {"nothing after it", close_frame(1000) + text("x") + frame(9, ""), "close(1000,)"},
      {"nor garbage", close_frame(1000) + "\xff\xff\xff\xff"s, "close(1000,)"},
  };
  for (const int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
                         3000, 3999, 4000, 4999}) {
    rows.push_back({"a code", close_frame(code), "close(" + std::to_string(code) + ",)"});
  }
  for (const int code : {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
    rows.push_back({"no code for the wire", close_frame(code), "failure(1002)"});
  }
  for (const Case& row : rows) check(Role::server, row);
}

TEST(WebSocketProtocol, LimitsMessages) {
  WebSocketProtocol::Limits limits;
  limits.max_message = 10;
  const std::string k10(10, 'x');
  for (const Case& row : std::vector<Case>{
           {"the largest", text(k10), "text(" + k10 + ")"},
           {"one byte more", text(k10 + "x"), "failure(1009)"},
           {"in fragments", text("xxxxx", false) + more("xxxxx", false) + more("", true),
            "text(" + k10 + ")"},
           {"one fragment too many", text("xxxxx", false) + more("xxxxx", false) + more("x", true),
            "failure(1009)"},
           {"each message by itself", text(k10) + text(k10), "text(" + k10 + ") text(" + k10 + ")"},
           {"control frames do not count",
            text("xxxxx", false) + frame(9, k10 + k10) + more("xxxxx", true),
            "ping(" + k10 + k10 + ") text(" + k10 + ")"},
       }) {
    check(Role::server, row, limits);
  }
  // What is announced is enough: nothing is kept of it.
  Reader announced(Role::server, limits);
  announced.feed(with_length(8, 1'000'000, "x"));
  EXPECT_EQ(announced.seen(), "failure(1009)");
}

TEST(WebSocketProtocol, LimitsEmptyFragments) {
  std::string bytes = text("a", false);
  for (std::size_t i = 0; i < WebSocketProtocol::kMaxEmptyFragments; ++i) bytes += more("", false);
  check(Role::server, {"the most", bytes + more("", true), "text(a)"});
  check(Role::server, {"one more", bytes + more("", false), "failure(1008)"});
}

// ---- what is sent -------------------------------------------------------------------------------

std::string join(const WebSocketFrame& frame) {
  return std::string(frame.head.text()) + std::string(frame.payload.text());
}

TEST(WebSocketProtocol, MakesAServersFrames) {
  Reader server(Role::server);
  WebSocketProtocol& protocol = server.protocol();
  EXPECT_EQ(join(protocol.message(true, Bytes::literal("Hello"), true, true)), bare(1, "Hello"));
  EXPECT_EQ(join(protocol.message(false, Bytes(), true, true)), bare(2, ""));
  for (const std::size_t size : {125U, 126U, 4095U, 4096U, 65535U, 65536U, 1'000'000U}) {
    const std::string payload(size, 'p');
    const WebSocketFrame made = protocol.message(false, Bytes::copy(payload), true, true);
    EXPECT_EQ(join(made), bare(2, payload)) << size;
    EXPECT_EQ(made.payload.empty(), size < kWebSocketCopyLimit) << "copied or not";
  }
  EXPECT_EQ(join(protocol.message(true, Bytes::literal("a"), true, false)), bare(1, "a", false));
  EXPECT_EQ(join(protocol.message(true, Bytes::literal("b"), false, false)), bare(0, "b", false));
  EXPECT_EQ(join(protocol.message(true, Bytes::literal("c"), false, true)), bare(0, "c", true));
  EXPECT_EQ(protocol.control(WebSocketOpcode::pong, as_bytes("x")).text(), bare(10, "x"));
  EXPECT_EQ(protocol.close(1001, "bye").text(), bare(8,
                                                     "\x03\xe9"
                                                     "bye"));
  EXPECT_EQ(protocol.close(websocket_code::kNone, "ignored").text(), bare(8, ""));
}

TEST(WebSocketProtocol, CutsALongReasonAtACharacter) {
  Reader server(Role::server);
  const std::string reason = std::string(122, 'r') + "\xc3\xa9";
  EXPECT_EQ(server.protocol().close(1000, reason).text(),
            bare(8, "\x03\xe8"s + std::string(122, 'r')));
}

TEST(WebSocketProtocol, MasksAClientsFramesEachByItsOwnKey) {
  Reader client(Role::client);
  Reader server(Role::server);
  std::string keys;
  for (const std::size_t size : {1U, 5U, 126U, 4096U, 70'000U}) {
    const std::string payload(size, 'm');
    const std::string made =
        join(client.protocol().message(true, Bytes::copy(payload), true, true));
    EXPECT_NE(made[1] & 0x80, 0);
    EXPECT_EQ(made.find("mmmmm"), std::string::npos);
    const std::size_t head = size < 126 ? 2 : size < 65536 ? 4 : 10;
    EXPECT_EQ(keys.find(made.substr(head, 4)), std::string::npos);
    keys += made.substr(head, 4) + "|";
    server.feed(made);
    EXPECT_THAT(server.seen(), ::testing::EndsWith("text(" + payload + ")"));
  }
}

TEST(WebSocketProtocol, BothRolesUnderstandEachOtherCompressed) {
  for (const bool takeover : {false, true}) {
    WebSocketDeflateAgreement agreed;
    agreed.send_takeover = agreed.receive_takeover = takeover;
    Reader client(Role::client, {}, agreed);
    Reader server(Role::server, {}, agreed);
    std::string expected;
    for (int i = 0; i < 20; ++i) {
      std::string payload;
      for (int j = 0; j < 100 * i; ++j) payload += std::to_string(j * i) + " ";
      const std::string made =
          join(client.protocol().message(true, Bytes::copy(payload), true, true));
      if (payload.size() > 1000) {
        EXPECT_LT(made.size(), payload.size());
      }
      server.feed(made);
      expected += (i == 0 ? "text(" : " text(") + payload + ")";
    }
    EXPECT_EQ(server.seen(), expected);
  }
}

}  // namespace
}  // namespace tern::http
