#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/message.h>

#include "base/task.h"
#include "http/exchange.h"
#include "rpc/codec.h"
#include "rpc/dispatcher.h"
#include "rpc/envelope.h"
#include "rpc/envelope_source.h"
#include "rpc/message_stream.h"
#include "rpc/server_context.h"

/// What the dialects' servers have in common. Private to the room.

namespace tern::rpc {

/// What a handler's exception is to the caller.
Status handler_threw();

/// Lets pages of other origins read the response, as the options have it. To be called when the
/// fields are complete.
void add_cors(const Dispatcher& dispatcher, const http::Exchange& exchange, http::Fields& fields);

/// What `grpc-timeout` says; Duration::max() where there is none, `malformed` when it is not one.
Result<Duration> grpc_timeout_of(const http::Exchange& exchange, Code malformed);

/// Takes what is left of a request that nobody will look at, if its content-length says that this
/// is little: a client that gets an answer of 200 while it still sends (curl 7.88) would wait for
/// more. Within the time that the server has for bodies.
Task<void> take_rest(http::Exchange& exchange);

/// The names under which a dialect with envelopes says the same things.
struct EnvelopeStyle {
  DialectId dialect;
  std::string_view encoding;         ///< "grpc-encoding"
  std::string_view accept_encoding;  ///< "grpc-accept-encoding"
  std::string_view codings;          ///< what we understand, as the field above has it
  Code cut_short = Code::internal;   ///< a body that ends within a message
};

/// One call in envelopes (gRPC, gRPC-Web, Connect's streams): its messages in both directions, and
/// its end, which is each dialect's own. Lives in the coroutine that serves the call.
class EnvelopeCall : public MessageReader, public MessageWriter {
 public:
  /// All of them outlive it. `filter`: of the request's body.
  EnvelopeCall(http::Exchange& exchange, const Dispatcher& dispatcher, const Endpoint& endpoint,
               const EnvelopeStyle& style, Codec codec, EnvelopeFilter* filter = nullptr);

  ServerContext& context() noexcept { return context_; }

  /// What is in the request's head, and a place among the calls.
  Status begin();
  /// Reads the one request of a call that streams none. UNIMPLEMENTED when there is none, or more.
  Task<Status> receive_only(google::protobuf::Message& message);
  /// The one response of a call that streams none, and the end.
  void finish(const google::protobuf::Message& response);
  /// The end. Of no effect when there was one, or when the caller has gone.
  void end(Status status);

  void start() override;

 protected:
  ~EnvelopeCall() = default;

  /// How long the caller waits; Duration::max() when it has not said.
  virtual Result<Duration> timeout() const = 0;
  /// The caller's deadline has passed.
  virtual void deadline_passed() { end(context_.cancellation()); }
  /// Where each response's head begins.
  virtual const http::Fields& head_fields() const = 0;
  /// Ends the response. `head_due`: its head is not out yet, and need not be as `start` makes it.
  virtual void send_end(const Status& status, bool head_due) = 0;
  /// What the response's body makes of its envelopes.
  virtual Bytes wrap(Bytes envelopes) { return envelopes; }

  http::Exchange& exchange() const noexcept { return exchange_; }
  const Dispatcher& dispatcher() const noexcept { return dispatcher_; }
  Codec codec() const noexcept { return codec_; }
  /// The request's coding is none of ours: the answer says which are.
  bool unknown_encoding() const noexcept { return unknown_encoding_; }

 private:
  /// Knows the call that it is of.
  struct Context final : ServerContext {
    Context(EnvelopeCall& owner, DialectId dialect)
        : ServerContext(owner.exchange_, *owner.endpoint_.method, dialect), call(owner) {}
    EnvelopeCall& call;
  };

