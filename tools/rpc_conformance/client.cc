#include "tools/rpc_conformance/client.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/timer_heap.h"
#include "connectrpc/conformance/v1/conformance.tern.h"
#include "gateway/rpc_channel.h"
#include "rpc/client_call.h"
#include "tools/rpc_conformance/service.h"
#include "transport/tls/certificate.h"

namespace tern::rpc_conformance {

namespace {

using namespace connectrpc::conformance::v1;
using google::protobuf::Message;
using Headers = google::protobuf::RepeatedPtrField<Header>;

const rpc::Method* method_named(const std::string& path) {
  static const std::shared_ptr<rpc::Service> kService = conformance_service();
  for (const rpc::Method& method : kService->methods()) {
    if (method.path == path) return &method;
  }
  return nullptr;
}

const rpc::ClientDialect& dialect_of(const ClientCompatRequest& request) {
  if (request.protocol() == PROTOCOL_GRPC) return rpc::grpc_client_dialect();
  if (request.protocol() == PROTOCOL_GRPC_WEB) return rpc::grpc_web_client_dialect();
  return rpc::connect_client_dialect(request.use_get_http_method());
}

rpc::Coding coding_of(Compression compression) {
  switch (compression) {
    case COMPRESSION_GZIP: return rpc::Coding::gzip;
    case COMPRESSION_BR: return rpc::Coding::br;
    case COMPRESSION_ZSTD: return rpc::Coding::zstd;
    default: return rpc::Coding::identity;
  }
}

void tell(const rpc::Metadata& metadata, Headers& headers) {
  for (const auto& entry : metadata) {
    Header* header = nullptr;
    for (Header& each : headers) {
      if (each.name() == entry.key) header = &each;
    }
    if (header == nullptr) {
      header = headers.Add();
      header->set_name(entry.key);
    }
    header->add_value(entry.value);
  }
}

/// The call, with what it needs while it runs.
class Call {
 public:
  Call(Runtime& runtime, rpc::Channel& channel, const rpc::Method& method,
       const ClientCompatRequest& request)
      : runtime_(runtime),
        channel_(channel),
        method_(method),
        request_(request),
        timer_(runtime.timers(), [this](Timestamp) { context_.cancel(); }) {}

  Task<ClientResponseResult> run() {
    for (const Header& header : request_.request_headers()) {
      for (const std::string& value : header.value()) {
        context_.metadata().add(header.name(), value);
      }
    }
    if (request_.has_timeout_ms()) {
      context_.timeout(std::chrono::milliseconds(request_.timeout_ms()));
    }
    context_.compress(coding_of(request_.compression()));
    for (const auto& any : request_.request_messages()) {
      messages_.emplace_back(method_.request->New());
      if (!messages_.back()->ParseFromString(any.value())) {
        co_return result_;  // what it lacks will be seen
      }
    }
    if (rpc::streams_requests(method_.pattern)) {
      co_await run_stream(nullptr);
    } else {
      co_await pause();
      arm_after_close();
      co_await run_stream(messages_.front().get());
    }
    tell(context_.initial_metadata(), *result_.mutable_response_headers());
    tell(context_.trailing_metadata(), *result_.mutable_response_trailers());
    co_return result_;
  }

 private:
  Task<void> run_stream(const Message* only) {
    auto opened = co_await channel_.open(method_, context_, only);
    if (!opened) {
      set_error(opened.error());
      co_return;
    }
    rpc::ClientCall& call = **opened;
    if (only == nullptr) {
      co_await send_all(call);
    }
    for (bool more = true; more;) {
      if (has_enough()) context_.cancel();
      more = co_await receive(call);
    }
    rpc::Status status = co_await call.finish();
    // One response is what a call without a stream of them has.
    if (status.ok() && !rpc::streams_responses(method_.pattern) && result_.payloads_size() != 1) {
      result_.clear_payloads();
      status = rpc::Status(rpc::Code::unimplemented, "there is not one response message");
    }
    if (!status.ok()) set_error(status);
  }

