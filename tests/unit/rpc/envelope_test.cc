#include "rpc/envelope.h"

#include <string>
#include <vector>

#include <google/protobuf/wrappers.pb.h>

namespace tern::rpc {
namespace {

using Read = std::vector<std::pair<int, std::string>>;

/// Everything that comes out of a body in pieces.
Result<Read> read(const std::vector<std::string>& pieces, std::size_t limit = 1 << 20) {
  EnvelopeReader reader(limit);
  Read all;
  for (const std::string& piece : pieces) {
    reader.push(Bytes::copy(piece));
    for (;;) {
      auto next = reader.next();
      if (!next) return fail(next.error());
      if (!*next) break;
      all.emplace_back((*next)->flags, (*next)->payload.text());
    }
  }
  if (!reader.at_boundary()) return fail(Code::internal, "cut");
  return all;
}

std::string envelope(int flags, const std::string& payload) {
  return std::string(make_envelope(static_cast<std::uint8_t>(flags), as_bytes(payload)).text());
}

TEST(Envelope, SplitAnywhere) {
  const Read expected = {{0, "hello"}, {1, ""}, {2, std::string(300, 'x')}, {0x80, "a"}, {0, ""}};
  std::string body;
  for (const auto& [flags, payload] : expected) body += envelope(flags, payload);
  EXPECT_EQ(read({body}), expected);
  for (std::size_t at = 0; at <= body.size(); ++at) {
    EXPECT_EQ(read({body.substr(0, at), body.substr(at)}), expected) << at;
  }
  std::vector<std::string> bytes;
  for (const char c : body) bytes.emplace_back(1, c);
  EXPECT_EQ(read(bytes), expected);
}

TEST(Envelope, CutAnywhere) {
  const std::string body = envelope(0, "one") + envelope(0, "two");
  for (std::size_t size = 0; size <= body.size(); ++size) {
    const bool whole = size == 0 || size == 8 || size == 16;
    EXPECT_EQ(read({body.substr(0, size)}).has_value(), whole) << size;
  }
}

TEST(Envelope, APieceIsSharedNotCopied) {
  const Bytes body = Bytes::copy(envelope(0, "shared"));
  EnvelopeReader reader(100);
  reader.push(body);
  const auto next = reader.next();
  ASSERT_TRUE(next && *next);
  EXPECT_EQ((*next)->payload.data(), body.data() + kEnvelopeHeader);
}

TEST(Envelope, TheLimitIsTheLongestPayload) {
  EXPECT_TRUE(read({envelope(0, std::string(10, 'x'))}, 10));
  const auto refused = read({envelope(0, std::string(11, 'x'))}, 10);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::resource_exhausted);
  // The header is enough, whatever it promises.
  const auto promised = read({std::string("\x00\xff\xff\xff\xff", 5)}, 10);
  ASSERT_FALSE(promised);
  EXPECT_EQ(promised.error().code(), Code::resource_exhausted);
}

TEST(Envelope, OfAMessage) {
  google::protobuf::StringValue message;
  message.set_value("hi");
  const auto bytes = encode_envelope(Codec::proto, message, 100);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->text(), std::string("\x00\x00\x00\x00\x04\x0a\x02hi", 9));
  const auto json = encode_envelope(Codec::json, message, 100);
  ASSERT_TRUE(json);
  EXPECT_EQ(json->text(), std::string("\x00\x00\x00\x00\x04\"hi\"", 9));
  const auto refused = encode_envelope(Codec::proto, message, 3);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::resource_exhausted);

  google::protobuf::StringValue back;
  EXPECT_TRUE(decode(Codec::proto, as_bytes("\x0a\x02hi"), back).ok());
  EXPECT_EQ(back.value(), "hi");
  EXPECT_TRUE(decode(Codec::json, as_bytes("\"ho\""), back).ok());
  EXPECT_EQ(back.value(), "ho");
  EXPECT_EQ(decode(Codec::proto, as_bytes("\x0a\x05hi"), back).code(), Code::internal);
  EXPECT_EQ(decode(Codec::json, as_bytes("{"), back).code(), Code::invalid_argument);
  EXPECT_TRUE(decode(Codec::proto, ByteView(), back).ok());
  EXPECT_EQ(back.value(), "");
}

}  // namespace
}  // namespace tern::rpc
