#include "http/utf8.h"

#include <string>

#include <gtest/gtest.h>

namespace tern::http {
namespace {

std::string encode(std::uint32_t point, int size) {
  std::string out;
  constexpr unsigned kLead[] = {0, 0, 0xc0, 0xe0, 0xf0};
  if (size == 1) return std::string(1, static_cast<char>(point));
  out.push_back(static_cast<char>(kLead[size] | point >> (6 * (size - 1))));
  for (int i = size - 2; i >= 0; --i) {
    out.push_back(static_cast<char>(0x80 | ((point >> (6 * i)) & 0x3f)));
  }
  return out;
}

/// Every code point in every length it could be written in.
TEST(Utf8, TakesEachCharacterInItsShortestFormAlone) {
  for (std::uint32_t point = 0; point < 0x120000; ++point) {
    const int shortest = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    const bool character = point < 0x110000 && (point < 0xd800 || point > 0xdfff);
    ASSERT_EQ(is_utf8(as_bytes(encode(point, shortest))), character) << point;
    if (shortest < 4) {
      ASSERT_FALSE(is_utf8(as_bytes(encode(point, shortest + 1)))) << point;
    }
  }
}

TEST(Utf8, MayBeCutAnywhere) {
  const std::string text =
      "plain ascii of more than eight bytes, \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 end";
  for (std::size_t a = 0; a <= text.size(); ++a) {
    for (std::size_t b = a; b <= text.size(); ++b) {
      Utf8Validator validator;
      EXPECT_TRUE(validator.feed(as_bytes(text.substr(0, a))));
      EXPECT_TRUE(validator.feed(as_bytes(text.substr(a, b - a))));
      EXPECT_TRUE(validator.feed(as_bytes(text.substr(b))));
      EXPECT_TRUE(validator.complete());
    }
  }
}

TEST(Utf8, StaysWrong) {
  Utf8Validator validator;
  EXPECT_FALSE(validator.feed(as_bytes("abc\xff")));
  EXPECT_FALSE(validator.feed(as_bytes("abc")));
  EXPECT_FALSE(validator.complete());
  validator.reset();
  EXPECT_TRUE(validator.feed(as_bytes("abc")));
}

}  // namespace
}  // namespace tern::http
