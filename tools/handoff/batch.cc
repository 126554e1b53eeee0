#include "tools/handoff/batch.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include <fmt/format.h>

namespace tern::handoff {
namespace {

Outcome run_job(const Job& job, const RunOptions& options) {
  try {
    return run(*job.scenario, job.carrier, job.seed, options);
  } catch (const std::exception& error) {  // a sim::Violation: a livelock, a wait for nothing
    Outcome outcome;
    outcome.seed = job.seed;
    outcome.carrier = job.carrier;
    outcome.violations.push_back(error.what());
    return outcome;
  }
}

}  // namespace

std::vector<Outcome> run_all(const std::vector<Job>& jobs, const RunOptions& options,
                             const std::function<bool(std::size_t done)>& progress) {
  constexpr auto kInterval = std::chrono::milliseconds(250);
  std::vector<Outcome> outcomes(jobs.size());
  std::atomic<std::size_t> next{0};
  std::atomic<bool> give_up{false};
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t done = 0;  // guarded by the mutex, as is what follows
  const std::size_t count =
      std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, jobs.size() + 1);
  std::size_t running = count;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      for (std::size_t job = next++; job < jobs.size() && !give_up; job = next++) {
        outcomes[job] = run_job(jobs[job], options);
        const std::lock_guard lock(mutex);
        ++done;
      }
      const std::lock_guard lock(mutex);
      --running;
      changed.notify_one();
    });
  }
  {
    std::unique_lock lock(mutex);
    while (!changed.wait_for(lock, kInterval, [&] { return running == 0; })) {
      if (!progress(done)) give_up = true;
    }
  }
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

}  // namespace tern::handoff
