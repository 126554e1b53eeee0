#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "rpc/client_context.h"
#include "rpc/compression.h"
#include "rpc/dispatcher.h"
#include "rpc/envelope.h"
#include "rpc/metadata.h"
#include "tests/unit/http/recording_carrier.h"
#include "tools/rpc_interop/test_service.h"

/// gRPC's server side over a carrier that writes down what it is told: what a client sees.

namespace tern::rpc {
namespace {

using namespace std::chrono_literals;
using grpc::testing::SimpleRequest;
using grpc::testing::SimpleResponse;
using grpc::testing::StreamingInputCallRequest;
using grpc::testing::StreamingInputCallResponse;
using grpc::testing::StreamingOutputCallRequest;
using grpc::testing::StreamingOutputCallResponse;
using http::Exchange;
using http::RequestHead;
using http::test::RecordingCarrier;
using http::test::with;
using http::test::World;

RequestHead call(std::string_view method) {
  RequestHead head =
      http::test::request("POST", "/grpc.testing.TestService/" + std::string(method));
  head.fields.add("content-type", "application/grpc");
  head.fields.add("te", "trailers");
  return head;
}

/// Whatever it is, in an envelope.
std::string envelope_of(std::string_view payload, std::uint8_t flags = 0) {
  return std::string(make_envelope(flags, as_bytes(payload)).text());
}

std::string bytes_of(const google::protobuf::Message& message) {
  return std::string(encode_envelope(Codec::proto, message, SIZE_MAX)->text());
}

/// The messages of a response body.
template <typename Message>
std::vector<Message> messages(const RecordingCarrier& carrier) {
  std::vector<Message> all;
  EnvelopeReader reader(1 << 30);
  reader.push(Bytes::copy(carrier.body));
  for (;;) {
    auto next = reader.next();
    EXPECT_TRUE(next);
    if (!next || !*next) break;
    EXPECT_TRUE(decode(Codec::proto, (*next)->payload, all.emplace_back()).ok());
  }
  EXPECT_TRUE(reader.at_boundary());
  return all;
}

Status status_of(const RecordingCarrier& carrier) {
  EXPECT_EQ(carrier.status, 200);
  EXPECT_EQ(carrier.broken, "");
  EXPECT_TRUE(carrier.ended);
  EXPECT_EQ(carrier.field("content-type"), "application/grpc");
  EXPECT_EQ(carrier.field("content-length"), "(none)");
  const auto status = find_status(carrier.trailers ? *carrier.trailers : carrier.fields);
  return status ? *status : Status(Code::data_loss, "no status");
}

class Grpc : public ::testing::Test {
 protected:
  std::unique_ptr<RecordingCarrier> answer(RequestHead head, std::string_view body) {
    return http::test::answer(world, handler, std::move(head), body);
  }

  World world;
  ServeOptions options;
  http::Handler handler = serve(std::make_shared<rpc_interop::TestService>());
};

TEST_F(Grpc, Unary) {
  SimpleRequest request;
  request.set_response_size(10);
  const auto carrier = answer(call("UnaryCall"), bytes_of(request));
  EXPECT_TRUE(status_of(*carrier).ok());
  ASSERT_TRUE(carrier->trailers);
  const auto replies = messages<SimpleResponse>(*carrier);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].payload().body(), std::string(10, '\0'));
}

TEST_F(Grpc, AStatusAloneIsTrailersOnly) {
  SimpleRequest request;
  request.mutable_response_status()->set_code(5);
  request.mutable_response_status()->set_message("gone");
  const auto carrier = answer(call("UnaryCall"), bytes_of(request));
  EXPECT_EQ(status_of(*carrier), Status(Code::not_found, "gone"));
  EXPECT_FALSE(carrier->trailers);
  EXPECT_EQ(carrier->body, "");
}

TEST_F(Grpc, AllCodes) {
  for (int code = 1; code <= 16; ++code) {
    SimpleRequest request;
    request.mutable_response_status()->set_code(code);
    EXPECT_EQ(status_of(*answer(call("UnaryCall"), bytes_of(request))).code(),
              static_cast<Code>(code));
  }
}

