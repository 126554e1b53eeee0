#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "base/runtime.h"
#include "transport/sim/event_queue.h"
#include "transport/sim/link.h"
#include "transport/sim/tcp_model.h"
#include "transport/tcp/network.h"
#include "transport/udp/network.h"

namespace tern::sim {

class SimSocket;
class TcpStack;
class Worker;
class World;

/// A machine: one or more workers (a Runtime on a udp::Network each), sockets, interfaces. Owned by
/// the world; lives as long. Everything that uses a worker must be gone before the world is.
///
/// Addresses. A host has one IPv4 and one IPv6 address of its own that is good on every link
/// (`v4()`, `v6()`; names resolve to it), and each link gives both its ends one more
/// (`Link::v4(host)`). A socket bound to a wildcard address sends from the interface's address, or
/// from the local address of the path it is given. A datagram sent from an interface's address
/// leaves through that interface; any other takes the way with the fewest links, among those the
/// one with the smallest metric at this host, the oldest link first.
class Host final : private EventTarget {
 public:
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host();

  const std::string& name() const noexcept { return name_; }
  World& world() noexcept { return world_; }

  /// Worker 0 is there from the beginning.
  Runtime& runtime(std::size_t worker = 0);
  udp::Network& network(std::size_t worker = 0);
  /// Where `World::log_to` says, with time and host before each line; the runtime's log from the
  /// beginning, and fit for a server's options.
  LogSink& log(std::size_t worker = 0);
  /// One more core: a runtime and a network that share the host's ports with the others through
  /// udp::ReusePort. Returns its index.
  std::size_t add_worker();
  std::size_t workers() const noexcept { return workers_.size(); }

  udp::Address v4(std::uint16_t port = 0) const noexcept;
  udp::Address v6(std::uint16_t port = 0) const noexcept;
  const std::vector<Interface*>& interfaces() const noexcept { return interfaces_; }
  bool forwards() const noexcept { return forwards_; }

  /// Receive coalescing (GRO): consecutive datagrams of one size and sender arrive as one
  /// `Arrival`. Default on.
  Host& coalesce(bool on) noexcept { return coalesce_ = on, *this; }
  /// Send buffers of each worker from now on; default 4. `busy` is how long one stays in flight
  /// after `submit`; default 0: until the worker's next turn.
  Host& slabs(std::size_t count, Duration busy = Duration{0});
  /// Bytes that may wait in one socket; default 4 MiB.
  Host& receive_buffer(std::size_t bytes) noexcept { return receive_buffer_ = bytes, *this; }
  /// How the host's TCP behaves, for connections made from now on. tern::tcp::Network gives them.
  Host& tcp(const TcpModel& model) noexcept { return tcp_model_ = model, *this; }
  /// How long `Network::resolve` takes; default 0: the next turn.
  Host& resolve_delay(Duration delay) noexcept { return resolve_delay_ = delay, *this; }

  /// A crashed or switched-off machine: nothing it sends leaves and nothing reaches it. Its
  /// runtimes go on turning, so that what runs there can be torn down unheard.
  void power_off() noexcept { powered_ = false; }
  void power_on() noexcept { powered_ = true; }

  /// Shows `observer` what this host's own sockets and streams send (direction 0) and what reaches
  /// them (1), as a capture on the machine itself would: before a link loses it, and with the
  /// addresses that they know if the host has a NAT. Null: nobody. It is taken off before it dies.
  void tap(TraceObserver* observer) noexcept { tap_ = observer; }

  /// Datagrams that arrived here and were given to nobody, by verdict.
  std::uint64_t dropped_for(Verdict why) const noexcept {
    return dropped_[static_cast<std::size_t>(why)];
  }
  /// Bytes that this host's TCP sent more than once, or had on their way when their connection
  /// ended, or has still.
  std::uint64_t tcp_bytes_in_vain() const;
  /// What this host's TCP knows of its connection between these two; none: there is no such one.
  std::optional<tcp::StreamInfo> tcp_info(const udp::Address& local,
                                          const udp::Address& remote) const;
  /// UDP sockets, TCP listeners and streams that somebody owns.
  std::size_t open_sockets() const noexcept { return open_sockets_; }

 private:
  friend class Channel;
  friend class Link;
  friend class SimNetwork;
  friend class SimSocket;
  friend class SimTcp;
  friend class TcpStack;
  friend class Topology;
  friend class Worker;
  friend class World;
  Host(World& world, std::uint32_t index, std::string name, bool forwards);

  /// A loopback datagram arrives.
  void fire(std::uint32_t kind, void* argument) override;
  /// From a channel, taken over.
  void arrive(Packet* packet, Interface& interface);
  /// To one of this host's sockets, taken over. `interface` is null for loopback.
  void deliver(Packet* packet, Interface* interface);
  /// What a socket or stream of this host sends; then as `transmit`.
  void send(Packet* packet, Interface* out);
  /// Into `out`'s channel through its NAT, or back to this host if `out` is null; taken over.
  void transmit(Packet* packet, Interface* out);
  bool owns(const udp::Address& address) const noexcept;
  /// Who watches them is told in the workers' next turns.
  void interfaces_changed();
  SimSocket* find_socket(const Packet& packet, const Interface* interface) const;
  std::uint16_t free_port();
  void drop(Packet* packet, Verdict why);
  TraceEvent event_of(const Packet& packet) const noexcept;
  void show(const Packet& packet, std::uint8_t direction) const;

  World& world_;
  std::uint32_t index_;
  std::string name_;
  bool forwards_;
  bool powered_ = true;
  bool coalesce_ = true;
  std::size_t slabs_ = 4;
  Duration slab_busy_{0};
  std::size_t receive_buffer_ = 4 * 1024 * 1024;
  Duration resolve_delay_{0};
  udp::Address v4_, v6_;
  std::vector<Interface*> interfaces_;
  // By port, each list in order of bind. Looked up only.
  std::unordered_map<std::uint16_t, std::vector<SimSocket*>> sockets_;
  std::size_t open_sockets_ = 0;
  std::size_t looping_ = 0;  // loopback datagrams on their way
  std::uint16_t next_port_ = 49152;
  std::array<std::uint64_t, kVerdicts> dropped_{};
  TraceObserver* tap_ = nullptr;
  TcpModel tcp_model_;
  std::unique_ptr<TcpStack> tcp_;
  std::vector<std::unique_ptr<Worker>> workers_;  // last: what runs in them uses the above
};

}  // namespace tern::sim
