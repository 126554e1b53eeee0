#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.h"
#include "base/runtime.h"
#include "base/timer_heap.h"
#include "transport/sim/host.h"
#include "transport/udp/interface_watchers.h"
#include "transport/udp/network.h"

/// The simulator's side of the seam: what a worker sees as its network. Internal to transport/sim.

namespace tern::sim {

class SimNetwork;
class SimTcp;

class SimSocket final : public udp::Socket {
 public:
  SimSocket(SimNetwork& network, udp::Sink& sink, const udp::SocketOptions& options,
            Interface* device);
  ~SimSocket() override;
  const udp::Address& local() const noexcept override { return options_.bind; }

 private:
  friend class Host;
  friend class SimNetwork;
  /// 0: not for this socket; else the more, the better it fits.
  int fit(const Packet& packet, const Interface* interface) const noexcept;
  bool wants_family(const udp::Address& address) const noexcept;

  SimNetwork& network_;
  udp::Sink& sink_;
  udp::SocketOptions options_;
  Interface* device_;
  std::size_t waiting_bytes_ = 0;
};

class SimNetwork final : public udp::Network {
 public:
  /// Datagrams delivered in one `reap`.
  static constexpr std::size_t kMaxReaped = 256;

  SimNetwork(Host& host, Worker& worker, const Random::Key& key);
  ~SimNetwork() override;

  Timestamp now() override;
  UnixSeconds unix_seconds() override;
  Random::Key random_key() override { return key_; }
  Duration wait(Timestamp deadline) override;
  void reap(Timestamp now) override;
  void wake() noexcept override;

  Result<std::unique_ptr<udp::Socket>> open(const udp::SocketOptions& options,
                                            udp::Sink& sink) override;
  udp::Slab* acquire() override;
  void submit(udp::Slab* slab) override;
  void resolve(std::string_view host, std::uint16_t port,
               std::function<void(Result<std::vector<udp::Address>>)> done) override;
  Result<udp::Interfaces> interfaces() override;
  Result<std::unique_ptr<udp::InterfaceWatch>> watch_interfaces(
      std::function<void()> changed) override;
  Result<udp::Address> source_for(const udp::Address& remote) override;
  tcp::Network& tcp() override;
  std::string description() const override { return "simulator (virtual time)"; }
  const Counters& counters() const noexcept override { return counters_; }

  /// When this network wants its next turn: now while something waits to be reaped.
  Timestamp next_deadline() const;
  /// `next_deadline` was taken note of: a later turn need not come for want of slabs again.
  void deadline_noted() noexcept { starved_ = false; }
  /// Tells the watchers in the next turn.
  void interfaces_changed();
  /// Slabs that were acquired and never submitted.
  std::size_t slabs_held() const noexcept;
  /// Datagrams that arrived and were not yet reaped.
  std::size_t waiting() const noexcept { return inbox_.size(); }

 private:
  friend class Host;
  friend class SimSocket;

  struct SimSlab;
  struct Waiting {
    SimSocket* socket;
    Packet* packet;
  };
  struct Failure {
    SimSocket* socket;
    udp::Path path;
    int error;
  };
  struct Lookup {
    Timestamp when;
    Result<std::vector<udp::Address>> result;
    std::function<void(Result<std::vector<udp::Address>>)> done;
  };

  void enqueue(SimSocket& socket, Packet* packet);
  /// Delivers the front of the inbox, with what can be coalesced with it; returns how many.
  std::size_t deliver_front();
  void deliver(SimSocket& socket, const udp::Arrival& arrival, std::size_t datagrams);
  void send(SimSocket& socket, const udp::Transmit& transmit, ByteView bytes);
  /// The interface and source address of a datagram, or an errno value.
  int choose_way(const SimSocket& socket, const udp::Path& path, Interface*& out,
                 udp::Address& source) const;
  void forget(SimSocket& socket);
  Result<std::vector<udp::Address>> look_up(std::string_view host, std::uint16_t port) const;

  Host& host_;
  Worker& worker_;
  Random::Key key_;
  std::vector<std::unique_ptr<SimSlab>> slabs_;
  std::uint64_t turn_ = 0;
  bool starved_ = false;  // acquire() failed: turn again when a slab is free
  std::deque<Waiting> inbox_;
  std::deque<Failure> failures_;
  std::vector<Lookup> lookups_;
  std::vector<std::uint8_t> coalesced_;
  std::unique_ptr<SimTcp> tcp_;  // once somebody wanted it
  udp::InterfaceWatchers watchers_;
  bool tell_watchers_ = false;

  // Named as the engine's.
  Counters counters_;
  Counter& batches_received_ = counters_.at("udp.receive.batches");
  Counter& datagrams_received_ = counters_.at("udp.receive.datagrams");
  Counter& bytes_received_ = counters_.at("udp.receive.bytes");
  Counter& transmits_ = counters_.at("udp.send.batches");
  Counter& datagrams_sent_ = counters_.at("udp.send.datagrams");
  Counter& bytes_sent_ = counters_.at("udp.send.bytes");
  Counter& sends_failed_ = counters_.at("udp.send.failed");
  Counter& slabs_exhausted_ = counters_.at("udp.send.out_of_slabs");
};

/// One core of a host: a runtime, its network, and its place in the world's list of turns.
class Worker final : public TimerNode {
 public:
  /// Turns at one instant of virtual time before the world calls it a livelock.
  static constexpr std::uint64_t kMaxTurnsPerInstant = 100'000;

  Worker(Host& host, std::size_t index, const Random::Key& key);

  Host& host() noexcept { return host_; }
  Runtime& runtime() noexcept { return runtime_; }
  SimNetwork& network() noexcept { return network_; }
  LogSink& log() noexcept { return log_; }

  /// At the latest then, a turn.
  void schedule(Timestamp when);
  /// A turn, now.
  void turn();
  /// Driver::wait of somebody who drives the runtime himself, with `block_on`.
  void wait(Timestamp deadline);

 private:
  friend class World;
  class Log final : public LogSink {
   public:
    explicit Log(Worker& worker) noexcept : worker_(worker) {}
    bool enabled(LogLevel) const noexcept override;
    void line(LogLevel level, std::string_view text) noexcept override;

   private:
    Worker& worker_;
  };

  void expire(Timestamp now) override;
  void reschedule();
  std::string label() const;

  Host& host_;
  std::size_t index_;
  Timestamp scheduled_ = kNever;
  Timestamp last_turn_{};
  std::uint64_t turns_at_instant_ = 0;
  Log log_;
  SimNetwork network_;
  Runtime runtime_;
};

}  // namespace tern::sim
