#include "http/structured_fields.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern::http {
namespace {

using Kind = BareItem::Kind;
using ::testing::ElementsAre;

TEST(StructuredFields, ReadsEachKindOfItem) {
  const auto read = [](std::string_view text) {
    StructuredCursor cursor(text);
    const auto item = cursor.item();
    EXPECT_TRUE(item && cursor.at_end()) << text;
    return item.value_or(BareItem());
  };
  EXPECT_EQ(read("42").integer, 42);
  EXPECT_EQ(read(" -999999999999999 ").integer, -999999999999999);
  EXPECT_DOUBLE_EQ(read("4.5").decimal, 4.5);
  EXPECT_DOUBLE_EQ(read("-0.125").decimal, -0.125);
  EXPECT_EQ(read("\"a \\\"b\\\\\"").unescaped(), "a \"b\\");
  EXPECT_EQ(read("foo123/456").text, "foo123/456");
  EXPECT_EQ(read("*a:b").kind, Kind::token);
  EXPECT_EQ(read(":cHJldGVuZA==:").text, "cHJldGVuZA==");
  EXPECT_EQ(read("?1").boolean, true);
  EXPECT_EQ(read("?0").boolean, false);
  EXPECT_EQ(read("token;a;b=2;c=\"x\"").text, "token");
}

TEST(StructuredFields, RefusesMalformedItems) {
  for (const std::string_view bad : {"",
                                     " ",
                                     "-",
                                     "--1",
                                     "1.",
                                     "1.1234",
                                     "1234567890123.1",
                                     "1234567890123456",
                                     ".5",
                                     "?2",
                                     "?",
                                     "\"open",
                                     "\"a\\n\"",
                                     "\"\x7f\"",
                                     "\"\xc3\xa4\"",
                                     ":abc",
                                     ":a b:",
                                     "a b",
                                     "1 2",
                                     "{",
                                     "a;",
                                     "a;B",
                                     "a;b=",
                                     "a; ;b"}) {
    StructuredCursor cursor(bad);
    EXPECT_FALSE(cursor.item() && cursor.at_end()) << bad;
  }
}

TEST(StructuredFields, WalksAList) {
  StructuredCursor cursor("\"h3\";q=1, tok ,(a \"b\" 3);x,  ?0");
  std::vector<Kind> kinds;
  while (const auto member = cursor.next_member()) kinds.push_back(member->kind);
  EXPECT_FALSE(cursor.failed());
  EXPECT_THAT(kinds, ElementsAre(Kind::string, Kind::token, Kind::inner_list, Kind::boolean));
}

TEST(StructuredFields, WalksADictionaryAndItsParameters) {
  StructuredCursor cursor("a=1;x=y;z, b, c=(1 2), *d-.e=?0");
  std::vector<std::string> seen;
  while (const auto entry = cursor.next_entry()) {
    seen.emplace_back(entry->key);
    while (const auto parameter = cursor.next_parameter()) {
      seen.push_back(";" + std::string(parameter->key));
    }
  }
  EXPECT_FALSE(cursor.failed());
  EXPECT_THAT(seen, ElementsAre("a", ";x", ";z", "b", "c", "*d-.e"));
}

TEST(StructuredFields, AnEmptyListIsNoError) {
  StructuredCursor cursor("  ");
  EXPECT_FALSE(cursor.next_member());
  EXPECT_FALSE(cursor.failed());
}

TEST(StructuredFields, FailsOnMalformedLists) {
  for (const std::string_view bad :
       {",", "a,", "a,,b", "a b", "(a", "(a,b)", "(a\"b\")", "a, (b", "a,\tb c"}) {
    StructuredCursor cursor(bad);
    while (cursor.next_member()) {
    }
    EXPECT_TRUE(cursor.failed()) << bad;
  }
}

}  // namespace
}  // namespace tern::http
