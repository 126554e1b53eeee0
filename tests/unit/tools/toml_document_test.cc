#include "tools/tern/toml_document.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace tern::cli {
namespace {

std::string toml_refusal(std::string_view text) {
  try {
    parse_toml(text);
  } catch (const TomlError& error) {
    return std::to_string(error.line()) + ": " + error.what();
  }
  return "accepted";
}

std::string value(std::string_view text) {
  return parse_toml(text)["a"].value_or(std::string("nothing"));
}

TEST(TomlDocument, StringsAndCommentsHaveAllCharacters) {
  EXPECT_EQ(value("a = \"Grüße, 世界 😀\"  # größer"), "Grüße, 世界 😀");
  EXPECT_EQ(value("# é\na = 'C:\\é\"x\"'"), "C:\\é\"x\"");
  EXPECT_EQ(value("a = \"\"\"\\\n   é\n\"b\" \\u00e9\"\"\"\""), "é\n\"b\" é\"");
  EXPECT_EQ(value("a = '''\né'\\\n'''''"), "é'\\\n''");
  EXPECT_EQ(value("a = \"\\\\é\""), "\\é");
  EXPECT_EQ(parse_toml("\"é\" = 1")["é"].value_or(0), 1);
  EXPECT_EQ(parse_toml("'é' = 1")["é"].value_or(0), 1);
  EXPECT_EQ(value("\xef\xbb\xbf"
                  "a = 'after a byte order mark: é'"),
            "after a byte order mark: é");
}

// toml++'s test for white space has undefined behaviour for most of them.
TEST(TomlDocument, OtherPlacesHaveNoneBeyondAscii) {
  const std::string where = "only strings and comments may have characters beyond ASCII";
  EXPECT_EQ(toml_refusal("\xcf\xa4[at]\n"), "1: " + where);
  EXPECT_EQ(toml_refusal("x = 1\na = é"), "2: " + where);
  EXPECT_EQ(toml_refusal("a = 1é"), "1: " + where);
  EXPECT_EQ(toml_refusal("a = 1\"é\""), toml_refusal("a = 1\"e\""));
  EXPECT_EQ(toml_refusal("a =\u00a01"), "1: " + where);
  EXPECT_EQ(toml_refusal("x = '''\n\n'''\né = 1"), "4: " + where);
  EXPECT_EQ(toml_refusal("x = 'ä'é"), "1: " + where);
}

TEST(TomlDocument, WhatIsNoTextNamesItsLine) {
  EXPECT_EQ(toml_refusal("a = 1\nb = \"\xc3\""), "2: this is not UTF-8");
  EXPECT_EQ(toml_refusal("# \xed\xa0\x80"), "1: this is not UTF-8");
  EXPECT_EQ(toml_refusal("\n# \xf0\x9f"), "2: this is not UTF-8");
  EXPECT_EQ(toml_refusal("a = \"\\é\""), "1: no escape sequence has that character");
  EXPECT_EQ(toml_refusal("# é\na = \"open\nb = 1"), "2: a string does not end on its line");
  EXPECT_NE(toml_refusal("a = 'é"), "accepted");
  EXPECT_NE(toml_refusal("a = \"é\\"), "accepted");
  EXPECT_NE(toml_refusal("a = \"\"\"é"), "accepted");
}

TEST(TomlDocument, AsciiStaysAsItIs) {
  const std::string_view text = "a = 'x' # \"\n[b]\nc = \"\"\"\n\\\"\"\"\"";
  EXPECT_EQ(toml_in_ascii(text), text);
  EXPECT_EQ(toml_in_ascii("a = 'x' # é"), "a = 'x' # ??");
  EXPECT_EQ(toml_in_ascii("a = '\"é'"), "a = \"\\\"\\U000000e9\"");
}

}  // namespace
}  // namespace tern::cli
