#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/runtime.h"
#include "base/scope.h"
#include "base/timer_heap.h"
#include "webtransport/beneath.h"
#include "webtransport/capsule_pipe.h"
#include "webtransport/capsule_session.h"
#include "webtransport/session_carrier.h"
#include "webtransport/session_options.h"

namespace tern::webtransport {

/// A session in capsules, with the tasks that move its bytes through a pipe.
class CapsuleCarrier final : public SessionCarrier, CapsuleSession::Output, TimerNode {
 public:
  /// `runtime` outlives it. On a client `owner` holds what the pipe stands on.
  CapsuleCarrier(Runtime& runtime, CapsuleSession::Role role, std::unique_ptr<CapsulePipe> pipe,
                 SessionOptions options, const CapsuleWindows& granted,
                 const CapsuleWindows& allowed, std::string protocol,
                 std::shared_ptr<void> owner = nullptr);
  ~CapsuleCarrier() override;

  void attach(Session& session) override;
  std::string_view name() const noexcept override { return pipe_->name(); }
  std::string_view protocol() const noexcept override { return protocol_; }
  udp::Path path() const noexcept override { return pipe_->ends().path(); }
  bool datagrams_are_reliable() const noexcept override { return true; }
  bool may_open(Direction direction) const noexcept override {
    return capsules_.may_open(direction);
  }
  std::unique_ptr<Stream> open(Direction direction) override { return capsules_.open(direction); }
  bool send_datagram(Bytes payload) override { return capsules_.send_datagram(std::move(payload)); }
  std::size_t max_datagram() const noexcept override { return options_.max_datagram(); }
  void drain() override { capsules_.drain(); }
  void close(ApplicationCode code, std::string_view reason) override {
    capsules_.close(code, reason);
  }
  bool gone() const noexcept override { return gone_; }
  void measure(SessionStats& stats) const override { webtransport::measure(pipe_->ends(), stats); }
  Result<void> export_keying_material(std::string_view label, ByteView context,
                                      MutableBytes out) const override {
    return webtransport::export_keying_material(pipe_->ends(), label, context, out);
  }
  std::uint64_t progress() const noexcept override { return capsules_.progress(); }

 private:
  void wanted() override;
  void expire(Timestamp now) override;
  Task<void> read();
  Task<void> write();
  void ended(bool& side);

  Runtime& runtime_;
  std::shared_ptr<void> owner_;
  std::unique_ptr<CapsulePipe> pipe_;
  SessionOptions options_;
  std::string protocol_;
  CapsuleSession capsules_;
  Session* session_ = nullptr;
  Signal output_;
  bool read_all_ = false;
  bool written_all_ = false;
  bool waiting_for_end_ = false;
  bool gone_ = false;
  Scope scope_;  // last: its tasks use everything above
};

}  // namespace tern::webtransport
