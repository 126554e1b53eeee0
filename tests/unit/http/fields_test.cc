#include "http/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern::http {
namespace {

TEST(Fields, KeepsOrderAndDuplicatesAndLowersNames) {
  Fields fields;
  fields.add("Accept", "text/html");
  fields.add("X-One", "1");
  fields.add("accept", "*/*");
  ASSERT_EQ(fields.size(), 3u);
  EXPECT_EQ(fields[0].name, "accept");
  EXPECT_EQ(fields[1].name, "x-one");
  EXPECT_EQ(fields[2].value, "*/*");
  EXPECT_EQ(fields.find("accept"), "text/html");
  EXPECT_EQ(fields.joined("accept"), "text/html, */*");
  EXPECT_EQ(fields.joined("absent"), std::nullopt);
  EXPECT_EQ(fields.find("absent"), std::nullopt);
}

TEST(Fields, RemoveClosesTheGap) {
  Fields fields;
  fields.add("a", "1");
  fields.add("b", "22");
  fields.add("a", "333");
  fields.add("c", "4444");
  fields.remove("A");
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields[0].name, "b");
  EXPECT_EQ(fields[0].value, "22");
  EXPECT_EQ(fields[1].name, "c");
  EXPECT_EQ(fields[1].value, "4444");
  EXPECT_EQ(fields.section_size(), 3u + 5u + 64u);
}

TEST(Fields, SetReplacesEveryLine) {
  Fields fields;
  fields.add("a", "1");
  fields.add("a", "2");
  fields.set("A", "3");
  EXPECT_EQ(fields.joined("a"), "3");
}

TEST(Fields, MayBeGivenItsOwnViews) {
  Fields fields;
  fields.add("first", std::string(200, 'x'));
  for (int i = 0; i < 10; ++i) fields.add(fields[0].name, fields[0].value);
  EXPECT_EQ(fields[10].name, "first");
  EXPECT_EQ(fields[10].value, std::string(200, 'x'));
  fields.set(fields[0].name, fields[0].value);
  EXPECT_EQ(fields.joined("first"), std::string(200, 'x'));
}

TEST(Fields, Iterates) {
  Fields fields;
  fields.add("a", "1");
  fields.add("b", "");
  std::string all;
  for (const Field field : fields)
    all.append(field.name).append("=").append(field.value).append(";");
  EXPECT_EQ(all, "a=1;b=;");
}

TEST(Fields, ValidNamesAreLowerCaseTokens) {
  EXPECT_TRUE(Fields::valid_name("x-!#$%&'*+.^_`|~09"));
  for (const char* bad : {"", "A", "a b", "a:", ":path", "a\n", "ä", "a(b)"}) {
    EXPECT_FALSE(Fields::valid_name(bad)) << bad;
  }
}

TEST(Fields, ValidValuesHoldNoControlCharacter) {
  for (const char* good : {"", "a", "a b", "a\tb", "\xc3\xa4"}) {
    EXPECT_TRUE(Fields::valid_value(good)) << good;
  }
  for (const std::string_view bad :
       {std::string_view("a\r"), std::string_view("a\nb"), std::string_view("a\0b", 3),
        std::string_view(" a"), std::string_view("a\t"), std::string_view(" "),
        std::string_view("a\x1b[m"), std::string_view("\x7f")}) {
    EXPECT_FALSE(Fields::valid_value(bad)) << bad;
  }
}

TEST(Fields, WhatWasFoundValidIsNotLookedAtAgain) {
  Fields fields;
  fields.add("etag", "\"1\"");
  fields.add("bad name", "x");
  ASSERT_TRUE(fields.first_invalid());
  EXPECT_EQ(fields.first_invalid()->name, "bad name");
  fields.remove("bad name");
  EXPECT_FALSE(fields.first_invalid());
  fields.mark_valid();

  Fields copy = fields;
  copy.add("date", "a\nb");
  ASSERT_TRUE(copy.first_invalid());
  EXPECT_EQ(copy.first_invalid()->name, "date");
  fields.set("etag", "a\nb");
  EXPECT_TRUE(fields.first_invalid());
}

TEST(Fields, CopiesShareTheirLinesUntilOneChanges) {
  Fields fields;
  fields.add("etag", "\"1\"");
  fields.add("vary", "accept-encoding");
  const Fields before = fields;
  EXPECT_EQ(before[0].value.data(), fields[0].value.data());

  Fields added = fields;
  added.add("date", "now");
  Fields removed = fields;
  removed.remove("etag");
  Fields replaced = fields;
  replaced.set("etag", replaced[1].value);
  Fields cleared = fields;
  cleared.clear();
  EXPECT_EQ(added.size(), 3u);
  EXPECT_EQ(removed.size(), 1u);
  EXPECT_EQ(replaced.find("etag"), "accept-encoding");
  EXPECT_TRUE(cleared.empty());
  for (const Fields& same : {before, fields}) {
    ASSERT_EQ(same.size(), 2u);
    EXPECT_EQ(same.find("etag"), "\"1\"");
    EXPECT_EQ(same.find("date"), std::nullopt);
  }

  Fields taken = std::move(added);
  EXPECT_TRUE(added.empty());  // NOLINT(bugprone-use-after-move): that is the question
  EXPECT_EQ(taken.find("date"), "now");
  const Fields& itself = taken;
  taken = itself;
  EXPECT_EQ(taken.size(), 3u);
}

TEST(Fields, ACopyMayBeGivenViewsOfWhatItShares) {
  Fields fields;
  fields.add("first", "1");
  Fields copy = fields;
  copy.add_lower(fields[0].name, copy[0].value);
  EXPECT_EQ(copy.joined("first"), "1, 1");
  EXPECT_EQ(fields.size(), 1u);
}

TEST(Fields, FindsEveryNameAmongMany) {
  Fields fields;
  for (int i = 0; i < 200; ++i) fields.add("X-" + std::to_string(i), std::to_string(i));
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(fields.find("x-" + std::to_string(i)), std::to_string(i));
  }
  EXPECT_FALSE(fields.find("x-200"));
  EXPECT_FALSE(fields.find(""));
  fields.add("", "");  // not valid, but no harm either
  EXPECT_TRUE(fields.first_invalid());
}

TEST(Fields, TellsWhetherHttp1sOwnMayBeAmongThem) {
  for (const char* name :
       {"Connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te"}) {
    Fields fields;
    fields.add("content-type", "text/plain");
    EXPECT_FALSE(fields.may_be_connection_specific());
    fields.add(name, "x");
    EXPECT_TRUE(fields.may_be_connection_specific()) << name;
  }
}

TEST(Fields, ConnectionSpecificOnes) {
  for (const char* name :
       {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}) {
    EXPECT_TRUE(Fields::connection_specific(name, "x")) << name;
  }
  EXPECT_TRUE(Fields::connection_specific("te", "gzip"));
  EXPECT_FALSE(Fields::connection_specific("te", "trailers"));
  EXPECT_FALSE(Fields::connection_specific("content-type", "x"));
}

}  // namespace
}  // namespace tern::http
