// Sleeping and waking, and a runtime on top.

#include <atomic>
#include <signal.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "base/runtime.h"
#include "tests/unit/engine/engine_fixture.h"

namespace tern::engine {
namespace {

using testing::ElementsAre;

class WaitTest : public EngineTest {};

INSTANTIATE_TEST_SUITE_P(Engine, WaitTest, testing::ValuesIn(available_engines()), engine_name);

TEST_P(WaitTest, EndsAtItsDeadline) {
  for (const Duration length : {Duration(50us), Duration(700us), Duration(3ms)}) {
    const Timestamp deadline = network->now() + length;
    int waits = 0;
    while (network->now() < deadline) {
      network->wait(deadline);
      network->reap(network->now());
      ASSERT_LT(++waits, 10) << "it spins";
    }
  }
}

TEST_P(WaitTest, DoesNotSleepPastADeadlineThatHasCome) {
  // Would hang here if it did.
  for (int i = 0; i < 1000; ++i) network->wait(network->now() - 1s);
  for (int i = 0; i < 1000; ++i) network->wait(Timestamp());
}

TEST_P(WaitTest, TellsHowLongThereWasNothing) {
  const Timestamp start = network->now();
  Duration idle{};
  while (idle < 2ms) {
    idle += network->wait(network->now() + 1ms);
    network->reap(network->now());
  }
  EXPECT_LE(idle, network->now() - start);
  EXPECT_EQ(network->wait(network->now() - 1s), 0ns);
  network->wake();
  EXPECT_EQ(network->wait(kNever), 0ns);

  // What is there already is no reason to idle; a wait may look longer than it was.
  Recorder recorder;
  const auto socket = bind(recorder, "127.0.0.1:0");
  turn_once(*network);
  do {
    send(*socket, socket->local(), "x");
    ASSERT_TRUE(turn_until([&] { return !recorder.datagrams.empty(); }));
    recorder.datagrams.clear();
    const int raw = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const udp::Address to = socket->local();
    ::sendto(raw, "x", 1, 0, to.data(), to.size());
    ::close(raw);
    idle = network->wait(kNever);
    network->reap(network->now());
  } while (idle != 0ns);
}

TEST_P(WaitTest, PollsInsteadOfSleepingWhereWaitsAreShort) {
  // So long that a busy machine keeps to it as well.
  const auto patient = make(EngineOptions().busy_poll(500ms));
  const auto counted = [&](std::string_view name) { return count(*patient, name); };
  const auto wait_for = [&](Duration length) {
    const Timestamp deadline = patient->now() + length;
    while (patient->now() < deadline) {
      patient->wait(deadline);
      patient->reap(patient->now());
    }
  };
  while (counted("wait.busy_polls") == 0) wait_for(10us);
  EXPECT_EQ(counted("wait.busy_polls_in_vain"), 0u);

  // What arrives ends a poll, and so does a wake.
  Recorder recorder;
  const auto socket = bind(*patient, recorder, "127.0.0.1:0");
  turn_once(*patient);
  std::atomic<bool> woken{false};
  std::thread other([&, to = socket->local()] {
    const int raw = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ::sendto(raw, "x", 1, 0, to.data(), to.size());
    ::close(raw);
    woken = true;
    patient->wake();
  });
  while (recorder.datagrams.empty() || !woken) {
    patient->wait(kNever);
    patient->reap(patient->now());
  }
  other.join();

  // Where nothing comes a poll has its end.
  while (counted("wait.busy_polls_in_vain") == 0) wait_for(600ms);
}

TEST_P(WaitTest, DoesNotPollIfToldSo) {
  const auto sleeping = make(EngineOptions().busy_poll(Duration()));
  for (int i = 0; i < 1000; ++i) {
    sleeping->wait(sleeping->now() + 10us);
    sleeping->reap(sleeping->now());
  }
  EXPECT_EQ(count(*sleeping, "wait.busy_polls"), 0u);
}

TEST_P(WaitTest, SendingAloneDoesNotEndIt) {
  Recorder elsewhere;
  const auto other = make(EngineOptions());
  const auto target = bind(*other, elsewhere, "127.0.0.1:0");
  Recorder recorder;
  const auto socket = bind(recorder, "127.0.0.1:0");
  turn_once(*network);
  // Signals, and rings of earlier tests that are being torn down, may end one wait; not each.
  bool slept = false;
  std::size_t sent = 0;
  while (!slept && sent < 20) {
    send(*socket, target->local(), std::string(5000, 'x'), 1000);
    ++sent;
    const Timestamp deadline = network->now() + 2ms;
    network->wait(deadline);
    slept = network->now() >= deadline;
    network->reap(network->now());
  }
  EXPECT_TRUE(slept);
  ASSERT_TRUE(turn_until(*other, [&] { return elsewhere.datagrams.size() == 5 * sent; }));
}

TEST_P(WaitTest, AFailedSendEndsIt) {
  Recorder recorder;
  const auto socket = bind(recorder, "127.0.0.1:0");
  turn_once(*network);
  send(*socket, address("192.0.2.1:9"), "nowhere");
  while (recorder.failures.empty()) {
    network->wait(kNever);
    network->reap(network->now());
  }
}

TEST_P(WaitTest, AnArrivalEndsIt) {
  Recorder recorder;
  const auto socket = bind(recorder, "127.0.0.1:0");
  const udp::Address to = socket->local();
  std::thread sender([to] {
    const int raw = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ::sendto(raw, "x", 1, 0, to.data(), to.size());
    ::close(raw);
  });
  while (recorder.datagrams.empty()) {
    network->wait(kNever);
    network->reap(network->now());
  }
  sender.join();
}

TEST_P(WaitTest, WakeBeforeAWaitIsKept) {
  turn_once(*network);
  for (int i = 0; i < 100; ++i) {
    network->wake();
    network->wake();
    network->wait(kNever);
    network->reap(network->now());
  }
}

TEST_P(WaitTest, WakeFromAnotherThread) {
  std::atomic<int> asked{0};
  std::atomic<bool> done{false};
  std::thread other([&] {
    for (int i = 1; i <= 400; ++i) {
      asked.store(i);
      network->wake();
      if (i % 64 == 0) std::this_thread::yield();
    }
    done.store(true);
    network->wake();
  });
  // No wake may be lost: after the last one this loop must see `done`.
  while (!done.load()) {
    network->wait(kNever);
    network->reap(network->now());
  }
  other.join();
  EXPECT_EQ(asked.load(), 400);
}

udp::Network* woken_by_signal = nullptr;

TEST_P(WaitTest, WakeFromASignalHandler) {
  woken_by_signal = network.get();
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = [](int) { woken_by_signal->wake(); };
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  turn_once(*network);
  const pthread_t self = pthread_self();
  std::thread killer([self] { pthread_kill(self, SIGUSR1); });
  network->wait(kNever);
  killer.join();
  ASSERT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
  woken_by_signal = nullptr;
}

Task<void> note(Runtime& runtime, Duration delay, int number, std::vector<int>& order) {
  const Timestamp due = runtime.now() + delay;
  co_await runtime.sleep(delay);
  EXPECT_GE(runtime.now(), due);
  order.push_back(number);
}

TEST_P(WaitTest, TimersOfARuntimeFireInOrder) {
  std::vector<int> order;
  Runtime runtime(*network);
  runtime.spawn(note(runtime, 4ms, 4, order));
  runtime.spawn(note(runtime, 1ms, 1, order));
  runtime.spawn(note(runtime, 3ms, 3, order));
  runtime.spawn(note(runtime, 200us, 0, order));
  runtime.spawn(note(runtime, 2ms, 2, order));
  while (order.size() < 5) runtime.turn();
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4));
}

TEST_P(WaitTest, SubmittedWorkAndStopReachASleepingRuntime) {
  Runtime runtime(*network);
  std::atomic<int> ran{0};
  std::thread other([&] {
    for (int i = 0; i < 500; ++i) runtime.submit([&] { ++ran; });
    runtime.submit([&] { runtime.stop(); });
  });
  runtime.run();
  other.join();
  EXPECT_EQ(ran.load(), 500);
}

}  // namespace
}  // namespace tern::engine
