#include "rpc/status_table.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

namespace tern::rpc {
namespace {

http::Status status(int number) { return static_cast<http::Status>(number); }

TEST(StatusTable, CodesAsHttpStatuses) {
  // google/rpc/code.proto, and Connect's table.
  const std::map<Code, int> expected = {
      {Code::ok, 200},
      {Code::cancelled, 499},
      {Code::unknown, 500},
      {Code::invalid_argument, 400},
      {Code::deadline_exceeded, 504},
      {Code::not_found, 404},
      {Code::already_exists, 409},
      {Code::permission_denied, 403},
      {Code::resource_exhausted, 429},
      {Code::failed_precondition, 400},
      {Code::aborted, 409},
      {Code::out_of_range, 400},
      {Code::unimplemented, 501},
      {Code::internal, 500},
      {Code::unavailable, 503},
      {Code::data_loss, 500},
      {Code::unauthenticated, 401},
  };
  ASSERT_EQ(expected.size(), kCodes);
  for (const auto& [code, number] : expected) {
    EXPECT_EQ(http::code(http_status(code)), number) << upper_name_of(code);
  }
}

TEST(StatusTable, HttpStatusesAsCodes) {
  const std::map<int, Code> expected = {
      {400, Code::internal},      {401, Code::unauthenticated}, {403, Code::permission_denied},
      {404, Code::unimplemented}, {429, Code::unavailable},     {431, Code::internal},
      {502, Code::unavailable},   {503, Code::unavailable},     {504, Code::unavailable},
  };
  for (int number = 100; number < 1000; ++number) {
    const auto found = expected.find(number);
    const Code code = found != expected.end() ? found->second : Code::unknown;
    EXPECT_EQ(code_from_http(status(number)), code) << number;
    EXPECT_EQ(connect_code_from_http(status(number)), number == 431 ? Code::unknown : code)
        << number;
  }
}

TEST(StatusTable, Http2Resets) {
  const std::map<std::uint64_t, Code> expected = {
      {0x7, Code::unavailable},
      {0x8, Code::cancelled},
      {0xb, Code::resource_exhausted},
      {0xc, Code::permission_denied},
  };
  for (std::uint64_t error = 0; error <= 0xd; ++error) {
    const auto found = expected.find(error);
    EXPECT_EQ(code_from_http2_error(error),
              found != expected.end() ? found->second : Code::internal)
        << error;
  }
  EXPECT_EQ(code_from_http2_error(0xe), Code::unknown);
  EXPECT_EQ(code_from_http2_error(UINT64_MAX), Code::unknown);
}

TEST(StatusTable, Http3Resets) {
  const std::map<std::uint64_t, Code> expected = {
      {0x107, Code::resource_exhausted},
      {0x10b, Code::unavailable},
      {0x10c, Code::cancelled},
  };
  for (std::uint64_t error = 0x100; error <= 0x110; ++error) {
    const auto found = expected.find(error);
    EXPECT_EQ(code_from_http3_error(error),
              found != expected.end() ? found->second : Code::internal)
        << error;
  }
  EXPECT_EQ(code_from_http3_error(0x111), Code::unknown);
  EXPECT_EQ(code_from_http3_error(0x0), Code::unknown);
  EXPECT_EQ(code_from_http3_error(UINT64_MAX), Code::unknown);
  EXPECT_EQ(code_from_http3_error(0x200), Code::internal);             // QPACK_DECOMPRESSION_FAILED
  EXPECT_EQ(code_from_http3_error(0x21 + 0x1f * 40), Code::internal);  // grease: NO_ERROR
}

TEST(StatusTable, ErrorsOfTheLayersBelow) {
  const auto reset = [](std::uint64_t error) {
    return Error(Domain::application, error, "reset", Origin::remote);
  };
  EXPECT_EQ(code_from_error(reset(0x8)), Code::cancelled);
  EXPECT_EQ(code_from_error(reset(0x10c)), Code::cancelled);
  EXPECT_EQ(code_from_error(reset(0x107)), Code::resource_exhausted);
  EXPECT_EQ(code_from_error(Error(Domain::http, 502, "bad gateway")), Code::unavailable);
  EXPECT_EQ(code_from_error(Error(Domain::os, 111, "refused")), Code::unavailable);
  EXPECT_EQ(code_from_error(Error(Domain::tls, 40, "alert")), Code::unavailable);
  EXPECT_EQ(code_from_error(Error::closed()), Code::unavailable);
  EXPECT_EQ(code_from_error(Error::limit("too much")), Code::resource_exhausted);
  EXPECT_EQ(code_from_error(Error(tern::Code::cancelled, "")), Code::cancelled);
  EXPECT_TRUE(not_processed(reset(0x7)));
  EXPECT_TRUE(not_processed(reset(0x10b)));
  EXPECT_TRUE(not_processed(Error(tern::Code::rejected, "")));
  EXPECT_FALSE(not_processed(reset(0x8)));
  EXPECT_FALSE(not_processed(Error(Domain::application, 0x10b, "ours")));
  EXPECT_EQ(Status::from(reset(0x10b)).code(), Code::unavailable);
}

}  // namespace
}  // namespace tern::rpc
