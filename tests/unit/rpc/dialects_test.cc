// The dialects' servers, one request each, bad input above all: what the tables of the protocols
// name.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/compression.h"
#include "rpc/connect.h"
#include "rpc/dispatcher.h"
#include "rpc/envelope.h"
#include "rpc/grpc_web.h"
#include "rpc/server_rest.h"
#include "tests/unit/http/recording_carrier.h"
#include "tests/unit/rpc/talk_service.h"

namespace tern::rpc {
namespace {

using http::test::RecordingCarrier;
using http::test::World;
using test::Ask;
using test::TalkService;
using test::Told;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kSay = "/tern.test.Talk/Say";
constexpr std::string_view kDo = "/tern.test.Talk/Do";
constexpr std::string_view kMany = "/tern.test.Talk/Many";
constexpr std::string_view kSum = "/tern.test.Talk/Sum";
constexpr std::string_view kChat = "/tern.test.Talk/Chat";

struct Request {
  std::string method = "POST";
  std::string path;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
};

class Dialects : public ::testing::Test {
 protected:
  std::unique_ptr<RecordingCarrier> call(const Request& sent) {
    http::RequestHead head = http::test::request(sent.method, sent.path);
    for (const auto& [name, value] : sent.fields) head.fields.add(name, value);
    auto answered =
        http::test::answer(world, serve(std::make_shared<TalkService>(), options), head, sent.body);
    EXPECT_EQ(answered->broken, "");
    EXPECT_THAT(world.log.lines, IsEmpty());
    return answered;
  }
  World world;
  ServeOptions options;
};

std::string bytes_of_ask(const Ask& ask) { return ask.SerializeAsString(); }
Ask ask(std::string text, int times = 0, int code = 0) {
  Ask made;
  made.set_text(std::move(text));
  made.set_times(times);
  made.set_code(code);
  return made;
}
std::string enveloped(std::string_view payload, std::uint8_t flags = 0) {
  return std::string(make_envelope(flags, as_bytes(payload)).text());
}
std::string packed_with(Coding coding, std::string_view payload) {
  return std::string(compress(coding, as_bytes(payload)).text());
}

struct Cut {
  std::vector<Envelope> envelopes;
  bool whole = false;
};
Cut cut(std::string_view body) {
  Cut made;
  EnvelopeReader reader(1 << 20);
  reader.push(Bytes::copy(body));
  for (;;) {
    auto next = reader.next();
    if (!next || !*next) break;
    made.envelopes.push_back(**next);
  }
  made.whole = reader.at_boundary();
  return made;
}
Told told(const Envelope& envelope) {
  Told message;
  EXPECT_TRUE(
      message.ParseFromArray(envelope.payload.data(), static_cast<int>(envelope.payload.size())));
  return message;
}

// ---- gRPC-Web -----------------------------------------------------------------------------------

/// The trailers of an answer, wherever they are, and its messages.
struct WebAnswer {
  http::Fields trailers;
  std::vector<Envelope> messages;
};
WebAnswer web(const RecordingCarrier& carrier, bool text = false) {
  WebAnswer answer;
  std::string body = carrier.body;
  if (text) {
    WebTextDecoder decoder;
    body.clear();
    EXPECT_TRUE(decoder.decode(as_bytes(carrier.body), body));
    EXPECT_TRUE(decoder.complete());
  }
  Cut pieces = cut(body);
  EXPECT_TRUE(pieces.whole);
  answer.trailers = carrier.fields;
  for (Envelope& envelope : pieces.envelopes) {
    if ((envelope.flags & kWebTrailers) != 0) {
      auto trailers = parse_web_trailers(envelope.payload.text());
      EXPECT_TRUE(trailers);
      answer.trailers = *trailers;
      EXPECT_EQ(&envelope, &pieces.envelopes.back());
    } else {
      answer.messages.push_back(envelope);
    }
  }
  return answer;
}
std::string_view field(const http::Fields& fields, std::string_view name) {
  return fields.find(name).value_or("(none)");
}

TEST_F(Dialects, WebUnary) {
  const auto answered = call({"POST",
                              std::string(kSay),
                              {{"content-type", "application/grpc-web+proto"},
                               {"x-a", "1"},
                               {"x-a", "2"},
                               {"x-b-bin", "AAE"}},
                              enveloped(bytes_of_ask(ask("hi")))});
  EXPECT_EQ(answered->status, 200);
  EXPECT_EQ(answered->field("content-type"), "application/grpc-web+proto");
  EXPECT_EQ(answered->fields.joined("x-a"), "1, 2");
  EXPECT_EQ(answered->field("x-b-bin"), "AAE");
  EXPECT_EQ(answered->trailers, std::nullopt);
  const WebAnswer answer = web(*answered);
  ASSERT_EQ(answer.messages.size(), 1U);
  EXPECT_EQ(told(answer.messages[0]).text(), "hi");
  EXPECT_EQ(field(answer.trailers, "grpc-status"), "0");
  EXPECT_EQ(answer.trailers.joined("trailing-x-a"), "1, 2");
}

TEST_F(Dialects, WebTextInAnyPieces) {
  for (const char* type : {"application/grpc-web-text", "application/grpc-web-text+proto"}) {
    // Padded in the middle, as a client that flushes sends it.
    const std::string envelope = enveloped(bytes_of_ask(ask("hi", 3)));
    for (std::size_t at = 0; at <= envelope.size(); ++at) {
      const std::string body =
          to_base64(envelope.substr(0, at), true) + to_base64(envelope.substr(at), true);
      const auto answered = call({"POST", std::string(kMany), {{"content-type", type}}, body});
      EXPECT_EQ(answered->field("content-type"), "application/grpc-web-text+proto");
      const WebAnswer answer = web(*answered, true);
      ASSERT_EQ(answer.messages.size(), 3U) << at;
      EXPECT_EQ(told(answer.messages[2]).number(), 2);
      EXPECT_EQ(field(answer.trailers, "grpc-status"), "0");
    }
  }
}

TEST_F(Dialects, WebStreamsBothWays) {
  const auto answered =
      call({"POST",
            std::string(kChat),
            {{"content-type", "application/grpc-web+json"}},
            enveloped(R"({"text":"a"})") + enveloped(R"({"text":"b","code":5})")});
  const WebAnswer answer = web(*answered);
  ASSERT_EQ(answer.messages.size(), 2U);
  EXPECT_EQ(answer.messages[1].payload.text(), R"({"text":"b"})");
  EXPECT_EQ(field(answer.trailers, "grpc-status"), "5");
  EXPECT_EQ(field(answer.trailers, "grpc-message"), "as \"asked\" %C3%A4");
  EXPECT_NE(field(answer.trailers, "grpc-status-details-bin"), "(none)");
}

TEST_F(Dialects, WebCompresses) {
  options.compression(Coding::gzip);
  const auto answered =
      call({"POST",
            std::string(kSay),
            {{"content-type", "application/grpc-web"},
             {"grpc-encoding", "gzip"},
             {"grpc-accept-encoding", "identity,gzip"}},
            enveloped(packed_with(Coding::gzip, bytes_of_ask(ask("hi"))), kCompressed)});
  EXPECT_EQ(answered->field("grpc-encoding"), "gzip");
  const WebAnswer answer = web(*answered);
  ASSERT_EQ(answer.messages.size(), 1U);
  EXPECT_TRUE(answer.messages[0].compressed());
}

struct BadRequest {
  const char* what;
  Request sent;
  int http_status;
  const char* code;  // grpc-status, or Connect's name; "" where the answer has none
};

TEST_F(Dialects, WebBadInput) {
  options.max_request(64);
  const std::string good = enveloped(bytes_of_ask(ask("hi")));
  const auto to = [](std::string_view path, std::string body,
                     std::string type = "application/grpc-web+proto") {
    return Request{"POST", std::string(path), {{"content-type", std::move(type)}}, std::move(body)};
  };
  const auto with = [](Request sent, const char* name, const char* value) {
    sent.fields.emplace_back(name, value);
    return sent;
  };
  Request deleted = to(kSay, good);
  deleted.method = "DELETE";
  const BadRequest cases[] = {
      {"a codec that we do not know", to(kSay, good, "application/grpc-web+foo"), 415, ""},
      {"a type that only begins alike", to(kSay, good, "application/grpc-webby"), 415, ""},
      {"another method of HTTP", deleted, 405, ""},
      {"an unknown method", to("/tern.test.Talk/Nothing", good), 200, "12"},
      {"an unknown service", to("/tern.test.Nothing/Say", good), 200, "12"},
      {"no message", to(kSay, ""), 200, "12"},
      {"two messages", to(kSay, good + good), 200, "12"},
      {"no message for a stream", to(kMany, ""), 200, "12"},
      {"two messages for a stream", to(kMany, good + good), 200, "12"},
      {"a message that ends early", to(kSay, good.substr(0, good.size() - 1)), 200, "13"},
      {"a header that ends early", to(kSay, good.substr(0, 3)), 200, "13"},
      {"compressed without an encoding", to(kSay, enveloped("x", kCompressed)), 200, "13"},
      {"compressed with identity",
       with(to(kSay, enveloped("x", kCompressed)), "grpc-encoding", "identity"), 200, "13"},
      {"no gzip", with(to(kSay, enveloped("x", kCompressed)), "grpc-encoding", "gzip"), 200, "13"},
      {"an unknown encoding", with(to(kSay, good), "grpc-encoding", "foo"), 200, "12"},
      {"an encoding of Connect's", with(to(kSay, good), "grpc-encoding", "br"), 200, "12"},
      {"trailers from a client", to(kSay, enveloped("a: b\r\n", kWebTrailers)), 200, "13"},
      {"no protobuf", to(kSay, enveloped("\xff\xff")), 200, "13"},
      {"no JSON", to(kSay, enveloped("{"), "application/grpc-web+json"), 200, "3"},
      {"no base64", to(kSay, "!!!!", "application/grpc-web-text"), 200, "13"},
      {"base64 that ends early",
       to(kSay, to_base64(good, true).substr(0, 10), "application/grpc-web-text"), 200, "13"},
      {"too long", to(kSay, enveloped(std::string(65, 'x'))), 200, "8"},
      {"too long by its header alone", to(kSay, std::string("\0\xff\xff\xff\xff", 5)), 200, "8"},
      {"too long when decompressed",
       with(to(kSay, enveloped(packed_with(Coding::gzip, std::string(1000, '\0')), kCompressed)),
            "grpc-encoding", "gzip"),
       200, "8"},
      {"no timeout", with(to(kSay, good), "grpc-timeout", "soon"), 200, "13"},
      {"a timeout that is over",
       with(to(kSay, enveloped(R"({"waitMs":1000})"), "application/grpc-web+json"), "grpc-timeout",
            "1m"),
       200, "4"},
      {"binary metadata that is none", with(to(kSay, good), "x-a-bin", "!"), 200, "13"},
      {"a handler that throws",
       to(kSay, enveloped(R"({"throws":true})"), "application/grpc-web+json"), 200, "13"},
  };
  for (BadRequest each : cases) {
    if (std::string_view(each.what) == "a timeout that is over") {
      each.sent.fields[0].second = "application/grpc-web+json";
      each.sent.body = enveloped(R"({"waitMs":1000})");
    }
    const auto answered = call(each.sent);
    EXPECT_EQ(answered->status, each.http_status) << each.what;
    EXPECT_TRUE(answered->ended) << each.what;
    // Without a body its end has to be said: HTTP/1.1 would wait for the connection's.
    if (answered->body.empty()) {
      EXPECT_EQ(answered->field("content-length"), "0") << each.what;
    }
    if (*each.code != '\0') {
      EXPECT_EQ(field(web(*answered).trailers, "grpc-status"), each.code)
          << each.what << web(*answered).trailers.joined("grpc-message").value_or("");
    }
  }
}

// ---- Connect ------------------------------------------------------------------------------------

TEST_F(Dialects, ConnectUnary) {
  for (const char* type :
       {"application/json", "application/json; charset=utf-8", "Application/JSON"}) {
    const auto answered = call({"POST",
                                std::string(kSay),
                                {{"content-type", type}, {"x-a", "1"}, {"x-b-bin", "AAE="}},
                                R"({"text":"hi","unknown":1})"});
    EXPECT_EQ(answered->status, 200);
    EXPECT_EQ(answered->field("content-type"), "application/json");
    EXPECT_EQ(answered->body, R"({"text":"hi"})");
    EXPECT_EQ(answered->field("x-a"), "1");
    EXPECT_EQ(answered->field("trailer-trailing-x-a"), "1");
    EXPECT_EQ(answered->field("trailer-trailing-x-b-bin"), "AAE");
  }
  const auto proto = call(
      {"POST", std::string(kDo), {{"content-type", "application/proto"}}, bytes_of_ask(ask("hi"))});
  Told message;
  EXPECT_TRUE(message.ParseFromString(proto->body));
  EXPECT_EQ(message.text(), "hi");
  // Nothing is a message, whatever coding it is said to have.
  EXPECT_EQ(call({"POST",
                  std::string(kDo),
                  {{"content-type", "application/proto"}, {"content-encoding", "gzip"}},
                  ""})
                ->status,
            200);
}

TEST_F(Dialects, ConnectCodings) {
  for (const Coding coding : {Coding::gzip, Coding::br, Coding::zstd}) {
    options.compression(coding);
    const std::string name(coding_name(coding));
    const auto answered = call({"POST",
                                std::string(kSay),
                                {{"content-type", "application/json"},
                                 {"content-encoding", name},
                                 {"accept-encoding", "gzip, br, zstd"}},
                                packed_with(coding, R"({"text":"hi"})")});
    EXPECT_EQ(answered->field("content-encoding"), name);
    auto plain = decompress(coding, as_bytes(answered->body), 1000);
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->text(), R"({"text":"hi"})");
    const auto stream = call({"POST",
                              std::string(kMany),
                              {{"content-type", "application/connect+json"},
                               {"connect-content-encoding", name},
                               {"connect-accept-encoding", name}},
                              enveloped(packed_with(coding, R"({"times":2})"), kCompressed)});
    EXPECT_EQ(stream->field("connect-content-encoding"), name);
    const Cut pieces = cut(stream->body);
    ASSERT_EQ(pieces.envelopes.size(), 3U);
    EXPECT_EQ(pieces.envelopes[0].flags, kCompressed);
    EXPECT_EQ(pieces.envelopes[2].flags, kConnectEnd);
  }
}

TEST_F(Dialects, ConnectGet) {
  const std::pair<const char*, int> cases[] = {
      {"connect=v1&encoding=json&message=%7B%22text%22%3A%22a+b%22%7D", 200},
      {"message=eyJ0ZXh0IjoiaGkifQ&base64=1&encoding=json", 200},
      {"message=eyJ0ZXh0IjoiaGkifQ%3D%3D&base64=1&encoding=json&unknown=1", 200},
      {"encoding=json&message=", 400},  // nothing is no JSON
      {"encoding=proto&message=", 200},
      {"encoding=proto", 400},
      {"message=", 400},
      {"connect=v2&encoding=proto&message=", 400},
      {"encoding=xml&message=", 400},
      {"encoding=proto&encoding=proto&message=", 400},
      {"encoding=proto&base64=1&message=!", 400},
      {"encoding=proto&base64=2&message=", 400},
      {"encoding=proto&message=%f", 400},
      {"encoding=proto&message=%ff%ff", 400},
      {"encoding=proto&compression=foo&message=", 501},
      {"encoding=proto&compression=gzip&base64=1&message=AAAA", 400},
      {"", 400},
  };
  for (const auto& [query, status] : cases) {
    const auto answered = call({"GET", std::string(kSay).append("?").append(query), {}, ""});
    EXPECT_EQ(answered->status, status) << query << answered->body;
    EXPECT_EQ(answered->field("vary"), status == 200 ? "accept-encoding" : "(none)") << query;
  }
  ConnectQuery query;
  query.versioned = true;
  query.coding = Coding::br;
  query.message = packed_with(Coding::br, bytes_of_ask(ask("hi")));
  const auto answered =
      call({"GET", std::string(kSay).append("?").append(to_string(query)), {}, ""});
  Told message;
  EXPECT_TRUE(message.ParseFromString(answered->body));
  EXPECT_EQ(message.text(), "hi");
  const auto head = call({"HEAD", std::string(kSay).append("?encoding=proto&message="), {}, ""});
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->body, "");
  // What may change something is not for links.
  EXPECT_EQ(call({"GET", std::string(kDo) + "?encoding=proto&message=", {}, ""})->field("allow"),
            "POST");
  EXPECT_EQ(call({"GET", std::string(kMany) + "?encoding=proto&message=", {}, ""})->status, 405);
}

