#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tern {

/// One counter or gauge. One thread writes, any thread may read.
class Counter {
 public:
  void add(std::uint64_t count = 1) noexcept {
    // A single writer needs no locked read-modify-write.
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// The registry: one per runtime, so that counting shares nothing; whoever prints adds the workers'
/// snapshots. Names are dotted and lower-case, e.g. "quic.packets_received",
/// "quic.dropped.no_connection". A counter lives as long as its registry; look it up once and keep
/// the reference. `at` only on the runtime's thread, `snapshot` on any, also while `at` adds one.
class Counters {
 public:
  Counters() = default;
  Counters(const Counters&) = delete;
  Counters& operator=(const Counters&) = delete;

  Counter& at(std::string_view name);
  /// Name and value, sorted by name.
  std::vector<std::pair<std::string, std::uint64_t>> snapshot() const;

 private:
  struct Named {
    std::string name;
    Counter counter;
  };
  std::deque<Named> counters_;  // a deque keeps references valid
};

}  // namespace tern
