// HTTPS records: the vectors of RFC 9460 appendix D, and what is malformed.

#include "transport/udp/service_record.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace tern::udp {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kFoo = "\3foo\7example\3com\0"sv;

std::string record(std::uint16_t priority, std::string_view target, std::string_view parameters) {
  std::string bytes{static_cast<char>(priority >> 8), static_cast<char>(priority & 0xff)};
  return bytes.append(target).append(parameters);
}

Result<ServiceRecord> parse(const std::string& bytes) {
  return parse_service_record(as_bytes(bytes));
}

TEST(ServiceRecordTest, Aliases) {
  const auto alias = parse(record(0, kFoo, ""));  // D.1
  ASSERT_TRUE(alias);
  EXPECT_TRUE(alias->is_alias());
  EXPECT_EQ(alias->target, "foo.example.com");
  EXPECT_TRUE(parse(record(0, "\0"sv, "\0\1\0"sv))) << "whatever its parameters";
}

TEST(ServiceRecordTest, AppendixD2) {
  const auto plain = parse(record(1, "\0"sv, ""));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->target, "");
  EXPECT_TRUE(plain->offers("http/1.1"));
  EXPECT_FALSE(plain->offers("h3"));
  EXPECT_FALSE(plain->port);

  const auto port = parse(record(16, kFoo, "\0\3\0\2\0\x35"sv));
  ASSERT_TRUE(port);
  EXPECT_EQ(port->priority, 16);
  EXPECT_EQ(port->port, 53);

  EXPECT_TRUE(parse(record(1, kFoo, "\x02\x9b\0\5hello"sv))) << "key667";
  EXPECT_TRUE(parse(record(1, kFoo, "\x02\x9b\0\x09hello\xd2qoo"sv)));

  const auto hints = parse(record(
      1, kFoo,
      "\0\6\0\x20\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\x53\0\1"sv));
  ASSERT_TRUE(hints) << hints.error().detail;
  ASSERT_EQ(hints->hints.size(), 2u);
  EXPECT_EQ(hints->hints[0].ip_string(), "2001:db8::1");
  EXPECT_EQ(hints->hints[1].ip_string(), "2001:db8::53:1");

  const auto sorted = parse(record(16, "\3foo\7example\3org\0"sv,
                                   "\0\0\0\4\0\1\0\4\0\1\0\x09\2h2\5h3-19\0\4\0\4\xc0\0\2\1"sv));
  ASSERT_TRUE(sorted) << sorted.error().detail;
  EXPECT_EQ(sorted->target, "foo.example.org");
  EXPECT_TRUE(sorted->usable);
  EXPECT_EQ(sorted->alpn, (std::vector<std::string>{"h2", "h3-19"}));
  EXPECT_EQ(sorted->hints[0].ip_string(), "192.0.2.1");

  const auto odd = parse(record(16, kFoo,
                                "\0\1\0\x0c\x08"
                                "f\\oo,bar\2h2"sv));
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->alpn, (std::vector<std::string>{"f\\oo,bar", "h2"}));
}

TEST(ServiceRecordTest, KeysThatAreNotKnown) {
  const auto ech = parse(record(1, kFoo, "\0\0\0\2\0\5\0\5\0\1x"sv));
  ASSERT_TRUE(ech) << ech.error().detail;
  EXPECT_FALSE(ech->usable) << "it is mandatory, and not spoken";
  const auto optional = parse(record(1, kFoo, "\0\5\0\1x"sv));
  ASSERT_TRUE(optional);
  EXPECT_TRUE(optional->usable);
  const auto no_default = parse(record(1, kFoo, "\0\1\0\3\2h3\0\2\0\0"sv));
  ASSERT_TRUE(no_default);
  EXPECT_FALSE(no_default->offers("http/1.1"));
  EXPECT_TRUE(no_default->offers("h3"));
}

TEST(ServiceRecordTest, Malformed) {
  for (const std::string_view parameters : {
           "\0"sv,
           "\0\3\0\2\0"sv,
           "\0\3\0\1x"sv,
           "\0\3\0\2\0\0"sv,
           "\0\1\0\0"sv,
           "\0\1\0\1\0"sv,
           "\0\1\0\3\3h3"sv,
           "\0\1\0\4\2h3\0"sv,
           "\0\2\0\0"sv,
           "\0\1\0\3\2h3\0\2\0\1x"sv,
           "\0\4\0\0"sv,
           "\0\4\0\3\1\2\3"sv,
           "\0\6\0\4\1\2\3\4"sv,
           "\0\3\0\2\0\x35\0\3\0\2\0\x35"sv,
           "\0\3\0\2\0\x35\0\1\0\3\2h3"sv,
           "\0\0\0\0"sv,
           "\0\0\0\1\0"sv,
           "\0\0\0\2\0\0"sv,
           "\0\0\0\2\0\1"sv,
           "\0\0\0\4\0\1\0\1\0\1\0\3\2h3"sv,
           "\0\0\0\4\0\3\0\1\0\1\0\3\2h3\0\3\0\2\0\x35"sv,
       }) {
    EXPECT_FALSE(parse(record(1, kFoo, parameters)))
        << testing::PrintToString(std::string(parameters));
  }
  for (const std::string_view target :
       {""sv, "\3fo"sv, "\3foo"sv, "\xc0\x0c"sv, "\3f.o\0"sv, "\3f o\0"sv, "\x40"sv}) {
    EXPECT_FALSE(parse(record(1, target, ""))) << testing::PrintToString(std::string(target));
  }
  std::string long_name;
  for (int i = 0; i < 70; ++i) long_name += "\3abc";
  EXPECT_FALSE(parse(record(1, long_name + '\0', "")));
}

}  // namespace
}  // namespace tern::udp
