#include <cstdint>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "base/log.h"
#include "transport/quic/endpoint.h"
#include "transport/tls/development.h"

/// Packets of an established connection between two endpoints in one process: written by one
/// (`packets_out`), read by the other (`packets_in`), with nothing between them but memory. And
/// what it costs to go to sleep and to wake up (`falls_asleep`, `wakes_up`: docs/decisions/0031).

namespace tern::quic {
namespace {

constexpr UnixSeconds kNow = 1'790'000'000;
constexpr std::size_t kBurst = 32;  // packets that are written, then read, at once

struct Side {
  Side(EndpointOptions options, const udp::Address& own_address, std::uint64_t seed)
      : address(own_address), random(seed) {
    endpoint = *Endpoint::create(std::move(options), timers, random, counters, null_log());
  }

  void drain() {
    Event event;
    while (endpoint->next_event(event)) {
      if (event.type != Event::Type::stream_data) continue;
      received += event.data.size();
      event.connection->consumed(event.stream, event.data.size());
    }
  }

  /// Writes what may be sent now; returns the datagrams' number.
  std::size_t fill(Timestamp now) {
    used = 0;
    transmits.clear();
    endpoint->fill(space, used, transmits, now);
    std::size_t count = 0;
    for (const udp::Transmit& transmit : transmits) {
      count += (transmit.length + transmit.segment_size - 1) / transmit.segment_size;
    }
    return count;
  }

  void receive(Side& from, Timestamp now) {
    for (const udp::Transmit& transmit : from.transmits) {
      udp::Arrival arrival;
      arrival.path = {transmit.path.remote, transmit.path.local};
      arrival.ecn = transmit.ecn;
      arrival.bytes = MutableBytes(from.space).subspan(transmit.offset, transmit.length);
      arrival.segment_size = transmit.segment_size;
      endpoint->receive(arrival, now, kNow);
    }
    from.transmits.clear();
  }

  udp::Address address;
  TimerHeap timers;
  Random random;
  Counters counters;
  std::unique_ptr<Endpoint> endpoint;
  std::vector<std::uint8_t> space = std::vector<std::uint8_t>(udp::Slab::kSize);
  std::vector<udp::Transmit> transmits;
  std::size_t used = 0;
  std::uint64_t received = 0;
};

class Pair {
 public:
  Pair()
      : server_(server_options(), udp::Address::v4(0x0a000001, 4433), 1),
        client_(client_options(), udp::Address::v4(0x0a000002, 50000), 2) {
    ConnectOptions options;
    options.context =
        *tls::ClientContext::create(tls::ClientContextOptions().ca_pem(authority().certificate));
    options.local = client_.address;
    options.remote = server_.address;
    options.server_name = "localhost";
    options.alpn = {"bench"};
    connection_ = *client_.endpoint->connect(options, now_, kNow);
    for (int i = 0; i < 100; ++i) exchange();
    TERN_CHECK(connection_->handshake_confirmed());
    stream_ = *connection_->open_bidi();
    for (int i = 0; i < 200; ++i) {  // until the congestion window is wide
      offer();
      for (int j = 0; j < 8; ++j) exchange();
    }
  }

  void offer() {
    static const Bytes piece = Bytes::take(std::vector<std::uint8_t>(1400, 0x42));
    for (std::size_t i = 0; i < kBurst; ++i) connection_->write(stream_, piece, false);
  }
  std::size_t write() { return client_.fill(now_); }
  void read() { server_.receive(client_, now_); }

  void fall_asleep() {
    const std::uint64_t before = asleep();
    now_ += std::chrono::seconds(20);
    client_.timers.expire(now_);
    TERN_CHECK(before == 0 && asleep() == 1);
  }
  void wake_up() {
    benchmark::DoNotOptimize(connection_->stats());
    TERN_CHECK(asleep() == 0);
  }

  /// Everything else: the events, the acknowledgements, what the pacer held back.
  void settle() {
    server_.drain();
    for (int i = 0; i < 4; ++i) exchange();
  }

 private:
  std::uint64_t asleep() { return client_.counters.at("quic.connections_asleep").value(); }
  static const tls::Identity& authority() {
    static const tls::Identity identity =
        *tls::make_authority(tls::DevelopmentOptions(kNow).days(365));
    return identity;
  }
  static EndpointOptions client_options() {
    EndpointOptions options;
    options.transport.idle_timeout = Duration();  // a connection may sleep for as long as it likes
    return options;
  }
  static EndpointOptions server_options() {
    const tls::Identity leaf = *tls::make_leaf(authority(), tls::DevelopmentOptions(kNow));
    EndpointOptions options = client_options();
    options.server_context = *tls::ServerContext::create(
        tls::ServerContextOptions()
            .certificate(*tls::Certificate::parse(leaf.certificate, leaf.key))
            .alpn({"bench"}));
    return options;
  }

  void exchange() {
    now_ += std::chrono::milliseconds(5);
    client_.timers.expire(now_);
    server_.timers.expire(now_);
    client_.fill(now_);
    server_.receive(client_, now_);
    server_.drain();
    server_.fill(now_);
    client_.receive(server_, now_);
    client_.drain();
  }

  Timestamp now_{std::chrono::seconds(1)};
  Side server_;
  Side client_;
  Connection* connection_ = nullptr;
  StreamId stream_ = -1;
};

void packets_out(benchmark::State& state) {
  Pair pair;
  std::size_t packets = 0;
  for (auto _ : state) {
    state.PauseTiming();
    pair.offer();
    state.ResumeTiming();
    packets += pair.write();
    state.PauseTiming();
    pair.read();
    pair.settle();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(packets));
}
BENCHMARK(packets_out);

void packets_in(benchmark::State& state) {
  Pair pair;
  std::size_t packets = 0;
  for (auto _ : state) {
    state.PauseTiming();
    pair.offer();
    packets += pair.write();
    state.ResumeTiming();
    pair.read();
    state.PauseTiming();
    pair.settle();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(packets));
}
BENCHMARK(packets_in);

void falls_asleep(benchmark::State& state) {
  Pair pair;
  for (auto _ : state) {
    pair.fall_asleep();
    state.PauseTiming();
    pair.wake_up();
    state.ResumeTiming();
  }
}
BENCHMARK(falls_asleep);

void wakes_up(benchmark::State& state) {
  Pair pair;
  for (auto _ : state) {
    state.PauseTiming();
    pair.fall_asleep();
    state.ResumeTiming();
    pair.wake_up();
  }
}
BENCHMARK(wakes_up);

}  // namespace
}  // namespace tern::quic

BENCHMARK_MAIN();
