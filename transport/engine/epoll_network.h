#pragma once

#include <array>
#include <memory>
#include <string>
#include <sys/epoll.h>
#include <vector>

#include "transport/engine/engine_network.h"
#include "transport/engine/epoll_tcp.h"
#include "transport/engine/receive_slots.h"

namespace tern::engine {

/// The same with epoll: recvmmsg into GRO-sized buffers, sendmmsg of GSO batches from `submit`,
/// epoll_pwait2 for timers. Sets the thread's timer slack (prctl(2)) to 1 ns.
class EpollNetwork final : public EngineNetwork {
 public:
  /// Messages (each of up to 64 coalesced datagrams) that one turn takes, shared equally by the
  /// sockets that have any; and sockets that one wait may report.
  static constexpr std::size_t kMaxBatch = 64;
  static constexpr std::size_t kMaxEvents = 256;

  EpollNetwork(const EngineOptions& options, std::string description);
  ~EpollNetwork() override;
  Result<void> open_all();

  Duration wait(Timestamp deadline) override;
  void reap(Timestamp now) override;
  void submit(udp::Slab* slab) override;
  tcp::Network& tcp() override;
  void close(SocketState& socket) override;
  void pause(SocketState& socket) override;
  void resume(SocketState& socket) override;

 private:
  struct EpollSocket;
  Result<std::unique_ptr<udp::Socket>> take_in(UdpSocket&& opened, udp::Sink& sink,
                                               bool paused) override;
  /// Messages of one socket, in the slots.
  struct Batch {
    EpollSocket* socket;  // null: closed meanwhile
    std::size_t first;
    std::size_t count;
  };

  Result<void> poll_interfaces(int fd) override;
  void take_events(int count);
  void receive_all();
  bool take_readable();
  void read(EpollSocket& socket, std::size_t most);
  bool read_at_once(EpollSocket& socket, std::size_t most);
  void deliver_batches();
  void send_backlog(EpollSocket& socket);
  void watch_writable(EpollSocket& socket, bool on);
  void watch(EpollSocket& socket);
  Duration sleep(Timestamp start, Timestamp deadline);
  int look() noexcept;
  int sleep_for(Duration duration);

  int epoll_ = -1;
  bool has_pwait2_ = true;
  std::array<epoll_event, kMaxEvents> events_;
  std::size_t event_count_ = 0;
  std::unique_ptr<ReceiveSlots> slots_;
  // While a turn receives, and of what a poll has read for it:
  std::size_t slots_used_ = 0;
  std::vector<EpollSocket*> readable_;
  std::vector<Batch> batches_;
  std::vector<std::unique_ptr<EpollSocket>> sockets_;
  std::vector<EpollSocket*> touched_;  // while a slab is submitted
  std::unique_ptr<EpollTcp> tcp_;      // once somebody wanted it
};

}  // namespace tern::engine
