// DNS responses with HTTPS records.

#include "transport/engine/service_resolver.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace tern::engine {
namespace {

using namespace std::string_view_literals;
using namespace std::chrono_literals;

constexpr std::string_view kQuestion = "\3www\4test\0\0\x41\0\1"sv;

/// A response with these answers.
std::string response(char answers, std::string_view records) {
  std::string bytes("\x12\x34\x81\x80\0\1\0"sv);
  bytes += answers;
  return bytes.append("\0\0\0\0"sv).append(kQuestion).append(records);
}

std::string answer(std::string_view type_class_ttl, std::string_view rdata) {
  std::string bytes("\xc0\x0c"sv);
  bytes.append(type_class_ttl);
  bytes += '\0';
  bytes += static_cast<char>(rdata.size());
  return bytes.append(rdata);
}

constexpr std::string_view kHttps = "\0\x41\0\1\0\0\1\x2c"sv;  // 300 s

TEST(ServiceAnswer, RecordsByPriority) {
  const std::string bytes = response(
      3, answer("\0\5\0\1\0\0\0\x3c"sv, "\xc0\x10"sv) +  // CNAME, 60 s
             answer(kHttps, "\0\2\0\0\1\0\3\2h2"sv) + answer(kHttps, "\0\1\0\0\1\0\3\2h3"sv));
  const auto read = read_service_answer(as_bytes(bytes));
  ASSERT_TRUE(read) << read.error().detail;
  ASSERT_EQ(read->records.size(), 2u);
  EXPECT_TRUE(read->records[0].offers("h3"));
  EXPECT_TRUE(read->records[1].offers("h2"));
  EXPECT_EQ(read->ttl, 60s) << "the shortest of the chain";
}

TEST(ServiceAnswer, OneThatIsMalformedSpoilsThemAll) {
  const auto read = read_service_answer(as_bytes(
      response(2, answer(kHttps, "\0\1\0\0\1\0\3\2h3"sv) + answer(kHttps, "\0\2\0\0\1\0\0"sv))));
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->records.empty());
}

TEST(ServiceAnswer, NoneAndNonsense) {
  const auto none = read_service_answer(as_bytes(response(0, "")));
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->records.empty());
  EXPECT_GT(none->ttl, 0s);
  EXPECT_FALSE(read_service_answer(as_bytes("nonsense"sv)));
  const std::string whole = response(1, answer(kHttps, "\0\1\0\0\1\0\3\2h3"sv));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(read_service_answer(as_bytes(std::string_view(whole).substr(0, size)))) << size;
  }
}

}  // namespace
}  // namespace tern::engine
