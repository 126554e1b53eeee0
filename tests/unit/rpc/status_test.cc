#include "rpc/status.h"

#include <set>
#include <string>

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/wrappers.pb.h>

namespace tern::rpc {
namespace {

TEST(RpcStatus, OkHasNothing) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), Code::ok);
  EXPECT_EQ(status.message(), "");
  EXPECT_TRUE(status.details().empty());
  EXPECT_EQ(status.to_string(), "OK");
  EXPECT_EQ(Status(Code::ok, "not kept"), Status());
}

TEST(RpcStatus, EveryCodeHasTwoNamesOfItsOwn) {
  std::set<std::string_view> names;
  for (std::size_t number = 0; number < kCodes; ++number) {
    const Code code = static_cast<Code>(number);
    EXPECT_EQ(code_of(name_of(code)), code);
    EXPECT_EQ(code_of(upper_name_of(code)), code);
    names.insert(name_of(code));
    names.insert(upper_name_of(code));
  }
  EXPECT_EQ(names.size(), 2 * kCodes);
  EXPECT_EQ(name_of(Code::cancelled), "canceled");
  EXPECT_EQ(upper_name_of(Code::cancelled), "CANCELLED");
  EXPECT_EQ(code_of("cancelled"), Code::cancelled);
  EXPECT_EQ(code_of("Not_Found"), std::nullopt);
  EXPECT_EQ(code_of(""), std::nullopt);
}

TEST(RpcStatus, CopiesAreIndependent) {
  Status first(Code::not_found, "no such user");
  Status second = first;
  second.detail(Detail{"type.googleapis.com/a.B", "x"});
  EXPECT_TRUE(first.details().empty());
  EXPECT_EQ(second.details().size(), 1u);
  EXPECT_EQ(first.to_string(), "NOT_FOUND: no such user");
  first = second;
  EXPECT_EQ(first, second);
}

TEST(RpcStatus, DetailsAreFoundByTheirType) {
  google::protobuf::Duration wait;
  wait.set_seconds(3);
  const Status status = Status(Code::unavailable, "busy").detail(wait);
  ASSERT_EQ(status.details().size(), 1u);
  EXPECT_EQ(status.details()[0].type(), "google.protobuf.Duration");
  google::protobuf::Duration found;
  EXPECT_TRUE(status.find_detail(found));
  EXPECT_EQ(found.seconds(), 3);
  google::protobuf::StringValue other;
  EXPECT_FALSE(status.find_detail(other));
  EXPECT_EQ((Detail{"no-slash", ""}).type(), "no-slash");
}

TEST(RpcStatus, IsAGoogleRpcStatus) {
  google::protobuf::StringValue text;
  text.set_value("detail");
  const Status status = Status(Code::aborted, "b\xc3\xa4h").detail(text).detail(Detail{"u/t", ""});
  // code 10, message "bäh", two Any's.
  const std::string bytes = serialise(status);
  EXPECT_EQ(bytes.substr(0, 4), std::string("\x08\x0a\x12\x04", 4));
  const auto read = parse_status(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, status);
  EXPECT_EQ(serialise(Status()), "");
  EXPECT_EQ(parse_status(""), Status());
}

TEST(RpcStatus, ReadsWhatIsStrangeAndRefusesWhatIsBroken) {
  // An unknown code, and a field nobody knows (9, varint).
  const auto strange = parse_status(std::string("\x08\x63\x48\x01", 4));
  ASSERT_TRUE(strange);
  EXPECT_EQ(strange->code(), Code::unknown);
  // A negative code takes ten bytes.
  const auto negative = parse_status("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  ASSERT_TRUE(negative);
  EXPECT_EQ(negative->code(), Code::unknown);
  const std::string whole = serialise(Status(Code::aborted, "text").detail(Detail{"u/t", "value"}));
  for (std::size_t size = 1; size < whole.size(); ++size) {
    // Cut between two fields it is whole; else it is not.
    const bool boundary = size == 2 || size == 8;
    EXPECT_EQ(parse_status(whole.substr(0, size)).has_value(), boundary) << size;
  }
  EXPECT_FALSE(parse_status("\x1a\x02\x0a\x05"));  // an Any whose string is longer than itself
  EXPECT_FALSE(parse_status(std::string("\x00", 1)));
}

}  // namespace
}  // namespace tern::rpc
