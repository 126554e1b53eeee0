#include "http/message.h"

#include <gtest/gtest.h>

namespace tern::http {
namespace {

Priority priority(int urgency, bool incremental) {
  Priority made;
  made.urgency = static_cast<std::uint8_t>(urgency);
  made.incremental = incremental;
  return made;
}

TEST(Priority, ReadsUrgencyAndIncremental) {
  EXPECT_EQ(Priority::parse(""), priority(3, false));
  EXPECT_EQ(Priority::parse("u=1, i"), priority(1, true));
  EXPECT_EQ(Priority::parse("i,u=7"), priority(7, true));
  EXPECT_EQ(Priority::parse("u=0;p=1;q, i=?0"), priority(0, false));
  EXPECT_EQ(Priority::parse("  u=5\t,\ti=?1  "), priority(5, true));
  EXPECT_EQ(Priority::parse("x=(1 2);y, u=2, z=\"a,b\""), priority(2, false));
}

TEST(Priority, WhatItDoesNotUnderstandKeepsTheDefault) {
  EXPECT_EQ(Priority::parse("u=8, i"), priority(3, true));
  EXPECT_EQ(Priority::parse("u=-1"), priority(3, false));
  EXPECT_EQ(Priority::parse("u=1.0, i"), priority(3, true));
  EXPECT_EQ(Priority::parse("u=1, u=9"), priority(3, false));
  EXPECT_EQ(Priority::parse("u=1, i=yes"), priority(1, false));
}

TEST(Priority, MalformedFieldsAreIgnoredAsAWhole) {
  for (const char* bad : {"u=1,", "u=1 i", "u=, i", "u=1, I", "U=1", "u=1,,i", "u=1, x=\"open",
                          "u=1, x=(1", ",u=1"}) {
    EXPECT_EQ(Priority::parse(bad), Priority()) << bad;
  }
}

TEST(Priority, WritesWhatIsNotDefault) {
  EXPECT_EQ(Priority().to_string(), "");
  EXPECT_EQ(priority(0, true).to_string(), "u=0, i");
  EXPECT_EQ(priority(3, true).to_string(), "i");
  for (int urgency = 0; urgency < 8; ++urgency) {
    for (const bool incremental : {false, true}) {
      const Priority wanted = priority(urgency, incremental);
      EXPECT_EQ(Priority::parse(wanted.to_string()), wanted);
    }
  }
}

TEST(RequestHead, SplitsPathAndQuery) {
  RequestHead head;
  head.path = "/a/b?c=1?d";
  EXPECT_EQ(head.path_only(), "/a/b");
  EXPECT_EQ(head.query(), "c=1?d");
  head.path = "/a";
  EXPECT_EQ(head.path_only(), "/a");
  EXPECT_EQ(head.query(), "");
}

TEST(ContentLength, IsDigitsAlone) {
  EXPECT_EQ(parse_content_length("0"), 0u);
  EXPECT_EQ(parse_content_length("1073741824"), 1073741824u);
  EXPECT_EQ(parse_content_length("999999999999999999"), 999999999999999999u);
  for (const char* bad : {"", "-1", "+1", " 1", "1 ", "0x1", "1,1", "9999999999999999999"}) {
    EXPECT_EQ(parse_content_length(bad), std::nullopt) << bad;
  }
}

TEST(Methods, SafeAndIdempotent) {
  EXPECT_TRUE(is_safe("GET"));
  EXPECT_FALSE(is_safe("get"));
  EXPECT_FALSE(is_safe("POST"));
  EXPECT_FALSE(is_safe("CONNECT"));
  EXPECT_TRUE(is_idempotent("PUT"));
  EXPECT_TRUE(is_idempotent("DELETE"));
  EXPECT_FALSE(is_idempotent("PATCH"));
}

TEST(Reason, KnowsTheRegisteredCodes) {
  EXPECT_EQ(reason(Status::not_found), "Not Found");
  EXPECT_EQ(reason(static_cast<Status>(299)), "");
}

}  // namespace
}  // namespace tern::http