TEST_F(Grpc, MetadataIsEchoed) {
  RequestHead head = call("UnaryCall");
  head.fields.add("x-grpc-test-echo-initial", "test_initial_metadata_value");
  head.fields.add("x-grpc-test-echo-trailing-bin", "q6ur");
  const auto carrier = answer(std::move(head), bytes_of(SimpleRequest()));
  EXPECT_TRUE(status_of(*carrier).ok());
  EXPECT_EQ(carrier->field("x-grpc-test-echo-initial"), "test_initial_metadata_value");
  ASSERT_TRUE(carrier->trailers);
  EXPECT_EQ(carrier->trailers->find("x-grpc-test-echo-trailing-bin"), "q6ur");
}

TEST_F(Grpc, StreamsOfRequestsAndResponses) {
  std::string body;
  for (const std::size_t size : {27182u, 8u, 1828u, 45904u}) {
    StreamingInputCallRequest request;
    request.mutable_payload()->mutable_body()->assign(size, '\0');
    body += bytes_of(request);
  }
  const auto input = answer(call("StreamingInputCall"), body);
  EXPECT_TRUE(status_of(*input).ok());
  ASSERT_EQ(messages<StreamingInputCallResponse>(*input).size(), 1u);
  EXPECT_EQ(messages<StreamingInputCallResponse>(*input)[0].aggregated_payload_size(), 74922);

  StreamingOutputCallRequest wanted;
  for (const int size : {31415, 9, 2653, 58979}) wanted.add_response_parameters()->set_size(size);
  for (const char* method : {"StreamingOutputCall", "FullDuplexCall", "HalfDuplexCall"}) {
    const auto output = answer(call(method), bytes_of(wanted));
    EXPECT_TRUE(status_of(*output).ok()) << method;
    std::vector<std::size_t> sizes;
    for (const auto& message : messages<StreamingOutputCallResponse>(*output)) {
      sizes.push_back(message.payload().body().size());
    }
    EXPECT_THAT(sizes, ::testing::ElementsAre(31415, 9, 2653, 58979)) << method;
  }
  EXPECT_TRUE(status_of(*answer(call("FullDuplexCall"), "")).ok());
}

TEST_F(Grpc, CompressesWhatIsAskedForAndUnderstood) {
  SimpleRequest request;
  request.set_response_size(1000);
  request.mutable_response_compressed()->set_value(true);
  const auto plain = answer(call("UnaryCall"), bytes_of(request));
  EXPECT_EQ(plain->field("grpc-encoding"), "(none)");
  EXPECT_EQ(plain->body[0], 0);

  const RequestHead understands = with(call("UnaryCall"), "grpc-accept-encoding", "identity,gzip");
  const auto packed = answer(understands, bytes_of(request));
  EXPECT_TRUE(status_of(*packed).ok());
  EXPECT_EQ(packed->field("grpc-encoding"), "gzip");
  EXPECT_EQ(packed->body[0], 1);
  EXPECT_LT(packed->body.size(), 100u);

  request.mutable_response_compressed()->set_value(false);
  EXPECT_EQ(answer(understands, bytes_of(request))->body[0], 0);
}

TEST_F(Grpc, RequestsMayBeCompressed) {
  SimpleRequest request;
  request.mutable_expect_compressed()->set_value(true);
  const std::string packed(
      compress_envelope(Coding::gzip, as_bytes(request.SerializeAsString())).text());
  const RequestHead head = with(call("UnaryCall"), "grpc-encoding", "gzip");
  EXPECT_TRUE(status_of(*answer(head, packed)).ok());
  EXPECT_EQ(status_of(*answer(head, bytes_of(request))).code(), Code::invalid_argument);
  EXPECT_EQ(status_of(*answer(call("UnaryCall"), packed)).code(), Code::internal);
  EXPECT_EQ(status_of(*answer(with(call("UnaryCall"), "grpc-encoding", "identity"), packed)).code(),
            Code::internal);

  const auto unknown = answer(with(call("UnaryCall"), "grpc-encoding", "snappy"), packed);
  EXPECT_EQ(status_of(*unknown).code(), Code::unimplemented);
  EXPECT_EQ(unknown->field("grpc-accept-encoding"), "identity,gzip");
  EXPECT_EQ(status_of(*answer(head, envelope_of("noise", kCompressed))).code(), Code::internal);
}

