#include "rpc/stream_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/envelope.h"

/// How a call on a stream without HTTP's fields begins.

namespace tern::rpc {
namespace {

http::Fields some_fields() {
  http::Fields fields;
  fields.add("content-type", "application/grpc-web+json");
  fields.add("x-twice", "a");
  fields.add("x-twice", "b: c");
  return fields;
}

TEST(StreamHead, GoesThereAndBackInAnyPieces) {
  const Bytes sent = call_head_envelope("/a.B/C", some_fields());
  const std::string all = std::string(sent.text()) + "rest";
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    HeadReader reader;
    Result<bool> there = reader.push(as_bytes(std::string_view(all).substr(0, cut)));
    ASSERT_TRUE(there);
    EXPECT_EQ(*there, cut >= sent.size());
    if (!*there) there = reader.push(as_bytes(std::string_view(all).substr(cut)));
    ASSERT_TRUE(there && *there);
    const Result<CallHead> head = parse_call_head(reader.text());
    ASSERT_TRUE(head);
    EXPECT_EQ(head->path, "/a.B/C");
    EXPECT_EQ(head->fields.find("content-type"), "application/grpc-web+json");
    EXPECT_EQ(head->fields.joined("x-twice"), "a, b: c");
    EXPECT_TRUE(std::string_view("rest").starts_with(reader.rest().text()));
  }
}

TEST(StreamHead, AByteAtATime) {
  const Bytes sent = head_envelope(some_fields());
  HeadReader reader;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const Result<bool> there = reader.push(as_bytes(sent.text().substr(i, 1)));
    ASSERT_TRUE(there);
    EXPECT_EQ(*there, i + 1 == sent.size());
  }
  EXPECT_TRUE(reader.rest().empty());
}

TEST(StreamHead, RefusesWhatIsNone) {
  for (const char* const text :
       {"", "a.B/C\r\n", "/a b\r\n", "/a\x01\r\n", "/a\x7f\r\n", "\r\n/a.B/C",
        "/a.B/C\r\nno colon\r\n", "/a.B/C\r\na b: c\r\n", "/a.B/C\r\na: \x01\r\n"}) {
    const Result<CallHead> head = parse_call_head(text);
    ASSERT_FALSE(head) << text;
    EXPECT_EQ(head.error().code(), Code::internal) << text;
  }
  EXPECT_TRUE(parse_call_head("/a.B/C"));  // no fields at all
  EXPECT_TRUE(parse_call_head("/a.B/C\nx: y"));
}

TEST(StreamHead, OtherEnvelopesAndLongOnes) {
  for (int flags = 0; flags < 256; ++flags) {
    HeadReader reader;
    const Bytes other = make_envelope(static_cast<std::uint8_t>(flags), as_bytes("/a.B/C"));
    const Result<bool> there = reader.push(other);
    if (flags == kWebTrailers) {
      EXPECT_TRUE(there && *there);
    } else {
      ASSERT_FALSE(there);
      EXPECT_EQ(there.error().code(), Code::internal);
    }
  }
  // Its length alone is enough.
  std::uint8_t header[kEnvelopeHeader];
  write_envelope_header(header, kWebTrailers, HeadReader::kMaxSize + 1);
  const Result<bool> there = HeadReader().push(ByteView(header, sizeof header));
  ASSERT_FALSE(there);
  EXPECT_EQ(there.error().code(), Code::resource_exhausted);
  write_envelope_header(header, kWebTrailers, HeadReader::kMaxSize);
  EXPECT_TRUE(HeadReader().push(ByteView(header, sizeof header)));
}

}  // namespace
}  // namespace tern::rpc
