#include "rpc/grpc_web.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/metadata.h"

namespace tern::rpc {
namespace {

TEST(WebTrailers, GoThereAndBack) {
  http::Fields fields;
  fields.add("grpc-status", "0");
  fields.add("x-a", "1");
  fields.add("x-a", "2: 3");
  EXPECT_EQ(web_trailers(fields), "grpc-status: 0\r\nx-a: 1\r\nx-a: 2: 3\r\n");
  const auto read = parse_web_trailers(web_trailers(fields));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->size(), 3U);
  EXPECT_EQ(read->joined("x-a"), "1, 2: 3");
}

TEST(WebTrailers, TakeWhatPeersSend) {
  for (const char* text : {"Grpc-Status:0\r\nX-A:  b \t\r\n", "grpc-status: 0\nx-a: b",
                           "\r\ngrpc-status: 0\r\n\r\nx-a:b\r\n\r\n"}) {
    const auto read = parse_web_trailers(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(read->find("grpc-status"), "0") << text;
    EXPECT_EQ(read->find("x-a"), "b") << text;
  }
  EXPECT_TRUE(parse_web_trailers("")->empty());
  EXPECT_EQ(parse_web_trailers("x-a:\r\n")->find("x-a"), "");
}

TEST(WebTrailers, RefuseWhatNoHeaderLineIs) {
  for (const char* text :
       {"grpc-status", "a b: c\r\n", ": x\r\n", "a: b\x01\r\n", "a: b\rc\r\n", "a\xff: b\r\n"}) {
    EXPECT_FALSE(parse_web_trailers(text)) << text;
  }
}

TEST(WebText, AnySplitGivesTheSame) {
  const std::string parts[] = {"a", "bc", "", "def", "g", "hi"};
  std::string text, plain;
  for (const std::string& part : parts) {
    text.append(to_base64(part, true));
    plain.append(part);
  }
  for (std::size_t first = 0; first <= text.size(); ++first) {
    for (std::size_t second = first; second <= text.size(); ++second) {
      WebTextDecoder decoder;
      std::string out;
      for (const std::string& piece :
           {text.substr(0, first), text.substr(first, second - first), text.substr(second)}) {
        ASSERT_TRUE(decoder.decode(as_bytes(piece), out));
      }
      EXPECT_TRUE(decoder.complete());
      EXPECT_EQ(out, plain);
    }
  }
}

TEST(WebText, RefusesOtherText) {
  for (const char* text : {"A===", "====", "=AAA", "A=AA", "AA A", "AAA!", "\xff\xff\xff\xff"}) {
    WebTextDecoder decoder;
    std::string out;
    EXPECT_FALSE(decoder.decode(as_bytes(text), out)) << text;
  }
  WebTextDecoder decoder;
  std::string out;
  EXPECT_TRUE(decoder.decode(as_bytes("AAAAA"), out));
  EXPECT_FALSE(decoder.complete());
}

}  // namespace
}  // namespace tern::rpc