TEST_F(Dialects, ConnectErrors) {
  constexpr int kHttp[] = {0,   499, 500, 400, 504, 404, 409, 403, 429,
                           400, 409, 400, 501, 500, 503, 500, 401};
  for (int code = 1; code < 17; ++code) {
    const std::string name(name_of(static_cast<Code>(code)));
    const std::string error =
        R"({"code":")" + name + R"(","message":"as \"asked\" ä","details":[)" +
        R"({"type":"tern.test.Told","value":"CgZkZXRhaWw","debug":{"text":"detail"}}]})";
    const auto answered = call({"POST",
                                std::string(kSay),
                                {{"content-type", "application/json"}, {"x-a", "1"}},
                                "{\"code\":" + std::to_string(code) + "}"});
    EXPECT_EQ(answered->status, kHttp[code]);
    EXPECT_EQ(answered->field("content-type"), "application/json");
    EXPECT_EQ(answered->body, error);
    EXPECT_EQ(answered->field("x-a"), "1");
    EXPECT_EQ(answered->field("trailer-trailing-x-a"), "1");
    const auto stream =
        call({"POST",
              std::string(kMany),
              {{"content-type", "application/connect+json"}, {"x-a", "1"}, {"x-a", "2"}},
              enveloped("{\"times\":1,\"code\":" + std::to_string(code) + "}")});
    EXPECT_EQ(stream->status, 200);
    const Cut pieces = cut(stream->body);
    ASSERT_EQ(pieces.envelopes.size(), 2U);
    EXPECT_EQ(pieces.envelopes[1].payload.text(),
              "{\"error\":" + error + R"(,"metadata":{"trailing-x-a":["1","2"]}})");
  }
}

