#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "base/timer_heap.h"
#include "rpc/channel.h"
#include "rpc/client_call.h"
#include "rpc/client_context.h"
#include "rpc/compression.h"
#include "rpc/envelope.h"
#include "rpc/envelope_source.h"
#include "rpc/wire.h"

/// What the clients of dialects with envelopes have in common. Private to the room.

namespace tern::rpc {

/// One call in envelopes (gRPC, gRPC-Web, Connect's streams) from its client's side. How its
/// response begins and ends is each dialect's own.
class EnvelopeClientCall : public ClientCall, private TimerNode {
 public:
  /// `encoding`: the field that names the messages' coding; `codings`: those that were asked for.
  EnvelopeClientCall(const CallStart& start, std::unique_ptr<WireStream> stream,
                     std::string_view encoding, std::string_view codings);
  ~EnvelopeClientCall() override;

  void half_close() override;
  Task<Status> finish() override;
  bool try_finish() override;
  bool committed() const noexcept override { return message_came_ || (head_ && !only_trailers()); }
  bool refused() const noexcept override { return refused_; }
  void start() override {}
  /// The one request of a call that streams none, and no more.
  void send_only(const google::protobuf::Message& message) {
    put(message, Compress::as_call);
    half_close();
  }

 protected:
  /// Looks at the response's head; what is not OK ends the call.
  virtual Status check_head(http::Status status, const http::Fields& head) = 0;
  /// What the head says is the call's end already, and there was nothing else.
  virtual bool only_trailers() const noexcept = 0;
  /// An envelope with other flags than a message's. OK: it was the end, and has been concluded.
  virtual Status take_other(const Envelope& envelope) = 0;
  /// The body is over and nothing has concluded the call.
  virtual void end() = 0;
  /// The response is complete, so that a reset behind it does no harm.
  virtual bool complete() const = 0;

  void conclude(Status status);
  /// We end it: the rest is not wanted.
  void fail_locally(Status status);
  /// An envelope's payload without its compression.
  Result<Bytes> plain(const Envelope& envelope) const;

  ClientContext& context() const noexcept { return context_; }
  const ChannelOptions& options() const noexcept { return options_; }
  http::ClientExchange& exchange() const noexcept { return exchange_; }
  /// Null before it has come.
  const http::Fields* head() const noexcept { return head_ ? &*head_ : nullptr; }
  bool message_came() const noexcept { return message_came_; }

 private:
  bool put(const google::protobuf::Message& message, Compress compress) override;
  bool full() const noexcept override { return exchange_.outgoing().full(); }
  Task<bool> drained() override;
  Result<Bytes> envelope_of(const google::protobuf::Message& message, Compress how);
  std::optional<bool> try_receive(google::protobuf::Message& message) override;
  Task<bool> receive_later(google::protobuf::Message& message) override;
  bool accept(EnvelopeSource::Next& envelope, google::protobuf::Message& message);
  Status decode_message(const Envelope& envelope, google::protobuf::Message& message);
  void pass_over(const EnvelopeSource::Next& envelope);
  bool take_head();
  Task<void> wait_for_head();
  void look_at(tern::Result<http::Response> head);
  Status read_coding();
  void take_end(const EnvelopeSource::Next& last);
  void broken(const Error& error);
  bool late() const noexcept;
  void expire(Timestamp now) override;

  ClientContext& context_;
  const ChannelOptions& options_;
  std::unique_ptr<WireStream> stream_;
  http::ClientExchange& exchange_;
  EnvelopeSource envelopes_;
  std::string_view encoding_;
  std::string_view codings_;
  std::optional<http::Fields> head_;
  Coding response_coding_ = Coding::identity;
  bool message_came_ = false;
  bool over_ = false;
  bool refused_ = false;
  bool deadline_passed_ = false;
};

/// A response of that HTTP status without the dialect's own words; `code` is what the dialect makes
/// of it.
Status http_failure(http::Status status, Code code);

}  // namespace tern::rpc
