#include "tools/interop/raw_request.h"

#include <gtest/gtest.h>

#include "base/varint.h"

namespace tern::interop {
namespace {

TEST(RawRequest, BeginsWithAReservedFrame) {
  Random random(1);
  const Bytes request = request_after_reserved_frame(random, "server:4433", "/path", "agent");
  const auto type = read_varint(request);
  ASSERT_TRUE(type.has_value());
  EXPECT_EQ((type->value - 0x21) % 0x1f, 0u);
  EXPECT_TRUE(has_headers_frame(request));
}

TEST(RawRequest, EncodesLengthsBeyondThePrefix) {
  // 127 bytes and more take a second byte (RFC 7541 §5.1).
  Random random(1);
  const std::string target = "/" + std::string(300, 'x');
  const Bytes request = request_after_reserved_frame(random, "server", target, "agent");
  const auto at = request.text().find(target);
  ASSERT_NE(at, std::string_view::npos);
  // 301 = 127 + 174 = 127 + 46 + 128 * 1
  EXPECT_EQ(request[at - 3], 0x7f);
  EXPECT_EQ(request[at - 2], 0x80 | 46);
  EXPECT_EQ(request[at - 1], 1);
}

TEST(RawRequest, StreamHasAReservedType) {
  Random random(7);
  for (int i = 0; i < 100; ++i) {
    const auto type = read_varint(reserved_stream(random));
    ASSERT_TRUE(type.has_value());
    EXPECT_EQ((type->value - 0x21) % 0x1f, 0u);
  }
}

TEST(RawRequest, FindsHeadersAmongOtherFrames) {
  EXPECT_FALSE(has_headers_frame({}));
  EXPECT_FALSE(has_headers_frame(as_bytes(std::string_view("\x00\x05hello", 7))));
  EXPECT_TRUE(has_headers_frame(as_bytes(std::string_view("\x21\x02xx\x01\x03", 6))));
  EXPECT_FALSE(has_headers_frame(as_bytes(std::string_view("\x21\x09xx\x01\x03", 6)))) << "cut off";
}

}  // namespace
}  // namespace tern::interop
