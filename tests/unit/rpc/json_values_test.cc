#include "rpc/json_values.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

/// How a text that comes in pieces is cut into JSON values.

namespace tern::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Arrays = JsonValues::Arrays;

/// The values of a text that comes in two pieces, or why it has none.
std::vector<std::string> values_of(std::string_view text, std::size_t cut, std::size_t limit = 50,
                                   Arrays arrays = Arrays::hold_values) {
  JsonValues reader(limit, arrays);
  std::vector<std::string> values;
  const auto read = [&] {
    for (;;) {
      auto next = reader.next();
      if (!next) values.push_back("error: " + next.error().to_string());
      if (!next || !*next) return next.has_value();
      values.push_back(std::move(**next));
    }
  };
  for (const std::string_view piece : {text.substr(0, cut), text.substr(cut)}) {
    reader.push(piece);
    if (!read()) return values;
  }
  reader.end();
  read();
  return values;
}
std::vector<std::string> values_of(std::string_view text, Arrays arrays = Arrays::hold_values) {
  const std::vector<std::string> values = values_of(text, 0, 50, arrays);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(values_of(text, cut, 50, arrays), values);
  }
  return values;
}

TEST(JsonValues, OneBehindTheOther) {
  EXPECT_THAT(values_of(""), IsEmpty());
  EXPECT_THAT(values_of(" \r\n\t"), IsEmpty());
  EXPECT_THAT(values_of("{}"), ElementsAre("{}"));
  EXPECT_THAT(values_of("{\"a\":[1,{}]}\n{\"b\":\"}{\\\"\\\\\"}\n"),
              ElementsAre("{\"a\":[1,{}]}", "{\"b\":\"}{\\\"\\\\\"}"));
  EXPECT_THAT(values_of("{}{}\"a\"{}"), ElementsAre("{}", "{}", "\"a\"", "{}"));
  EXPECT_THAT(values_of("1 true\n-2.5e3"), ElementsAre("1", "true", "-2.5e3"));
  EXPECT_THAT(values_of("1{}2\"a\"null[3]"), ElementsAre("1", "{}", "2", "\"a\"", "null", "[3]"));
  EXPECT_THAT(values_of("\x1e{}\n\x1e{}\n\x1e"
                        "5\x1e"),
              ElementsAre("{}", "{}", "5"));
}

TEST(JsonValues, AnArraysElements) {
  EXPECT_THAT(values_of("[]"), IsEmpty());
  EXPECT_THAT(values_of(" [ ] "), IsEmpty());
  EXPECT_THAT(values_of("[{\"a\":1}, {\"b\":[2,3]},\n4,\"]\",[5]]\n"),
              ElementsAre("{\"a\":1}", "{\"b\":[2,3]}", "4", "\"]\"", "[5]"));
}

TEST(JsonValues, ArraysAsValues) {
  EXPECT_THAT(values_of(" [1,2]\r\n{\"a\":[]}[]", Arrays::are_values),
              ElementsAre("[1,2]", "{\"a\":[]}", "[]"));
  EXPECT_THAT(values_of("[1] }", Arrays::are_values),
              ElementsAre("[1]", StartsWith("error: INVALID_ARGUMENT")));
}

TEST(JsonValues, SayInWhichLineTheyBegin) {
  JsonValues reader(50, Arrays::are_values);
  reader.push("\n{\n\n} 7\n \n\"\n");
  std::vector<std::size_t> lines;
  for (;;) {
    const auto next = reader.next();
    ASSERT_TRUE(next.has_value());
    if (!*next) break;
    lines.push_back(reader.line());
  }
  EXPECT_THAT(lines, ElementsAre(2, 4));
  reader.end();
  EXPECT_FALSE(reader.next().has_value());
  EXPECT_EQ(reader.line(), 6U);
}

TEST(JsonValues, WhatIsNoSequence) {
  for (const char* const text :
       {"{",           "[",   "[{}",   "[1",     "[{},",       "\"a",   "{}]",
        "]",           "[,]", "[{},]", "[{}{}]", "[{} {}]",    "[] {}", "[]]",
        "[{}\x1e,{}]", "}",   "{},{}", ":",      "{\"a\":\"}", "[{]"}) {
    const std::vector<std::string> values = values_of(text);
    ASSERT_FALSE(values.empty()) << text;
    EXPECT_THAT(values.back(), StartsWith("error: INVALID_ARGUMENT")) << text;
  }
}

TEST(JsonValues, HaveALimit) {
  EXPECT_THAT(values_of("\"" + std::string(48, 'a') + "\"", 10),
              ElementsAre("\"" + std::string(48, 'a') + "\""));
  EXPECT_THAT(values_of("{\"a\":\"" + std::string(48, 'a'), 10),
              ElementsAre(HasSubstr("RESOURCE_EXHAUSTED: a message of more than 50 bytes")));
  EXPECT_THAT(values_of(std::string(1000, ' ').append("{}"), 10), ElementsAre("{}"));
}

}  // namespace
}  // namespace tern::rpc
