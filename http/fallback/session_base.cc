#include "http/fallback/session_base.h"

#include <algorithm>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "http/escape.h"

namespace tern::fallback {

namespace {

/// Beyond the stream's low water, so that a turn's writes are worth a system call.
constexpr std::size_t kBurst = 64 * 1024;
/// What one session sends before the others have their turn.
constexpr std::size_t kMaxFlush = 1024 * 1024;
/// Smaller pieces are copied together: one slice more in the gathered send, or one TLS record
/// more, costs more than that.
constexpr std::size_t kSmallPiece = 2048;
/// How often it is looked whether the peer reads, while it has something to read.
constexpr Duration kIdleInterval = std::chrono::seconds(1);

}  // namespace

SessionBase::SessionBase(ContextCore& core, ContextCore::Counts& counts,
                         std::unique_ptr<tcp::Stream> stream, bool server, ClientHooks hooks)
    : core_(core),
      counts_(counts),
      stream_(std::move(stream)),
      hooks_(std::move(hooks)),
      last_moved_(core.runtime().now()),
      server_(server) {
  if (server && core.options().alt_svc) alt_svc_ = core.options().alt_svc(*stream_);
}

SessionBase::~SessionBase() = default;

void SessionBase::start() {
  stream_->attach(*this);
  on_start();
  if (server_) age_.start(core_.hooks().age, now(), runtime().random());
  if (age_.next() != kNever) watch(age_.next());
}

// ---- what comes in ------------------------------------------------------------------------------

void SessionBase::receive(tcp::Stream&, MutableBytes bytes) { feed(bytes); }

void SessionBase::end_of_stream(tcp::Stream&) {
  if (!over_ && !ending_ && !dropping_) on_end_of_stream();
}

void SessionBase::writable(tcp::Stream&) {
  if (!over_ && blocked_) wake();
}

void SessionBase::failed(tcp::Stream&, const Error& error) { end(error); }

// ---- what goes out ------------------------------------------------------------------------------

std::size_t SessionBase::room() const noexcept {
  if (flushed_ >= kMaxFlush) return 0;
  const std::size_t most = stream_->low_water() + kBurst;
  const std::size_t queued = stream_->queued() + output_size_;
  return queued < most ? most - queued : 0;
}

void SessionBase::put(ByteView bytes) {
  if (bytes.empty()) return;
  output_size_ += bytes.size();
  flushed_ += bytes.size();
  ChunkArena& arena = core_.output_arena();
  if (!output_.empty() && arena.extend(output_.back(), bytes)) return;
  output_.push_back(arena.copy(bytes));
}

void SessionBase::put(Bytes bytes) {
  if (bytes.size() <= kSmallPiece) return put(bytes.view());
  output_size_ += bytes.size();
  flushed_ += bytes.size();
  output_.push_back(std::move(bytes));
}

bool SessionBase::write_out() {
  if (stream_->queued() == 0) last_moved_ = now();  // nothing waited for the peer until now
  const auto written = stream_->write(std::span<Bytes>(output_));
  written_ += std::exchange(output_size_, 0);
  output_.clear();
  if (written) return true;
  // The stream has failed, which it will tell; or a limit of the stream's that we cannot meet.
  end(written.error());
  return false;
}

void SessionBase::flush() {
  if (over_) return;
  if (dropping_) {
    const Error error = *std::exchange(dropping_, std::nullopt);
    return end(error);
  }
  flushed_ = 0;
  const bool nothing_left = produce();
  if (over_) return;
  if (dropping_) return wake();
  const bool spent = flushed_ >= kMaxFlush;
  if (!output_.empty()) {
    if (!write_out()) return;
    watch(now() + kIdleInterval);
  }
  if (nothing_left) {
    blocked_ = false;
    if ((finishing_ || ending_) && !std::exchange(finished_, true)) stream_->finish();
    if (ending_) {
      const Error error = *std::exchange(ending_, std::nullopt);
      end(error);
    }
    return;
  }
  if (spent || stream_->queued() <= stream_->low_water()) return wake();
  if (!std::exchange(blocked_, true)) {
    taken_ = written_ - std::min<std::uint64_t>(written_, stream_->queued());
    last_moved_ = now();
  }
  watch(now() + kIdleInterval);
}

// ---- the end ------------------------------------------------------------------------------------

void SessionBase::end_when_sent(Error error) {
  if (over_ || ending_) return;
  ending_ = std::move(error);
  wake();
}

void SessionBase::end_soon(Error error) {
  if (over_ || dropping_) return;
  dropping_ = std::move(error);
  wake();
}

void SessionBase::end(const Error& error) noexcept {
  if (over_) return;
  over_ = true;
  reason_ = error;
  if (armed()) runtime().timers().disarm(*this);
  on_over(reason_);
  if (!finished_ && stream_ != nullptr) stream_->reset();
  core_.retire(*this);
}

void SessionBase::tell_goaway() {
  if (goaway_told_ || std::exchange(goaway_due_, true)) return;
  core_.tell(*this);
}

void SessionBase::report() {
  if (std::exchange(goaway_due_, false) && !std::exchange(goaway_told_, true) && hooks_.goaway) {
    hooks_.goaway();
  }
  if (over_ && !std::exchange(closed_told_, true) && hooks_.closed) hooks_.closed(reason_);
}

// ---- time ---------------------------------------------------------------------------------------

void SessionBase::watch(Timestamp deadline) {
  if (over_ || (armed() && watched_ <= deadline)) return;
  watched_ = deadline;
  runtime().timers().arm(*this, deadline);
}

/// The peer has not read anything for too long.
bool SessionBase::stalled(Timestamp now) noexcept {
  const std::size_t queued = stream_->queued();
  const std::uint64_t taken = written_ - std::min<std::uint64_t>(written_, queued);
  if (taken != taken_ || (queued == 0 && !blocked_)) {
    taken_ = taken;
    last_moved_ = now;
    return false;
  }
  return now - last_moved_ >= options().send_timeout;
}

void SessionBase::pass_age(Timestamp now) {
  using Step = http::AgeClock::Step;
  switch (age_.pass(core_.hooks().age, now)) {
    case Step::nothing: break;
    case Step::drain: {
      const bool drained_before = draining();
      grow_old();
      if (draining() && !drained_before) counts_.aged.add();
      break;
    }
    case Step::close:
      log(LogLevel::info, fmt::format("too old: ended with {} requests open", requests()));
      close();
      break;
  }
}

void SessionBase::expire(Timestamp now) {
  watched_ = kNever;
  if (over_ || stream_ == nullptr) return;
  if (stalled(now)) {
    counts_.stalled.add();
    const std::string why =
        fmt::format("the peer took nothing of what we send for {:g} s (send_timeout)",
                    std::chrono::duration<double>(options().send_timeout).count());
    log(LogLevel::info, why);
    return end(Error(Code::timed_out, why));
  }
  pass_age(now);
  if (over_) return;
  Timestamp next = check_times(now);
  if (over_ || stream_ == nullptr) return;
  next = std::min(next, age_.next());
  if (stream_->queued() > 0 || blocked_) next = std::min(next, now + kIdleInterval);
  if (next != kNever) watch(std::max(next, now));
}

// ---- handlers -----------------------------------------------------------------------------------

namespace {

Task<void> respond_with(http::Exchange& exchange, http::Status status) {
  co_await exchange.respond(status);
}

}  // namespace

void SessionBase::serve(std::unique_ptr<http::Exchange> exchange) {
  // The Context, whose hooks these are, outlives the task.
  const http::ServerHooks& server = core_.hooks();
  http::serve_in(core_.tasks(), server.handler, std::move(exchange), server.done);
}

void SessionBase::answer(std::unique_ptr<http::Exchange> exchange, http::Status status) {
  exchange->incoming().fail(Error::limit("our side does not read the request"));
  core_.tasks().spawn(http::serve([status](http::Exchange& e) { return respond_with(e, status); },
                                  std::move(exchange), core_.hooks().done));
}

void SessionBase::log(LogLevel level, std::string_view text) const {
  LogSink& sink = core_.runtime().log();
  if (!sink.enabled(level)) return;
  sink.line(level, fmt::format("{} with {}: {}", protocol(), stream_->remote().to_string(), text));
}

}  // namespace tern::fallback
