#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/task.h"
#include "http/exchange.h"
#include "rpc/dispatcher.h"
#include "rpc/json_values.h"
#include "rpc/message_stream.h"
#include "rpc/rest_route.h"
#include "rpc/server_context.h"
#include "rpc/status.h"

namespace tern::rpc {

/// One call by REST, its messages in both directions, and its end. Lives in the coroutine that
/// serves the call (server_call.h). Private to the room.
class RestServerCall final : public MessageReader, public MessageWriter {
 public:
  /// Route and options outlive it. `values`: what of the path the route's variables are.
  RestServerCall(http::Exchange& exchange, const Dispatcher& dispatcher, const Endpoint& endpoint,
                 const RestRoute* route, const RestOptions* options,
                 std::vector<std::string> values);

  ServerContext& context() noexcept { return context_; }

  /// What is in the request's head, and a place among the calls.
  Status begin();
  /// The one request: all of the body.
  Task<Status> receive_only(google::protobuf::Message& message);
  /// The one response.
  void finish(const google::protobuf::Message& message);
  /// An error, or the end of a stream. Of no effect when there was one, or the caller has gone.
  void end(const Status& sent);

  void start() override { start_as("application/octet-stream"); }

 private:
  /// How the messages of a server stream are one body.
  enum class Form : std::uint8_t { array, lines, events, raw };
  static Form form_for(std::string_view accept) noexcept;

  /// Knows the call that it is of.
  struct Context final : ServerContext {
    Context(RestServerCall& owner, const Method& method)
        : ServerContext(owner.exchange_, method, DialectId::rest), call(owner) {}
    RestServerCall& call;
  };

  bool over() const noexcept { return exchange_.finished() || exchange_.outgoing().failed(); }
  Status check_type(bool is_empty, bool streams);
  Status bind_body(std::string_view body, google::protobuf::Message& message) const;
  Status gone(const Error& error) const;
  void add_metadata(http::Fields& fields);
  void start_as(std::string_view raw_type);

  // MessageReader: a stream of requests, as JSON values or, of bytes, the pieces that come
  std::optional<bool> try_receive(google::protobuf::Message& message) override;
  Task<bool> receive_later(google::protobuf::Message& message) override;
  std::optional<bool> take(google::protobuf::Message& message);
  std::optional<bool> take_piece(tern::Result<Bytes> piece, google::protobuf::Message& message);
  bool end_reading(Status status);

  // MessageWriter
  bool put(const google::protobuf::Message& message, Compress compress) override;
  bool full() const noexcept override { return exchange_.outgoing().full(); }
  Task<bool> drained() override;

  http::Exchange& exchange_;
  const Dispatcher& dispatcher_;
  const RestRoute& route_;
  const RestOptions& options_;
  std::vector<std::string> values_;
  JsonValues requests_;
  Form form_ = Form::array;
  bool any_ = false;  // a message was sent
  bool reading_over_ = false;
  bool type_checked_ = false;  // of a stream of requests
  bool wrong_media_type_ = false;
  Status send_status_;  // why a message could not be sent
  Context context_;
};

/// Answers with that, and whatever `response` has already.
void respond_rest_error(http::Exchange& exchange, const Dispatcher& dispatcher,
                        http::Status http_status, const Status& status,
                        http::Response response = http::Response());

}  // namespace tern::rpc
