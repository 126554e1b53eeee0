#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "gateway/server_shared.h"
#include "gateway/stream_server.h"
#include "http3/context.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/udp/network.h"

namespace tern {

class Forwarder;

/// One worker of a server: its endpoint and its connections, on one runtime and thread.
class ServerWorker final : public std::enable_shared_from_this<ServerWorker>, private TurnHook {
 public:
  /// How long the close packets get to leave before the worker is done; as often as that, should
  /// there be so many that some are still here, up to kMostLastWords.
  static constexpr Duration kLastWords = std::chrono::milliseconds(20);
  static constexpr Duration kMostLastWords = std::chrono::seconds(2);
  static constexpr std::uint16_t kDefaultPort = 4433;

  /// Binds the server's addresses.
  static Result<std::shared_ptr<ServerWorker>> create(std::shared_ptr<ServerShared> shared,
                                                      Runtime& runtime, udp::Network& network,
                                                      std::size_t index);
  ~ServerWorker();

  void use(const ServerShared::Contexts& contexts);
  /// See Server::drain.
  void drain();
  /// See Server::stop.
  void close();
  void receive_handed_over(const udp::Path& path, udp::Ecn ecn, MutableBytes datagram);

  Runtime& runtime() noexcept { return endpoint_->runtime(); }
  std::size_t index() const noexcept { return index_; }

  // The hand-over to another process (server_handover.h), for servers on threads of their own:

  /// Reads, and accepts, nothing more at these addresses; on TCP nobody listens at others …
  void pause(const std::vector<udp::Address>& addresses,
             const std::vector<udp::Address>& listening);
  /// … and, a turn later, takes no new connections; those that there are stay. Returns the IDs that
  /// clients chose for connections whose handshake is not complete.
  std::vector<quic::ConnectionId> leave();
  /// The process after this one has been replaced in turn: this one will not serve again.
  void stop_listening();
  /// Reads at every address; the kernel steers as this server's workers need it.
  void resume();
  /// As before `leave`.
  void return_to_service();
  /// Datagrams of connections that are not here go there. Null: no more.
  void forward_to(std::shared_ptr<const Forwarder> forwarder);

 private:
  ServerWorker(std::shared_ptr<ServerShared> shared, Runtime& runtime, std::size_t index);

  Result<void> open(udp::Network& network);
  std::unique_ptr<quic::Application> accept(quic::Connection& connection);
  Result<void> bind_all();
  Result<udp::Address> bind(udp::Address address);
  Result<udp::Address> bind_both(const udp::Address& address);
  Result<udp::Address> listen(const udp::Address& address, bool cleartext);
  Result<void> listen_again();
  std::size_t connections() const;
  Result<udp::Address> adopt(const udp::Address& address);
  Result<udp::Address> adopt_listeners(const udp::Address& address, bool cleartext);
  void forget_listeners();
  void note_listener(const udp::Address& local, bool cleartext, std::size_t place);
  void note_socket(const udp::Address& local, std::size_t place);
  void deadline_passed();

  void drain(Timestamp now) override;
  void flush(Timestamp) override {}
  bool pending() const override { return false; }

  enum class Phase : std::uint8_t { serving, leaving, draining, closing, ended };

  std::shared_ptr<ServerShared> shared_;
  const std::size_t index_;
  Runtime& runtime_;
  Phase phase_ = Phase::serving;
  bool hooked_ = false;
  http3::Context context_;
  std::unique_ptr<quic::BoundEndpoint> endpoint_;
  std::unique_ptr<StreamServer> streams_;  // TCP; null without
  std::vector<udp::Address> tcp_addresses_;
  Timer tend_keys_;
  Timer deadline_;  // of draining, then of closing
  Timestamp closed_at_{};
  Counter& handed_over_;
  Counter& handed_over_dropped_;
  Counter& forwarded_;
  Counter& forwarded_dropped_;
};

}  // namespace tern
