#include "base/error.h"

#include <cerrno>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(Error, OsErrorsNameTheThingAndTheReason) {
  const Error error = Error::os(ENOENT, "open cert.pem");
  EXPECT_EQ(error.domain, Domain::os);
  EXPECT_EQ(error.code, static_cast<std::uint64_t>(ENOENT));
  EXPECT_EQ(error.to_string(), "open cert.pem: No such file or directory");
}

TEST(Error, CodesAreOfOurDomainOnly) {
  EXPECT_TRUE(Error::closed().is(Code::closed));
  EXPECT_TRUE(Error::invalid("x").is(Code::invalid));
  EXPECT_TRUE(Error::limit("x").is(Code::limit));
  EXPECT_FALSE(Error::limit("x").is(Code::closed));
  const Error quic(Domain::quic, static_cast<std::uint64_t>(Code::closed), "same number");
  EXPECT_FALSE(quic.is(Code::closed));
}

TEST(Error, TextTellsDomainCodeAndOrigin) {
  const Error error(Domain::quic, 0x0a, "PROTOCOL_VIOLATION: no such frame", Origin::remote);
  EXPECT_EQ(error.to_string(), "quic 0xa (remote): PROTOCOL_VIOLATION: no such frame");
  EXPECT_EQ(Error(Domain::application, 0x100, "").to_string(), "application 0x100 (local)");
  EXPECT_THAT(Error(Domain::tls, 42, "bad certificate").to_string(), StartsWith("tls 0x2a"));
  EXPECT_THAT(Error(Domain::http, 404, "not found").to_string(), HasSubstr("http"));
}

Result<int> half(int number) {
  if (number % 2 != 0) return fail(Error::invalid("odd"));
  return number / 2;
}
Result<std::unique_ptr<int>> quarter_boxed(int number) {
  TERN_TRY(const int first, half(number));
  TERN_TRY(const int second, half(first));
  return std::make_unique<int>(second);
}
Result<int> unboxed(int number) {
  TERN_TRY(auto box, quarter_boxed(number));  // moves what can only be moved
  return *box;
}

TEST(Error, TryPassesValuesOnAndErrorsUp) {
  EXPECT_EQ(*unboxed(12), 3);
  const auto failed = unboxed(6);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().detail, "odd");
}

}  // namespace
}  // namespace tern
