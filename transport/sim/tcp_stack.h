#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "transport/sim/packet.h"
#include "transport/sim/tcp_connection.h"
#include "transport/sim/tcp_model.h"
#include "transport/tcp/network.h"

/// Internal to transport/sim.

namespace tern::sim {

class Host;
class World;

/// A bound, listening port: the kernel's half of a tcp::Listener.
struct TcpListening {
  SimTcp& network;
  tcp::ListenOptions options;
  tcp::ListenSink& sink;
  Interface* device;
  tcp::Listener* handle = nullptr;
  std::vector<TcpConnection*> half_open{};               // SYN received, in order
  std::deque<std::shared_ptr<TcpConnection>> backlog{};  // connected, to be accepted
  std::size_t open_streams = 0;
  bool scheduled = false;
};

/// A host's TCP: finds the connection or listener of a segment, sends segments, hands out ports.
class TcpStack {
 public:
  static constexpr Duration kTimeWait = std::chrono::seconds(60);
  static constexpr std::size_t kMaxTimeWaits = 65536;  // tcp_max_tw_buckets: the oldest go first

  explicit TcpStack(Host& host);
  TcpStack(const TcpStack&) = delete;
  TcpStack& operator=(const TcpStack&) = delete;
  ~TcpStack();

  // ---- segments
  /// Takes the packet over.
  void receive(Packet* packet, Interface* interface);
  void send(const TcpConnection::Ends& ends, const TcpHeader& header, ByteView bytes);
  /// Sends bytes that `fill` writes; one copy less.
  template <typename Fill>
  void send(const TcpConnection::Ends& ends, const TcpHeader& header, std::size_t size,
            Fill&& fill) {
    Packet* packet = make(ends, header);
    packet->payload.resize(size);
    fill(MutableBytes(packet->payload));
    transmit(packet, ends);
  }
  /// The MSS that the first link to the remote end allows (RFC 6691: options not counted).
  std::uint16_t mss(const TcpConnection::Ends& ends) const;

  // ---- connections
  /// Chooses what the options leave open; an errno value says why there is no way.
  int choose(const tcp::ConnectOptions& options, TcpConnection::Ends& ends);
  std::shared_ptr<TcpConnection> open(const TcpConnection::Ends& ends,
                                      const tcp::StreamOptions& options);
  /// No more segments for it; `wait`: TIME_WAIT, answering with this acknowledgment.
  void remove(TcpConnection& connection, const TcpHeader* wait);

  // ---- listeners
  /// 0, or an errno value.
  int add(const std::shared_ptr<TcpListening>& listening);
  void remove(TcpListening& listening);

  const TcpModel& model() const noexcept;
  World& world() const noexcept;
  TimerHeap& timers() const noexcept;
  Random& random() noexcept { return random_; }
  std::size_t connections() const noexcept { return connections_.size(); }
  /// Bytes that were sent again, or were on their way when their connection ended.
  void note_in_vain(std::uint64_t bytes) noexcept { in_vain_ += bytes; }
  /// With what is on its way now.
  std::uint64_t in_vain() const;
  std::optional<tcp::StreamInfo> info(const udp::Address& local, const udp::Address& remote) const;

 private:
  static constexpr std::uint16_t kFirstPort = 32768;
  static constexpr std::uint16_t kLastPort = 60999;

  struct Key {
    udp::Address local;
    udp::Address remote;
    bool operator==(const Key&) const noexcept = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return key.local.hash() * 31 + key.remote.hash();
    }
  };
  struct Waiting {
    Timestamp until;
    TcpHeader answer;
  };

  Packet* make(const TcpConnection::Ends& ends, const TcpHeader& header);
  void transmit(Packet* packet, const TcpConnection::Ends& ends);
  /// The way out; null with `found`: loopback.
  Interface* way(const TcpConnection::Ends& ends, bool& found) const;
  std::shared_ptr<TcpListening> find_listener(const Packet& packet,
                                              const Interface* interface) const;
  void open_from(const Packet& syn, std::shared_ptr<TcpListening> listening);
  bool answered_in_wait(const Packet& packet);
  void refuse(const Packet& packet);

  Host& host_;
  Random random_;
  // Looked up, or summed over: their order decides nothing.
  std::unordered_map<Key, std::shared_ptr<TcpConnection>, KeyHash> connections_;
  std::unordered_map<std::uint16_t, std::vector<std::shared_ptr<TcpListening>>>
      listeners_;  // in order of bind
  std::unordered_map<Key, Waiting, KeyHash> waiting_;
  std::deque<std::pair<Timestamp, Key>> waits_;
  std::uint16_t next_port_;
  std::uint64_t in_vain_ = 0;
};

}  // namespace tern::sim
