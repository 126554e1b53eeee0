#include "http/websocket_deflate.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "http/websocket_protocol.h"
#include "tests/unit/http/websocket_bytes.h"

namespace tern::http {
namespace {

using namespace std::string_literals;
using test::frame;

Result<std::string> inflate_all(WebSocketInflater& inflater, std::string_view bytes,
                                std::size_t step = SIZE_MAX) {
  std::string out;
  std::size_t at = 0;
  do {
    const std::string part(bytes.substr(at, step));
    at += part.size();
    inflater.feed(as_bytes(part), at == bytes.size());
    for (;;) {
      const Result<std::optional<ByteView>> piece = inflater.next();
      if (!piece) return fail(piece.error());
      if (!*piece) break;
      out.append(as_text(**piece));
    }
  } while (at < bytes.size());
  return out;
}

// ---- negotiation (RFC 7692 §7.1) ----------------------------------------------------------------

std::string answer(std::string_view offers, const WebSocketDeflateOptions& options = {}) {
  const auto answered = accept_deflate(offers, options);
  if (!answered) return "400";
  return *answered ? (**answered).field : "none";
}

const std::string kNoTakeover =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

TEST(WebSocketDeflate, AServerAnswersOffers) {
  const std::string& plain = kNoTakeover;
  struct Row {
    std::string offers;
    std::string answer;
  };
  for (const Row& row : std::vector<Row>{
           {"", "none"},
           {"permessage-deflate", plain},
           {"permessage-deflate; client_max_window_bits", plain},
           {"permessage-deflate;client_max_window_bits=10", plain + "; client_max_window_bits=10"},
           {"permessage-deflate; server_max_window_bits=10", plain + "; server_max_window_bits=10"},
           {"permessage-deflate; server_max_window_bits=8", plain + "; server_max_window_bits=8"},
           {"permessage-deflate; server_max_window_bits=\"12\"",
            plain + "; server_max_window_bits=12"},
           {"x-webkit-deflate-frame, permessage-deflate", plain},
           {"permessage-bzip2; x=1", "none"},
           // Offers that cannot be accepted are passed over (§5.1, §7.1).
           {"permessage-deflate; server_max_window_bits=16, permessage-deflate", plain},
           {"permessage-deflate; server_max_window_bits=7", "none"},
           {"permessage-deflate; server_max_window_bits=010", "none"},
           {"permessage-deflate; server_max_window_bits", "none"},
           {"permessage-deflate; client_max_window_bits=99", "none"},
           {"permessage-deflate; server_no_context_takeover=1", "none"},
           {"permessage-deflate; client_no_context_takeover; client_no_context_takeover", "none"},
           {"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", "none"},
           {"permessage-deflate; unknown", "none"},
           // What cannot be read (RFC 6455 §9.1).
           {"permessage-deflate; =1", "400"},
           {"permessage-deflate;", "400"},
           {"permessage deflate", "400"},
           {"permessage-deflate; server_max_window_bits=\"1", "400"},
           {"permessage-deflate; x=\"\"", "400"},
           {",,permessage-deflate,", plain},
       }) {
    EXPECT_EQ(answer(row.offers), row.answer) << row.offers;
  }
  EXPECT_EQ(answer("permessage-deflate", WebSocketDeflateOptions().enabled(false)), "none");
}

TEST(WebSocketDeflate, AServerKeepsToWhatItIsTold) {
  const auto options =
      WebSocketDeflateOptions().context_takeover(true).window_bits(12).peer_window_bits(11);
  EXPECT_EQ(answer("permessage-deflate", options), "permessage-deflate; server_max_window_bits=12");
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits", options),
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=11");
  EXPECT_EQ(
      answer("permessage-deflate; server_max_window_bits=10; server_no_context_takeover", options),
      "permessage-deflate; server_no_context_takeover; server_max_window_bits=10");
  const auto agreed = accept_deflate("permessage-deflate; client_max_window_bits=9", options);
  ASSERT_TRUE(agreed && *agreed);
  WebSocketDeflateAgreement wanted;
  wanted.send_window_bits = 12;
  wanted.receive_window_bits = 9;
  EXPECT_EQ((**agreed).agreement, wanted);
}

TEST(WebSocketDeflate, AClientTakesWhatItOffered) {
  const WebSocketDeflateOptions options;
  EXPECT_EQ(offer_deflate(options), kNoTakeover + "; client_max_window_bits");
  const auto confirm = [&](std::string_view answer, const WebSocketDeflateOptions& with) {
    const auto confirmed = confirm_deflate(answer, with);
    return !confirmed ? "refused" : *confirmed ? "agreed" : "none";
  };
  EXPECT_STREQ(confirm("", options), "none");
  EXPECT_STREQ(confirm(kNoTakeover, options), "agreed");
  EXPECT_STREQ(confirm("permessage-deflate; server_no_context_takeover", options), "agreed");
  EXPECT_STREQ(confirm("permessage-deflate", options), "agreed");  // Tornado's answer
  EXPECT_TRUE((**confirm_deflate("permessage-deflate", options)).receive_takeover);
  EXPECT_FALSE((**confirm_deflate("permessage-deflate", options)).send_takeover);
  EXPECT_STREQ(confirm("permessage-deflate; server_no_context_takeover; x", options), "refused");
  EXPECT_STREQ(
      confirm("permessage-deflate; server_no_context_takeover; client_max_window_bits", options),
      "refused");
  EXPECT_STREQ(
      confirm("permessage-deflate; server_no_context_takeover; client_max_window_bits=8", options),
      "agreed");
  EXPECT_STREQ(confirm("permessage-deflate, permessage-deflate", options), "refused");
  EXPECT_STREQ(confirm("something-else", options), "refused");
  const auto takeover = WebSocketDeflateOptions().context_takeover(true).peer_window_bits(10);
  EXPECT_EQ(offer_deflate(takeover),
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits");
  EXPECT_STREQ(confirm("permessage-deflate", takeover), "refused");  // a window of 15
  EXPECT_STREQ(confirm("permessage-deflate; server_max_window_bits=10", takeover), "agreed");
  EXPECT_STREQ(confirm("permessage-deflate; server_max_window_bits=9", takeover), "agreed");
}

// ---- the examples of RFC 7692 §7.2.3 ------------------------------------------------------------

const std::string kHello = "\xf2\x48\xcd\xc9\xc9\x07\x00"s;

TEST(WebSocketDeflate, InflatesTheExamples) {
  const std::vector<std::pair<const char*, std::string>> rows = {
      {"one block", kHello},
      {"no compression", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"s},
      {"a final block", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s},
      {"two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"s},
  };
  for (const auto& [name, bytes] : rows) {
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
      WebSocketInflater inflater(15, false);
      const Result<std::string> out = inflate_all(inflater, bytes, step);
      ASSERT_TRUE(out) << name << " " << out.error().to_string();
      EXPECT_EQ(*out, "Hello") << name;
    }
  }
  WebSocketInflater empty(15, false);
  EXPECT_EQ(inflate_all(empty, "\x00"s).value_or("?"), "");
}

TEST(WebSocketDeflate, TakesContextsOver) {
  WebSocketInflater inflater(15, true);
  EXPECT_EQ(inflate_all(inflater, kHello).value_or("?"), "Hello");
  EXPECT_EQ(inflate_all(inflater, "\xf2\x00\x11\x00\x00"s).value_or("?"), "Hello");
  // Without takeover the second one refers to nothing.
  WebSocketInflater fresh(15, false);
  EXPECT_EQ(inflate_all(fresh, kHello).value_or("?"), "Hello");
  EXPECT_FALSE(inflate_all(fresh, "\xf2\x00\x11\x00\x00"s));
}

TEST(WebSocketDeflate, MakesTheExample) {
  WebSocketDeflater deflater(15, 6, false);
  std::string out;
  deflater.deflate(as_bytes("Hello"), true, out);
  EXPECT_EQ(out, kHello);
  out.clear();
  deflater.deflate({}, true, out);
  EXPECT_EQ(out, "\x00"s);
  WebSocketDeflater takeover(15, 6, true);
  std::string first;
  std::string second;
  takeover.deflate(as_bytes("Hello"), true, first);
  takeover.deflate(as_bytes("Hello"), true, second);
  EXPECT_EQ(first, kHello);
  EXPECT_LT(second.size(), first.size());
  std::string third;
  takeover.deflate({}, true, third);
  EXPECT_EQ(third, "\x00"s);
}

TEST(WebSocketDeflate, GoesThereAndBackWithEveryWindow) {
  Random random(3);
  std::string noise(50'000, ' ');
  for (char& c : noise) c = static_cast<char>('a' + random.below(6));
  for (int bits = 9; bits <= 15; ++bits) {
    for (const bool takeover : {false, true}) {
      WebSocketDeflater deflater(bits, 5, takeover);
      WebSocketInflater inflater(bits, takeover);
      for (int round = 0; round < 3; ++round) {
        std::string compressed;
        for (std::size_t at = 0; at < noise.size(); at += 10'000) {
          deflater.deflate(as_bytes(std::string_view(noise).substr(at, 10'000)),
                           at + 10'000 >= noise.size(), compressed);
        }
        EXPECT_LT(compressed.size(), noise.size() / 2);
        const Result<std::string> out = inflate_all(inflater, compressed, 777);
        ASSERT_TRUE(out) << out.error().to_string();
        EXPECT_EQ(*out, noise);
      }
    }
  }
}

TEST(WebSocketDeflate, RefusesWhatIsNoDeflateData) {
  for (const std::string& bytes :
       {"\xff\xff\xff"s, "\x06"s, "\xf2\x48"s, "\x00\x09\x00\xf6\xff\x48"s}) {
    WebSocketInflater inflater(15, false);
    EXPECT_FALSE(inflate_all(inflater, bytes)) << bytes.size();
  }
}

// ---- in the protocol ----------------------------------------------------------------------------

/// "text(…)" or "failure(code)" of what a server makes of a client's bytes.
std::string read(std::string_view bytes, const WebSocketProtocol::Limits& limits = {},
                 std::size_t* largest = nullptr) {
  Random random(1);
  WebSocketDeflateAgreement agreed;
  agreed.send_takeover = agreed.receive_takeover = false;
  WebSocketProtocol protocol(WebSocketProtocol::Role::server, limits, random, agreed,
                             WebSocketDeflateOptions());
  protocol.feed(as_bytes(bytes));
  std::string seen;
  std::string message;
  while (const auto event = protocol.next()) {
    if (event->type == WebSocketProtocol::Event::Type::failure) {
      return seen + "failure(" + std::to_string(event->code) + ")";
    }
    if (event->type != WebSocketProtocol::Event::Type::part) continue;
    message.append(as_text(event->payload));
    if (largest != nullptr) *largest = message.size();
    if (!event->last) continue;
    seen += "text(" + message + ")";
    message.clear();
  }
  return seen;
}

TEST(WebSocketDeflate, ReadsCompressedMessages) {
  const std::string a = kHello.substr(0, 3);
  const std::string b = kHello.substr(3);
  EXPECT_EQ(read(frame(1, kHello, true, 4)), "text(Hello)");
  EXPECT_EQ(read(frame(1, a, false, 4) + frame(9, "x") + frame(0, b)), "text(Hello)");
  EXPECT_EQ(read(frame(1, kHello, true, 4) + frame(1, "plain")), "text(Hello)text(plain)");
  EXPECT_EQ(read(frame(1, a, false, 4) + frame(0, b, true, 4)), "failure(1002)");
  EXPECT_EQ(read(frame(9, "x", true, 4)), "failure(1002)");
  EXPECT_EQ(read(frame(1, "x", true, 2)), "failure(1002)");
  EXPECT_EQ(read(frame(1, "\xff\xff\xff", true, 4)), "failure(1007)");
  std::string latin;
  WebSocketDeflater(15, 5, false).deflate(as_bytes("caf\xe9"), true, latin);
  EXPECT_EQ(read(frame(1, latin, true, 4)), "failure(1007)");
}

TEST(WebSocketDeflate, DisarmsBombs) {
  std::string bomb;
  const std::string zeros(20 * 1024 * 1024, '\0');
  WebSocketDeflater(15, 9, false).deflate(as_bytes(zeros), true, bomb);
  ASSERT_LT(bomb.size(), 70'000U);
  WebSocketProtocol::Limits limits;
  std::size_t inflated = 0;
  EXPECT_EQ(read(frame(2, bomb, true, 4), limits, &inflated), "failure(1009)");
  EXPECT_LE(inflated, bomb.size() * limits.max_ratio + 16 * 1024);
  // However small the ratio may be, a message has its limit.
  limits.max_ratio = UINT64_MAX / 1'000'000'000;
  EXPECT_EQ(read(frame(2, bomb, true, 4), limits, &inflated), "failure(1009)");
  EXPECT_LE(inflated, limits.max_message);
  limits.max_message = 0;
  EXPECT_EQ(read(frame(2, bomb, true, 4), limits, &inflated).size(), zeros.size() + 6);
}

}  // namespace
}  // namespace tern::http
