#include "rpc/path_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern::rpc {
namespace {

using Outcome = PathTable::Match::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

PathTemplate parsed(std::string_view text) {
  auto made = PathTemplate::parse(text);
  EXPECT_TRUE(made) << text;
  return made ? std::move(*made) : PathTemplate();
}

TEST(PathTemplate, ReadsVariablesAndVerb) {
  const PathTemplate made = parsed("/v1/{book.name=shelves/*/books/*}/{page}:copy");
  EXPECT_EQ(made.segments().size(), 6U);
  EXPECT_EQ(made.verb(), "copy");
  ASSERT_EQ(made.variables().size(), 2U);
  EXPECT_EQ(made.variables()[0].field_path, "book.name");
  EXPECT_EQ(made.variables()[0].first, 1U);
  EXPECT_EQ(made.variables()[0].end, 5U);
  EXPECT_TRUE(made.variables()[0].multiple);
  EXPECT_FALSE(made.variables()[1].multiple);
}

TEST(PathTemplate, RefusesWhatTheGrammarDoesNotHave) {
  for (const char* text :
       {"",          "v1",       "/",          "/v1/",  "//",      "/v1//a",  "/**/a",
        "/{a=**}/b", "/{a",      "/{}",        "/{a=}", "/{a=b",   "/{1a}",   "/{a.}",
        "/{.a}",     "/{a={b}}", "/{a=b/{c}}", "/a:",   "/a:b:c",  "/a:b/c",  "/***",
        "/a*",       "/*a",      "/a b",       "/a?b",  "/a#b",    "/{a}{b}", "/{a}b",
        "/%g0",      "/a:%z",    "/{a}/{a}",   "/a}",   "/{a=b}}", "/{a=/b}", "/{a=b:c}"}) {
    EXPECT_FALSE(PathTemplate::parse(text)) << text;
  }
  std::string many;
  for (std::size_t i = 0; i < PathTemplate::kMaxSegments; ++i) many.append("/a");
  EXPECT_TRUE(PathTemplate::parse(many));
  EXPECT_FALSE(PathTemplate::parse(many + "/a"));
}

TEST(PathTemplate, ErrorsNameThePlace) {
  EXPECT_THAT(PathTemplate::parse("/v1/{a=b").error().detail, HasSubstr("'}' is missing at 8"));
}

struct Found {
  const char* path_template;
  const char* path;
  Outcome outcome;
  std::vector<std::string> values;
};

TEST(PathTable, MatchesOneTemplate) {
  const Found cases[] = {
      {"/v1/shelves", "/v1/shelves", Outcome::found, {}},
      {"/v1/shelves", "/v1/shelves/", Outcome::no_path, {}},
      {"/v1/shelves", "/v1/Shelves", Outcome::no_path, {}},
      {"/v1/shelves", "/v1/%73helves", Outcome::found, {}},  // the same path (RFC 3986 §6.2.2.2)
      {"/v1/shelves", "/v1", Outcome::no_path, {}},
      {"/v1/shelves", "", Outcome::no_path, {}},
      {"/v1/shelves", "*", Outcome::no_path, {}},
      {"/v1/*", "/v1/a", Outcome::found, {}},
      {"/v1/*", "/v1/", Outcome::no_path, {}},
      {"/v1/*", "/v1/a/b", Outcome::no_path, {}},
      {"/v1/{id}", "/v1/a%2Fb%20c", Outcome::found, {"a/b c"}},
      {"/v1/{id}", "/v1/a%2", Outcome::malformed, {}},
      {"/v1/{id}", "/v1/a:b", Outcome::found, {"a:b"}},
      {"/v1/{id}:go", "/v1/a:go", Outcome::found, {"a"}},
      {"/v1/{id}:go", "/v1/a:b:go", Outcome::found, {"a:b"}},
      {"/v1/{id}:go", "/v1/a:gone", Outcome::no_path, {}},
      {"/v1/{id}:go", "/v1/a", Outcome::no_path, {}},
      {"/v1/{id}:go", "/v1/:go", Outcome::no_path, {}},
      {"/v1/{name=a/*/b/*}", "/v1/a/1/b/2", Outcome::found, {"a/1/b/2"}},
      {"/v1/{name=a/*/b/*}", "/v1/a/1%2f2/b/%41%2F", Outcome::found, {"a/1%2f2/b/A%2F"}},
      {"/v1/{name=a/*/b/*}", "/v1/a/1/c/2", Outcome::no_path, {}},
      {"/v1/{name=a}", "/v1/a", Outcome::found, {"a"}},
      {"/v1/{name=**}", "/v1", Outcome::found, {""}},
      {"/v1/{name=**}", "/v1/", Outcome::found, {""}},
      {"/v1/{name=**}", "/v1/a", Outcome::found, {"a"}},
      {"/v1/{name=**}", "/v1/a//b/", Outcome::found, {"a//b/"}},
      {"/v1/{name=**}:go", "/v1/a/b:go", Outcome::found, {"a/b"}},
      {"/v1/{name=a/**}/", nullptr, Outcome::no_path, {}},
      {"/v1/{name=a/**}", "/v1/a", Outcome::found, {"a"}},
      {"/v1/{name=a/**}", "/v1/a/b/c", Outcome::found, {"a/b/c"}},
      {"/**", "/", Outcome::found, {}},
      {"/{all=**}", "/a:b/c", Outcome::found, {"a:b/c"}},
      {"/{a}/x/{b.c}", "/1/x/2", Outcome::found, {"1", "2"}},
      {"/v1/a:go", "/v1/a:%67o", Outcome::found, {}},
  };
  for (const Found& each : cases) {
    if (each.path == nullptr) {
      EXPECT_FALSE(PathTemplate::parse(each.path_template)) << each.path_template;
      continue;
    }
    PathTable table;
    ASSERT_TRUE(table.add("GET", parsed(each.path_template), 7));
    const PathTable::Match match = table.find("GET", each.path);
    EXPECT_EQ(match.outcome, each.outcome) << each.path_template << " " << each.path;
    EXPECT_EQ(match.values, each.values) << each.path_template << " " << each.path;
    if (each.outcome == Outcome::found) {
      EXPECT_EQ(match.route, 7U);
    }
  }
}

TEST(PathTable, DecodesSlashesWhenAsked) {
  PathTable table;
  ASSERT_TRUE(table.add("GET", parsed("/{a=**}"), 0));
  EXPECT_THAT(table.find("GET", "/x%2Fy", true).values, ElementsAre("x/y"));
}

TEST(PathTable, PrefersTheMoreParticular) {
  const char* templates[] = {"/a/b",    "/a/*",    "/a/**",        "/*/b",   "/**",
                             "/a/*:go", "/a/b:go", "/a/{x=**}:go", "/a/b/c", "/a/*/d"};
  PathTable table;
  for (std::size_t i = 0; i < std::size(templates); ++i) {
    ASSERT_TRUE(table.add("GET", parsed(templates[i]), i)) << templates[i];
  }
  const std::pair<const char*, const char*> expected[] = {
      {"/a/b", "/a/b"},       {"/a/c", "/a/*"},       {"/a/c/e", "/a/**"},
      {"/x/b", "/*/b"},       {"/x/c", "/**"},        {"/a", "/a/**"},
      {"/a/b:go", "/a/b:go"}, {"/a/c:go", "/a/*:go"}, {"/a/c/d:go", "/a/{x=**}:go"},
      {"/a/c:no", "/a/*"},    {"/a/b/c", "/a/b/c"},   {"/a/b/d", "/a/*/d"},
  };
  for (const auto& [path, wanted] : expected) {
    const auto match = table.find("GET", path);
    ASSERT_EQ(match.outcome, Outcome::found) << path;
    EXPECT_STREQ(templates[match.route], wanted) << path;
  }
}

TEST(PathTable, KnowsMethods) {
  PathTable table;
  ASSERT_TRUE(table.add("GET", parsed("/a/{id}"), 0));
  ASSERT_TRUE(table.add("POST", parsed("/a/{id}"), 1));
  ASSERT_TRUE(table.add("*", parsed("/b"), 2));
  ASSERT_TRUE(table.add("PUT", parsed("/b"), 3));
  EXPECT_EQ(table.find("GET", "/a/1").route, 0U);
  EXPECT_EQ(table.find("HEAD", "/a/1").route, 0U);
  EXPECT_EQ(table.find("POST", "/a/1").route, 1U);
  EXPECT_EQ(table.find("PUT", "/b").route, 3U);
  EXPECT_EQ(table.find("LINK", "/b").route, 2U);
  const auto refused = table.find("DELETE", "/a/1");
  EXPECT_EQ(refused.outcome, Outcome::no_method);
  EXPECT_EQ(refused.allow, "GET, HEAD, POST");
  EXPECT_EQ(table.find("DELETE", "/c").outcome, Outcome::no_path);
}

TEST(PathTable, RefusesTwoOfOneShape) {
  PathTable table;
  ASSERT_TRUE(table.add("GET", parsed("/a/{id}"), 0));
  EXPECT_FALSE(table.add("GET", parsed("/a/{other}"), 1));
  EXPECT_FALSE(table.add("GET", parsed("/a/*"), 1));
  EXPECT_TRUE(table.add("GET", parsed("/a/{id}:go"), 1));
  EXPECT_TRUE(table.add("POST", parsed("/a/{id}"), 1));
  EXPECT_TRUE(table.add("GET", parsed("/a/{id=**}"), 1));
}

}  // namespace
}  // namespace tern::rpc