TEST_F(Dialects, ConnectBadUnary) {
  options.max_request(64);
  const auto to = [](std::string_view path, std::string body,
                     std::string type = "application/json") {
    return Request{"POST", std::string(path), {{"content-type", std::move(type)}}, std::move(body)};
  };
  const auto with = [](Request sent, const char* name, const char* value) {
    sent.fields.emplace_back(name, value);
    return sent;
  };
  Request deleted = to(kSay, "{}");
  deleted.method = "DELETE";
  const BadRequest cases[] = {
      {"a codec that we do not know", to(kSay, "{}", "application/foo"), 415, ""},
      {"an image", to(kSay, "{}", "image/jpeg"), 415, ""},
      {"a codec that we do not know, for a stream", to(kMany, "{}", "application/connect+foo"), 415,
       "unknown"},
      {"a stream's type", to(kSay, "{}", "application/connect+json"), 415, "unknown"},
      {"a unary type for a stream", to(kMany, "{}"), 415, "unknown"},
      {"another method of HTTP", deleted, 405, "unknown"},
      {"an unknown method", to("/tern.test.Talk/Nothing", "{}", "application/connect+json"), 404,
       "unimplemented"},
      {"an unknown service",
       with(to("/tern.test.Nothing/Say", "{}"), "connect-protocol-version", "1"), 404,
       "unimplemented"},
      {"nobody's path", to("/tern.test.Nothing/Say", "{}"), 404, ""},
      {"a version to come", with(to(kSay, "{}"), "connect-protocol-version", "2"), 400,
       "invalid_argument"},
      {"no JSON", to(kSay, "{"), 400, "invalid_argument"},
      {"nothing at all", to(kSay, ""), 400, "invalid_argument"},
      {"no protobuf", to(kSay, "\xff\xff", "application/proto"), 400, "invalid_argument"},
      {"an unknown encoding", with(to(kSay, "{}"), "content-encoding", "foo"), 501,
       "unimplemented"},
      {"no gzip", with(to(kSay, "{}"), "content-encoding", "gzip"), 400, "invalid_argument"},
      {"gzip that ends early",
       with(to(kSay, packed_with(Coding::gzip, "{}").substr(0, 12)), "content-encoding", "gzip"),
       400, "invalid_argument"},
      {"too long", to(kSay, "{" + std::string(64, ' ') + "}"), 429, "resource_exhausted"},
      {"too long when decompressed",
       with(to(kSay, packed_with(Coding::br, "{" + std::string(1000, ' ') + "}")),
            "content-encoding", "br"),
       429, "resource_exhausted"},
      {"no timeout", with(to(kSay, "{}"), "connect-timeout-ms", "soon"), 400, "invalid_argument"},
      {"a long timeout", with(to(kSay, "{}"), "connect-timeout-ms", "12345678901"), 400,
       "invalid_argument"},
      {"a timeout that is over", with(to(kSay, R"({"waitMs":1000})"), "connect-timeout-ms", "5"),
       504, "deadline_exceeded"},
      {"binary metadata that is none", with(to(kSay, "{}"), "x-a-bin", "!"), 400,
       "invalid_argument"},
      {"a handler that throws", to(kSay, R"({"throws":true})"), 500, "internal"},
  };
  for (const BadRequest& each : cases) {
    const auto answered = call(each.sent);
    EXPECT_EQ(answered->status, each.http_status) << each.what << answered->body;
    EXPECT_TRUE(answered->ended) << each.what;
    if (*each.code == '\0') continue;
    EXPECT_EQ(answered->field("content-type"), "application/json") << each.what;
    EXPECT_EQ(name_of(parse_connect_error(answered->body, Code::ok).code()),
              std::string_view(each.code))
        << each.what << answered->body;
  }
}

