#pragma once

#include <cstdint>

#include "base/runtime.h"
#include "base/time.h"
#include "base/timer_heap.h"
#include "http/exchange.h"
#include "webtransport/server_options.h"
#include "webtransport/session.h"

namespace tern::webtransport {

/// A server's eye on one session: ends it when nothing has moved for too long, and when the server
/// goes away. What it is made of outlives it.
class SessionWatch final : public http::detail::DrainListener, TimerNode {
 public:
  SessionWatch(Session& session, const ServerOptions& options);
  ~SessionWatch();
  SessionWatch(const SessionWatch&) = delete;
  SessionWatch& operator=(const SessionWatch&) = delete;

  /// From inside the connection: acts on it when it is the timers' turn.
  void on_drain() noexcept override;

 private:
  void expire(Timestamp now) override;
  void look_for_progress(Timestamp now);

  Session& session_;
  const ServerOptions& options_;
  std::uint64_t progress_ = 0;
  Timestamp progressed_;
  bool drained_ = false;
  bool draining_ = false;
};

}  // namespace tern::webtransport