  Task<void> send_all(rpc::ClientCall& call) {
    const bool in_turn = request_.stream_type() == STREAM_TYPE_FULL_DUPLEX_BIDI_STREAM;
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      co_await pause();
      const bool sent = co_await call.send(*messages_[i]);
      if (!sent) {
        result_.set_num_unsent_requests(static_cast<int>(messages_.size() - i));
        co_return;
      }
      if (!in_turn) continue;
      if (has_enough()) context_.cancel();
      const bool more = co_await receive(call);
      if (!more) {
        result_.set_num_unsent_requests(static_cast<int>(messages_.size() - i - 1));
        co_return;
      }
    }
    if (request_.has_cancel() && request_.cancel().has_before_close_send()) {
      context_.cancel();
      co_return;
    }
    call.half_close();
    arm_after_close();
  }

  Task<bool> receive(rpc::ClientCall& call) {
    const std::unique_ptr<Message> response(method_.response->New());
    const bool more = co_await call.receive(*response);
    if (!more) co_return false;
    // Every response of this service is a payload in field 1.
    const auto* field = response->GetDescriptor()->FindFieldByNumber(1);
    if (field != nullptr && response->GetReflection()->HasField(*response, field)) {
      result_.add_payloads()->CopyFrom(response->GetReflection()->GetMessage(*response, field));
    } else {
      result_.add_payloads();
    }
    co_return true;
  }

  bool has_enough() const {
    return request_.has_cancel() && request_.cancel().has_after_num_responses() &&
           result_.payloads_size() == static_cast<int>(request_.cancel().after_num_responses());
  }

  void arm_after_close() {
    if (!request_.has_cancel()) return;
    const auto& cancel = request_.cancel();
    if (cancel.has_before_close_send() || cancel.has_after_num_responses()) return;
    timer_.arm(runtime_.now() + std::chrono::milliseconds(cancel.after_close_send_ms()));
  }

  Task<void> pause() {
    if (request_.request_delay_ms() == 0) co_return;
    co_await runtime_.sleep(std::chrono::milliseconds(request_.request_delay_ms()));
  }

  void set_error(const rpc::Status& status) {
    auto& error = *result_.mutable_error();
    error.set_code(static_cast<int>(status.code()));
    error.set_message(status.message());
    for (const rpc::Detail& detail : status.details()) {
      auto* any = error.add_details();
      any->set_type_url(detail.type_url);
      any->set_value(detail.value);
    }
  }

  Runtime& runtime_;
  rpc::Channel& channel_;
  const rpc::Method& method_;
  const ClientCompatRequest& request_;
  rpc::ClientContext context_;
  Timer timer_;
  std::vector<std::unique_ptr<Message>> messages_;
  ClientResponseResult result_;
};

}  // namespace

Result<ClientOptions> client_options(const ClientCompatRequest& request) {
  ClientOptions options;
  if (request.has_client_tls_creds()) {
    const TLSCreds& shown = request.client_tls_creds();
    TERN_TRY(auto certificate, tls::Certificate::parse(shown.cert(), shown.key()));
    options.certificate(std::move(certificate));
  }
  if (!request.server_tls_cert().empty()) options.ca_pem(request.server_tls_cert());
  switch (request.http_version()) {
    case HTTP_VERSION_3: options.protocols(ClientProtocols::http3_only); break;
    case HTTP_VERSION_2: options.protocols(ClientProtocols::http2_only); break;
    default: options.protocols(ClientProtocols::http1); break;
  }
  return options;
}

Task<ClientCompatResponse> make_call(Runtime& runtime, Client& client,
                                     const ClientCompatRequest& request) {
  ClientCompatResponse response;
  response.set_test_name(request.test_name());
  const rpc::Method* method = method_named("/" + request.service() + "/" + request.method());
  if (method == nullptr || request.request_messages().empty()) {
    response.mutable_error()->set_message("no such method, or no message for it");
    co_return response;
  }
  rpc::ChannelOptions options;
  options.dialect = &dialect_of(request);
  options.codec = request.codec() == CODEC_JSON ? rpc::Codec::json : rpc::Codec::proto;
  if (request.message_receive_limit() > 0) options.max_response = request.message_receive_limit();
  const std::string url = (request.server_tls_cert().empty() ? "http://" : "https://") +
                          request.host() + ":" + std::to_string(request.port());
  auto channel = rpc_channel(runtime, client, {url}, options);
  if (!channel) {
    response.mutable_error()->set_message(channel.error().to_string());
    co_return response;
  }
  Call call(runtime, **channel, *method, request);
  *response.mutable_response() = co_await call.run();
  co_return response;
}

}  // namespace tern::rpc_conformance