TEST_F(Dialects, ConnectBadStreams) {
  options.max_request(64);
  const std::string good = enveloped("{}");
  const auto to = [](std::string_view path, std::string body) {
    return Request{
        "POST", std::string(path), {{"content-type", "application/connect+json"}}, std::move(body)};
  };
  const auto with = [](Request sent, const char* name, const char* value) {
    sent.fields.emplace_back(name, value);
    return sent;
  };
  const BadRequest cases[] = {
      {"no message", to(kMany, ""), 200, "unimplemented"},
      {"two messages", to(kMany, good + good), 200, "unimplemented"},
      {"a message that ends early", to(kMany, good.substr(0, 6)), 200, "invalid_argument"},
      {"a message that ends early, later", to(kSum, good + good.substr(0, 6)), 200,
       "invalid_argument"},
      {"a client's end of stream", to(kSum, good + enveloped("{}", kConnectEnd)), 200, "internal"},
      {"compressed without an encoding", to(kMany, enveloped("x", kCompressed)), 200, "internal"},
      {"compressed with identity",
       with(to(kMany, enveloped("x", kCompressed)), "connect-content-encoding", "identity"), 200,
       "internal"},
      {"no gzip", with(to(kMany, enveloped("x", kCompressed)), "connect-content-encoding", "gzip"),
       200, "internal"},
      {"an unknown encoding", with(to(kMany, good), "connect-content-encoding", "foo"), 200,
       "unimplemented"},
      {"no JSON", to(kMany, enveloped("{")), 200, "invalid_argument"},
      {"too long", to(kMany, enveloped(std::string(65, ' '))), 200, "resource_exhausted"},
      {"too long, later", to(kSum, good + enveloped(std::string(65, ' '))), 200,
       "resource_exhausted"},
      {"too long by its header alone", to(kMany, std::string("\0\xff\xff\xff\xff", 5)), 200,
       "resource_exhausted"},
      {"no timeout", with(to(kMany, good), "connect-timeout-ms", "-1"), 200, "invalid_argument"},
      {"a timeout that is over",
       with(to(kMany, enveloped(R"({"waitMs":1000})")), "connect-timeout-ms", "5"), 200,
       "deadline_exceeded"},
      {"a version to come", with(to(kMany, good), "connect-protocol-version", "2"), 200,
       "invalid_argument"},
      {"a handler that throws", to(kMany, enveloped(R"({"throws":true})")), 200, "internal"},
  };
  for (const BadRequest& each : cases) {
    const auto answered = call(each.sent);
    EXPECT_EQ(answered->status, each.http_status) << each.what;
    EXPECT_TRUE(answered->ended) << each.what;
    const Cut pieces = cut(answered->body);
    ASSERT_FALSE(pieces.envelopes.empty()) << each.what;
    EXPECT_TRUE(pieces.whole);
    EXPECT_EQ(pieces.envelopes.back().flags, kConnectEnd) << each.what;
    const auto end = parse_connect_end(pieces.envelopes.back().payload.text());
    ASSERT_TRUE(end) << each.what;
    EXPECT_EQ(name_of(end->status.code()), std::string_view(each.code)) << each.what;
  }
}

