#include "rpc/retry_call.h"

#include <utility>

#include <google/protobuf/message.h>

#include "rpc/channel.h"

namespace tern::rpc {

namespace {

std::unique_ptr<google::protobuf::Message> copy_of(const google::protobuf::Message& message) {
  std::unique_ptr<google::protobuf::Message> copy(message.New());
  copy->CopyFrom(message);
  return copy;
}

}  // namespace

RetryCall::RetryCall(Channel& channel, const Method& method, ClientContext& context,
                     const google::protobuf::Message* only_request,
                     std::unique_ptr<ClientCall> call)
    : channel_(channel),
      method_(method),
      context_(context),
      only_request_(only_request != nullptr ? copy_of(*only_request) : nullptr),
      call_(std::move(call)),
      half_closed_(only_request != nullptr),
      repeated_(channel.runtime()) {}

void RetryCall::commit() noexcept {
  committed_ = true;
  kept_.clear();
}

// ---- requests -----------------------------------------------------------------------------------

bool RetryCall::put(const Message& message, Compress compress) {
  if (over_) return false;
  if (!committed_) {
    kept_bytes_ += message.ByteSizeLong();
    kept_.push_back({copy_of(message), compress});
    if (repeating_) return true;  // goes in its turn
    if (kept_bytes_ > channel_.options().retries.buffer()) commit();
  }
  const bool sent = call_->put(message, compress);
  // An attempt that has ended unheard may have a successor, which sends it.
  return sent || !committed_;
}

bool RetryCall::full() const noexcept { return repeating_ || call_->full(); }

Task<bool> RetryCall::drained() {
  while (repeating_) co_await repeated_.wait();
  if (over_) co_return false;
  const bool more = co_await call_->drained();
  co_return more || !committed_;
}

void RetryCall::half_close() {
  half_closed_ = true;
  if (!repeating_) call_->half_close();
}

// ---- responses ----------------------------------------------------------------------------------

bool RetryCall::took() {
  compressed_ = call_->compressed();
  commit();
  return true;
}

std::optional<bool> RetryCall::try_receive(Message& message) {
  if (over_) return false;
  // An end may want a further attempt, which takes time.
  if (!committed_) return std::nullopt;
  std::optional<bool> received = call_->try_receive(message);
  if (!received) return std::nullopt;
  compressed_ = call_->compressed();
  if (!*received) {
    over_ = true;
    status_ = call_->status();
  }
  return received;
}

Task<bool> RetryCall::receive_later(Message& message) {
  for (;;) {
    const bool more = co_await call_->receive(message);
    if (more) co_return took();
    const bool on = ended(call_->status());
    if (!on) co_return false;
    const bool repeated = co_await again();
    if (!repeated) co_return false;
  }
}

Task<Status> RetryCall::finish() {
  for (;;) {
    Status status = co_await call_->finish();
    passed_over_ = passed_over_ || call_->passed_over();
    if (over_) co_return status_;
    if (passed_over_) commit();
    const bool on = ended(status);
    if (!on) co_return status_;
    const bool repeated = co_await again();
    if (!repeated) co_return status_;
  }
}

// ---- attempts -----------------------------------------------------------------------------------

bool RetryCall::ended(const Status& status) {
  status_ = status;
  if (status.ok()) channel_.note_success();
  const bool refused = call_->refused();
  const bool may =
      !status.ok() && !committed_ && !context_.cancelled() && (refused || !call_->committed());
  if (may && refused && !std::exchange(refused_before_, true)) {
    wait_ = Duration();
    return true;
  }
  if (may) {
    if (const auto wait = channel_.retry_after(context_, status, failures_ + 1)) {
      ++failures_;
      wait_ = *wait;
      return true;
    }
  }
  over_ = true;
  commit();
  return false;
}

Task<bool> RetryCall::again() {
  repeating_ = true;
  if (wait_ > Duration()) {
    Status paused = co_await channel_.pause(context_, wait_);
    over_ = !paused.ok();
    if (over_) status_ = std::move(paused);
  }
  if (!over_) {
    Result<std::unique_ptr<ClientCall>> next =
        co_await channel_.open_ready(method_, context_, only_request_.get());
    if (next) {
      earlier_.push_back(std::exchange(call_, std::move(*next)));
      co_await send_kept();
    } else {
      status_ = std::move(next).error();
      over_ = true;
    }
  }
  repeating_ = false;
  repeated_.notify();
  co_return !over_;
}

/// What comes while it goes is behind it, and goes, too.
Task<void> RetryCall::send_kept() {
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    const Message& message = *kept_[i].message;
    const bool sent = co_await call_->send(message, kept_[i].compress);
    if (!sent) break;
  }
  if (half_closed_ && only_request_ == nullptr) call_->half_close();
  if (kept_bytes_ > channel_.options().retries.buffer()) commit();
}

}  // namespace tern::rpc
