#include "tools/interop/case.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace tern::interop {
namespace {

TEST(Cases, HaveLettersAndNamesOfTheirOwn) {
  std::set<char> letters;
  std::set<std::string_view> names;
  for (const Case& each : cases()) {
    EXPECT_TRUE(letters.insert(each.letter).second) << each.letter;
    EXPECT_TRUE(names.insert(each.name).second) << each.name;
    EXPECT_EQ(find_case(each.name), &each);
    EXPECT_EQ(find_case(std::string(1, each.letter)), &each);
    EXPECT_NE(each.run, nullptr);
    EXPECT_GE(each.time_limits, 1u);
  }
  EXPECT_EQ(find_case("nonsense"), nullptr);
  EXPECT_EQ(find_case("?"), nullptr);
  EXPECT_EQ(find_case(""), nullptr);
}

TEST(Cases, StandGroupByGroup) {
  Group last = Group::handshake;
  for (const Case& each : cases()) {
    EXPECT_GE(each.group, last) << each.name;
    last = each.group;
  }
}

TEST(Verdict, TellsTimeOutsFromFailures) {
  EXPECT_EQ(Verdict::because("x", Error(Code::timed_out, "late")).outcome, Outcome::timed_out);
  EXPECT_EQ(Verdict::because("x", Error(Code::closed, "gone")).outcome, Outcome::fail);
}

TEST(Verdict, NamesTheCodesOfHttp3) {
  const Error reset(Domain::application, 0x102, "", Origin::remote);
  EXPECT_EQ(Verdict::because("GET", reset).text, "GET: H3_INTERNAL_ERROR from the server");
}

}  // namespace
}  // namespace tern::interop
