#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "base/runtime.h"
#include "base/task.h"
#include "rpc/client_call.h"
#include "rpc/client_context.h"
#include "rpc/service.h"
#include "rpc/status.h"

namespace google::protobuf {
class Message;
}

namespace tern::rpc {

class Channel;

/// A call that streams and is sent again as `ChannelOptions::retries` says, as long as its server
/// has not begun to answer and what was sent fits the buffer (gRFC A6): then it is committed, and
/// this passes everything on. Private to the room.
class RetryCall final : public ClientCall {
 public:
  /// `call` is the first attempt. Channel, context and method outlive it.
  RetryCall(Channel& channel, const Method& method, ClientContext& context,
            const google::protobuf::Message* only_request, std::unique_ptr<ClientCall> call);

  void half_close() override;
  Task<Status> finish() override;
  bool committed() const noexcept override { return committed_ || call_->committed(); }
  bool refused() const noexcept override { return call_->refused(); }
  void start() override {}

 private:
  using Message = google::protobuf::Message;
  struct Kept {
    std::unique_ptr<Message> message;
    Compress compress;
  };

  std::optional<bool> try_receive(Message& message) override;
  Task<bool> receive_later(Message& message) override;
  bool put(const Message& message, Compress compress) override;
  bool full() const noexcept override;
  Task<bool> drained() override;

  /// The attempt gave a message.
  bool took();
  /// It has ended: whether another one may take its place, after `wait_`.
  bool ended(const Status& status);
  /// Makes the next attempt. False: `status_` is how the call has ended.
  Task<bool> again();
  Task<void> send_kept();
  void commit() noexcept;

  Channel& channel_;
  const Method& method_;
  ClientContext& context_;
  std::unique_ptr<Message> only_request_;
  std::unique_ptr<ClientCall> call_;
  std::vector<std::unique_ptr<ClientCall>> earlier_;  // a sender may still wait for one of them
  std::vector<Kept> kept_;
  std::size_t kept_bytes_ = 0;
  std::size_t failures_ = 0;
  Duration wait_{};
  bool refused_before_ = false;
  bool half_closed_ = false;
  bool committed_ = false;
  bool over_ = false;
  bool repeating_ = false;  // what is sent is only kept meanwhile
  Signal repeated_;
};

}  // namespace tern::rpc