TEST_F(Dialects, ConnectStreams) {
  const auto sum = call({"POST",
                         std::string(kSum),
                         {{"content-type", "application/connect+json"}},
                         enveloped(R"({"text":"a"})") + enveloped(R"({"text":"b"})")});
  EXPECT_EQ(sum->body, enveloped(R"({"text":"ab","number":2})") + enveloped("{}", kConnectEnd));
  const auto chat = call({"POST",
                          std::string(kChat),
                          {{"content-type", "application/connect+proto"}},
                          enveloped(bytes_of_ask(ask("a"))) + enveloped("")});
  const Cut pieces = cut(chat->body);
  ASSERT_EQ(pieces.envelopes.size(), 3U);
  EXPECT_EQ(told(pieces.envelopes[0]).text(), "a");
  EXPECT_EQ(told(pieces.envelopes[1]).text(), "");
  EXPECT_EQ(
      call({"POST", std::string(kSum), {{"content-type", "application/connect+json"}}, ""})->body,
      enveloped("{}") + enveloped("{}", kConnectEnd));
}

// ---- REST ---------------------------------------------------------------------------------------

TEST_F(Dialects, RestUnary) {
  const auto got = call({"GET", "/v1/say/a%20b?times=1", {{"x-a", "1"}}, ""});
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->field("content-type"), "application/json");
  EXPECT_EQ(got->body, R"({"text":"a b"})");
  EXPECT_EQ(got->field("x-a"), "1");
  EXPECT_EQ(got->field("trailing-x-a"), "1");
  const Request posted{
      "POST", "/v1/say", {{"content-type", "application/json"}}, R"({"text":"b"})"};
  EXPECT_EQ(call(posted)->body, R"({"text":"b"})");
  EXPECT_EQ(call({"POST", "/v1/say", {}, ""})->body, "{}");
  EXPECT_EQ(call({"POST", "/v1/say/c:plainly", {}, ""})->body, R"("c")");
  const auto head = call({"HEAD", "/v1/say/a", {}, ""});
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->field("content-length"), "12");
  EXPECT_EQ(head->body, "");
  options.compression(Coding::zstd);
  EXPECT_EQ(
      call({"GET", "/v1/say/a", {{"accept-encoding", "zstd"}}, ""})->field("content-encoding"),
      "zstd");
  const auto plain = call({"GET", "/v1/say/a", {{"accept-encoding", "gzip"}}, ""});
  EXPECT_EQ(plain->field("content-encoding"), "(none)");
  EXPECT_EQ(plain->field("vary"), "accept-encoding");
}