  Status begin_coding();
  std::optional<bool> try_receive(google::protobuf::Message& message) override;
  Task<bool> receive_later(google::protobuf::Message& message) override;
  /// Why there is no envelope.
  Status why(const EnvelopeSource::Next& envelope) const;
  bool accept(const EnvelopeSource::Next& envelope, google::protobuf::Message& message);
  Status decode_message(const Envelope& envelope, google::protobuf::Message& message);
  bool put(const google::protobuf::Message& message, Compress compress) override;
  Result<Bytes> envelope_of(const google::protobuf::Message& message, Compress how);
  bool full() const noexcept override { return exchange_.outgoing().full(); }
  Task<bool> drained() override;
  bool over() const noexcept { return exchange_.finished() || exchange_.outgoing().failed(); }

  http::Exchange& exchange_;
  const Dispatcher& dispatcher_;
  const Endpoint& endpoint_;
  const EnvelopeStyle& style_;
  Codec codec_;
  Coding request_coding_ = Coding::identity;
  Coding response_coding_ = Coding::identity;
  bool unknown_encoding_ = false;
  bool ended_ = false;  // no more request messages
  EnvelopeSource envelopes_;
  Status send_status_;  // why a response message could not be sent
  Context context_;
};

/// Serves one call; `Call` is made from these arguments.
template <typename Call, typename... Arguments>
Task<void> serve_one_request(http::Exchange& exchange, const Dispatcher& dispatcher,
                             const Endpoint& endpoint, Arguments... arguments) {
  Call call(exchange, dispatcher, endpoint, arguments...);
  const Method& method = *endpoint.method;
  const std::unique_ptr<google::protobuf::Message> request(method.request->New());
  std::unique_ptr<google::protobuf::Message> response;
  Status status = call.begin();
  if (status.ok()) {
    status = co_await call.receive_only(*request);
  } else {
    co_await take_rest(exchange);
  }
  if (!status.ok()) co_return call.end(std::move(status));
  Invocation invocation{endpoint, call.context()};
  invocation.request = request.get();
  if (method.pattern == Pattern::unary) {
    response.reset(method.response->New());
    invocation.response = response.get();
  } else {
    invocation.writer = &call;
  }
  try {
    status = co_await dispatcher.invoke(invocation);
  } catch (...) {
    status = handler_threw();
  }
  if (status.ok() && response) co_return call.finish(*response);
  call.end(std::move(status));
}

/// The same for calls with a stream of requests.
template <typename Call, typename... Arguments>
Task<void> serve_requests(http::Exchange& exchange, const Dispatcher& dispatcher,
                          const Endpoint& endpoint, Arguments... arguments) {
  Call call(exchange, dispatcher, endpoint, arguments...);
  const Method& method = *endpoint.method;
  std::unique_ptr<google::protobuf::Message> response;
  Status status = call.begin();
  if (!status.ok()) {
    co_await take_rest(exchange);
    co_return call.end(std::move(status));
  }
  Invocation invocation{endpoint, call.context()};
  invocation.reader = &call;
  if (method.pattern == Pattern::client_stream) {
    response.reset(method.response->New());
    invocation.response = response.get();
  } else {
    invocation.writer = &call;
  }
  try {
    status = co_await dispatcher.invoke(invocation);
  } catch (...) {
    status = handler_threw();
  }
  // A handler that takes a broken request stream for a finished one does not make it so.
  const Status& received = call.MessageReader::status();
  if (status.ok() && !received.ok()) status = received;
  if (status.ok() && response) co_return call.finish(*response);
  call.end(std::move(status));
}

template <typename Call, typename... Arguments>
Task<void> serve_call(http::Exchange& exchange, const Dispatcher& dispatcher,
                      const Endpoint& endpoint, Arguments... arguments) {
  return streams_requests(endpoint.method->pattern)
             ? serve_requests<Call>(exchange, dispatcher, endpoint, arguments...)
             : serve_one_request<Call>(exchange, dispatcher, endpoint, arguments...);
}

}  // namespace tern::rpc
