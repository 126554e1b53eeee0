#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "transport/engine/engine.h"

namespace tern::engine {

/// One thread with a network and a runtime of its own. Everything here is for that thread, except
/// what `Runtime` allows from others.
class Worker {
 public:
  std::uint32_t index() const noexcept { return index_; }
  std::uint32_t count() const noexcept { return count_; }
  udp::Network& network() noexcept { return network_; }
  Runtime& runtime() noexcept { return runtime_; }

 private:
  friend class Workers;
  Worker(std::uint32_t index, std::uint32_t count, udp::Network& network)
      : index_(index), count_(count), network_(network), runtime_(network) {}

  const std::uint32_t index_;
  const std::uint32_t count_;
  udp::Network& network_;
  Runtime runtime_;
};

class WorkersOptions {
 public:
  /// 1 to 256: a byte of the connection ID names the worker. Default 1.
  WorkersOptions& count(std::uint32_t workers) { return count_ = workers, *this; }
  WorkersOptions& engine(const EngineOptions& options) { return engine_ = options, *this; }
  /// Worker i runs on CPU cpus[i % cpus.size()] only. Default: empty, the scheduler decides.
  WorkersOptions& cpus(std::vector<int> list) { return cpus_ = std::move(list), *this; }
  /// Threads are named "<name>-<index>", cut to 15 characters. Default "tern".
  WorkersOptions& name(std::string prefix) { return name_ = std::move(prefix), *this; }

 private:
  friend class Workers;
  std::uint32_t count_ = 1;
  EngineOptions engine_;
  std::vector<int> cpus_;
  std::string name_ = "tern";
};

/// A server's threads. They share nothing; all signals are blocked in them.
///
///   auto workers = Workers::start(options, [&](Worker& worker) -> Workers::SetUpResult {
///     return std::make_shared<Shard>(worker, config);   // binds, and so on
///   });
class Workers {
 public:
  /// What a worker owns while its loop runs: made and destroyed on its thread.
  using SetUpResult = Result<std::shared_ptr<void>>;
  using SetUp = std::function<SetUpResult(Worker&)>;

  /// Starts the threads and calls `set_up` on each, one after the other in the order of their
  /// indices, which makes the order of bind in a reuse-port group theirs. The loops start once all
  /// are set up, so that no worker gets datagrams meant for one that is not bound yet. The first
  /// Error ends all threads and is returned.
  static Result<std::unique_ptr<Workers>> start(const WorkersOptions& options, SetUp set_up);

  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  /// Stops and joins.
  ~Workers();

  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(runtimes_.size()); }
  /// Of worker `index`, until `join`; for `Runtime::submit` from other threads.
  Runtime& runtime(std::uint32_t index) noexcept { return *runtimes_[index]; }
  /// "io_uring (…)" of the first worker; the others' may differ if resources ran out.
  const std::string& description() const noexcept { return description_; }

  /// Ends every loop after its current turn. From any thread or signal handler, until `join`.
  void stop() noexcept;
  /// Waits until every loop has ended and its set-up is destroyed. Once, from the owner's thread.
  void join();

 private:
  struct Shared;
  class Thread;
  explicit Workers(std::uint32_t count);

  std::shared_ptr<Shared> shared_;
  std::vector<Runtime*> runtimes_;  // they live in their threads until `join`
  std::string description_;
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace tern::engine
