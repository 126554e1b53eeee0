#pragma once

#include <memory>
#include <optional>

#include "base/recycled_memory.h"
#include "base/task.h"
#include "http/message.h"
#include "rpc/message_stream.h"
#include "rpc/service.h"
#include "rpc/status.h"

namespace tern::rpc {

class ClientContext;
class Channel;
class Wire;
struct ChannelOptions;

/// A call under way, without types: what generated clients wrap (client_streams.h). Owned by the
/// caller; destroying it before its end cancels the call. Its channel and context outlive it.
class ClientCall : public MessageReader, public MessageWriter, public Recycled {
 public:
  virtual ~ClientCall() = default;

  /// No more requests.
  virtual void half_close() = 0;
  /// Passes over the responses that are left and returns how the call ended.
  virtual Task<Status> finish() = 0;
  /// The same, if it need not be waited for.
  virtual bool try_finish() { return false; }
  /// The server has begun to answer: the call may not be sent again.
  virtual bool committed() const noexcept = 0;
  /// The server has not begun with the call: it may be sent again whatever it does.
  virtual bool refused() const noexcept = 0;

  /// `finish` has passed over responses.
  bool passed_over() const noexcept { return passed_over_; }

  /// For the channel: lives as long as the call.
  void keep(std::shared_ptr<void> ticket) noexcept { ticket_ = std::move(ticket); }

 protected:
  bool passed_over_ = false;

 private:
  std::shared_ptr<void> ticket_;
};

/// How a call begins: one attempt.
struct CallStart {
  Wire& wire;
  const Method& method;
  ClientContext& context;
  const ChannelOptions& options;
  const http::Fields& fields;  ///< the dialect's, for those options
  http::RequestHead& head;     ///< the channel's last: what stays the same need not be copied
  /// Sent with the head, and the last; null where requests are streamed.
  const google::protobuf::Message* only_request = nullptr;
};

/// A dialect's client side. Without state.
class ClientDialect {
 public:
  virtual ~ClientDialect() = default;
  /// What the heads of all calls begin with: made once a channel.
  virtual http::Fields fields(const ChannelOptions&) const { return http::Fields(); }
  /// Sends the call's head (and `only_request`). A failure before that is a status; later ones are
  /// the call's.
  virtual Task<Result<std::unique_ptr<ClientCall>>> open(const CallStart& start) const = 0;
  /// The same, if there is nothing to wait for. Nothing: use `open`.
  virtual std::optional<Result<std::unique_ptr<ClientCall>>> try_open(const CallStart&) const {
    return std::nullopt;
  }
};

const ClientDialect& grpc_client_dialect();
/// Over every version of HTTP; trailers are in the body.
const ClientDialect& grpc_web_client_dialect();
/// Over every version of HTTP. `get`: unary calls of methods without side effects are GETs, which
/// caches may answer.
const ClientDialect& connect_client_dialect(bool get = false);
/// Over every version of HTTP, by the method's google.api.http option (rest_request.h): JSON, and a
/// stream of responses in lines of it. Without the option, or for a stream of requests, a call is
/// UNIMPLEMENTED.
const ClientDialect& rest_client_dialect();

}  // namespace tern::rpc