TEST_F(Dialects, RestStreams) {
  const auto many = [&](const char* accept, const char* query = "times=2") {
    return call({"GET", std::string("/v1/many/a?") + query, {{"accept", accept}}, ""});
  };
  for (const char* accept : {"*/*", "application/json", "application/jsonish", "text/html"}) {
    const auto array = many(accept);
    EXPECT_EQ(array->field("content-type"), "application/json");
    EXPECT_EQ(array->body, "[{\"text\":\"a\"},\n{\"text\":\"a\",\"number\":1}]\n");
  }
  EXPECT_EQ(many("*/*", "times=0")->body, "[]\n");
  for (const char* accept : {"application/x-ndjson", "application/jsonl;q=1, application/json"}) {
    const auto lines = many(accept);
    EXPECT_EQ(lines->field("content-type"), "application/x-ndjson");
    EXPECT_EQ(lines->body, "{\"text\":\"a\"}\n{\"text\":\"a\",\"number\":1}\n");
  }
  const auto events = many("text/event-stream", "times=1");
  EXPECT_EQ(events->field("content-type"), "text/event-stream");
  EXPECT_EQ(events->body, "data: {\"text\":\"a\"}\n\nevent: end\ndata: {}\n\n");
  // Errors: by the status while that is possible, then as each form can say it.
  EXPECT_EQ(many("*/*", "code=5")->status, 404);
  EXPECT_EQ(many("text/event-stream", "code=5")->status, 404);
  EXPECT_THAT(many("application/jsonl", "times=1&code=5")->body,
              StartsWith("{\"text\":\"a\"}\n{\"error\":{\"code\":5,"));
  EXPECT_THAT(many("text/event-stream", "times=1&code=5")->body,
              HasSubstr("event: error\ndata: {\"code\":5,"));
  EXPECT_EQ(many("*/*", "times=1&code=5")->aborted, http::Abort::internal);
}

