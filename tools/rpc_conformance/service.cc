#include "tools/rpc_conformance/service.h"

#include <chrono>
#include <string>
#include <utility>

#include "connectrpc/conformance/v1/conformance.tern.h"
#include "rpc/query.h"
#include "rpc/server_context.h"
#include "rpc/timeout.h"

namespace tern::rpc_conformance {

namespace {

using namespace connectrpc::conformance::v1;
using rpc::ServerContext;
using rpc::Status;
using RequestInfo = ConformancePayload::RequestInfo;
using Headers = google::protobuf::RepeatedPtrField<Header>;

void add_header(Headers& headers, std::string_view name, std::string_view value) {
  for (Header& header : headers) {
    if (header.name() == name) return header.add_value(std::string(value));
  }
  Header& made = *headers.Add();
  made.set_name(std::string(name));
  made.add_value(std::string(value));
}

void add_to(rpc::Metadata& metadata, const Headers& headers) {
  for (const Header& header : headers) {
    for (const std::string& value : header.value()) metadata.add(header.name(), value);
  }
}

/// What the caller has sent besides messages.
RequestInfo info_of(ServerContext& context) {
  RequestInfo info;
  const http::RequestHead& head = context.exchange().request();
  for (const http::Field field : head.fields) {
    add_header(*info.mutable_request_headers(), field.name, field.value);
  }
  std::optional<Duration> timeout;
  if (const auto grpc = head.fields.find("grpc-timeout")) timeout = rpc::parse_grpc_timeout(*grpc);
  if (const auto connect = head.fields.find("connect-timeout-ms")) {
    timeout = rpc::parse_connect_timeout(*connect);
  }
  if (timeout) info.set_timeout_ms(*timeout / std::chrono::milliseconds(1));
  if (head.method == "GET") {
    auto& get = *info.mutable_connect_get_info();
    for (rpc::QueryReader reader(head.query()); reader.next();) {
      add_header(*get.mutable_query_params(), reader.name(), reader.value());
    }
  }
  return info;
}

Status status_of(const connectrpc::conformance::v1::Error& error) {
  Status status(static_cast<rpc::Code>(error.code()), error.message());
  for (const google::protobuf::Any& detail : error.details()) {
    status.detail(rpc::Detail{detail.type_url(), detail.value()});
  }
  return status;
}

template <typename Definition>
void add_metadata(ServerContext& context, const Definition& definition) {
  add_to(context.initial_metadata(), definition.response_headers());
  add_to(context.trailing_metadata(), definition.response_trailers());
}

Task<bool> wait(ServerContext& context, std::uint32_t milliseconds) {
  if (milliseconds == 0) co_return !context.cancelled();
  co_return co_await context.sleep(std::chrono::milliseconds(milliseconds));
}

class ConformanceServer final : public ConformanceService {
 public:
  Task<Status> Unary(ServerContext& context, const UnaryRequest& request,
                     UnaryResponse& response) override {
    RequestInfo info = info_of(context);
    info.add_requests()->PackFrom(request);
    co_return co_await answer(context, request.response_definition(), std::move(info),
                              *response.mutable_payload());
  }

  Task<Status> IdempotentUnary(ServerContext& context, const IdempotentUnaryRequest& request,
                               IdempotentUnaryResponse& response) override {
    RequestInfo info = info_of(context);
    info.add_requests()->PackFrom(request);
    co_return co_await answer(context, request.response_definition(), std::move(info),
                              *response.mutable_payload());
  }

  Task<Status> ClientStream(ServerContext& context, rpc::Reader<ClientStreamRequest>& requests,
                            ClientStreamResponse& response) override {
    RequestInfo info = info_of(context);
    UnaryResponseDefinition definition;
    for (;;) {
      ClientStreamRequest request;
      const bool more = co_await requests.receive(request);
      if (!more) break;
      if (info.requests().empty()) definition = request.response_definition();
      info.add_requests()->PackFrom(request);
    }
    if (!requests.status().ok()) co_return requests.status();
    co_return co_await answer(context, definition, std::move(info), *response.mutable_payload());
  }

