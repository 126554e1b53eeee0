#include "rpc/server_context.h"

#include <string>

#include "base/check.h"
#include "rpc/dispatcher.h"

namespace tern::rpc {

std::string_view name_of(DialectId dialect) noexcept {
  switch (dialect) {
    case DialectId::grpc: return "grpc";
    case DialectId::grpc_web: return "grpc-web";
    case DialectId::connect: return "connect";
    case DialectId::rest: return "rest";
    case DialectId::websocket: return "websocket";
  }
  return {};
}

/// Wakes when something may have changed about a call being cancelled, or at a time.
class ServerContext::Change final : TimerNode {
 public:
  Change(ServerContext& context, Timestamp at) noexcept : context_(context), at_(at) {}
  ~Change() {
    if (context_.waiting_ == &waiter_) forget();
  }
  bool await_ready() const noexcept { return context_.cancelled(); }
  void await_suspend(std::coroutine_handle<> handle) {
    TERN_CHECK(context_.waiting_ == nullptr);
    waiter_.suspend(handle);
    context_.waiting_ = &waiter_;
    context_.exchange_.outgoing().watcher = &waiter_;
    context_.exchange_.incoming().head_reader = &waiter_;
    if (at_ != kNever) context_.runtime().timers().arm(*this, at_);
  }
  void await_resume() noexcept {
    if (context_.waiting_ == &waiter_) forget();
  }

 private:
  void expire(Timestamp) override { waiter_.wake(context_.runtime().ready()); }
  void forget() noexcept {
    context_.waiting_ = nullptr;
    context_.exchange_.outgoing().watcher = nullptr;
    context_.exchange_.incoming().head_reader = nullptr;
  }

  ServerContext& context_;
  Timestamp at_;
  Waiter waiter_;
};

ServerContext::~ServerContext() {
  if (place_ != nullptr) place_->release();
}

const Metadata& ServerContext::metadata() const {
  if (!metadata_) {
    Result<Metadata> read = Metadata::from(exchange_.request().fields);
    metadata_.emplace(read ? std::move(*read) : Metadata());  // `check_metadata` has looked
  }
  return *metadata_;
}

Status ServerContext::check_metadata() {
  for (const http::Field field : exchange_.request().fields) {
    if (!Metadata::is_binary(field.name)) continue;
    Result<Metadata> read = Metadata::from(exchange_.request().fields);
    if (!read) {
      const bool grpc = dialect_ == DialectId::grpc || dialect_ == DialectId::grpc_web;
      return Status(grpc ? Code::internal : Code::invalid_argument, read.error().message());
    }
    metadata_.emplace(std::move(*read));
    break;
  }
  return Status();
}

bool ServerContext::cancelled() const noexcept {
  return deadline_passed_ || exchange_.outgoing().failed() ||
         exchange_.incoming().error().has_value();
}

Status ServerContext::cancellation() const {
  if (deadline_passed_) return Status(Code::deadline_exceeded, "the deadline has passed");
  return Status(Code::cancelled, "the caller has gone");
}

Task<void> ServerContext::wait_cancelled() {
  while (!cancelled()) {
    Change change(*this, kNever);
    co_await change;
  }
}

Task<bool> ServerContext::sleep(Duration duration) {
  const Timestamp end = runtime().now() + duration;
  for (;;) {
    if (cancelled()) co_return false;
    if (runtime().now() >= end) co_return true;
    Change change(*this, end);
    co_await change;
  }
}

void ServerContext::set_timeout(Duration timeout, DeadlinePassed passed) {
  const Timestamp now = runtime().now();
  // A deadline beyond what a Timestamp holds is none.
  if (timeout >= kNever - now) return;
  deadline_ = now + timeout;
  passed_ = passed;
  runtime().timers().arm(*this, *deadline_);
}

void ServerContext::expire(Timestamp) {
  deadline_passed_ = true;
  if (waiting_ != nullptr) waiting_->wake(runtime().ready());
  passed_(*this);
}

}  // namespace tern::rpc
