// The dialects' clients, one response each, above all those that no server should send: what the
// tables of the protocols name.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/channel.h"
#include "rpc/client_streams.h"
#include "rpc/compression.h"
#include "rpc/envelope.h"
#include "talk.tern.h"
#include "tests/unit/http/recording_carrier.h"

namespace tern::rpc {
namespace {

using http::test::RecordingCarrier;
using http::test::World;
using tern::test::Ask;
using tern::test::Talk;
using tern::test::Told;

/// What a server says to whatever it is asked.
struct Said {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  std::vector<std::pair<std::string, std::string>> trailers = {};
  bool cut = false;  // the stream is reset with NO_ERROR where the body would end
};

http::Fields fields_of(const std::vector<std::pair<std::string, std::string>>& lines) {
  http::Fields fields;
  for (const auto& [name, value] : lines) fields.add(name, value);
  return fields;
}

class FakeStream final : public WireStream {
 public:
  FakeStream(Runtime& runtime, RecordingCarrier& carrier) : exchange_(runtime, carrier) {}
  http::ClientExchange& exchange() noexcept override { return exchange_; }

 private:
  http::ClientExchange exchange_;
};

class FakeWire final : public Wire {
 public:
  FakeWire(Runtime& runtime, RecordingCarrier& carrier, const Said& said)
      : runtime_(runtime), carrier_(carrier), said_(said) {}
  Runtime& runtime() noexcept override { return runtime_; }
  std::string_view scheme() const noexcept override { return "https"; }
  std::string_view authority() const noexcept override { return "server"; }
  Task<tern::Result<std::unique_ptr<WireStream>>> open(http::RequestHead head) override {
    auto stream = std::make_unique<FakeStream>(runtime_, carrier_);
    http::ClientExchange& exchange = stream->exchange();
    (void)exchange.send(head, false);
    exchange.on_response(static_cast<http::Status>(said_.status), fields_of(said_.fields));
    exchange.incoming().push(Bytes::copy(said_.body));
    if (said_.cut) {
      exchange.incoming().fail(Error(Domain::application, 0x100, "reset", Origin::remote));
    } else {
      exchange.incoming().set_trailers(fields_of(said_.trailers));
      exchange.incoming().finish();
    }
    co_return std::unique_ptr<WireStream>(std::move(stream));
  }

