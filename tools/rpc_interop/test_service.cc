#include "tools/rpc_interop/test_service.h"

#include <chrono>
#include <string>
#include <vector>

namespace tern::rpc_interop {

namespace {

using grpc::testing::Payload;
using grpc::testing::ResponseParameters;
using grpc::testing::StreamingInputCallRequest;
using grpc::testing::StreamingOutputCallRequest;
using grpc::testing::StreamingOutputCallResponse;
using rpc::Status;

constexpr int kLargestPayload = 64 * 1024 * 1024;
constexpr std::string_view kEchoInitial = "x-grpc-test-echo-initial";
constexpr std::string_view kEchoTrailing = "x-grpc-test-echo-trailing-bin";

Status invalid(std::string text) { return Status(rpc::Code::invalid_argument, std::move(text)); }

void echo_metadata(rpc::ServerContext& context) {
  if (const auto value = context.metadata().find(kEchoInitial)) {
    context.initial_metadata().add(kEchoInitial, *value);
  }
  if (const auto value = context.metadata().find(kEchoTrailing)) {
    context.trailing_metadata().add(kEchoTrailing, *value);
  }
}

template <typename Request>
Status asked_status(const Request& request) {
  const auto& status = request.response_status();
  if (status.code() == 0) return Status();
  if (status.code() < 0 || status.code() >= static_cast<int>(rpc::kCodes)) {
    return Status(rpc::Code::unknown, status.message());
  }
  return Status(static_cast<rpc::Code>(status.code()), status.message());
}

template <typename Request>
Status check_compressed(const Request& request, bool compressed) {
  if (!request.has_expect_compressed() || request.expect_compressed().value() == compressed) {
    return Status();
  }
  return invalid(compressed ? "the request is compressed" : "the request is not compressed");
}

Status fill_payload(Payload& payload, int type, int size) {
  if (type != grpc::testing::COMPRESSABLE) return invalid("unsupported response_type");
  if (size < 0 || size > kLargestPayload) return invalid("response size " + std::to_string(size));
  payload.mutable_body()->assign(static_cast<std::size_t>(size), '\0');
  return Status();
}

/// Sends what the request asks for. OK as well when the call is over.
Task<Status> respond(rpc::ServerContext& context, const StreamingOutputCallRequest& request,
                     rpc::Writer<StreamingOutputCallResponse>& responses) {
  for (const ResponseParameters& wanted : request.response_parameters()) {
    if (wanted.interval_us() > 0) {
      const bool slept = co_await context.sleep(std::chrono::microseconds(wanted.interval_us()));
      if (!slept) co_return context.cancellation();
    }
    StreamingOutputCallResponse response;
    const Status filled =
        fill_payload(*response.mutable_payload(), request.response_type(), wanted.size());
    if (!filled.ok()) co_return filled;
    const rpc::Compress how = !wanted.has_compressed() || wanted.compressed().value()
                                  ? rpc::Compress::as_call
                                  : rpc::Compress::never;
    const bool sent = co_await responses.send(response, how);
    if (!sent) co_return context.cancellation();
  }
  co_return asked_status(request);
}

/// A stream whose responses may be compressed: which ones says each of them.
void compress_where_asked(rpc::ServerContext& context, const StreamingOutputCallRequest& request) {
  for (const ResponseParameters& wanted : request.response_parameters()) {
    if (wanted.compressed().value()) context.compress(rpc::Coding::gzip);
  }
}

}  // namespace

Task<Status> TestService::EmptyCall(rpc::ServerContext& context, const grpc::testing::Empty&,
                                    grpc::testing::Empty&) {
  echo_metadata(context);
  co_return Status();
}

Task<Status> TestService::UnaryCall(rpc::ServerContext& context,
                                    const grpc::testing::SimpleRequest& request,
                                    grpc::testing::SimpleResponse& response) {
  echo_metadata(context);
  const Status compression = check_compressed(request, context.request_compressed());
  if (!compression.ok()) co_return compression;
  const Status status = asked_status(request);
  if (!status.ok()) co_return status;
  if (request.response_compressed().value()) context.compress(rpc::Coding::gzip);
  if (request.response_size() > 0) {
    co_return fill_payload(*response.mutable_payload(), request.response_type(),
                           request.response_size());
  }
  if (request.response_type() != grpc::testing::COMPRESSABLE) {
    co_return invalid("unsupported response_type");
  }
  co_return Status();
}

Task<Status> TestService::CacheableUnaryCall(rpc::ServerContext& context,
                                             const grpc::testing::SimpleRequest& request,
                                             grpc::testing::SimpleResponse& response) {
  context.initial_metadata().add("cache-control", "max-age=60, public");
  // The time of the response: a cache that answers gives the same again.
  const auto now = context.runtime().now().time_since_epoch().count();
  response.mutable_payload()->set_body(std::to_string(now));
  co_return asked_status(request);
}

Task<Status> TestService::StreamingOutputCall(rpc::ServerContext& context,
                                              const StreamingOutputCallRequest& request,
                                              rpc::Writer<StreamingOutputCallResponse>& responses) {
  echo_metadata(context);
  compress_where_asked(context, request);
  return respond(context, request, responses);
}

Task<Status> TestService::StreamingInputCall(rpc::ServerContext& context,
                                             rpc::Reader<StreamingInputCallRequest>& requests,
                                             grpc::testing::StreamingInputCallResponse& response) {
  echo_metadata(context);
  StreamingInputCallRequest request;
  std::size_t size = 0;
  for (;;) {
    const bool more = co_await requests.receive(request);
    if (!more) break;
    const Status compression = check_compressed(request, requests.compressed());
    if (!compression.ok()) co_return compression;
    size += request.payload().body().size();
  }
  response.set_aggregated_payload_size(static_cast<int>(size));
  co_return requests.status();
}

Task<Status> TestService::FullDuplexCall(rpc::ServerContext& context,
                                         rpc::Reader<StreamingOutputCallRequest>& requests,
                                         rpc::Writer<StreamingOutputCallResponse>& responses) {
  echo_metadata(context);
  responses.start();
  StreamingOutputCallRequest request;
  for (;;) {
    const bool more = co_await requests.receive(request);
    if (!more) co_return requests.status();
    Status status = co_await respond(context, request, responses);
    if (!status.ok()) co_return status;
  }
}

Task<Status> TestService::HalfDuplexCall(rpc::ServerContext& context,
                                         rpc::Reader<StreamingOutputCallRequest>& requests,
                                         rpc::Writer<StreamingOutputCallResponse>& responses) {
  constexpr std::size_t kMostRequests = 1000;  // kept until the client has sent its last
  echo_metadata(context);
  std::vector<StreamingOutputCallRequest> all;
  StreamingOutputCallRequest request;
  for (;;) {
    const bool more = co_await requests.receive(request);
    if (!more) break;
    if (all.size() == kMostRequests)
      co_return Status(rpc::Code::resource_exhausted, "too many requests");
    all.push_back(request);
  }
  if (!requests.status().ok()) co_return requests.status();
  for (const StreamingOutputCallRequest& each : all) {
    Status status = co_await respond(context, each, responses);
    if (!status.ok()) co_return status;
  }
  co_return Status();
}

}  // namespace tern::rpc_interop
