#include "transport/engine/workers.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"

namespace tern::engine {

namespace {

constexpr std::uint32_t kMaxWorkers = 256;

/// Threads inherit the mask of the thread that makes them.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

Result<void> pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (cpu < 0 || cpu >= CPU_SETSIZE) return fail(Error::invalid(fmt::format("no CPU {}", cpu)));
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  const int error = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
  if (error != 0) return fail(Error::os(error, fmt::format("run on CPU {}", cpu)));
  return {};
}

}  // namespace

/// What the owner and the threads say to each other.
struct Workers::Shared {
  std::mutex mutex;  // guards the rest
  std::condition_variable changed;
  bool start_decided = false;
  bool start_loops = false;
  bool joining = false;

  void decide_start(bool loops) {
    const std::lock_guard lock(mutex);
    if (std::exchange(start_decided, true)) return;
    start_loops = loops;
    changed.notify_all();
  }
  bool wait_for_start() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return start_decided; });
    return start_loops;
  }
  void join() {
    const std::lock_guard lock(mutex);
    joining = true;
    changed.notify_all();
  }
  void wait_for_join() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return joining; });
  }
};

class Workers::Thread {
 public:
  struct Ready {
    Runtime* runtime;
    std::string description;
  };

  Thread(std::shared_ptr<Shared> shared, const WorkersOptions& options, std::uint32_t index,
         const SetUp& set_up)
      : shared_(std::move(shared)), options_(options), index_(index), set_up_(set_up) {}
  ~Thread() {
    if (thread_.joinable()) thread_.join();
  }

  /// Returns once set up.
  Result<Ready> start() {
    try {
      const AllSignalsBlocked blocked;
      thread_ = std::thread(&Thread::run, this);
    } catch (const std::system_error& error) {
      return fail(Error::os(error.code().value(), "start a thread"));
    }
    std::unique_lock lock(shared_->mutex);
    shared_->changed.wait(lock, [&] { return ready_.has_value(); });
    return std::move(*ready_);
  }

 private:
  void report(Result<Ready> ready) {
    const std::lock_guard lock(shared_->mutex);
    ready_.emplace(std::move(ready));
    shared_->changed.notify_all();
  }

  void run() {
    const std::string name = fmt::format("{}-{}", options_.name_, index_).substr(0, 15);
    pthread_setname_np(pthread_self(), name.c_str());
    if (const auto& cpus = options_.cpus_; !cpus.empty()) {
      if (auto pinned = pin(cpus[index_ % cpus.size()]); !pinned) {
        return report(fail(std::move(pinned).error()));
      }
    }
    auto network = open(options_.engine_);
    if (!network) return report(fail(std::move(network).error()));
    Worker worker(index_, options_.count_, **network);
    {
      SetUpResult owned = set_up_(worker);
      if (!owned) return report(fail(std::move(owned).error()));
      report(Ready{&worker.runtime(), (*network)->description()});
      if (shared_->wait_for_start()) worker.runtime().run();
    }
    shared_->wait_for_join();  // until then others may use the runtime
  }

  const std::shared_ptr<Shared> shared_;
  const WorkersOptions& options_;  // during start only, as set_up_
  const std::uint32_t index_;
  const SetUp& set_up_;
  std::optional<Result<Ready>> ready_;
  std::thread thread_;
};

Workers::Workers(std::uint32_t count) : shared_(std::make_shared<Shared>()) {
  runtimes_.reserve(count);
}

Result<std::unique_ptr<Workers>> Workers::start(const WorkersOptions& options, SetUp set_up) {
  if (options.count_ == 0 || options.count_ > kMaxWorkers) {
    return fail(
        Error::invalid(fmt::format("{} workers: wanted 1 to {}", options.count_, kMaxWorkers)));
  }
  std::unique_ptr<Workers> workers(new Workers(options.count_));
  for (std::uint32_t index = 0; index < options.count_; ++index) {
    auto& thread = *workers->threads_.emplace_back(
        std::make_unique<Thread>(workers->shared_, options, index, set_up));
    auto ready = thread.start();
    if (!ready) return fail(std::move(ready).error());  // the destructor ends the others
    workers->runtimes_.push_back(ready->runtime);
    if (index == 0) workers->description_ = std::move(ready->description);
  }
  workers->shared_->decide_start(true);
  return workers;
}

Workers::~Workers() {
  shared_->decide_start(false);
  stop();
  join();
}

void Workers::stop() noexcept {
  for (Runtime* runtime : runtimes_) runtime->stop();
}

void Workers::join() {
  shared_->join();
  threads_.clear();  // joins each
  runtimes_.clear();
}

}  // namespace tern::engine