 private:
  Runtime& runtime_;
  RecordingCarrier& carrier_;
  Said said_;
};

struct Came {
  Status status;
  std::vector<std::string> texts;
  std::string trailer;
};

enum class How : std::uint8_t { unary, stream, cancelled };

Task<void> call_as(Channel& channel, How how, Came& came) {
  Talk::Client client(channel);
  ClientContext context;
  Ask ask;
  ask.set_text("it");  // REST has it in the path
  if (how == How::unary) {
    Told told;
    came.status = co_await client.Say(context, ask, told);
    if (came.status.ok()) came.texts.push_back(told.text());
  } else {
    auto stream = co_await client.Many(context, ask);
    if (!stream) {
      came.status = stream.error();
      co_return;
    }
    if (how == How::cancelled) context.cancel();
    for (;;) {
      Told told;
      const bool more = co_await stream->receive(told);
      if (!more) break;
      came.texts.push_back(told.text());
    }
    came.status = co_await stream->finish();
  }
  came.trailer = std::string(context.trailing_metadata().find("x-t").value_or(""));
}

Came come(const ClientDialect& dialect, const Said& said, How how = How::unary,
          Codec codec = Codec::json) {
  World world;
  RecordingCarrier carrier;
  ChannelOptions options;
  options.dialect = &dialect;
  options.codec = codec;
  options.max_response = 64;
  std::vector<std::unique_ptr<Wire>> wires;
  wires.push_back(std::make_unique<FakeWire>(world.runtime, carrier, said));
  Channel channel(std::move(wires), options);
  Came came;
  world.run(call_as(channel, how, came));
  return came;
}

std::string envelope(std::string_view payload, std::uint8_t flags = 0) {
  return std::string(make_envelope(flags, as_bytes(payload)).text());
}
std::string packed(std::string_view payload) {
  return std::string(compress(Coding::gzip, as_bytes(payload)).text());
}

struct Odd {
  const char* what;
  Said said;
  Code code;
};

using Lines = std::vector<std::pair<std::string, std::string>>;
const Lines kJson = {{"content-type", "application/json"}};

/// `kJson` and one more.
Lines json_with(const char* name, const char* value) {
  Lines fields = kJson;
  fields.emplace_back(name, value);
  return fields;
}

TEST(ConnectClient, ReadsOddUnaryResponses) {
  const Odd cases[] = {
      {"an answer", {200, kJson, R"({"text":"a"})"}, Code::ok},
      {"with a charset",
       {200, {{"content-type", "application/json; charset=utf-8"}}, "{}"},
       Code::ok},
      {"in capitals", {200, {{"content-type", "Application/JSON\t;q=1"}}, "{}"}, Code::ok},
      {"compressed", {200, json_with("content-encoding", "gzip"), packed("{}")}, Code::ok},
      {"400 without an error", {400, {}, ""}, Code::internal},
      {"401 without an error", {401, kJson, "{}"}, Code::unauthenticated},
      {"403 of a proxy",
       {403, {{"content-type", "text/html"}}, R"({"code":"aborted"})"},
       Code::permission_denied},
      {"404", {404, {}, ""}, Code::unimplemented},
      {"409", {409, {}, ""}, Code::unknown},
      {"418", {418, {}, ""}, Code::unknown},
      {"429", {429, kJson, R"({"code":null})"}, Code::unavailable},
      {"431", {431, {}, ""}, Code::unknown},
      {"502", {502, {}, ""}, Code::unavailable},
      {"503", {503, {}, "x"}, Code::unavailable},
      {"800", {800, {}, ""}, Code::unknown},
      {"an error", {404, kJson, R"({"code":"not_found","message":"m"})"}, Code::not_found},
      {"an error, compressed",
       {404, json_with("content-encoding", "gzip"), packed(R"({"code":"aborted"})")},
       Code::aborted},
      {"an error of no code",
       {401, kJson, R"({"code":"strange","message":"m"})"},
       Code::unauthenticated},
      {"another type", {200, {{"content-type", "text/plain"}}, "{}"}, Code::unknown},
      {"no type", {200, {}, "{}"}, Code::unknown},
      {"another codec", {200, {{"content-type", "application/proto"}}, ""}, Code::internal},
      {"an unknown coding", {200, json_with("content-encoding", "foo"), "{}"}, Code::internal},
      {"no gzip", {200, json_with("content-encoding", "gzip"), "{}"}, Code::internal},
      {"no JSON", {200, kJson, "{"}, Code::internal},
      {"too long", {200, kJson, "{" + std::string(64, ' ') + "}"}, Code::resource_exhausted},
      {"too long when decompressed",
       {200, json_with("content-encoding", "gzip"), packed("{" + std::string(64, ' ') + "}")},
       Code::resource_exhausted},
      {"cut", {200, kJson, "{}", {}, true}, Code::internal},
  };
  for (const Odd& each : cases) {
    const Came came = come(connect_client_dialect(), each.said);
    EXPECT_EQ(came.status.code(), each.code) << each.what << ": " << came.status.to_string();
  }
  const Said trailing{200, json_with("trailer-x-t", "1"), "{}"};
  EXPECT_EQ(come(connect_client_dialect(), trailing).trailer, "1");
  // An empty body is an empty message.
  const Said empty{200, {{"content-type", "application/proto"}}, ""};
  EXPECT_TRUE(come(connect_client_dialect(), empty, How::unary, Codec::proto).status.ok());
}

TEST(ConnectClient, ReadsOddStreams) {
  const std::vector<std::pair<std::string, std::string>> head = {
      {"content-type", "application/connect+json"}};
  const auto with = [&](const char* value) {
    auto fields = head;
    fields.emplace_back("connect-content-encoding", value);
    return fields;
  };
  const std::string one = envelope(R"({"text":"a"})");
  const auto end = [](std::string_view json) { return envelope(json, kConnectEnd); };
  const Odd cases[] = {
      {"a stream", {200, head, one + one + end("{}")}, Code::ok},
      {"an end with null", {200, head, one + end(R"({"error":null})")}, Code::ok},
      {"a compressed end",
       {200, with("gzip"),
        one + envelope(packed(R"({"error":{"code":"aborted"}})"), kConnectEnd | kCompressed)},
       Code::aborted},
      {"no end", {200, head, one}, Code::internal},
      {"nothing", {200, head, ""}, Code::internal},
      {"an end that is no JSON", {200, head, end("{")}, Code::internal},
      {"an error without a code", {200, head, end(R"({"error":{}})")}, Code::unknown},
      {"an unknown code", {200, head, end(R"({"error":{"code":"x"}})")}, Code::unknown},
      {"a message cut off", {200, head, one.substr(0, 7)}, Code::internal},
      {"other flags", {200, head, envelope("{}", 0x04)}, Code::internal},
      {"compressed without a coding", {200, head, envelope("{}", kCompressed)}, Code::internal},
      {"an unknown coding", {200, with("foo"), one}, Code::internal},
      {"another type", {200, {{"content-type", "text/plain"}}, one}, Code::unknown},
      {"a unary type", {200, {{"content-type", "application/json"}}, "{}"}, Code::unknown},
      {"another codec", {200, {{"content-type", "application/connect+proto"}}, ""}, Code::internal},
      {"503", {503, {}, ""}, Code::unavailable},
      {"too long", {200, head, envelope(std::string(65, ' '))}, Code::resource_exhausted},
      {"cut", {200, head, one, {}, true}, Code::internal},
  };
  for (const Odd& each : cases) {
    const Came came = come(connect_client_dialect(), each.said, How::stream);
    EXPECT_EQ(came.status.code(), each.code) << each.what << ": " << came.status.to_string();
  }
  const Said trailing{200, head, end(R"({"metadata":{"x-t":["1"]}})")};
  EXPECT_EQ(come(connect_client_dialect(), trailing, How::stream).trailer, "1");
}

TEST(WebClient, ReadsOddResponses) {
  const std::vector<std::pair<std::string, std::string>> head = {
      {"content-type", "application/grpc-web+json"}};
  const auto with = [&](const char* name, const char* value) {
    auto fields = head;
    fields.emplace_back(name, value);
    return fields;
  };
  const std::string one = envelope(R"({"text":"a"})");
  const auto end = [](std::string_view text) { return envelope(text, kWebTrailers); };
  const std::string ok = end("grpc-status: 0\r\n");
  const Odd cases[] = {
      {"an answer", {200, head, one + ok}, Code::ok},
      {"trailers in any case", {200, head, one + end("Grpc-Status:0\nX-T: 1\n")}, Code::ok},
      {"compressed trailers",
       {200, with("grpc-encoding", "gzip"),
        one + envelope(packed("grpc-status: 10\r\n"), kWebTrailers | kCompressed)},
       Code::aborted},
      {"trailers only", {200, with("grpc-status", "9"), ""}, Code::failed_precondition},
      {"a status in the head beside trailers", {200, with("grpc-status", "9"), one + ok}, Code::ok},
      {"no trailers", {200, head, one}, Code::internal},
      {"nothing", {200, head, ""}, Code::internal},
      {"trailers without a status", {200, head, one + end("x: y\r\n")}, Code::internal},
      {"trailers that are none", {200, head, one + end("grpc-status")}, Code::internal},
      {"no message", {200, head, ok}, Code::unimplemented},
      {"two messages", {200, head, one + one + ok}, Code::unimplemented},
      {"compressed without an encoding",
       {200, head, envelope("{}", kCompressed) + ok},
       Code::internal},
      {"an unknown encoding", {200, with("grpc-encoding", "foo"), one + ok}, Code::internal},
      {"another codec",
       {200, {{"content-type", "application/grpc-web+proto"}}, ok},
       Code::internal},
      {"gRPC itself", {200, {{"content-type", "application/grpc"}}, ok}, Code::unknown},
      {"a page", {200, {{"content-type", "text/html"}}, "<html>"}, Code::unknown},
      {"401", {401, {}, ""}, Code::unauthenticated},
      {"404", {404, {}, ""}, Code::unimplemented},
      {"431", {431, {}, ""}, Code::internal},
      {"504", {504, {}, ""}, Code::unavailable},
      {"500 that says OK", {500, with("grpc-status", "0"), ""}, Code::unknown},
      {"500 that says more", {500, with("grpc-status", "8"), ""}, Code::resource_exhausted},
      {"too long", {200, head, envelope(std::string(65, ' ')) + ok}, Code::resource_exhausted},
      {"reset behind the end", {200, head, one + ok, {}, true}, Code::ok},
      {"cut", {200, head, one, {}, true}, Code::internal},
  };
  for (const Odd& each : cases) {
    const Came came = come(grpc_web_client_dialect(), each.said);
    EXPECT_EQ(came.status.code(), each.code) << each.what << ": " << came.status.to_string();
  }
}

TEST(RestClient, ReadsOddUnaryResponses) {
  const Odd cases[] = {
      {"an answer", {200, kJson, R"({"text":"a"})"}, Code::ok},
      {"a vendor's type", {200, {{"content-type", "application/hal+json; v=1"}}, "{}"}, Code::ok},
      {"in capitals", {200, {{"content-type", "Application/JSON"}}, "{}"}, Code::ok},
      {"compressed", {200, json_with("content-encoding", "gzip"), packed("{}")}, Code::ok},
      {"no content", {204, {}, ""}, Code::ok},
      {"an error", {404, kJson, R"({"code":5,"message":"m"})"}, Code::not_found},
      {"an error, compressed",
       {409, json_with("content-encoding", "gzip"), packed(R"({"code":10})")},
       Code::aborted},
      {"an error of Google's",
       {403, kJson, R"({"error":{"code":403,"status":"PERMISSION_DENIED"}})"},
       Code::permission_denied},
      {"a code that is none", {401, kJson, R"({"code":99})"}, Code::unauthenticated},
      {"403 of a proxy",
       {403, {{"content-type", "text/html"}}, R"({"code":5})"},
       Code::permission_denied},
      {"404", {404, {}, ""}, Code::unimplemented},
      {"302", {302, {}, ""}, Code::unknown},
      {"503", {503, {}, "x"}, Code::unavailable},
      {"a page", {200, {{"content-type", "text/html"}}, "<html>"}, Code::internal},
      {"no type", {200, {}, "{}"}, Code::internal},
      {"an unknown coding", {200, json_with("content-encoding", "foo"), "{}"}, Code::internal},
      {"no gzip", {200, json_with("content-encoding", "gzip"), "{}"}, Code::internal},
      {"no JSON", {200, kJson, "{"}, Code::internal},
      {"too long", {200, kJson, "{" + std::string(64, ' ') + "}"}, Code::resource_exhausted},
      {"cut", {200, kJson, "{}", {}, true}, Code::internal},
  };
  for (const Odd& each : cases) {
    const Came came = come(rest_client_dialect(), each.said);
    EXPECT_EQ(came.status.code(), each.code) << each.what << ": " << came.status.to_string();
  }
}

TEST(RestClient, ReadsOddStreams) {
  const std::vector<std::pair<std::string, std::string>> head = {
      {"content-type", "application/x-ndjson"}};
  const std::string one = "{\"text\":\"a\"}\n";
  struct Stream {
    Odd odd;
    std::size_t messages;
  };
  const Stream cases[] = {
      {{"a stream", {200, head, one + one + one}, Code::ok}, 3},
      {{"an empty one", {200, head, ""}, Code::ok}, 0},
      {{"no last end", {200, head, one + "{}"}, Code::ok}, 2},
      {{"ends of DOS, and empty lines", {200, head, "{}\r\n\r\n\n{}\r\n"}, Code::ok}, 2},
      {{"an error at the end",
        {200, head, one + R"({"error":{"code":10,"message":"m"}})" + "\n"},
        Code::aborted},
       1},
      {{"an error, spaced", {200, head, R"({ "error": {"code": 5}})"}, Code::not_found}, 0},
      {{"an error of no code", {200, head, R"({"error":{}})"}, Code::unknown}, 0},
      {{"what comes behind an error",
        {200, head, "{\"error\":{\"code\":5}}\n" + one},
        Code::not_found},
       0},
      {{"no JSON", {200, head, one + "{\n"}, Code::internal}, 1},
      {{"an array", {200, {{"content-type", "application/json"}}, "[{}]"}, Code::unimplemented}, 0},
      {{"an error instead",
        {403, {{"content-type", "application/json"}}, R"({"code":7})"},
        Code::permission_denied},
       0},
      {{"503", {503, {}, ""}, Code::unavailable}, 0},
      {{"too long", {200, head, std::string(65, ' ')}, Code::resource_exhausted}, 0},
      {{"too long, with an end",
        {200, head, "{" + std::string(64, ' ') + "}\n"},
        Code::resource_exhausted},
       0},
      {{"cut", {200, head, one, {}, true}, Code::internal}, 1},
  };
  for (const auto& [odd, messages] : cases) {
    const Came came = come(rest_client_dialect(), odd.said, How::stream);
    EXPECT_EQ(came.status.code(), odd.code) << odd.what << ": " << came.status.to_string();
    EXPECT_EQ(came.texts.size(), messages) << odd.what;
  }
  const Said trailing{200, head, one + "{\"error\":{\"code\":5}}\n", {{"x-t", "1"}}};
  EXPECT_EQ(come(rest_client_dialect(), trailing, How::stream).trailer, "1");
}

TEST(ClientDialects, GivingUpIsNoBrokenResponse) {
  // All of the response is there, and dropped, when the call is given up.
  const Said web{200,
                 {{"content-type", "application/grpc-web+json"}},
                 envelope("{}") + envelope("grpc-status: 0\r\n", kWebTrailers)};
  EXPECT_EQ(come(grpc_web_client_dialect(), web, How::cancelled).status.code(), Code::cancelled);
  const Said connect{200,
                     {{"content-type", "application/connect+json"}},
                     envelope("{}") + envelope("{}", kConnectEnd)};
  EXPECT_EQ(come(connect_client_dialect(), connect, How::cancelled).status.code(), Code::cancelled);
  const Said rest{200, {{"content-type", "application/x-ndjson"}}, "{}\n"};
  EXPECT_EQ(come(rest_client_dialect(), rest, How::cancelled).status.code(), Code::cancelled);
}

}  // namespace
}  // namespace tern::rpc
