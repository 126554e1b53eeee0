#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/timer_heap.h"
#include "rpc/channel.h"
#include "rpc/client_call.h"
#include "rpc/client_context.h"
#include "rpc/compression.h"
#include "rpc/status_table.h"
#include "rpc/wire.h"

/// What the clients of calls without envelopes (Connect's unary ones, REST) have in common. Private
/// to the room.

namespace tern::rpc {

/// One call whose request is sent when it is made, so that what is left is its response. Deadline,
/// cancellation and how it ends are here; what a response is is each dialect's own.
class PlainClientCall : public ClientCall, private TimerNode {
 public:
  PlainClientCall(const CallStart& start, std::unique_ptr<WireStream> stream)
      : context_(start.context),
        options_(start.options),
        stream_(std::move(stream)),
        exchange_(stream_->exchange()) {
    context_.set_wire(exchange_.protocol());
    context_.on_cancel([this] { exchange_.abort(); });
    if (const auto end = context_.ends_at()) exchange_.runtime().timers().arm(*this, *end);
  }
  ~PlainClientCall() override { context_.on_cancel(nullptr); }

  void half_close() override {}
  void start() override {}
  bool committed() const noexcept override { return committed_; }
  bool refused() const noexcept override { return refused_; }
  http::ClientExchange& exchange() const noexcept { return exchange_; }

  Task<Status> finish() override {
    while (!over_) {
      const bool passed = co_await read_one();
      passed_over_ = passed_over_ || passed;
    }
    co_return status_;
  }

 protected:
  /// Reads the next response, a unary call's only one. False: there is none, and the call is over.
  virtual Task<bool> read_one() = 0;
  /// What `read_one` has read, as a message.
  virtual Status decode_one(google::protobuf::Message& message) = 0;

  ClientContext& context() const noexcept { return context_; }
  const ChannelOptions& options() const noexcept { return options_; }
  bool over() const noexcept { return over_; }
  /// The response has begun.
  void commit() noexcept { committed_ = true; }
  /// Giving up drops what has come and was not read, even of a response that is all there: then its
  /// end means nothing.
  bool given_up() const noexcept { return deadline_passed_ || context_.cancelled(); }

  /// A whole body without its compression.
  Result<Bytes> plain_of(Coding coding, std::string text) const {
    if (coding == Coding::identity || text.empty()) return Bytes::take(std::move(text));
    return decompress(coding, as_bytes(text), options_.max_response);
  }
  void broken(const Error& error) {
    refused_ = not_processed(error);
    if (context_.cancelled()) return conclude(Status(Code::cancelled, "cancelled by the caller"));
    Status status = Status::from(error);
    if (deadline_passed_) status = Status(Code::deadline_exceeded, "the deadline has passed");
    conclude(std::move(status));
  }
  void give_up() { broken(Error(tern::Code::cancelled, "given up by our side")); }
  /// We end it: the rest is not wanted.
  void fail_locally(Status status) {
    conclude(std::move(status));
    exchange_.abort();
  }
  void conclude(Status status) {
    over_ = true;
    status_ = std::move(status);
    exchange_.runtime().timers().disarm(*this);
  }

 private:
  std::optional<bool> try_receive(google::protobuf::Message&) override {
    return over_ ? std::optional<bool>(false) : std::nullopt;
  }
  Task<bool> receive_later(google::protobuf::Message& message) override {
    const bool there = co_await read_one();
    if (!there) co_return false;
    Status decoded = decode_one(message);
    if (decoded.ok()) co_return true;
    fail_locally(std::move(decoded));
    co_return false;
  }
  bool put(const google::protobuf::Message&, Compress) override { return false; }
  bool full() const noexcept override { return false; }
  Task<bool> drained() override { co_return false; }
  void expire(Timestamp) override {
    deadline_passed_ = true;
    exchange_.abort();
  }

  ClientContext& context_;
  const ChannelOptions& options_;
  std::unique_ptr<WireStream> stream_;
  http::ClientExchange& exchange_;
  bool over_ = false;
  bool committed_ = false;
  bool refused_ = false;
  bool deadline_passed_ = false;
};

}  // namespace tern::rpc
