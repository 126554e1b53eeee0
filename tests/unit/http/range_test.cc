#include "http/range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern::http {
namespace {

using Answer = RangeSelection::Answer;
using ::testing::ElementsAre;

ByteRange range(std::uint64_t first, std::uint64_t length) {
  ByteRange made;
  made.first = first;
  made.length = length;
  return made;
}

TEST(Range, SelectsBytes) {
  const auto one = [](std::string_view value) {
    const RangeSelection selection = select_ranges(value, 10000);
    EXPECT_EQ(selection.answer, Answer::partial) << value;
    return selection.ranges;
  };
  // RFC 9110 §14.1.2
  EXPECT_THAT(one("bytes=0-499"), ElementsAre(range(0, 500)));
  EXPECT_THAT(one("bytes=500-999"), ElementsAre(range(500, 500)));
  EXPECT_THAT(one("bytes=-500"), ElementsAre(range(9500, 500)));
  EXPECT_THAT(one("bytes=9500-"), ElementsAre(range(9500, 500)));
  EXPECT_THAT(one("bytes=0-0,-1"), ElementsAre(range(0, 1), range(9999, 1)));
  EXPECT_THAT(one("bytes= 0-0 , , 10-10\t"), ElementsAre(range(0, 1), range(10, 1)));
  EXPECT_THAT(one("Bytes=9999-20000"), ElementsAre(range(9999, 1)));
  EXPECT_THAT(one("bytes=-20000"), ElementsAre(range(0, 10000)));
  EXPECT_THAT(one("bytes=0-99999999999999999999999999"), ElementsAre(range(0, 10000)));
  EXPECT_THAT(one("bytes=20000-,0-0"), ElementsAre(range(0, 1)));  // what can be had
}

TEST(Range, WhatCannotBeSatisfied) {
  for (const char* value :
       {"bytes=10000-", "bytes=20000-20001", "bytes=-0", "bytes=99999999999999999999999-"}) {
    EXPECT_EQ(select_ranges(value, 10000).answer, Answer::unsatisfiable) << value;
  }
  EXPECT_EQ(select_ranges("bytes=0-", 0).answer, Answer::unsatisfiable);
  EXPECT_EQ(select_ranges("bytes=-5", 0).answer, Answer::whole);
}

TEST(Range, WhatIsNotHonouredGivesTheWhole) {
  for (const char* value : {"", "bytes", "bytes=", "bytes=,", "bytes=a-b", "bytes=5-4", "bytes=5",
                            "bytes=-", "bytes=1-2-3", "bytes=+1-2", "lines=1-2", "bytes=0-1,x",
                            "bytes=0-5,5-9", "bytes=0-,0-", "bytes 0-1", "bytes=0x1-2"}) {
    EXPECT_EQ(select_ranges(value, 10000).answer, Answer::whole) << value;
  }
  std::string many = "bytes=0-0";
  for (std::size_t i = 1; i < kMaxRanges; ++i) {
    many += "," + std::to_string(i * 2) + "-" + std::to_string(i * 2);
  }
  EXPECT_EQ(select_ranges(many, 10000).ranges.size(), kMaxRanges);
  EXPECT_EQ(select_ranges(many + ",100-100", 10000).answer, Answer::whole);
}

TEST(Range, NamesWhatItHolds) { EXPECT_EQ(content_range(range(0, 500), 1234), "bytes 0-499/1234"); }

}  // namespace
}  // namespace tern::http
