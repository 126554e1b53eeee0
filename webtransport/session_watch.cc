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
      options_(options),
      progress_(session.progress()),
      progressed_(session.runtime().now()) {
  const Duration idle = options_.idle_timeout();
  if (idle > Duration::zero()) session_.runtime().timers().arm(*this, progressed_ + idle / kLooks);
}

SessionWatch::~SessionWatch() { session_.runtime().timers().disarm(*this); }

void SessionWatch::on_drain() noexcept {
  if (std::exchange(draining_, true)) return;
  Runtime& runtime = session_.runtime();
  runtime.timers().arm(*this, runtime.now());
}

void SessionWatch::expire(Timestamp now) {
  if (session_.ended()) return;
  if (!draining_) return look_for_progress(now);
  if (std::exchange(drained_, true)) {
    session_.runtime().counters().at("webtransport.drained").add();
    return session_.close(0, "the server is going away");
  }
  session_.drain();
  session_.on_drain();
  session_.runtime().timers().arm(*this, now + options_.drain_grace());
}

void SessionWatch::look_for_progress(Timestamp now) {
  const std::uint64_t progress = session_.progress();
  if (std::exchange(progress_, progress) != progress) progressed_ = now;
  const Duration idle = options_.idle_timeout();
  const Timestamp due = progressed_ + idle;
  if (due <= now) {
    session_.runtime().counters().at("webtransport.idle").add();
    return session_.close(0, "idle");
  }
  session_.runtime().timers().arm(*this, std::min(due, now + idle / kLooks));
}

}  // namespace tern::webtransport
