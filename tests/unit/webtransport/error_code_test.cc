#include "webtransport/error_code.h"

#include <cstdint>
#include <initializer_list>

#include <gtest/gtest.h>

namespace tern::webtransport {
namespace {

TEST(ErrorCode, ApplicationCodesReachTheEndsOfTheirRange) {
  EXPECT_EQ(to_http3(0), 0x52e4a40fa8dbu);
  EXPECT_EQ(to_http3(UINT32_MAX), 0x52e5ac983162u);
  EXPECT_EQ(from_http3(0x52e4a40fa8db), 0u);
  EXPECT_EQ(from_http3(0x52e5ac983162), UINT32_MAX);
  EXPECT_EQ(from_http3(0x52e4a40fa8da), std::nullopt);
  EXPECT_EQ(from_http3(0x52e5ac983163), std::nullopt);
}

TEST(ErrorCode, ThereAndBack) {
  for (std::uint64_t code = 0; code < 100; ++code) {
    EXPECT_EQ(from_http3(to_http3(static_cast<ApplicationCode>(code))), code);
  }
  for (std::uint64_t code = 0; code <= UINT32_MAX; code += 7'654'321) {
    const std::uint64_t mapped = to_http3(static_cast<ApplicationCode>(code));
    EXPECT_NE((mapped - 0x21) % 0x1f, 0u) << "a reserved code for " << code;
    EXPECT_EQ(from_http3(mapped), code);
  }
}

TEST(ErrorCode, ReservedCodesAreNoApplicationCodes) {
  int reserved = 0;
  for (std::uint64_t code = http3_code::kFirstApplication;
       code < http3_code::kFirstApplication + 310; ++code) {
    if ((code - 0x21) % 0x1f != 0) continue;
    ++reserved;
    EXPECT_EQ(from_http3(code), std::nullopt);
  }
  EXPECT_EQ(reserved, 10);
}

}  // namespace
}  // namespace tern::webtransport