  Task<Status> ServerStream(ServerContext& context, const ServerStreamRequest& request,
                            rpc::Writer<ServerStreamResponse>& responses) override {
    RequestInfo info = info_of(context);
    info.add_requests()->PackFrom(request);
    co_return co_await stream(context, request.response_definition(), std::move(info), responses);
  }

  Task<Status> BidiStream(ServerContext& context, rpc::Reader<BidiStreamRequest>& requests,
                          rpc::Writer<BidiStreamResponse>& responses) override {
    RequestInfo info = info_of(context);
    StreamResponseDefinition definition;
    bool full_duplex = false;
    bool first = true;
    int sent = 0;
    for (;;) {
      BidiStreamRequest request;
      const bool more = co_await requests.receive(request);
      if (!more) break;
      if (first) {
        definition = request.response_definition();
        full_duplex = request.full_duplex();
        if (full_duplex) begin(context, definition, responses);
        first = false;
      }
      info.add_requests()->PackFrom(request);
      if (!full_duplex) continue;
      if (sent == definition.response_data_size()) break;
      const bool on = co_await send(context, definition, sent, info, responses);
      if (!on) co_return context.cancellation();
      ++sent;
      info.Clear();  // later responses tell of the last request alone
    }
    if (!requests.status().ok()) co_return requests.status();
    if (!full_duplex) {
      co_return co_await stream(context, definition, std::move(info), responses);
    }
    for (; sent < definition.response_data_size(); ++sent) {
      const bool on = co_await send(context, definition, sent, info, responses);
      if (!on) co_return context.cancellation();
      info.Clear();
    }
    co_return ended(definition, sent, info);
  }

 private:
  static Task<Status> answer(ServerContext& context, const UnaryResponseDefinition& definition,
                             RequestInfo info, ConformancePayload& payload) {
    add_metadata(context, definition);
    const bool on = co_await wait(context, definition.response_delay_ms());
    if (!on) co_return context.cancellation();
    if (definition.has_error()) {
      Status status = status_of(definition.error());
      co_return std::move(status.detail(info));
    }
    *payload.mutable_request_info() = std::move(info);
    payload.set_data(definition.response_data());
    co_return Status();
  }

  /// The head goes before the first wait, unless there is nothing but an error to come.
  template <typename Response>
  static void begin(ServerContext& context, const StreamResponseDefinition& definition,
                    rpc::Writer<Response>& responses) {
    add_metadata(context, definition);
    if (definition.response_data_size() > 0 || !definition.has_error()) responses.start();
  }

  template <typename Response>
  static Task<bool> send(ServerContext& context, const StreamResponseDefinition& definition,
                         int index, const RequestInfo& info, rpc::Writer<Response>& responses) {
    const bool on = co_await wait(context, definition.response_delay_ms());
    if (!on) co_return false;
    Response response;
    response.mutable_payload()->set_data(definition.response_data(index));
    if (info.ByteSizeLong() > 0) *response.mutable_payload()->mutable_request_info() = info;
    co_return co_await responses.send(response);
  }

  template <typename Response>
  static Task<Status> stream(ServerContext& context, const StreamResponseDefinition& definition,
                             RequestInfo info, rpc::Writer<Response>& responses) {
    begin(context, definition, responses);
    for (int i = 0; i < definition.response_data_size(); ++i) {
      const bool on = co_await send(context, definition, i, info, responses);
      if (!on) co_return context.cancellation();
      info.Clear();
    }
    co_return ended(definition, definition.response_data_size(), info);
  }

  static Status ended(const StreamResponseDefinition& definition, int sent,
                      const RequestInfo& info) {
    if (!definition.has_error()) return Status();
    Status status = status_of(definition.error());
    if (sent == 0) status.detail(info);
    return status;
  }
};

}  // namespace

std::shared_ptr<rpc::Service> conformance_service() {
  return std::make_shared<ConformanceServer>();
}

}  // namespace tern::rpc_conformance
