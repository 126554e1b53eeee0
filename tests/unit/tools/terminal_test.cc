#include "tools/tern/terminal.h"

#include <chrono>
#include <stdexcept>

#include <gtest/gtest.h>

namespace tern::cli {
namespace {

using namespace std::chrono_literals;

TEST(Terminal, HumanNumbers) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.00 kB");
  EXPECT_EQ(human_bytes(123'456), "123.5 kB");
  EXPECT_EQ(human_bytes(999'999), "1.00 MB");
  EXPECT_EQ(human_count(7), "7");
  EXPECT_EQ(human_count(1234), "1,234");
  EXPECT_EQ(human_count(1234567), "1,234,567");
  EXPECT_EQ(human_duration(87us), "87 µs");
  EXPECT_EQ(human_duration(1240us), "1.24 ms");
  EXPECT_EQ(human_duration(31ms), "31.0 ms");
  EXPECT_EQ(human_duration(3100ms), "3.10 s");
  EXPECT_EQ(human_duration(125s), "2 min 5 s");
}

TEST(Terminal, Durations) {
  EXPECT_EQ(parse_duration("2"), 2s);
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("1.5m"), 90s);
  EXPECT_EQ(parse_duration("1h"), 1h);
  for (const char* wrong : {"", "s", "-1s", "2 s", "2x", "1e99h", "nan"}) {
    EXPECT_THROW(parse_duration(wrong), std::invalid_argument) << wrong;
  }
}

TEST(Terminal, Sizes) {
  EXPECT_EQ(parse_bytes("1000"), 1000u);
  EXPECT_EQ(parse_bytes("5MB"), 5'000'000u);
  EXPECT_EQ(parse_bytes("64KiB"), 65536u);
  EXPECT_EQ(parse_bytes("1g"), 1'000'000'000u);
  for (const char* wrong : {"", "MB", "-1", "5 MB", "5MBx", "99999999T"}) {
    EXPECT_THROW(parse_bytes(wrong), std::invalid_argument) << wrong;
  }
}

TEST(Terminal, PeersDoNotDriveTheTerminal) {
  EXPECT_EQ(printable("a\x1b[31mb\r\n"), "a\\x1b[31mb\\x0d\\x0a");
  EXPECT_EQ(printable("Grüße"), "Grüße");
  EXPECT_EQ(printable("a\xc2\x9b"
                      "31mb\xc2"),
            "a\\x9b31mb\xc2");
  EXPECT_EQ(printable_lines("a\x1b\n\nb\n"), "a\\x1b\n\nb\n");
}

}  // namespace
}  // namespace tern::cli
