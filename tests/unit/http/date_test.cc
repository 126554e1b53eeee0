#include "http/date.h"

#include <string>

#include <gtest/gtest.h>

namespace tern::http {
namespace {

constexpr UnixSeconds kToday = 1793000000;  // October 2026

TEST(HttpDate, WritesImfFixdate) {
  EXPECT_EQ(HttpDate(784111777).view(), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(HttpDate(0).view(), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(HttpDate(-1).view(), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(HttpDate(951782400).view(), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(HttpDate(INT64_MAX).view(), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(HttpDate(INT64_MIN).view(), "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(HttpDate, ReadsAllThreeForms) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", kToday), 784111777);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", kToday), 784111777);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994", kToday), 784111777);
  EXPECT_EQ(parse_http_date("Sun Nov 16 08:49:37 1994", kToday), 784111777 + 10 * 86400);
}

TEST(HttpDate, TwoDigitYearsLieWithinFiftyYears) {
  const auto year = [](UnixSeconds seconds) {
    return std::string(HttpDate(seconds).view().substr(12, 4));
  };
  EXPECT_EQ(year(*parse_http_date("Sunday, 06-Nov-76 08:49:37 GMT", kToday)), "2076");
  EXPECT_EQ(year(*parse_http_date("Sunday, 06-Nov-77 08:49:37 GMT", kToday)), "1977");
  EXPECT_EQ(year(*parse_http_date("Sunday, 06-Nov-26 08:49:37 GMT", kToday)), "2026");
  EXPECT_EQ(year(*parse_http_date("Sunday, 06-Nov-10 08:49:37 GMT", 915148800)), "2010");  // 1999
}

TEST(HttpDate, RefusesWhatIsNone) {
  for (const char* bad : {"", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
                          "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
                          "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
                          "Xun, 06 Nov 1994 08:49:37 GMT", "unM, 06 Nov 1994 08:49:37 GMT",
                          "Sun, 06 Nvo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
                          "Sunday, 06-Nov-1994 08:49:37 GMT", "Someday, 06-Nov-94 08:49:37 GMT",
                          "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 94", "784111777"}) {
    EXPECT_EQ(parse_http_date(bad, kToday), std::nullopt) << bad;
  }
}

TEST(HttpDate, WhatIsWrittenIsReadBack) {
  for (UnixSeconds seconds = -62167219200; seconds < 253402300799; seconds += 86400 * 97 + 12345) {
    EXPECT_EQ(parse_http_date(HttpDate(seconds), kToday), seconds);
  }
}

TEST(Rfc3339, IsForLogs) { EXPECT_EQ(Rfc3339(784111777).view(), "1994-11-06T08:49:37Z"); }

}  // namespace
}  // namespace tern::http
