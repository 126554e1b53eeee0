#include "webtransport/capsule_carrier.h"

#include <optional>
#include <utility>
#include <vector>

namespace tern::webtransport {

namespace {

/// Capsules that are handed over together: a WebSocket's message, at least one.
constexpr std::size_t kBatch = 32 * 1024;

}  // namespace

CapsuleCarrier::CapsuleCarrier(Runtime& runtime, CapsuleSession::Role role,
                               std::unique_ptr<CapsulePipe> pipe, SessionOptions options,
                               const CapsuleWindows& granted, const CapsuleWindows& allowed,
                               std::string protocol, std::shared_ptr<void> owner)
    : runtime_(runtime),
      owner_(std::move(owner)),
      pipe_(std::move(pipe)),
      options_(options),
      protocol_(std::move(protocol)),
      capsules_(runtime, role, options_, granted, allowed, *this),
      output_(runtime),
      scope_(runtime.ready()) {}

CapsuleCarrier::~CapsuleCarrier() = default;

void CapsuleCarrier::attach(Session& session) {
  session_ = &session;
  capsules_.attach(session);
  scope_.spawn(read());
  scope_.spawn(write());
}

void CapsuleCarrier::wanted() {
  output_.notify();
  if (!capsules_.over() || waiting_for_end_) return;
  waiting_for_end_ = true;
  runtime_.timers().arm(*this, runtime_.now() + options_.close_timeout());
}

/// The peer has not ended its side, or does not take what is left of ours.
void CapsuleCarrier::expire(Timestamp) {
  if (gone_) return;
  scope_.cancel();
  pipe_->abort();
  read_all_ = true;
  ended(written_all_);
}

void CapsuleCarrier::ended(bool& side) {
  side = true;
  if (!read_all_ || !written_all_ || gone_) return;
  gone_ = true;
  runtime_.timers().disarm(*this);
  session_->on_gone();
}

Task<void> CapsuleCarrier::read() {
  for (;;) {
    Result<Bytes> piece = co_await pipe_->read();
    if (!piece) {
      capsules_.broken(piece.error());
      break;
    }
    if (piece->empty()) {
      capsules_.end_of_input();
      break;
    }
    capsules_.feed(*piece);
    if (capsules_.failure()) {
      pipe_->abort();
      break;
    }
  }
  ended(read_all_);
}

Task<void> CapsuleCarrier::write() {
  for (;;) {
    std::vector<Bytes> batch;
    std::size_t size = 0;
    while (size < kBatch || capsules_.within_capsule()) {
      std::optional<Bytes> piece = capsules_.next_output();
      if (!piece) break;
      size += piece->size();
      batch.push_back(std::move(*piece));
    }
    if (batch.empty()) {
      if (capsules_.over()) break;
      co_await output_.wait();
      continue;
    }
    Result<void> written = co_await pipe_->write(std::move(batch));
    if (written) continue;
    capsules_.broken(written.error());
    break;
  }
  if (!capsules_.failure()) co_await pipe_->finish();
  ended(written_all_);
}

}  // namespace tern::webtransport
