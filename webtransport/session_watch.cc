#include "webtransport/session_watch.h"

#include <algorithm>
#include <utility>

namespace tern::webtransport {

namespace {

/// How often an idle timeout looks whether something has moved: so much later than told, at most,
/// it ends the session.
constexpr int kLooks = 4;

}  // namespace

SessionWatch::SessionWatch(Session& session, const ServerOptions& options)
    : session_(session),
      runtime_(session.runtime()),
      idle_timeout_(options.idle_timeout()),
      grace_(options.drain_grace()),
      progress_(session.progress()),
      progressed_(runtime_.now()) {
  if (idle_timeout_ > Duration::zero()) {
    runtime_.timers().arm(*this, progressed_ + idle_timeout_ / kLooks);
  }
}

SessionWatch::~SessionWatch() { runtime_.timers().disarm(*this); }

void SessionWatch::on_drain() noexcept {
  if (std::exchange(draining_, true)) return;
  runtime_.timers().arm(*this, runtime_.now());
}

void SessionWatch::expire(Timestamp now) {
  if (session_.ended()) return;
  if (!draining_) return look_for_progress(now);
  if (std::exchange(drained_, true)) {
    runtime_.counters().at("webtransport.drained").add();
    return session_.close(0, "the server is going away");
  }
  session_.drain();
  session_.on_drain();
  runtime_.timers().arm(*this, now + grace_);
}

void SessionWatch::look_for_progress(Timestamp now) {
  const std::uint64_t progress = session_.progress();
  if (std::exchange(progress_, progress) != progress) progressed_ = now;
  const Timestamp due = progressed_ + idle_timeout_;
  if (due <= now) {
    runtime_.counters().at("webtransport.idle").add();
    return session_.close(0, "idle");
  }
  runtime_.timers().arm(*this, std::min(due, now + idle_timeout_ / kLooks));
}

}  // namespace tern::webtransport
