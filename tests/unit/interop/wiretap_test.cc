#include "tools/interop/wiretap.h"

#include <gtest/gtest.h>

namespace tern::interop {
namespace {

TEST(LongHeader, IsReadWhole) {
  const std::string_view text("\xc3\0\0\0\1\2ab\3xyzREST", 16);
  LongHeader header;
  ASSERT_TRUE(read_long_header(as_bytes(text), header));
  EXPECT_EQ(header.first, 0xc3);
  EXPECT_EQ(header.version, 1u);
  EXPECT_EQ(as_text(header.dcid), "ab");
  EXPECT_EQ(as_text(header.scid), "xyz");
  EXPECT_EQ(as_text(header.rest), "REST");
}

TEST(LongHeader, RefusesWhatIsCutOff) {
  const std::string text("\xc3\0\0\0\1\2ab\3xyz", 12);
  LongHeader header;
  ASSERT_TRUE(read_long_header(as_bytes(text), header));
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(read_long_header(as_bytes(std::string_view(text).substr(0, size)), header))
        << size;
  }
}

TEST(LongHeader, IsNoShortHeader) {
  LongHeader header;
  EXPECT_FALSE(read_long_header(as_bytes("@aaaaaaaaaaaaaaaaaaaaa"), header));
}

}  // namespace
}  // namespace tern::interop
