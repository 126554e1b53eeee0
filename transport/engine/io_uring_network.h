#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "transport/engine/engine_network.h"
#include "transport/engine/io_uring_ring.h"
#include "transport/engine/io_uring_tcp.h"
#include "transport/engine/receive_slots.h"

namespace tern::engine {

/// Datagrams through io_uring: one multishot recvmsg per socket into shared provided buffers, one
/// sendmsg entry per Transmit. A turn is one system call; one that sends and then finds nothing to
/// do sleeps in a second, or polls without any (busy_poll.h).
///
/// Sends carry MSG_DONTWAIT, so each is over when the call that submits it returns, and only those
/// that fail leave a completion behind: a turn that only sent does not wake itself, and a send
/// that cannot go out does.
///
/// While it polls, and one socket alone receives, that one is read and written with plain system
/// calls (recvmmsg, sendmmsg), its multishot recvmsg taken back: a datagram that wakes a ring's
/// request, is announced by a flag and fetched in another call takes a microsecond longer.
class IoUringNetwork final : public EngineNetwork {
 public:
  IoUringNetwork(const EngineOptions& options, std::string description,
                 std::unique_ptr<IoUringRing> ring);
  ~IoUringNetwork() override;
  Result<void> open_all() { return open_shared(); }

  /// Sends wait for the next `wait` up to this many bytes, then go at once: while they are in the
  /// cache, and to have their slabs back there.
  static constexpr std::size_t kMaxUnflushed = 128 * 1024;
  /// Messages (each of up to 64 coalesced datagrams) that one turn takes without the ring.
  static constexpr std::size_t kMaxDirectArrivals = 64;

  Duration wait(Timestamp deadline) override;
  void reap(Timestamp now) override;
  void submit(udp::Slab* slab) override;
  tcp::Network& tcp() override;
  void close(SocketState& socket) override;
  void pause(SocketState& socket) override;
  void resume(SocketState& socket) override;

 private:
  struct IoUringSocket;
  Result<std::unique_ptr<udp::Socket>> take_in(UdpSocket&& opened, udp::Sink& sink,
                                               bool paused) override;
  /// The completion of a receive.
  struct Arrived {
    IoUringSocket* socket;
    int result;
    unsigned flags;
  };

  Result<void> poll_interfaces(int fd) override;
  void arm_interfaces();
  void arm_wake();
  Duration sleep(Timestamp deadline);
  void cancel_all(IoUringSocket& socket);
  void arm_receive(IoUringSocket& socket);
  void watch(IoUringSocket& socket);
  void arm_writable(IoUringSocket& socket);
  void begin_direct();
  void end_direct();
  bool read_directly(std::size_t most);
  void deliver_direct();
  void send(SendOperation& operation);
  void send_backlog(IoUringSocket& socket);

  void dispatch(const io_uring_cqe& completion);
  void receive_in_turn();
  void received(const Arrived& arrived, bool contended);
  void receive_without_buffer(IoUringSocket& socket);
  void deliver_buffer(IoUringSocket& socket, std::uint8_t* buffer, int length);
  void reclaim_slabs() override { flush_sends(); }
  void flush_sends();
  bool sends_settled() noexcept;
  void finish_sends(std::size_t count);
  void free_if_unused(IoUringSocket& socket);

  msghdr receive_layout_{};                              // what recvmsg puts before the payload
  std::vector<std::unique_ptr<IoUringSocket>> sockets_;  // closed ones while the kernel uses them
  std::vector<IoUringSocket*> retries_;                  // while sends are finished
  std::vector<SendOperation*> sends_;  // in the submission queue or submitted, oldest first
  std::size_t unflushed_ = 0;          // bytes of sends in the submission queue
  std::size_t buffers_used_ = 0;       // in this reap
  std::vector<Arrived> arrivals_;      // likewise, of several sockets
  std::vector<std::uint8_t> spare_;    // a message's, once buffers ran out while sockets competed
  /// The socket that is read and written without the ring; null: none.
  IoUringSocket* direct_ = nullptr;
  std::unique_ptr<ReceiveSlots> slots_;           // once there was one
  IoUringSocket* direct_arrived_from_ = nullptr;  // whose messages are in the slots
  std::size_t direct_arrived_ = 0;                // how many, for the next reap
  bool reaping_ = false;
  bool wake_armed_ = false;
  int interfaces_fd_ = -1;
  std::unique_ptr<IoUringTcp> tcp_;    // once somebody wanted it
  std::unique_ptr<IoUringRing> ring_;  // last: dies first
};

}  // namespace tern::engine
