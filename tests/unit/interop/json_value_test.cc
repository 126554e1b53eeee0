#include "tools/interop/json_value.h"

#include <gtest/gtest.h>

namespace tern::interop {
namespace {

TEST(JsonValue, ReadsEveryKind) {
  const auto read = JsonValue::parse(
      R"( {"a": [1, -2.5, 3e2], "b": true, "c": null, "d": "x\n\"\u00e9\ud83d\ude00", "e": {} } )");
  ASSERT_TRUE(read.has_value()) << read.error().detail;
  EXPECT_EQ(read->find("a")->items().size(), 3u);
  EXPECT_EQ(read->find("a")->items()[1].number(), -2.5);
  EXPECT_EQ(read->find("a")->items()[2].number(), 300);
  EXPECT_EQ(read->find("b")->flag(), true);
  EXPECT_EQ(read->text_of("d"), "x\n\"é😀");
  EXPECT_TRUE(read->find("e")->is_object());
  EXPECT_EQ(read->find("f"), nullptr);
  EXPECT_FALSE(read->find("c")->flag().has_value());
}

TEST(JsonValue, CountsAreWholeAndNotNegative) {
  const auto read = JsonValue::parse(R"({"a": 7, "b": -1, "c": 1e300, "d": "7"})");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->count_of("a"), 7u);
  EXPECT_EQ(read->count_of("b"), 0u);
  EXPECT_EQ(read->count_of("c"), 0u);
  EXPECT_EQ(read->count_of("d"), 0u);
}

TEST(JsonValue, RefusesWhatIsNoJson) {
  for (const char* text :
       {"",    "{",     "[1,]",       "{\"a\"}", "{\"a\":}",  "{a:1}",
        "tru", "nul",   "\"",         "\"\\x\"", "\"\\u12\"", "\"\\ud83dx\\ude00\" 1",
        "1 2", "[1 2]", "{\"a\":1,}", "+1",      ".5",        "nan",
        "inf", "'a'",   "\"a\nb\"",   "-inf",    "-nan",      "01",
        "-01", "1.",    "-.5",        "1.e3",    "1e",        "-",
        "0x1"}) {
    EXPECT_FALSE(JsonValue::parse(text).has_value()) << text;
  }
}

TEST(JsonValue, RefusesDepthInsteadOfTheStack) {
  EXPECT_TRUE(JsonValue::parse(std::string(20, '[') + std::string(20, ']')).has_value());
  EXPECT_FALSE(JsonValue::parse(std::string(100'000, '[')).has_value());
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_FALSE(JsonValue::parse(objects).has_value());
}

}  // namespace
}  // namespace tern::interop
