#include "tools/rpc_interop/client_cases.h"

#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "base/runtime.h"
#include "base/scope.h"
#include "grpc/testing/test.tern.h"
#include "rpc/client_context.h"
#include "rpc/client_streams.h"

namespace tern::rpc_interop {

namespace {

using namespace std::chrono_literals;
using grpc::testing::Empty;
using grpc::testing::SimpleRequest;
using grpc::testing::SimpleResponse;
using grpc::testing::StreamingInputCallRequest;
using grpc::testing::StreamingInputCallResponse;
using grpc::testing::StreamingOutputCallRequest;
using grpc::testing::StreamingOutputCallResponse;
using rpc::Channel;
using rpc::ClientContext;
using rpc::Status;
using TestClient = grpc::testing::TestService::Client;
using Duplex = rpc::BidiStream<StreamingOutputCallRequest, StreamingOutputCallResponse>;
using Input = rpc::ClientStream<StreamingInputCallRequest, StreamingInputCallResponse>;
using Output = rpc::ServerStream<StreamingOutputCallResponse>;
using Verdict = std::string;  // empty: passed

constexpr int kLargeRequest = 271828;
constexpr int kLargeResponse = 314159;
constexpr std::size_t kConcurrent = 1000;
constexpr std::size_t kSoak = 50;
const Verdict kPassed;

/// The one thing that is checked again and again.
Verdict expect_ok(const Status& status) {
  return status.ok() ? kPassed : "the call ended with " + status.to_string();
}

Verdict expect_code(const Status& status, rpc::Code code) {
  if (status.code() == code) return kPassed;
  return "the call ended with " + status.to_string() + " instead of " +
         std::string(rpc::upper_name_of(code));
}

template <typename Message>
void fill(Message& message, int size) {
  message.mutable_payload()->mutable_body()->assign(static_cast<std::size_t>(size), '\0');
}

template <typename Message>
Verdict expect_body(const Message& message, int size) {
  const auto body = message.payload().body().size();
  if (body == static_cast<std::size_t>(size)) return kPassed;
  return "a body of " + std::to_string(body) + " bytes instead of " + std::to_string(size);
}

SimpleRequest large_request() {
  SimpleRequest request;
  fill(request, kLargeRequest);
  request.set_response_size(kLargeResponse);
  return request;
}

StreamingOutputCallRequest output_request(int response, int request) {
  StreamingOutputCallRequest message;
  message.add_response_parameters()->set_size(response);
  fill(message, request);
  return message;
}

// ---- unary --------------------------------------------------------------------------------------

Task<Verdict> empty_unary(Channel& channel) {
  TestClient client(channel);
  ClientContext context;
  const Empty request;
  Empty response;
  const Status status = co_await client.EmptyCall(context, request, response);
  co_return expect_ok(status);
}

Task<Verdict> large_unary(Channel& channel) {
  TestClient client(channel);
  ClientContext context;
  const SimpleRequest request = large_request();
  SimpleResponse response;
  const Status status = co_await client.UnaryCall(context, request, response);
  if (!status.ok()) co_return expect_ok(status);
  co_return expect_body(response, kLargeResponse);
}

/// One large call whose request is compressed, or not, and has to be, or not.
Task<Status> compressed_call(TestClient& client, bool compressed, bool expected) {
  ClientContext context;
  if (compressed) context.compress(rpc::Coding::gzip);
  SimpleRequest request = large_request();
  request.mutable_expect_compressed()->set_value(expected);
  SimpleResponse response;
  Status status = co_await client.UnaryCall(context, request, response);
  if (status.ok() && !expect_body(response, kLargeResponse).empty()) {
    co_return Status(rpc::Code::data_loss, expect_body(response, kLargeResponse));
  }
  co_return status;
}

Task<Verdict> client_compressed_unary(Channel& channel) {
  TestClient client(channel);
  const Status probe = co_await compressed_call(client, false, true);
  if (probe.code() != rpc::Code::invalid_argument) {
    co_return "the probe: " + expect_code(probe, rpc::Code::invalid_argument);
  }
  const Status compressed = co_await compressed_call(client, true, true);
  if (!compressed.ok()) co_return expect_ok(compressed);
  const Status plain = co_await compressed_call(client, false, false);
  co_return expect_ok(plain);
}

Task<Verdict> server_compressed_unary(Channel& channel) {
  TestClient client(channel);
  for (const bool wanted : {true, false}) {
    ClientContext context;
    SimpleRequest request = large_request();
    request.mutable_response_compressed()->set_value(wanted);
    SimpleResponse response;
    const Status status = co_await client.UnaryCall(context, request, response);
    if (!status.ok()) co_return expect_ok(status);
    if (context.response_compressed() != wanted) {
      co_return wanted ? "the response is not compressed" : "the response is compressed";
    }
    const Verdict body = expect_body(response, kLargeResponse);
    if (!body.empty()) co_return body;
  }
  co_return kPassed;
}

// ---- streams ------------------------------------------------------------------------------------

Task<Verdict> client_streaming(Channel& channel) {
  TestClient client(channel);
  ClientContext context;
  rpc::Result<Input> call = co_await client.StreamingInputCall(context);
  if (!call) co_return expect_ok(call.error());
  constexpr std::array kSizes = {27182, 8, 1828, 45904};
  for (const int size : kSizes) {
    StreamingInputCallRequest request;
    fill(request, size);
    const bool sent = co_await call->send(request);
    if (!sent) break;
  }
  StreamingInputCallResponse response;
  const Status status = co_await call->finish(response);
  if (!status.ok()) co_return expect_ok(status);
  if (response.aggregated_payload_size() == 74922) co_return kPassed;
  co_return "the sizes add up to " + std::to_string(response.aggregated_payload_size());
}

Task<Verdict> client_compressed_streaming(Channel& channel) {
  TestClient client(channel);
  {
    ClientContext context;
    rpc::Result<Input> call = co_await client.StreamingInputCall(context);
    if (!call) co_return expect_ok(call.error());
    StreamingInputCallRequest request;
    fill(request, 27182);
    request.mutable_expect_compressed()->set_value(true);
    co_await call->send(request);
    StreamingInputCallResponse response;
    const Status status = co_await call->finish(response);
    const Verdict probe = expect_code(status, rpc::Code::invalid_argument);
    if (!probe.empty()) co_return "the probe: " + probe;
  }
  ClientContext context;
  context.compress(rpc::Coding::gzip);
  rpc::Result<Input> call = co_await client.StreamingInputCall(context);
  if (!call) co_return expect_ok(call.error());
  StreamingInputCallRequest request;
  fill(request, 27182);
  request.mutable_expect_compressed()->set_value(true);
  co_await call->send(request);
  fill(request, 45904);
  request.mutable_expect_compressed()->set_value(false);
  co_await call->send(request, rpc::Compress::never);
  StreamingInputCallResponse response;
  const Status status = co_await call->finish(response);
  if (!status.ok()) co_return expect_ok(status);
  if (response.aggregated_payload_size() == 73086) co_return kPassed;
  co_return "the sizes add up to " + std::to_string(response.aggregated_payload_size());
}

Task<Verdict> server_streaming(Channel& channel) {
  TestClient client(channel);
  ClientContext context;
  constexpr std::array kSizes = {31415, 9, 2653, 58979};
  StreamingOutputCallRequest request;
  for (const int size : kSizes) request.add_response_parameters()->set_size(size);
  rpc::Result<Output> call = co_await client.StreamingOutputCall(context, request);
  if (!call) co_return expect_ok(call.error());
  std::size_t count = 0;
  StreamingOutputCallResponse response;
  for (;;) {
    const bool more = co_await call->receive(response);
    if (!more) break;
    if (count == kSizes.size()) co_return "too many responses";
    const Verdict body = expect_body(response, kSizes[count++]);
    if (!body.empty()) co_return body;
  }
  const Status status = co_await call->finish();
  if (status.ok() && count != kSizes.size()) co_return std::to_string(count) + " responses";
  co_return expect_ok(status);
}

Task<Verdict> server_compressed_streaming(Channel& channel) {
  TestClient client(channel);
  ClientContext context;
  StreamingOutputCallRequest request;
  auto* first = request.add_response_parameters();
  first->set_size(31415);
  first->mutable_compressed()->set_value(true);
  auto* second = request.add_response_parameters();
  second->set_size(92653);
  second->mutable_compressed()->set_value(false);
  rpc::Result<Output> call = co_await client.StreamingOutputCall(context, request);
  if (!call) co_return expect_ok(call.error());
  StreamingOutputCallResponse response;
  for (const auto& wanted : request.response_parameters()) {
    const bool more = co_await call->receive(response);
    if (!more) break;
    if (context.response_compressed() != wanted.compressed().value()) {
      co_return "the response of " + std::to_string(wanted.size()) + " bytes is " +
          (wanted.compressed().value() ? "not compressed" : "compressed");
    }
    const Verdict body = expect_body(response, wanted.size());
    if (!body.empty()) co_return body;
  }
  const bool more = co_await call->receive(response);
  if (more) co_return "too many responses";
  const Status status = co_await call->finish();
  co_return expect_ok(status);
}

Task<Verdict> ping_pong(Channel& channel) {
  TestClient client(channel);
  ClientContext context;
  rpc::Result<Duplex> call = co_await client.FullDuplexCall(context);
  if (!call) co_return expect_ok(call.error());
  constexpr std::array kResponses = {31415, 9, 2653, 58979};
  constexpr std::array kRequests = {27182, 8, 1828, 45904};
  StreamingOutputCallResponse response;
  for (std::size_t i = 0; i < kResponses.size(); ++i) {
    const StreamingOutputCallRequest request = output_request(kResponses[i], kRequests[i]);
    co_await call->send(request);
    const bool received = co_await call->receive(response);
    if (!received) break;
    const Verdict body = expect_body(response, kResponses[i]);
    if (!body.empty()) co_return body;
  }
  call->half_close();
  const bool more = co_await call->receive(response);
  if (more) co_return "a fifth response";
  const Status status = co_await call->finish();
  co_return expect_ok(status);
}

Task<Verdict> empty_stream(Channel& channel) {
  TestClient client(channel);
  ClientContext context;
  rpc::Result<Duplex> call = co_await client.FullDuplexCall(context);
  if (!call) co_return expect_ok(call.error());
  call->half_close();
  StreamingOutputCallResponse response;
  const bool more = co_await call->receive(response);
  if (more) co_return "a response";
  const Status status = co_await call->finish();
  co_return expect_ok(status);
}

// ---- metadata and statuses ----------------------------------------------------------------------

constexpr std::string_view kInitialKey = "x-grpc-test-echo-initial";
constexpr std::string_view kInitialValue = "test_initial_metadata_value";
constexpr std::string_view kTrailingKey = "x-grpc-test-echo-trailing-bin";
constexpr std::string_view kTrailingValue = "\xab\xab\xab";

void add_metadata(ClientContext& context) {
  context.metadata().add(kInitialKey, kInitialValue);
  context.metadata().add(kTrailingKey, kTrailingValue);
}

Verdict expect_metadata(const ClientContext& context) {
  if (context.initial_metadata().find(kInitialKey) != kInitialValue) return "no initial metadata";
  if (context.trailing_metadata().find(kTrailingKey) != kTrailingValue)
    return "no trailing metadata";
  return kPassed;
}

Task<Verdict> custom_metadata(Channel& channel) {
  TestClient client(channel);
  {
    ClientContext context;
    add_metadata(context);
    const SimpleRequest request = large_request();
    SimpleResponse response;
    const Status status = co_await client.UnaryCall(context, request, response);
    if (!status.ok()) co_return expect_ok(status);
    const Verdict seen = expect_metadata(context);
    if (!seen.empty()) co_return "unary: " + seen;
  }
  ClientContext context;
  add_metadata(context);
  rpc::Result<Duplex> call = co_await client.FullDuplexCall(context);
  if (!call) co_return expect_ok(call.error());
  const StreamingOutputCallRequest request = output_request(kLargeResponse, kLargeRequest);
  co_await call->send(request);
  StreamingOutputCallResponse response;
  co_await call->receive(response);
  const Status status = co_await call->finish();
  if (!status.ok()) co_return expect_ok(status);
  const Verdict seen = expect_metadata(context);
  co_return seen.empty() ? seen : "full duplex: " + seen;
}

Verdict expect_status(const Status& status, rpc::Code code, std::string_view message) {
  const Verdict right = expect_code(status, code);
  if (!right.empty()) return right;
  return status.message() == message ? kPassed : "the message is \"" + status.message() + "\"";
}

Task<Verdict> status_code_and_message(Channel& channel) {
  constexpr std::string_view kMessage = "test status message";
  TestClient client(channel);
  {
    ClientContext context;
    SimpleRequest request;
    request.mutable_response_status()->set_code(2);
    request.mutable_response_status()->set_message(std::string(kMessage));
    SimpleResponse response;
    const Status status = co_await client.UnaryCall(context, request, response);
    const Verdict right = expect_status(status, rpc::Code::unknown, kMessage);
    if (!right.empty()) co_return "unary: " + right;
  }
  ClientContext context;
  rpc::Result<Duplex> call = co_await client.FullDuplexCall(context);
  if (!call) co_return expect_ok(call.error());
  StreamingOutputCallRequest request;
  request.mutable_response_status()->set_code(2);
  request.mutable_response_status()->set_message(std::string(kMessage));
  co_await call->send(request);
  const Status status = co_await call->finish();
  co_return expect_status(status, rpc::Code::unknown, kMessage);
}

Task<Verdict> special_status_message(Channel& channel) {
  constexpr std::string_view kMessage =
      "\t\ntest with whitespace\r\nand Unicode BMP \u263A and non-BMP \U0001F608\t\n";
  TestClient client(channel);
  ClientContext context;
  SimpleRequest request;
  request.mutable_response_status()->set_code(2);
  request.mutable_response_status()->set_message(std::string(kMessage));
  SimpleResponse response;
  const Status status = co_await client.UnaryCall(context, request, response);
  co_return expect_status(status, rpc::Code::unknown, kMessage);
}

Task<Verdict> unimplemented_method(Channel& channel) {
  TestClient client(channel);
  ClientContext context;
  const Empty request;
  Empty response;
  const Status status = co_await client.UnimplementedCall(context, request, response);
  co_return expect_code(status, rpc::Code::unimplemented);
}

Task<Verdict> unimplemented_service(Channel& channel) {
  grpc::testing::UnimplementedService::Client client(channel);
  ClientContext context;
  const Empty request;
  Empty response;
  const Status status = co_await client.UnimplementedCall(context, request, response);
  co_return expect_code(status, rpc::Code::unimplemented);
}

// ---- cancellation and deadlines -----------------------------------------------------------------

Task<Verdict> cancel_after_begin(Channel& channel) {
  TestClient client(channel);
  ClientContext context;
  rpc::Result<Input> call = co_await client.StreamingInputCall(context);
  if (!call) co_return expect_ok(call.error());
  context.cancel();
  StreamingInputCallResponse response;
  const Status status = co_await call->finish(response);
  co_return expect_code(status, rpc::Code::cancelled);
}

Task<Verdict> cancel_after_first_response(Channel& channel) {
  TestClient client(channel);
  ClientContext context;
  rpc::Result<Duplex> call = co_await client.FullDuplexCall(context);
  if (!call) co_return expect_ok(call.error());
  const StreamingOutputCallRequest request = output_request(31415, 27182);
  co_await call->send(request);
  StreamingOutputCallResponse response;
  const bool received = co_await call->receive(response);
  if (!received) co_return "no response";
  context.cancel();
  const Status status = co_await call->finish();
  co_return expect_code(status, rpc::Code::cancelled);
}

Task<Verdict> timeout_on_sleeping_server(Channel& channel) {
  TestClient client(channel);
  ClientContext context;
  context.timeout(1ms);
  rpc::Result<Duplex> call = co_await client.FullDuplexCall(context);
  if (!call) co_return expect_code(call.error(), rpc::Code::deadline_exceeded);
  StreamingOutputCallRequest request;
  fill(request, 27182);
  co_await call->send(request);
  StreamingOutputCallResponse response;
  co_await call->receive(response);
  const Status status = co_await call->finish();
  co_return expect_code(status, rpc::Code::deadline_exceeded);
}

// ---- many ---------------------------------------------------------------------------------------

struct Many {
  explicit Many(Runtime& runtime) : done(runtime) {}
  std::size_t left = 0;
  std::string failure;
  Signal done;
};

Task<void> one_of_many(Channel& channel, Many& many) {
  const Verdict verdict = co_await large_unary(channel);
  if (!verdict.empty() && many.failure.empty()) many.failure = verdict;
  if (--many.left == 0) many.done.notify();
}

Task<Verdict> many_at_once(Channel& channel, std::size_t count) {
  Many many(channel.runtime());
  Scope scope(channel.runtime().ready());
  many.left = count;
  for (std::size_t i = 0; i < count; ++i) scope.spawn(one_of_many(channel, many));
  co_await many.done.wait();
  co_return many.failure;
}

Task<Verdict> a_thousand_large_unary(Channel& channel) {
  return many_at_once(channel, kConcurrent);
}

Task<Verdict> rpc_soak(Channel& channel) {
  for (std::size_t i = 0; i < kSoak; ++i) {
    const Verdict verdict = co_await large_unary(channel);
    if (!verdict.empty()) co_return "call " + std::to_string(i) + ": " + verdict;
  }
  co_return kPassed;
}

// ---- against a server that misbehaves -----------------------------------------------------------

Task<Verdict> goaway(Channel& channel) {
  const Verdict first = co_await large_unary(channel);
  if (!first.empty()) co_return first;
  co_await channel.runtime().sleep(1s);
  co_return co_await large_unary(channel);
}

Task<Verdict> reset(Channel& channel) {
  TestClient client(channel);
  ClientContext context;
  SimpleRequest request;
  request.set_response_size(kLargeResponse);
  fill(request, kLargeRequest);
  SimpleResponse response;
  const Status status = co_await client.UnaryCall(context, request, response);
  co_return status.ok() ? Verdict("the call was successful") : kPassed;
}

Task<Verdict> max_streams(Channel& channel) {
  const Verdict first = co_await large_unary(channel);
  if (!first.empty()) co_return first;
  co_return co_await many_at_once(channel, 10);
}

struct Case {
  std::string_view name;
  Task<Verdict> (*run)(Channel&);
};
constexpr std::array kCases = {
    Case{"empty_unary", empty_unary},
    Case{"large_unary", large_unary},
    Case{"client_compressed_unary", client_compressed_unary},
    Case{"server_compressed_unary", server_compressed_unary},
    Case{"client_streaming", client_streaming},
    Case{"client_compressed_streaming", client_compressed_streaming},
    Case{"server_streaming", server_streaming},
    Case{"server_compressed_streaming", server_compressed_streaming},
    Case{"ping_pong", ping_pong},
    Case{"empty_stream", empty_stream},
    Case{"custom_metadata", custom_metadata},
    Case{"status_code_and_message", status_code_and_message},
    Case{"special_status_message", special_status_message},
    Case{"unimplemented_method", unimplemented_method},
    Case{"unimplemented_service", unimplemented_service},
    Case{"cancel_after_begin", cancel_after_begin},
    Case{"cancel_after_first_response", cancel_after_first_response},
    Case{"timeout_on_sleeping_server", timeout_on_sleeping_server},
    Case{"concurrent_large_unary", a_thousand_large_unary},
    Case{"rpc_soak", rpc_soak},
};
constexpr std::array kNegativeCases = {
    Case{"goaway", goaway},
    Case{"rst_after_header", reset},
    Case{"rst_during_data", reset},
    Case{"rst_after_data", reset},
    Case{"ping", large_unary},
    Case{"max_streams", max_streams},
    Case{"data_frame_padding", large_unary},
    Case{"no_df_padding_sanity_test", large_unary},
};

Task<Verdict> no_such_case(std::string name) { co_return "there is no case " + name; }

}  // namespace

const std::vector<std::string_view>& case_names() {
  static const std::vector<std::string_view> kNames = [] {
    std::vector<std::string_view> names;
    for (const Case& each : kCases) names.push_back(each.name);
    return names;
  }();
  return kNames;
}

Task<std::string> run_case(std::string_view name, Channel& channel) {
  for (const Case& each : kCases) {
    if (each.name == name) return each.run(channel);
  }
  for (const Case& each : kNegativeCases) {
    if (each.name == name) return each.run(channel);
  }
  return no_such_case(std::string(name));
}

Task<std::string> concurrent_large_unary(Channel& channel, std::size_t calls) {
  return many_at_once(channel, calls);
}

}  // namespace tern::rpc_interop