TEST_F(Dialects, RestBadInput) {
  options.max_request(64);
  const auto post = [](std::string body, std::vector<std::pair<std::string, std::string>> fields = {
                                             {"content-type", "application/json"}}) {
    return Request{"POST", "/v1/say", std::move(fields), std::move(body)};
  };
  const BadRequest cases[] = {
      {"another path", {"GET", "/v1/nothing", {}, ""}, 404, ""},
      {"another method", {"PUT", "/v1/say", {}, ""}, 405, "12"},
      {"a path that cannot be decoded", {"GET", "/v1/say/%zz", {}, ""}, 400, "3"},
      {"a path that is no UTF-8", {"GET", "/v1/say/%ff", {}, ""}, 400, "3"},
      {"an unknown parameter", {"GET", "/v1/say/a?nothing=1", {}, ""}, 400, "3"},
      {"a parameter of another type", {"GET", "/v1/say/a?times=x", {}, ""}, 400, "3"},
      {"a body where there is none",
       {"GET", "/v1/say/a", {{"content-type", "text/plain"}}, "x"},
       400,
       "3"},
      {"no JSON", post("{"), 400, "3"},
      {"JSON that is no object", post("[]"), 400, "3"},
      {"text that may be JSON", post("{}", {{"content-type", "text/plain"}}), 415, "3"},
      {"a body of no type", post("{}", {}), 415, "3"},
      {"an unknown encoding",
       post("{}", {{"content-type", "application/json"}, {"content-encoding", "foo"}}), 415, "12"},
      {"no gzip", post("{}", {{"content-type", "application/json"}, {"content-encoding", "gzip"}}),
       400, "3"},
      {"too long", post(std::string(65, ' ')), 429, "8"},
      {"no timeout", post("{}", {{"content-type", "application/json"}, {"grpc-timeout", "x"}}), 400,
       "3"},
      {"a timeout that is over",
       post(R"({"waitMs":1000})", {{"content-type", "application/json"}, {"grpc-timeout", "5m"}}),
       504, "4"},
      {"a handler that throws", post(R"({"throws":true})"), 500, "13"},
      {"a stream of requests without a body", {"GET", "/v1/sum", {}, ""}, 501, "12"},
      {"binary metadata that is none",
       post("{}", {{"content-type", "application/json"}, {"x-a-bin", "!"}}), 400, "3"},
  };
  for (const BadRequest& each : cases) {
    const auto answered = call(each.sent);
    EXPECT_EQ(answered->status, each.http_status) << each.what << answered->body;
    if (*each.code == '\0') continue;
    EXPECT_EQ(answered->field("content-type"), "application/json") << each.what;
    EXPECT_THAT(answered->body,
                StartsWith(std::string("{\"code\":") + each.code + ",\"message\":\""))
        << each.what;
  }
  EXPECT_EQ(call({"PUT", "/v1/say/x", {}, ""})->field("allow"), "GET, HEAD");
}

TEST_F(Dialects, RestErrorDetails) {
  const auto answered = call({"GET", "/v1/say/a?code=5", {}, ""});
  EXPECT_EQ(answered->body,
            "{\"code\":5,\"message\":\"as \\\"asked\\\" ä\",\"details\":["
            "{\"@type\":\"type.googleapis.com/tern.test.Told\",\"text\":\"detail\"}]}");
  EXPECT_EQ(rest_error(Status(Code::aborted).detail(Detail{"example.org/un\"known", "\1"})),
            "{\"code\":10,\"message\":\"\",\"details\":[{\"@type\":\"example.org/"
            "un\\\"known\",\"value\":\"AQ==\"}]}");
}