TEST_F(Grpc, WhatIsNotThere) {
  EXPECT_EQ(
      status_of(*answer(call("UnimplementedCall"), bytes_of({grpc::testing::Empty()}))).code(),
      Code::unimplemented);
  EXPECT_EQ(status_of(*answer(call("NoSuchCall"), "")).code(), Code::unimplemented);
  RequestHead service = call("");
  service.path = "/grpc.testing.unaryservice/UnaryCall";
  EXPECT_EQ(status_of(*answer(service, "")).code(), Code::unimplemented);
}

TEST_F(Grpc, MethodsAndContentTypes) {
  RequestHead head = call("UnaryCall");
  head.method = "GET";
  EXPECT_EQ(answer(head, "")->status, 405);
  for (const char* type :
       {"application/grpc+thrift", "application/grpc+", "application/grpcx", "image/jpeg"}) {
    RequestHead other = call("UnaryCall");
    other.fields.set("content-type", type);
    EXPECT_EQ(answer(other, "")->status, 415) << type;
  }
  for (const char* type : {"application/grpc+proto", "application/grpc;charset=utf-8"}) {
    RequestHead other = call("UnaryCall");
    other.fields.set("content-type", type);
    EXPECT_TRUE(status_of(*answer(other, bytes_of(SimpleRequest()))).ok()) << type;
  }
  RequestHead json = call("UnaryCall");
  json.fields.set("content-type", "application/grpc+json");
  const auto carrier = answer(json, envelope_of(R"({"responseSize": 3})"));
  EXPECT_EQ(carrier->field("content-type"), "application/grpc+json");
  EXPECT_EQ(carrier->body, envelope_of(R"({"payload":{"body":"AAAA"}})"));
}

TEST_F(Grpc, BadTimeoutsMetadataAndFraming) {
  const std::string good = bytes_of(SimpleRequest());
  for (const char* value : {"", "1", "S", "100000000S", "-1S", "1x"}) {
    EXPECT_EQ(status_of(*answer(with(call("UnaryCall"), "grpc-timeout", value), good)).code(),
              Code::internal)
        << value;
  }
  EXPECT_EQ(status_of(*answer(with(call("UnaryCall"), "x-bin", "?"), good)).code(), Code::internal);
  EXPECT_EQ(status_of(*answer(call("UnaryCall"), "")).code(), Code::unimplemented);
  EXPECT_EQ(status_of(*answer(call("UnaryCall"), good + good)).code(), Code::unimplemented);
  EXPECT_EQ(status_of(*answer(call("StreamingOutputCall"), "")).code(), Code::unimplemented);
  EXPECT_EQ(status_of(*answer(call("UnaryCall"), good.substr(0, 3))).code(), Code::internal);
  EXPECT_EQ(status_of(*answer(call("UnaryCall"), std::string("\0\0\0\0\5ab", 7))).code(),
            Code::internal);
  EXPECT_EQ(status_of(*answer(call("UnaryCall"), std::string("\x02\0\0\0\0", 5))).code(),
            Code::internal);
  EXPECT_EQ(status_of(*answer(call("UnaryCall"), std::string("\0\0\0\0\1\x07", 6))).code(),
            Code::internal);
  // A stream of requests that breaks off is not a finished one.
  EXPECT_EQ(status_of(*answer(call("StreamingInputCall"), std::string("\0\0\0\0\5ab", 7))).code(),
            Code::internal);
}

