#include "transport/engine/workers.h"

#include <atomic>
#include <future>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <thread>

#include "tests/unit/engine/engine_fixture.h"

namespace tern::engine {
namespace {

class WorkersTest : public testing::TestWithParam<EngineKind> {
 protected:
  WorkersOptions options(std::uint32_t count) {
    return WorkersOptions().count(count).engine(EngineOptions().kind(GetParam()));
  }
};

INSTANTIATE_TEST_SUITE_P(Engine, WorkersTest, testing::ValuesIn(available_engines()), engine_name);

/// Says when it is destroyed, and where.
struct Tracked {
  explicit Tracked(std::function<void()> at_end) : at_end_(std::move(at_end)) {}
  ~Tracked() { at_end_(); }
  std::function<void()> at_end_;
};

TEST_P(WorkersTest, SetsUpInOrderEachOnItsOwnThread) {
  std::vector<std::uint32_t> order;  // set-up is serialised: no lock
  std::vector<std::thread::id> made;
  std::mutex mutex;
  std::vector<std::thread::id> destroyed;
  auto workers = Workers::start(options(4), [&](Worker& worker) -> Workers::SetUpResult {
    EXPECT_EQ(worker.count(), 4U);
    order.push_back(worker.index());
    made.push_back(std::this_thread::get_id());
    return std::make_shared<Tracked>([&] {
      const std::lock_guard lock(mutex);
      destroyed.push_back(std::this_thread::get_id());
    });
  });
  ASSERT_TRUE(workers) << workers.error().to_string();
  EXPECT_EQ((*workers)->size(), 4U);
  EXPECT_THAT((*workers)->description(), testing::HasSubstr(std::string(name(GetParam()))));
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 2, 3));
  (*workers)->stop();
  (*workers)->join();
  EXPECT_THAT(destroyed, testing::UnorderedElementsAreArray(made));
  EXPECT_THAT(made, testing::Not(testing::Contains(std::this_thread::get_id())));
}

TEST_P(WorkersTest, LoopsRunWorkFromOtherThreads) {
  auto workers =
      Workers::start(options(2), [](Worker&) -> Workers::SetUpResult { return nullptr; });
  ASSERT_TRUE(workers) << workers.error().to_string();
  std::vector<std::future<std::thread::id>> threads;
  for (std::uint32_t i = 0; i < 2; ++i) {
    auto promise = std::make_shared<std::promise<std::thread::id>>();
    threads.push_back(promise->get_future());
    (*workers)->runtime(i).submit([promise] { promise->set_value(std::this_thread::get_id()); });
  }
  EXPECT_NE(threads[0].get(), threads[1].get());
}

TEST_P(WorkersTest, NoLoopRunsBeforeAllAreSetUp) {
  std::atomic<bool> ran{false};
  auto workers = Workers::start(options(3), [&](Worker& worker) -> Workers::SetUpResult {
    EXPECT_FALSE(ran.load());
    worker.runtime().submit([&] { ran.store(true); });
    return nullptr;
  });
  ASSERT_TRUE(workers);
  auto done = std::make_shared<std::promise<void>>();
  (*workers)->runtime(0).submit([done] { done->set_value(); });
  done->get_future().get();
  EXPECT_TRUE(ran.load());
}

TEST_P(WorkersTest, TheFirstErrorEndsAll) {
  std::atomic<int> alive{0};
  const auto workers = Workers::start(options(4), [&](Worker& worker) -> Workers::SetUpResult {
    if (worker.index() == 2) return fail(Error::invalid("no certificate"));
    EXPECT_LT(worker.index(), 2U);
    ++alive;
    return std::make_shared<Tracked>([&] { --alive; });
  });
  ASSERT_FALSE(workers);
  EXPECT_EQ(workers.error().detail, "no certificate");
  EXPECT_EQ(alive.load(), 0);
}

TEST_P(WorkersTest, JoinWaitsForALoopThatStopsItself) {
  auto workers = Workers::start(options(1), [](Worker& worker) -> Workers::SetUpResult {
    Runtime& runtime = worker.runtime();
    runtime.submit([&runtime] { runtime.submit([&runtime] { runtime.stop(); }); });
    return nullptr;
  });
  ASSERT_TRUE(workers);
  (*workers)->join();
  EXPECT_EQ((*workers)->size(), 0U);
}

TEST_P(WorkersTest, BlocksSignalsAndPinsToCpus) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  int cpu = 0;
  while (!CPU_ISSET(static_cast<std::size_t>(cpu), &allowed)) ++cpu;

  sigset_t mask;
  cpu_set_t affinity;
  std::string thread_name;
  auto workers =
      Workers::start(options(1).cpus({cpu}).name("worker"), [&](Worker&) -> Workers::SetUpResult {
        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        sched_getaffinity(0, sizeof affinity, &affinity);
        char buffer[32];
        pthread_getname_np(pthread_self(), buffer, sizeof buffer);
        thread_name = buffer;
        return nullptr;
      });
  ASSERT_TRUE(workers) << workers.error().to_string();
  EXPECT_EQ(sigismember(&mask, SIGTERM), 1);
  EXPECT_EQ(sigismember(&mask, SIGUSR1), 1);
  EXPECT_EQ(CPU_COUNT(&affinity), 1);
  EXPECT_TRUE(CPU_ISSET(static_cast<std::size_t>(cpu), &affinity));
  EXPECT_EQ(thread_name, "worker-0");

  sigset_t own;
  pthread_sigmask(SIG_SETMASK, nullptr, &own);
  EXPECT_EQ(sigismember(&own, SIGTERM), 0);  // the caller's mask is as it was
}

TEST_P(WorkersTest, ImpossibleCountsAndCpusAreErrors) {
  const auto nothing = [](Worker&) -> Workers::SetUpResult { return nullptr; };
  EXPECT_FALSE(Workers::start(options(0), nothing));
  EXPECT_FALSE(Workers::start(options(257), nothing));
  const auto pinned = Workers::start(options(1).cpus({1 << 20}), nothing);
  ASSERT_FALSE(pinned);
  EXPECT_THAT(pinned.error().detail, testing::HasSubstr("CPU"));
}

}  // namespace
}  // namespace tern::engine
