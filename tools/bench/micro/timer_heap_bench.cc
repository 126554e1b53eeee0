// The timer heap with as many timers as connections: each packet moves its connection's deadline.

#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/random.h"
#include "base/timer_heap.h"

namespace tern {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

std::vector<std::unique_ptr<Timer>> armed_timers(TimerHeap& heap, std::size_t count,
                                                 Random& random) {
  std::vector<std::unique_ptr<Timer>> timers;
  for (std::size_t i = 0; i < count; ++i) {
    timers.push_back(std::make_unique<Timer>(heap, [](Timestamp) {}));
    timers.back()->arm(Timestamp(microseconds(random.below(1'000'000))));
  }
  return timers;
}

void move_later(benchmark::State& state) {
  TimerHeap heap;
  Random random(1);
  const auto count = static_cast<std::size_t>(state.range(0));
  const auto timers = armed_timers(heap, count, random);
  Timestamp now{};
  std::size_t next = 0;
  for (auto _ : state) {
    // A loss timer: pushed out by each acknowledgement, by about a round trip.
    now += microseconds(10);
    timers[next]->arm(now + milliseconds(25) + microseconds(next % 1000));
    next = (next + 7919) % count;
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(move_later)->Arg(1)->Arg(100)->Arg(10'000);

void arm_and_expire(benchmark::State& state) {
  TimerHeap heap;
  Random random(2);
  const auto count = static_cast<std::size_t>(state.range(0));
  const auto timers = armed_timers(heap, count, random);
  Timestamp now{std::chrono::seconds(2)};
  heap.expire(now);
  for (auto _ : state) {
    for (const auto& timer : timers) timer->arm(now + microseconds(random.below(1000)));
    now += milliseconds(1);
    benchmark::DoNotOptimize(heap.expire(now));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * count));
}
BENCHMARK(arm_and_expire)->Arg(1)->Arg(100)->Arg(10'000);

}  // namespace
}  // namespace tern

BENCHMARK_MAIN();
