// Which engine runs, why, and what happens where io_uring is forbidden.

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/unit/engine/engine_fixture.h"

namespace tern::engine {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(EngineKind, NamesGoBothWays) {
  for (const EngineKind kind : {EngineKind::automatic, EngineKind::io_uring, EngineKind::epoll}) {
    const auto parsed = parse_engine_kind(name(kind));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, kind);
  }
  const auto wrong = parse_engine_kind("kqueue");
  ASSERT_FALSE(wrong);
  EXPECT_TRUE(wrong.error().is(Code::invalid));
  EXPECT_THAT(wrong.error().detail, HasSubstr("auto, io_uring or epoll"));
}

TEST(EngineChoice, EpollSaysWhatItIs) {
  const auto network = open(EngineOptions().kind(EngineKind::epoll));
  ASSERT_TRUE(network) << network.error().to_string();
  EXPECT_THAT((*network)->description(), StartsWith("epoll (kernel " + kernel_release()));
}

TEST(EngineChoice, AutomaticIsIoUringOrSaysWhyNot) {
  // Holds on every machine: where io_uring is allowed it runs; where not, the reason that the
  // explicit choice fails with is the one that the fallback tells.
  const auto wanted = open(EngineOptions().kind(EngineKind::io_uring));
  const auto chosen = open();
  ASSERT_TRUE(chosen) << chosen.error().to_string();
  if (wanted) {
    EXPECT_THAT((*chosen)->description(), StartsWith("io_uring (kernel " + kernel_release()));
  } else {
    EXPECT_TRUE(wanted.error().is(Code::unsupported));
    constexpr std::string_view kPrefix = "io_uring is not available: ";
    ASSERT_THAT(wanted.error().detail, StartsWith(std::string(kPrefix)));
    EXPECT_THAT((*chosen)->description(),
                StartsWith("epoll (no io_uring: " + wanted.error().detail.substr(kPrefix.size())));
  }
}

TEST(EngineChoice, OffloadCanBeSwitchedOff) {
  for (const EngineKind kind : available_engines()) {
    const auto network = open(EngineOptions().kind(kind).offload(false));
    ASSERT_TRUE(network);
    EXPECT_THAT((*network)->description(), HasSubstr("no GRO, no GSO"));
  }
}

TEST(EngineChoice, ImpossibleOptionsAreErrors) {
  EXPECT_FALSE(open(EngineOptions().receive_buffers(0)));
  EXPECT_FALSE(open(EngineOptions().receive_buffers(48)));
  EXPECT_FALSE(open(EngineOptions().receive_buffers(2048)));
  EXPECT_FALSE(open(EngineOptions().slabs(0)));
  EXPECT_FALSE(open(EngineOptions().slabs(1025)));
  EXPECT_FALSE(open(EngineOptions().busy_poll(std::chrono::nanoseconds(-1))));
  EXPECT_FALSE(open(EngineOptions().busy_poll(std::chrono::milliseconds(1001))));
  EXPECT_TRUE(open(EngineOptions().busy_poll({})));
}

TEST(EngineChoice, FeaturesNameIoUringAndOffloads) {
  const auto found = features();
  std::vector<std::string> names;
  for (const Feature& feature : found) {
    names.push_back(feature.name);
    EXPECT_EQ(feature.available, feature.detail.empty()) << feature.name;
  }
  EXPECT_THAT(names, testing::ElementsAre("io_uring", "UDP GSO", "UDP GRO"));
  EXPECT_EQ(found[0].available, open(EngineOptions().kind(EngineKind::io_uring)).has_value());
}

/// From here on this process gets `error` for the system call, as in a container.
void forbid(long system_call, int error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(system_call), 0, 1),
      BPF_STMT(BPF_RET | BPF_K,
               SECCOMP_RET_ERRNO | (static_cast<unsigned>(error) & SECCOMP_RET_DATA)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{};
  filter.len = static_cast<unsigned short>(std::size(program));
  filter.filter = program;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    std::perror("seccomp");
    std::_Exit(3);
  }
}

class Keeper final : public udp::Sink {
 public:
  void receive(udp::Socket&, const udp::Arrival& arrival) override {
    text += as_text(arrival.bytes);
  }
  void send_failed(udp::Socket&, const udp::Path&, int error) override {
    text += "failed " + std::to_string(error);
  }
  std::string text;
};

/// What a process under that filter does: opens the automatic engine, sends itself a datagram with
/// it, and prints what it is.
[[noreturn]] void live_without(long system_call, int error) {
  forbid(system_call, error);
  const auto explicitly = open(EngineOptions().kind(EngineKind::io_uring));
  if (explicitly || !explicitly.error().is(Code::unsupported)) std::_Exit(4);
  {
    auto network = open();
    if (!network) {
      std::fprintf(stderr, "%s\n", network.error().to_string().c_str());
      std::_Exit(5);
    }
    Keeper keeper;
    udp::SocketOptions options;
    options.bind = udp::Address::v4(INADDR_LOOPBACK, 0);
    auto socket = (*network)->open(options, keeper);
    if (!socket) std::_Exit(6);
    udp::Slab* slab = (*network)->acquire();
    slab->space()[0] = 'k';
    udp::Transmit transmit;
    transmit.path.remote = (*socket)->local();
    transmit.length = transmit.segment_size = 1;
    slab->add(**socket, transmit);
    (*network)->submit(slab);
    while (keeper.text.empty()) {
      (*network)->wait((*network)->now() + 10s);
      (*network)->reap((*network)->now());
    }
    std::fprintf(stderr, "got %s with %s\n", keeper.text.c_str(),
                 (*network)->description().c_str());
  }
  std::_Exit(0);
}

TEST(EngineChoiceDeathTest, SeccompThatRefusesIoUringLeadsToEpoll) {
  EXPECT_EXIT(live_without(SYS_io_uring_setup, EPERM), testing::ExitedWithCode(0),
              "got k with epoll \\(no io_uring: (a seccomp filter|kernel.io_uring_disabled=)");
}

TEST(EngineChoiceDeathTest, AKernelWithoutIoUringLeadsToEpoll) {
  EXPECT_EXIT(live_without(SYS_io_uring_setup, ENOSYS), testing::ExitedWithCode(0),
              "got k with epoll \\(no io_uring: this kernel has no io_uring");
}

TEST(EngineChoiceDeathTest, AnOldKernelLeadsToEpoll) {
  EXPECT_EXIT(live_without(SYS_io_uring_setup, EINVAL), testing::ExitedWithCode(0),
              "got k with epoll \\(no io_uring: kernel .* is older than 6.1");
}

TEST(EngineChoiceDeathTest, AHalfForbiddenIoUringLeadsToEpoll) {
  EXPECT_EXIT(live_without(SYS_io_uring_enter, EPERM), testing::ExitedWithCode(0),
              "got k with epoll \\(no io_uring: ");
  EXPECT_EXIT(live_without(SYS_io_uring_register, EPERM), testing::ExitedWithCode(0),
              "got k with epoll \\(no io_uring: ");
}

TEST(EngineChoiceDeathTest, EpollWithoutPwait2UsesMilliseconds) {
  EXPECT_EXIT(
      {
        forbid(SYS_epoll_pwait2, ENOSYS);
        auto network = open(EngineOptions().kind(EngineKind::epoll));
        const Timestamp deadline = (*network)->now() + 1500us;
        (*network)->wait(deadline);  // rounds up, so a timer is due after one wait
        std::_Exit((*network)->now() >= deadline ? 0 : 7);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace tern::engine
