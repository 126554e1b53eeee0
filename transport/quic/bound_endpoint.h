#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/runtime.h"
#include "transport/quic/endpoint.h"
#include "transport/udp/network.h"

namespace tern::quic {

/// An `Endpoint` at work: bound to sockets of a network and to the turn of a runtime. Feeds it what
/// arrives, hands its events to each connection's `Application`, sends what it fills. Belongs to
/// the runtime's thread.
class BoundEndpoint final : private TurnHook, private udp::Sink {
 public:
  /// Slabs filled in one turn before the network is read again.
  static constexpr std::size_t kMaxSlabsPerTurn = 32;
  /// Events after which a drain stops where those of a connection end. The requests of as many fit
  /// into a second-level cache; of fewer, every connection's packets would be a flush by
  /// themselves.
  static constexpr std::size_t kDrainEvents = 256;

  /// Makes the protocol of a connection that has become `ready` (its ALPN is known). nullptr closes
  /// the connection. Called in the drain phase.
  using ApplicationFactory = std::function<std::unique_ptr<Application>(Connection&)>;

  /// Runtime and network outlive it; the network is the runtime's driver.
  static Result<std::unique_ptr<BoundEndpoint>> create(Runtime& runtime, udp::Network& network,
                                                       EndpointOptions options);
  ~BoundEndpoint();

  /// Opens one more socket; returns its real address.
  Result<udp::Address> bind(const udp::SocketOptions& options);
  /// One more socket that receives for this endpoint, made with `sink()`.
  void add(std::unique_ptr<udp::Socket> socket) { sockets_.push_back(std::move(socket)); }
  udp::Sink& sink() noexcept { return *this; }
  /// Closes the socket bound to `local`, e.g. after a migration away from it.
  void unbind(const udp::Address& local);

  /// For incoming connections.
  void serve(ApplicationFactory factory) { factory_ = std::move(factory); }
  /// Opens a connection; `factory` makes its protocol. If the connection ends before it is ready,
  /// `failed` is called once in the drain phase with the reason, and the factory never.
  Result<Connection*> connect(const ConnectOptions& options, ApplicationFactory factory,
                              std::function<void(const Error&)> failed);

  /// A datagram from another worker's socket, for one of our connections. Copied already.
  void receive_handed_over(const udp::Path& path, udp::Ecn ecn, MutableBytes datagram);

  Endpoint& endpoint() noexcept { return *endpoint_; }
  Runtime& runtime() noexcept { return runtime_; }
  udp::Network& network() noexcept { return network_; }
  const std::vector<std::unique_ptr<udp::Socket>>& sockets() const noexcept { return sockets_; }

 private:
  struct Outgoing {
    ApplicationFactory factory;
    std::function<void(const Error&)> failed;
  };

  BoundEndpoint(Runtime& runtime, udp::Network& network);

  void drain(Timestamp now) override;
  bool undrained() const override { return undrained_; }
  bool gave_way() const override { return gave_way_; }
  void flush(Timestamp now) override;
  bool pending() const override;
  void receive(udp::Socket& socket, const udp::Arrival& arrival) override;
  void send_failed(udp::Socket& socket, const udp::Path& path, int error) override;
  void unreachable(udp::Socket& socket, const udp::Address& remote, int error,
                   ByteView quoted) override;
  void take_events(bool give_way);
  void dispatch(const Event& event);
  udp::Socket* socket_for(const udp::Address& local) noexcept;

  Runtime& runtime_;
  udp::Network& network_;
  std::unique_ptr<Endpoint> endpoint_;
  ApplicationFactory factory_;
  std::unordered_map<const Connection*, Outgoing> connecting_;
  std::vector<std::unique_ptr<udp::Socket>> sockets_;
  std::vector<udp::Transmit> transmits_;
  Counter& send_errors_;
  std::size_t slabs_filled_ = 0;  // in this turn
  std::size_t drained_ = 0;       // events since the last flush
  bool undrained_ = false;
  bool gave_way_ = false;
  bool out_of_slabs_ = false;  // `Network::wait` returns when one is free
};

}  // namespace tern::quic
