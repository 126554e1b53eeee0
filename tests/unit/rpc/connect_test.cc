#include "rpc/connect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern::rpc {
namespace {

TEST(ConnectError, GoesThereAndBack) {
  const Status status =
      Status(Code::not_found, "no \"x\"\n").detail(Detail{"type.googleapis.com/a.B", "\0\xff"});
  const Status read = parse_connect_error(connect_error(status), Code::internal);
  EXPECT_EQ(read, status);
  EXPECT_EQ(connect_error(Status(Code::cancelled)), R"({"code":"canceled"})");
}

TEST(ConnectError, TakesWhatItCanRead) {
  const std::pair<const char*, Status> cases[] = {
      {"", Status(Code::unavailable)},
      {"<html>", Status(Code::unavailable)},
      {"[]", Status(Code::unavailable)},
      {"{}", Status(Code::unavailable)},
      {R"({"code":null})", Status(Code::unavailable)},
      {R"({"code":5})", Status(Code::unavailable)},
      {R"({"code":"NOT_FOUND"})", Status(Code::unavailable)},
      {R"({"code":"cancelled"})", Status(Code::unavailable)},
      {R"({"code":"ok"})", Status(Code::unavailable)},
      {R"({"code":"canceled"})", Status(Code::cancelled)},
      {R"({"code":"none","message":"m"})", Status(Code::unavailable, "m")},
      {R"({"code":"aborted","message":5,"more":{}})", Status(Code::aborted)},
      {R"({"code":"aborted","details":{}})", Status(Code::aborted)},
      {R"({"code":"aborted","details":[1,{},{"type":"a"},{"type":"a","value":"!"},{"value":"AA"}]})",
       Status(Code::aborted).detail(Detail{"type.googleapis.com/a", ""})},
      {R"({"code":"aborted","details":[{"type":"a","value":"AQ","debug":"x"},{"type":"b","value":"AQ=="}]})",
       Status(Code::aborted)
           .detail(Detail{"type.googleapis.com/a", "\1"})
           .detail(Detail{"type.googleapis.com/b", "\1"})},
  };
  for (const auto& [json, status] : cases) {
    EXPECT_EQ(parse_connect_error(json, Code::unavailable), status) << json;
  }
}

TEST(ConnectEnd, GoesThereAndBack) {
  Metadata trailers;
  trailers.add("a", "1");
  trailers.add("b-bin", std::string_view("\0\xff", 2));
  trailers.add("a", "2");
  const std::string json = connect_end(Status(Code::aborted, "m"), trailers);
  EXPECT_EQ(
      json,
      R"({"error":{"code":"aborted","message":"m"},"metadata":{"a":["1","2"],"b-bin":["AP8"]}})");
  const auto read = parse_connect_end(json);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->status, Status(Code::aborted, "m"));
  EXPECT_THAT(read->trailers.all("a"), ::testing::ElementsAre("1", "2"));
  EXPECT_EQ(read->trailers.find("b-bin"), std::string_view("\0\xff", 2));
  EXPECT_EQ(connect_end(Status(), Metadata()), "{}");
}

TEST(ConnectEnd, TakesWhatItCanRead) {
  for (const char* json :
       {"{}", R"({"error":null})", R"({"metadata":null,"x":1})", R"({"metadata":{}})"}) {
    const auto read = parse_connect_end(json);
    ASSERT_TRUE(read) << json;
    EXPECT_TRUE(read->status.ok()) << json;
  }
  for (const char* json :
       {R"({"error":{}})", R"({"error":{"code":null}})", R"({"error":{"code":"x"}})"}) {
    const auto read = parse_connect_end(json);
    ASSERT_TRUE(read) << json;
    EXPECT_EQ(read->status.code(), Code::unknown) << json;
  }
  for (const char* json : {"", "{", "[]", "null x", R"({"error":5})", R"({"metadata":{"a":"1"}})",
                           R"({"metadata":{"a":[1]}})", R"({"metadata":{"a-bin":["!"]}})"}) {
    const auto read = parse_connect_end(json);
    ASSERT_FALSE(read) << json;
    EXPECT_EQ(read.error().code(), Code::internal) << json;
  }
}

TEST(ConnectQuery, GoesThereAndBack) {
  for (const Codec codec : {Codec::proto, Codec::json}) {
    for (const http::Coding coding : {http::Coding::identity, http::Coding::gzip}) {
      ConnectQuery query;
      query.codec = codec;
      query.coding = coding;
      query.versioned = true;
      query.message = std::string("{\"a\":\"+ &=%\"}\0\xff", 16);
      const auto read = parse_connect_query(to_string(query));
      ASSERT_TRUE(read) << read.error().to_string();
      EXPECT_EQ(read->message, query.message);
      EXPECT_EQ(read->codec, codec);
      EXPECT_EQ(read->coding, coding);
      EXPECT_TRUE(read->versioned);
    }
  }
}

}  // namespace
}  // namespace tern::rpc