TEST_F(Grpc, MessagesHaveALimit) {
  SimpleRequest request;
  request.mutable_payload()->mutable_body()->assign(1000, 'x');
  const std::size_t size = request.ByteSizeLong();
  const auto service = std::make_shared<rpc_interop::TestService>();
  handler = serve(service, ServeOptions().max_request(size));
  EXPECT_TRUE(status_of(*answer(call("UnaryCall"), bytes_of(request))).ok());
  handler = serve(service, ServeOptions().max_request(size - 1));
  EXPECT_EQ(status_of(*answer(call("UnaryCall"), bytes_of(request))).code(),
            Code::resource_exhausted);
  // The limit is on what is decompressed.
  const std::string packed(
      compress_envelope(Coding::gzip, as_bytes(request.SerializeAsString())).text());
  EXPECT_EQ(status_of(*answer(with(call("UnaryCall"), "grpc-encoding", "gzip"), packed)).code(),
            Code::resource_exhausted);
  handler = serve(service, ServeOptions().max_response(10));
  request.set_response_size(100);
  EXPECT_EQ(status_of(*answer(call("UnaryCall"), bytes_of(request))).code(),
            Code::resource_exhausted);
}

TEST_F(Grpc, CallsHaveALimit) {
  handler = serve(std::make_shared<rpc_interop::TestService>(), ServeOptions().max_calls(0));
  EXPECT_EQ(status_of(*answer(call("UnaryCall"), bytes_of(SimpleRequest()))).code(),
            Code::unavailable);
  handler = serve(std::make_shared<rpc_interop::TestService>(), ServeOptions().max_calls(1));
  for (int i = 0; i < 3; ++i) {  // places come back
    EXPECT_TRUE(status_of(*answer(call("UnaryCall"), bytes_of(SimpleRequest()))).ok());
  }
}

Task<Status> wants_a_token(ServerContext& context, const Next& next) {
  if (!context.metadata().find("authorization"))
    co_return Status(Code::unauthenticated, "no token");
  context.trailing_metadata().add("outer", "1");
  Status status = co_await next();
  context.trailing_metadata().add("code", std::string(upper_name_of(status.code())));
  co_return status;
}

Task<Status> counts(ServerContext& context, const Next& next) {
  context.trailing_metadata().add("inner", "1");
  co_return co_await next();
}

TEST_F(Grpc, InterceptorsRunAroundEveryCall) {
  handler = serve(std::make_shared<rpc_interop::TestService>(),
                  ServeOptions().interceptor(wants_a_token).interceptor(counts));
  const auto refused = answer(call("UnaryCall"), bytes_of(SimpleRequest()));
  EXPECT_EQ(status_of(*refused).code(), Code::unauthenticated);
  EXPECT_EQ(refused->field("inner"), "(none)");
  for (const char* method : {"UnaryCall", "FullDuplexCall"}) {
    const auto carrier =
        answer(with(call(method), "authorization", "Bearer t"), bytes_of(SimpleRequest()));
    EXPECT_TRUE(status_of(*carrier).ok());
    ASSERT_TRUE(carrier->trailers);
    EXPECT_EQ(carrier->trailers->find("outer"), "1");
    EXPECT_EQ(carrier->trailers->find("inner"), "1");
    EXPECT_EQ(carrier->trailers->find("code"), "OK");
  }
}

/// A service that throws, or waits until it is cancelled.
class Strange final : public grpc::testing::TestService {
 public:
  Task<Status> EmptyCall(ServerContext&, const grpc::testing::Empty&,
                         grpc::testing::Empty&) override {
    throw std::runtime_error("secret");
  }
  Task<Status> UnaryCall(ServerContext& context, const SimpleRequest&, SimpleResponse&) override {
    EXPECT_FALSE(context.cancelled());
    const bool slept = co_await context.sleep(1h);
    EXPECT_FALSE(slept);
    EXPECT_TRUE(context.cancelled());
    ended = context.cancellation().code();
    at = context.runtime().now();
    co_return Status();
  }
  Task<Status> FullDuplexCall(ServerContext& context, Reader<StreamingOutputCallRequest>& requests,
                              Writer<StreamingOutputCallResponse>& responses) override {
    StreamingOutputCallRequest request;
    const bool received = co_await requests.receive(request);
    EXPECT_FALSE(received);
    co_await context.wait_cancelled();
    const bool sent = co_await responses.send(StreamingOutputCallResponse());
    EXPECT_FALSE(sent);
    ended = context.cancellation().code();
    co_return Status();
  }

