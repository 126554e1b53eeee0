#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "gateway/server_shared.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/udp/network.h"

namespace tern {

/// One worker of a server: its endpoint and its connections, on one runtime and thread.
class ServerWorker final : private TurnHook {
 public:
  /// How long the close packets get to leave before the worker is done.
  static constexpr Duration kLastWords = std::chrono::milliseconds(20);

  /// Binds the server's addresses. `ended` is called once, on this thread, when the worker has
  /// nothing left to do after drain or close.
  static Result<std::shared_ptr<ServerWorker>> create(std::shared_ptr<ServerShared> shared,
                                                      Runtime& runtime, udp::Network& network,
                                                      std::size_t index,
                                                      std::function<void()> ended);
  ~ServerWorker();

  void use(const std::shared_ptr<const tls::ServerContext>& context);
  /// See Server::drain.
  void drain();
  /// See Server::stop.
  void close();
  void receive_handed_over(const udp::Path& path, udp::Ecn ecn, MutableBytes datagram);

  Runtime& runtime() noexcept { return endpoint_->runtime(); }

 private:
  ServerWorker(std::shared_ptr<ServerShared> shared, Runtime& runtime, std::size_t index,
               std::function<void()> ended);

  Result<void> open(udp::Network& network);
  Result<void> bind_all();
  Result<udp::Address> bind(udp::Address address);
  std::unique_ptr<quic::Application> make_application(quic::Connection& connection);
  void end_soon();

  void drain(Timestamp now) override;
  bool flush(Timestamp) override { return false; }

  enum class Phase : std::uint8_t { serving, draining, closing, ended };

  std::shared_ptr<ServerShared> shared_;
  const std::size_t index_;
  std::function<void()> ended_;
  Runtime& runtime_;
  Phase phase_ = Phase::serving;
  std::unique_ptr<quic::BoundEndpoint> endpoint_;
  Timer tend_keys_;
  Timer deadline_;  // of draining, then of closing
  Counter& handed_over_;
  Counter& handed_over_dropped_;
};

}  // namespace tern
