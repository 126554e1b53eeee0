#pragma once

#include <memory>
#include <vector>

#include "base/counters.h"
#include "transport/sim/tcp_stack.h"
#include "transport/tcp/network.h"

/// Internal to transport/sim.

namespace tern::sim {

class Host;
class Worker;

/// The simulator's side of the seam: what a worker sees as its TCP.
class SimTcp final : public tcp::Network {
 public:
  SimTcp(Host& host, Worker& worker, Counters& counters);
  ~SimTcp() override;

  Result<std::unique_ptr<tcp::Listener>> listen(const tcp::ListenOptions& options,
                                                tcp::ListenSink& sink) override;
  Result<std::unique_ptr<tcp::Stream>> connect(const tcp::ConnectOptions& options,
                                               tcp::StreamSink& sink) override;

  /// Callbacks are due.
  bool due() const noexcept { return !pending_.empty() || !ready_.empty() || !dirty_.empty(); }
  /// Sends what was written; at the end of a turn.
  void flush();
  void reap(Timestamp now);
  void schedule(TcpConnection& connection);
  void write_later(TcpConnection& connection);
  void schedule(const std::shared_ptr<TcpListening>& listening);

  // For the handles.
  void stream_gone();
  void close(TcpListening& listening);

  Counter& accepted;
  Counter& connected;
  Counter& failed;
  Counter& bytes_received;

 private:
  Interface* find_device(const std::string& name) const;

  Host& host_;
  Worker& worker_;
  std::size_t handles_ = 0;
  std::vector<std::shared_ptr<TcpConnection>> pending_, turning_, dirty_;
  std::vector<std::shared_ptr<TcpListening>> ready_;
};

}  // namespace tern::sim
