#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "base/counters.h"
#include "base/driver.h"
#include "base/log.h"
#include "base/random.h"
#include "base/ready_queue.h"
#include "base/scope.h"
#include "base/task.h"
#include "base/timer_heap.h"

namespace tern {

/// A protocol engine's part in a turn (see Runtime::turn). Not owned; removes itself before it
/// dies.
class TurnHook {
 public:
  /// After datagrams were fed and timers expired: turn events into state and wake coroutines. May
  /// stop after a part of them.
  virtual void drain(Timestamp now) = 0;
  /// `drain` has stopped early: it is called again in this turn, when the coroutines it woke have
  /// run and what they sent was flushed.
  virtual bool undrained() const { return false; }
  /// `drain` has stopped because coroutines are ready: it is called again as soon as they have run.
  virtual bool gave_way() const { return false; }
  /// After ready coroutines ran: send what became due, up to a work budget.
  virtual void flush(Timestamp now) = 0;
  /// There is something to drain or to send now, for instance because `flush` stopped at its budget
  /// or somebody gave a command between two turns: the runtime does not sleep.
  virtual bool pending() const = 0;

 protected:
  ~TurnHook() = default;
};

/// One thread's event loop. A turn:
///   wait ► now ► reap datagrams ► expire timers ► drain hooks ► run ready coroutines ► now ► flush
/// and the last four again while a hook has drained only a part: what a thousand requests need is
/// more than a processor's cache holds, so those of one connection are answered before the next
/// one's are looked at. A drain may give way to the coroutines that an event has made ready:
/// what a handler works with is that of the handler before it, still in the cache.
///
/// Two sides that hand each other all they have at once go in lock step: each idles while the other
/// works. So a turn that comes after idling sends what its first coroutines have to say before the
/// others run, and from then on both sides work. Who has no time to spare would gain nothing, and
/// sends together what goes together.
///
/// `now()` is constant between two readings. Packets get the time when they are written, not when
/// the turn began: pacing and round-trip times are truer, and an acknowledgement whose delay has
/// passed meanwhile goes with the answer instead of after it. Everything here is single-threaded
/// except `submit` and `stop`, which any thread may call.
class Runtime {
 public:
  /// Coroutine resumes in one turn before the network gets its share again.
  static constexpr std::size_t kMaxResumesPerTurn = 4096;
  /// In a turn after idling, those whose messages leave first: few, so that the other side can
  /// begin soon, and enough to be worth a packet of their own.
  static constexpr std::size_t kEarlyResumes = 24;
  /// Idling: for so large a part of the time since the last flush there was nothing to do.
  static constexpr int kIdlePart = 2;

  /// The driver outlives the runtime.
  explicit Runtime(Driver& driver);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  ~Runtime();

  Timestamp now() const noexcept { return now_; }
  UnixSeconds unix_seconds() const { return driver_.unix_seconds(); }
  Driver& driver() noexcept { return driver_; }
  Random& random() noexcept { return random_; }
  TimerHeap& timers() noexcept { return timers_; }
  ReadyQueue& ready() noexcept { return ready_; }
  Counters& counters() noexcept { return counters_; }
  LogSink& log() noexcept { return *log_; }
  /// The sink outlives the runtime.
  void log_to(LogSink& sink) noexcept { log_ = &sink; }

  /// Starts a task that belongs to the runtime; see Scope.
  void spawn(Task<void> task) { scope_.spawn(std::move(task)); }

  /// `co_await runtime.sleep(50ms)`.
  class [[nodiscard]] Sleep;
  Sleep sleep(Duration duration);

  /// Runs `work` on this runtime's thread in a later turn; from any thread.
  void submit(std::function<void()> work);

  void add(TurnHook& hook) { hooks_.push_back(&hook); }
  void remove(TurnHook& hook) noexcept;