  std::optional<Code> ended;
  Timestamp at{};
};

TEST_F(Grpc, WhatAHandlerThrowsIsInternal) {
  handler = serve(std::make_shared<Strange>());
  EXPECT_EQ(status_of(*answer(call("EmptyCall"), bytes_of(SimpleRequest()))),
            Status(Code::internal, "the handler failed"));
}

/// Sends more than a stalled connection takes.
class Flooding final : public grpc::testing::TestService {
 public:
  Task<Status> StreamingOutputCall(ServerContext& context, const StreamingOutputCallRequest&,
                                   Writer<StreamingOutputCallResponse>& responses) override {
    ClientContext onward(context);  // of a call on this one's behalf
    onward.timeout(1h);
    onward.begin(*context.deadline() - 250ms);
    EXPECT_EQ(onward.ends_at(), context.deadline());
    StreamingOutputCallResponse response;
    response.mutable_payload()->set_body(std::string(300'000, 'x'));
    const bool sent = co_await responses.send(response);
    EXPECT_FALSE(sent);
    EXPECT_EQ(context.cancellation().code(), Code::deadline_exceeded);
    co_return Status();
  }
};

TEST_F(Grpc, ADeadlineResetsAStreamThatIsStuck) {
  handler = serve(std::make_shared<Flooding>());
  RecordingCarrier carrier;
  carrier.hold = true;
  auto exchange = std::make_unique<Exchange>(
      world.runtime, carrier, with(call("StreamingOutputCall"), "grpc-timeout", "250m"));
  exchange->incoming().push(Bytes::copy(bytes_of(StreamingOutputCallRequest())));
  exchange->incoming().finish();
  world.run(http::serve(handler, std::move(exchange), nullptr));
  EXPECT_EQ(carrier.aborted, http::Abort::cancelled);
  EXPECT_FALSE(carrier.trailers);
}

TEST_F(Grpc, ADeadlineCancelsTheHandlerAndEndsTheCall) {
  const auto strange = std::make_shared<Strange>();
  handler = serve(strange);
  const Timestamp begun = world.runtime.now();
  const auto carrier =
      answer(with(call("UnaryCall"), "grpc-timeout", "250m"), bytes_of(SimpleRequest()));
  EXPECT_EQ(strange->ended, Code::deadline_exceeded);
  EXPECT_EQ(strange->at - begun, Duration(250ms));
  EXPECT_EQ(status_of(*carrier).code(), Code::deadline_exceeded);
  EXPECT_EQ(carrier->aborted, std::nullopt);

  const auto stream = answer(with(call("FullDuplexCall"), "grpc-timeout", "0n"), "");
  EXPECT_EQ(strange->ended, Code::deadline_exceeded);
  EXPECT_EQ(status_of(*stream).code(), Code::deadline_exceeded);

  handler = serve(strange, ServeOptions().max_duration(100ms));
  const Timestamp again = world.runtime.now();
  answer(with(call("UnaryCall"), "grpc-timeout", "250m"), bytes_of(SimpleRequest()));
  EXPECT_EQ(strange->at - again, Duration(100ms));
}

TEST_F(Grpc, ACallerThatGoesCancelsTheHandler) {
  const auto strange = std::make_shared<Strange>();
  handler = serve(strange);
  RecordingCarrier carrier;
  auto exchange = std::make_unique<Exchange>(world.runtime, carrier, call("UnaryCall"));
  Exchange& ends = *exchange;
  ends.incoming().push(Bytes::copy(bytes_of(SimpleRequest())));
  ends.incoming().finish();
  world.runtime.spawn(http::serve(handler, std::move(exchange), nullptr));
  world.runtime.turn();
  EXPECT_EQ(strange->ended, std::nullopt);
  ends.outgoing().fail(Error(Domain::application, 0x10c, "reset", Origin::remote));
  world.runtime.turn();
  EXPECT_EQ(strange->ended, Code::cancelled);
}

TEST_F(Grpc, PlainRequestsAreNotCalls) {
  EXPECT_EQ(answer(http::test::get("/nothing"), "")->status, 404);
}

}  // namespace
}  // namespace tern::rpc
