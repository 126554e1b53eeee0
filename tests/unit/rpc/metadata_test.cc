#include "rpc/metadata.h"

#include <string>
#include <vector>

namespace tern::rpc {
namespace {

using ::testing::ElementsAre;

TEST(Metadata, KeepsOrderAndRepetitions) {
  Metadata metadata;
  EXPECT_TRUE(metadata.add("B", "1"));
  EXPECT_TRUE(metadata.add("a", "2"));
  EXPECT_TRUE(metadata.add("b", "3"));
  EXPECT_EQ(metadata.find("b"), "1");
  EXPECT_EQ(metadata.find("c"), std::nullopt);
  EXPECT_THAT(metadata.all("b"), ElementsAre("1", "3"));
  http::Fields fields;
  metadata.add_to(fields);
  const auto back = Metadata::from(fields);
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, metadata);
  metadata.remove("b");
  EXPECT_EQ(metadata.size(), 1u);
}

TEST(Metadata, RefusesWhatMayNotBeSent) {
  Metadata metadata;
  for (const char* key : {"", "grpc-status", "grpc-anything", "content-type", "te", ":path",
                          "with space", "k\xc3\xa4", "a/b", "host", "connection"}) {
    EXPECT_FALSE(metadata.add(key, "value")) << key;
  }
  for (const char* value : {" a", "a ", "a\n", "\x7f", "\xc3\xa4"}) {
    EXPECT_FALSE(metadata.add("key", value)) << value;
  }
  EXPECT_TRUE(metadata.empty());
  EXPECT_TRUE(metadata.add("key", ""));
  EXPECT_TRUE(metadata.add("key-bin", std::string("\0\xff ", 3)));
  EXPECT_TRUE(metadata.add("0_-.", "~ !"));
}

TEST(Metadata, LeavesOutWhatIsTheProtocols) {
  http::Fields fields;
  for (const char* name : {"content-type", "te", "grpc-timeout", "grpc-encoding", "accept-encoding",
                           "connect-protocol-version", "content-length", "date"}) {
    fields.add(name, "x");
  }
  fields.add("authorization", "Bearer t");
  fields.add("user-agent", "me");
  const auto metadata = Metadata::from(fields);
  ASSERT_TRUE(metadata);
  EXPECT_EQ(metadata->size(), 2u);
  EXPECT_EQ(metadata->find("authorization"), "Bearer t");
}

TEST(Metadata, BinaryValues) {
  http::Fields fields;
  fields.add("a-bin", "q6ur");           // three bytes
  fields.add("b-bin", "qw==,q6s , qw");  // padded, not padded, several
  fields.add("c-bin", "");
  const auto metadata = Metadata::from(fields);
  ASSERT_TRUE(metadata);
  EXPECT_EQ(metadata->find("a-bin"), "\xab\xab\xab");
  EXPECT_THAT(metadata->all("b-bin"), ElementsAre("\xab", "\xab\xab", "\xab"));
  EXPECT_EQ(metadata->find("c-bin"), "");
  http::Fields out;
  metadata->add_to(out, "trailer-");
  EXPECT_EQ(out.find("trailer-a-bin"), "q6ur");
  EXPECT_EQ(out.find("trailer-b-bin"), "qw");
  EXPECT_EQ(out.size(), 5u);

  for (const char* bad : {"q", "q6u?", "=", "qw=", "q=w=", "qw==q", "q6ur,?"}) {
    http::Fields broken;
    broken.add("x-bin", bad);
    const auto refused = Metadata::from(broken);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code(), Code::internal);
  }
}

TEST(Base64, RoundTripsOfEveryLengthAndByte) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    for (const bool padded : {false, true}) {
      for (const bool url : {false, true}) {
        const std::string text = to_base64(bytes, padded, url);
        std::string back;
        ASSERT_TRUE(from_base64(text, back)) << text;
        ASSERT_EQ(back, bytes);
        if (padded) {
          EXPECT_EQ(text.size() % 4, 0u);
        }
      }
    }
    bytes += static_cast<char>(i * 7);
  }
  EXPECT_EQ(to_base64("\xfb\xff", true), "+/8=");  // RFC 4648
  EXPECT_EQ(to_base64("\xfb\xff", false, true), "-_8");
}

TEST(GrpcMessage, PercentEncoding) {
  const std::string special =
      "\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP \xf0\x9f\x98\x88\t\n";
  EXPECT_EQ(encode_message(special),
            "%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP "
            "%F0%9F%98%88%09%0A");
  for (int byte = 0; byte < 256; ++byte) {
    for (const std::string& text : {std::string(1, static_cast<char>(byte)),
                                    "a" + std::string(1, static_cast<char>(byte)) + "b"}) {
      const std::string value = encode_message(text);
      EXPECT_TRUE(http::Fields::valid_value(value)) << byte;
      EXPECT_EQ(decode_message(value), text);
    }
  }
  EXPECT_EQ(decode_message("100%"), "100%");
  EXPECT_EQ(decode_message("%zz%4"), "%zz%4");
  EXPECT_EQ(decode_message("%41%4a%4A"), "AJJ");
  EXPECT_EQ(encode_message("50%"), "50%25");
}

TEST(GrpcStatus, InTrailers) {
  http::Fields ok;
  add_status(ok, Status());
  EXPECT_EQ(ok.size(), 1u);
  EXPECT_EQ(ok.find("grpc-status"), "0");
  EXPECT_EQ(find_status(ok), Status());

  for (std::size_t number = 1; number < kCodes; ++number) {
    const Status status = Status(static_cast<Code>(number), "line\nnext")
                              .detail(Detail{"u/t", std::string("\0v", 2)});
    http::Fields fields;
    add_status(fields, status);
    EXPECT_EQ(fields.find("grpc-status"), std::to_string(number));
    EXPECT_EQ(fields.find("grpc-message"), "line%0Anext");
    EXPECT_EQ(find_status(fields), status);
  }
}

TEST(GrpcStatus, ThatIsStrange) {
  http::Fields none;
  EXPECT_EQ(find_status(none), std::nullopt);
  for (const char* number : {"", "x", "17", "-1", "0x1", "1 ", "99999999999999999999"}) {
    http::Fields fields;
    fields.add("grpc-status", number);
    const auto status = find_status(fields);
    ASSERT_TRUE(status);
    EXPECT_EQ(status->code(), Code::unknown) << number;
  }
  // The trailers' code and message count, details that are broken do not.
  http::Fields fields;
  fields.add("grpc-status", "5");
  fields.add("grpc-message", "gone");
  fields.add("grpc-status-details-bin", "!!");
  EXPECT_EQ(find_status(fields), Status(Code::not_found, "gone"));
  fields.set("grpc-status-details-bin", to_base64(serialise(Status(Code::internal, "other"))));
  EXPECT_EQ(find_status(fields), Status(Code::not_found, "gone"));
}

}  // namespace
}  // namespace tern::rpc
