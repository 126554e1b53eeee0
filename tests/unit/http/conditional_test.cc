#include "http/conditional.h"

#include <array>

#include <gtest/gtest.h>

#include "tests/unit/http/recording_carrier.h"

namespace tern::http {
namespace {

using test::get;
using test::request;
using test::with;
using enum Precondition;

constexpr UnixSeconds kModified = 784111777;
constexpr UnixSeconds kLater = kModified + 1000;
constexpr const char* kThen = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr const char* kBefore = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr const char* kAfter = "Sun, 06 Nov 1994 08:49:38 GMT";

Validators validators(std::string_view etag = "\"v1\"") {
  Validators made;
  made.etag = etag;
  made.last_modified = kModified;
  return made;
}

Precondition evaluate(const RequestHead& head, const Validators& known = validators()) {
  return evaluate_preconditions(head, known, kLater);
}

TEST(Conditional, IfNoneMatch) {
  struct Row {
    const char* value;
    bool matches;
  };
  for (const Row& row : std::array<Row, 14>{{{"\"v1\"", true},
                                             {"W/\"v1\"", true},
                                             {"\"v0\", \"v1\"", true},
                                             {"\"v0\",W/\"v1\" ", true},
                                             {",, \"v1\"", true},
                                             {"*", true},
                                             {"\"v2\"", false},
                                             {"v1", false},
                                             {"\"V1\"", false},
                                             {"\"v1", false},
                                             {"w/\"v1\"", false},
                                             {"\"a,\\\", \"v1\"", true},
                                             {"", false},
                                             {"\"\"", false}}}) {
    EXPECT_EQ(evaluate(with(get("/"), "if-none-match", row.value)),
              row.matches ? not_modified : proceed)
        << row.value;
    EXPECT_EQ(evaluate(with(request("PUT", "/"), "if-none-match", row.value)),
              row.matches ? failed : proceed)
        << row.value;
  }
}

TEST(Conditional, IfMatchComparesStrongly) {
  EXPECT_EQ(evaluate(with(get("/"), "if-match", "\"v1\"")), proceed);
  EXPECT_EQ(evaluate(with(get("/"), "if-match", "\"v0\", \"v1\"")), proceed);
  EXPECT_EQ(evaluate(with(get("/"), "if-match", "*")), proceed);
  EXPECT_EQ(evaluate(with(get("/"), "if-match", "W/\"v1\"")), failed);
  EXPECT_EQ(evaluate(with(get("/"), "if-match", "\"v2\"")), failed);
  EXPECT_EQ(evaluate(with(get("/"), "if-match", "W/\"v1\""), validators("W/\"v1\"")), failed);
}

TEST(Conditional, SeveralLinesAreOneList) {
  const RequestHead head =
      with(with(get("/"), "if-none-match", "\"v0\""), "if-none-match", "\"v1\"");
  EXPECT_EQ(evaluate(head), not_modified);
}

TEST(Conditional, Dates) {
  EXPECT_EQ(evaluate(with(get("/"), "if-modified-since", kBefore)), proceed);
  EXPECT_EQ(evaluate(with(get("/"), "if-modified-since", kThen)), not_modified);
  EXPECT_EQ(evaluate(with(get("/"), "if-modified-since", kAfter)), not_modified);
  EXPECT_EQ(evaluate(with(get("/"), "if-modified-since", "yesterday")), proceed);
  EXPECT_EQ(evaluate(with(request("POST", "/"), "if-modified-since", kAfter)), proceed);
  EXPECT_EQ(evaluate(with(get("/"), "if-unmodified-since", kBefore)), failed);
  EXPECT_EQ(evaluate(with(get("/"), "if-unmodified-since", kThen)), proceed);
  EXPECT_EQ(evaluate(with(get("/"), "if-unmodified-since", "yesterday")), proceed);
  Validators undated;
  undated.etag = "\"v1\"";
  EXPECT_EQ(evaluate(with(get("/"), "if-modified-since", kAfter), undated), proceed);
  EXPECT_EQ(evaluate(with(get("/"), "if-unmodified-since", kBefore), undated), proceed);
}

// RFC 9110 §13.2.2: tags outrank dates, and what must match outranks what must not.
TEST(Conditional, Precedence) {
  RequestHead head = with(get("/"), "if-none-match", "\"v2\"");
  EXPECT_EQ(evaluate(with(head, "if-modified-since", kAfter)), proceed);
  head = with(get("/"), "if-match", "\"v1\"");
  EXPECT_EQ(evaluate(with(head, "if-unmodified-since", kBefore)), proceed);
  EXPECT_EQ(evaluate(with(head, "if-none-match", "\"v1\"")), not_modified);
  EXPECT_EQ(evaluate(with(head, "if-modified-since", kAfter)), not_modified);
  head = with(get("/"), "if-match", "\"v2\"");
  EXPECT_EQ(evaluate(with(head, "if-none-match", "\"v1\"")), failed);
}

TEST(Conditional, IfRange) {
  const auto applies = [](const char* value, const Validators& known = validators(),
                          UnixSeconds now = kLater) {
    return range_applies(with(get("/"), "if-range", value), known, now);
  };
  EXPECT_TRUE(range_applies(get("/"), validators(), kLater));
  EXPECT_TRUE(applies("\"v1\""));
  EXPECT_FALSE(applies("\"v2\""));
  EXPECT_FALSE(applies("W/\"v1\""));
  EXPECT_FALSE(applies("\"v1\", \"v2\""));
  EXPECT_FALSE(applies("W/\"v1\"", validators("W/\"v1\"")));
  EXPECT_TRUE(applies(kThen));
  EXPECT_FALSE(applies(kThen, validators(), kModified));  // it may still change in this second
  EXPECT_FALSE(applies(kAfter));
  EXPECT_FALSE(applies(kBefore));
  EXPECT_FALSE(applies("yesterday"));
}

}  // namespace
}  // namespace tern::http
