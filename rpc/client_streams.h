#pragma once

#include <memory>
#include <utility>

#include "base/task.h"
#include "rpc/channel.h"
#include "rpc/client_call.h"
#include "rpc/client_context.h"
#include "rpc/status.h"

/// What generated clients return for methods that stream. Destroying one cancels its call, unless
/// `finish` has returned. Its channel and context outlive it; messages that are given by reference
/// live until what they are given to has been awaited. On the channel's thread.

namespace tern::rpc {

/// One request, many responses.
template <typename Response>
class ServerStream {
 public:
  explicit ServerStream(std::unique_ptr<ClientCall> call) noexcept : call_(std::move(call)) {}
  /// False: there are no more; `finish` says why.
  MessageReader::Receive receive(Response& response) noexcept { return call_->receive(response); }
  /// How the call ended; passes over responses that are left.
  Task<Status> finish() { return call_->finish(); }

 private:
  std::unique_ptr<ClientCall> call_;
};

/// Many requests, one response.
template <typename Request, typename Response>
class ClientStream {
 public:
  explicit ClientStream(std::unique_ptr<ClientCall> call) noexcept : call_(std::move(call)) {}
  /// False: the call is over; `finish` says why.
  MessageWriter::Send send(const Request& request, Compress compress = Compress::as_call) noexcept {
    return call_->send(request, compress);
  }
  /// Ends the requests and waits for the response.
  Task<Status> finish(Response& response) { return finish_with(*call_, response); }

 private:
  static Task<Status> finish_with(ClientCall& call, google::protobuf::Message& response);

  std::unique_ptr<ClientCall> call_;
};

/// Many requests, many responses, each when it pleases.
template <typename Request, typename Response>
class BidiStream {
 public:
  explicit BidiStream(std::unique_ptr<ClientCall> call) noexcept : call_(std::move(call)) {}
  /// False: the call is over; `finish` says why. One coroutine sends, another one may receive.
  MessageWriter::Send send(const Request& request, Compress compress = Compress::as_call) noexcept {
    return call_->send(request, compress);
  }
  /// No more requests.
  void half_close() { call_->half_close(); }
  /// False: there are no more; `finish` says why.
  MessageReader::Receive receive(Response& response) noexcept { return call_->receive(response); }
  /// How the call ended; ends the requests, and passes over responses that are left.
  Task<Status> finish() {
    call_->half_close();
    return call_->finish();
  }

 private:
  std::unique_ptr<ClientCall> call_;
};

/// The one response of a call that streams none, and how it ended. UNIMPLEMENTED for none or two.
Task<Status> receive_only(ClientCall& call, google::protobuf::Message& response);

template <typename Request, typename Response>
Task<Status> ClientStream<Request, Response>::finish_with(ClientCall& call,
                                                          google::protobuf::Message& response) {
  call.half_close();
  return receive_only(call, response);
}

// For generated code.

template <typename Stream>
Task<Result<Stream>> open_stream(Channel& channel, const Method& method, ClientContext& context,
                                 const google::protobuf::Message* only_request = nullptr) {
  Result<std::unique_ptr<ClientCall>> call = co_await channel.open(method, context, only_request);
  if (!call) co_return fail(std::move(call).error());
  co_return Stream(std::move(*call));
}

template <typename Response>
Task<Result<Response>> call_once(Channel& channel, const Method& method,
                                 const google::protobuf::Message& request) {
  ClientContext context;
  Response response;
  Status status = co_await channel.unary(method, context, request, response);
  if (!status.ok()) co_return fail(std::move(status));
  co_return response;
}

}  // namespace tern::rpc