  /// One turn. Sleeps until there is something to do; the simulator calls it when there is.
  void turn();
  /// When the next turn is due if nothing arrives; in the past when work is waiting.
  Timestamp next_deadline() const;
  /// Turns until `stop`.
  void run();
  void stop() noexcept;
  bool stopping() const noexcept { return stopping_.load(std::memory_order_relaxed); }

  /// Runs `task` to its end, turning the loop meanwhile. Not from inside a coroutine.
  template <typename T>
  T block_on(Task<T> task);

 private:
  Driver& driver_;
  Timestamp now_;
  Random random_;
  Counters counters_;
  LogSink* log_ = &null_log();
  TimerHeap timers_;
  ReadyQueue ready_;
  bool undrained() const;
  bool drain(std::size_t most);

  std::vector<TurnHook*> hooks_;
  std::atomic<bool> stopping_{false};
  std::mutex submitted_mutex_;
  std::vector<std::function<void()>> submitted_;
  std::atomic<bool> has_submitted_{false};
  Scope scope_;  // last: its tasks use everything above
};

class Runtime::Sleep final : TimerNode {
 public:
  Sleep(Runtime& runtime, Timestamp deadline) noexcept : runtime_(runtime), deadline_(deadline) {}
  bool await_ready() const noexcept { return deadline_ <= runtime_.now(); }
  void await_suspend(std::coroutine_handle<> handle) {
    waiter_.suspend(handle);
    runtime_.timers().arm(*this, deadline_);
  }
  void await_resume() const noexcept {}

 private:
  void expire(Timestamp) override { waiter_.wake(runtime_.ready()); }

  Runtime& runtime_;
  Timestamp deadline_;
  Waiter waiter_;
};

inline Runtime::Sleep Runtime::sleep(Duration duration) { return Sleep(*this, now_ + duration); }

namespace detail {
template <typename T>
Task<void> run_into(Task<T> task, std::optional<T>& result, std::exception_ptr& failure,
                    bool& done) {
  try {
    result.emplace(co_await task);
  } catch (...) {
    failure = std::current_exception();
  }
  done = true;
}
inline Task<void> run_into(Task<void> task, std::exception_ptr& failure, bool& done) {
  try {
    co_await task;
  } catch (...) {
    failure = std::current_exception();
  }
  done = true;
}
}  // namespace detail

template <typename T>
T Runtime::block_on(Task<T> task) {
  bool done = false;
  std::exception_ptr failure;
  Scope scope(ready_);
  if constexpr (std::is_void_v<T>) {
    scope.spawn(detail::run_into(std::move(task), failure, done));
    while (!done) turn();
    if (failure) std::rethrow_exception(failure);
  } else {
    std::optional<T> result;
    scope.spawn(detail::run_into(std::move(task), result, failure, done));
    while (!done) turn();
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }
}

/// Lets one coroutine wait for a condition that another party announces. Level-triggered: a
/// `notify` before the `wait` is kept. One waiter at a time.
class Signal {
 public:
  explicit Signal(Runtime& runtime) noexcept : runtime_(runtime) {}

  void notify() noexcept {
    set_ = true;
    if (waiter_ != nullptr) waiter_->wake(runtime_.ready());
  }

  class [[nodiscard]] Wait {
   public:
    explicit Wait(Signal& signal) noexcept : signal_(signal) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait() {
      if (signal_.waiter_ == &waiter_) signal_.waiter_ = nullptr;
    }
    bool await_ready() const noexcept { return signal_.set_; }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
      TERN_CHECK(signal_.waiter_ == nullptr);
      waiter_.suspend(handle);
      signal_.waiter_ = &waiter_;
    }
    void await_resume() noexcept { signal_.set_ = false; }

   private:
    Signal& signal_;
    Waiter waiter_;
  };
  Wait wait() noexcept { return Wait(*this); }

 private:
  Runtime& runtime_;
  Waiter* waiter_ = nullptr;
  bool set_ = false;
};

}  // namespace tern
