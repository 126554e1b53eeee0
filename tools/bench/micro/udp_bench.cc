// What a batch of datagrams costs each engine, kernel included: one thread sends over loopback to
// itself or to a socket that drops everything, so that CPU time is the cost of a turn.

#include <cstring>
#include <linux/filter.h>
#include <memory>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <benchmark/benchmark.h>

#include "transport/engine/engine.h"

namespace tern::engine {
namespace {

constexpr std::uint32_t kDatagram = 1452;

struct Counter final : udp::Sink {
  std::size_t datagrams = 0;
  void receive(udp::Socket&, const udp::Arrival& arrival) override {
    datagrams += (arrival.bytes.size() + arrival.segment_size - 1) / arrival.segment_size;
  }
  void send_failed(udp::Socket&, const udp::Path&, int) override {}
};

/// Takes what is sent to it no further than its filter: leaves the cost of sending.
class Drain {
 public:
  Drain() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    sock_fprog program{};
    program.len = 1;
    program.filter = &drop;
    ::setsockopt(fd_, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    const int on = 1;  // else the kernel segments each batch for it
    ::setsockopt(fd_, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    udp::Address any = udp::Address::v4(INADDR_LOOPBACK, 0);
    ::bind(fd_, any.data(), any.size());
    sockaddr_in name{};
    socklen_t length = sizeof name;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &length);
    address_ = udp::Address::from(reinterpret_cast<sockaddr*>(&name), length);
  }
  ~Drain() { ::close(fd_); }
  const udp::Address& address() const { return address_; }

 private:
  int fd_;
  udp::Address address_;
};

class Bench {
 public:
  explicit Bench(benchmark::State& state, EngineKind kind) {
    auto opened = open(EngineOptions().kind(kind));
    if (!opened) {
      state.SkipWithError(opened.error().detail.c_str());
      return;
    }
    network = std::move(*opened);
    udp::SocketOptions options;
    options.bind = udp::Address::v4(INADDR_LOOPBACK, 0);
    from = *network->open(options, counter);
    to = *network->open(options, counter);
  }
  explicit operator bool() const { return network != nullptr; }

  /// `transmits` of `segments` datagrams each, as many to a slab as fit.
  void send(const udp::Address& target, std::size_t transmits, std::uint32_t segments,
            std::uint32_t size = kDatagram) {
    udp::Slab* slab = network->acquire();
    std::uint32_t used = 0;
    for (std::size_t i = 0; i < transmits; ++i) {
      if (used + segments * size > udp::Slab::kSize) {
        network->submit(slab);
        slab = network->acquire();
        used = 0;
      }
      udp::Transmit transmit;
      transmit.path.remote = target;
      transmit.ecn = udp::Ecn::ect0;
      transmit.offset = used;
      transmit.length = segments * size;
      transmit.segment_size = size;
      slab->add(*from, transmit);
      used += transmit.length;
    }
    network->submit(slab);
  }
  void turn() {
    network->wait(network->now());
    network->reap(network->now());
  }

  Counter counter;
  std::unique_ptr<udp::Network> network;
  std::unique_ptr<udp::Socket> from;
  std::unique_ptr<udp::Socket> to;
};

void report(benchmark::State& state, std::size_t datagrams, std::uint32_t size = kDatagram) {
  state.SetItemsProcessed(static_cast<std::int64_t>(datagrams));
  state.SetBytesProcessed(static_cast<std::int64_t>(datagrams * size));
}

void send_only(benchmark::State& state, EngineKind kind) {
  Bench bench(state, kind);
  if (!bench) return;
  const Drain drain;
  const auto transmits = static_cast<std::size_t>(state.range(0));
  const auto segments = static_cast<std::uint32_t>(state.range(1));
  std::size_t datagrams = 0;
  for (auto _ : state) {
    bench.send(drain.address(), transmits, segments);
    bench.turn();
    datagrams += transmits * segments;
  }
  report(state, datagrams);
}

void send_and_receive(benchmark::State& state, EngineKind kind) {
  Bench bench(state, kind);
  if (!bench) return;
  const auto transmits = static_cast<std::size_t>(state.range(0));
  const auto segments = static_cast<std::uint32_t>(state.range(1));
  std::size_t datagrams = 0;
  for (auto _ : state) {
    bench.send(bench.to->local(), transmits, segments);
    datagrams += transmits * segments;
    while (bench.counter.datagrams < datagrams) bench.turn();
  }
  report(state, datagrams);
}

/// A turn that finds nothing: what a runtime with work of its own pays for looking.
void empty_turn(benchmark::State& state, EngineKind kind) {
  Bench bench(state, kind);
  if (!bench) return;
  for (auto _ : state) bench.turn();
}

// {transmits a turn, datagrams a transmit}
#define TERN_UDP_BENCH(function)                              \
  BENCHMARK_CAPTURE(function, epoll, EngineKind::epoll)       \
      ->Args({1, 1})                                          \
      ->Args({16, 1})                                         \
      ->Args({1, 16})                                         \
      ->Args({1, 45})                                         \
      ->Args({4, 45});                                        \
  BENCHMARK_CAPTURE(function, io_uring, EngineKind::io_uring) \
      ->Args({1, 1})                                          \
      ->Args({16, 1})                                         \
      ->Args({1, 16})                                         \
      ->Args({1, 45})                                         \
      ->Args({4, 45})
TERN_UDP_BENCH(send_only);
TERN_UDP_BENCH(send_and_receive);
BENCHMARK_CAPTURE(empty_turn, epoll, EngineKind::epoll);
BENCHMARK_CAPTURE(empty_turn, io_uring, EngineKind::io_uring);

}  // namespace
}  // namespace tern::engine

BENCHMARK_MAIN();