TEST_F(Dialects, WhatIsLeftOfARequestComesBeforeARefusalOf200) {
  struct Case {
    std::string path;
    const char* length;
    const char* timeout;
    bool waits;
    const char* type = "application/grpc-web";
  };
  for (const Case& each :
       {Case{"/tern.test.Talk/Nothing", "10", "1S", true},
        Case{std::string(kSay), "10", "soon", true}, Case{std::string(kSum), "10", "soon", true},
        Case{"/tern.test.Talk/Nothing", "20000", "1S", false},
        Case{"/tern.test.Talk/Nothing", "", "1S", false},
        Case{"/tern.test.Talk/Nothing", "1x", "1S", false},
        Case{"/tern.test.Talk/Nothing", "10", "1S", true, "application/grpc"},
        Case{std::string(kSay), "10", "soon", true, "application/grpc"},
        Case{std::string(kSay), "10", "0S", true}, Case{std::string(kSum), "10", "0S", true},
        Case{std::string(kSay), "10", "0S", true, "application/grpc"},
        Case{std::string(kSum), "10", "0n", true, "application/grpc"}}) {
    SCOPED_TRACE(each.path + " " + each.length);
    http::RequestHead head = http::test::request("POST", each.path);
    head.fields.add("content-type", each.type);
    head.fields.add("grpc-timeout", each.timeout);
    if (*each.length != '\0') head.fields.add("content-length", each.length);
    RecordingCarrier carrier;
    auto exchange = std::make_unique<http::Exchange>(world.runtime, carrier, std::move(head));
    http::detail::Ends& ends = *exchange;
    const http::Handler handler = serve(std::make_shared<TalkService>(), options);
    Scope scope(world.runtime.ready());
    scope.spawn(http::serve(handler, std::move(exchange), nullptr));
    world.runtime.turn();
    EXPECT_EQ(carrier.status, each.waits ? 0 : 200);
    if (!each.waits) continue;
    ends.incoming().push(Bytes::copy("0123456789"));
    ends.incoming().finish();
    world.runtime.turn();
    EXPECT_EQ(carrier.status, 200);
    EXPECT_TRUE(carrier.ended);
  }
}

// ---- all of them --------------------------------------------------------------------------------

TEST_F(Dialects, PagesOfOtherOriginsMayCall) {
  options.cors(http::Cors().allow("https://app.example"));
  const auto from = [](Request sent, const char* origin) {
    sent.fields.emplace_back("origin", origin);
    return sent;
  };
  const Request preflight{
      "OPTIONS",
      std::string(kSay),
      {{"access-control-request-method", "POST"}, {"access-control-request-headers", "x-grpc-web"}},
      ""};
  EXPECT_EQ(call(from(preflight, "https://app.example"))->status, 204);
  EXPECT_EQ(call(from(preflight, "https://evil.example"))->status, 403);
  const Request calls[] = {
      {"POST", std::string(kSay), {{"content-type", "application/json"}}, "{}"},
      {"POST", std::string(kSay), {{"content-type", "application/json"}}, "{"},
      {"POST", std::string(kMany), {{"content-type", "application/connect+json"}}, enveloped("{}")},
      {"POST", std::string(kSay), {{"content-type", "application/grpc-web"}}, enveloped("")},
      {"POST", std::string(kSay), {{"content-type", "application/grpc-web"}}, ""},
      {"POST", "/tern.test.Talk/Nothing", {{"content-type", "application/grpc-web"}}, ""},
      {"GET", "/v1/say/a", {}, ""},
      {"PUT", "/v1/say/a", {}, ""},
      {"GET", "/v1/many/a?times=1", {}, ""},
  };
  for (const Request& each : calls) {
    EXPECT_EQ(call(from(each, "https://app.example"))->field("access-control-allow-origin"),
              "https://app.example")
        << each.path;
    EXPECT_EQ(call(from(each, "https://evil.example"))->field("access-control-allow-origin"),
              "(none)")
        << each.path;
  }
  EXPECT_THAT(
      std::string(
          call(from(calls[4], "https://app.example"))->field("access-control-expose-headers")),
      HasSubstr("grpc-status"));
}

TEST_F(Dialects, OnePlaceEach) {
  options.max_calls(0);
  EXPECT_EQ(call({"POST", std::string(kSay), {{"content-type", "application/json"}}, "{}"})->status,
            503);
  EXPECT_EQ(call({"GET", "/v1/say/a", {}, ""})->status, 503);
  EXPECT_EQ(field(web(*call({"POST",
                             std::string(kSay),
                             {{"content-type", "application/grpc-web"}},
                             enveloped("")}))
                      .trailers,
                  "grpc-status"),
            "14");
}

}  // namespace
}  // namespace tern::rpc
