#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/timer_heap.h"
#include "transport/sim/packet.h"
#include "transport/sim/tcp_receiver.h"
#include "transport/sim/tcp_sender.h"
#include "transport/tcp/network.h"

/// Internal to transport/sim.

namespace tern::sim {

class SimTcp;
class TcpStack;
struct Interface;
struct TcpListening;

/// A connection: the part a kernel has, from SYN to the last acknowledgment (RFC 9293), and below
/// it what its stream's owner sees. The stack has it while segments may come, the stream's handle
/// while that lives.
class TcpConnection final : public std::enable_shared_from_this<TcpConnection> {
 public:
  static constexpr unsigned kMaxSyns = 7;     // tcp_syn_retries + 1
  static constexpr unsigned kMaxSynAcks = 6;  // tcp_synack_retries + 1
  static constexpr Duration kAckDelay = std::chrono::milliseconds(40);
  static constexpr unsigned kQuickAcks = 16;
  static constexpr std::int8_t kWindowScale = 7;
  static constexpr std::size_t kMaxDelivery = 64 * 1024;  // in one StreamSink::receive

  struct Ends {
    udp::Address local;
    udp::Address remote;
    Interface* device = nullptr;
  };

  TcpConnection(TcpStack& stack, const Ends& ends, const tcp::StreamOptions& options);
  TcpConnection(const TcpConnection&) = delete;
  TcpConnection& operator=(const TcpConnection&) = delete;

  const Ends& ends() const noexcept { return ends_; }

  // ---- for the stack
  /// Sends the first SYN.
  void connect(SimTcp& network, tcp::StreamSink& sink, Duration timeout);
  /// Answers a SYN.
  void answer(std::shared_ptr<TcpListening> listening, const Packet& syn);
  void receive(const Packet& packet);
  /// The listener is gone before it accepted.
  void drop();

  // ---- for the listener and the stream's handle
  void adopt(SimTcp& network, tcp::Stream& handle) noexcept;
  void attach(tcp::StreamSink& sink);
  Result<void> write(Bytes bytes);
  std::size_t queued() const noexcept { return queued_; }
  std::size_t low_water() const noexcept { return options_.low_water(); }
  void finish();
  void reset();
  /// What was written in this turn goes out.
  void flush() { pump(); }
  void pause() noexcept { paused_ = true; }
  void resume();
  bool paused() const noexcept { return paused_; }
  /// Sent, and not acknowledged yet.
  std::uint64_t bytes_under_way() const;
  tcp::StreamInfo info() const;
  /// The handle is gone.
  void abandon();
  /// Callbacks, from Driver::reap.
  void turn(Timestamp now);

  bool scheduled = false;  // for SimTcp
  bool dirty = false;      // likewise

 private:
  enum class Phase : std::uint8_t { syn_sent, syn_received, open, over };

  bool wants_bytes() const noexcept { return !paused_ && sink_ != nullptr && !end_told_; }
  Timestamp now() const noexcept;
  void changed();
  void take_options(const TcpHeader& syn);
  void establish(const TcpHeader& header, unsigned transmissions);
  void receive_open(const Packet& packet);
  void receive_answer(const Packet& packet);
  void acknowledged(const TcpHeader& header, std::uint64_t until);
  void take_bytes(const Packet& packet, std::uint64_t begin);

  TcpHeader head(std::uint8_t flags);
  void send_syn();
  void send_segment(const TcpSender::Segment& segment);
  void send_acknowledgment();
  void send_probe();
  void send_reset();
  /// Sends what may be sent, and sets the clocks.
  void pump();
  void set_clock();
  void sender_due(Timestamp now);
  void handshake_due(Timestamp now);
  void keep_alive_due(Timestamp now);
  void end_if_done();
  void fail(int error);
  /// Out of the stack; `wait`: into TIME_WAIT.
  void leave(bool wait);
  void free_slot();

  std::uint32_t clock() const noexcept;
  std::optional<Timestamp> echoed(const TcpHeader& header) const noexcept;
  std::uint32_t wire_out(std::uint64_t position) const noexcept {
    return initial_ + static_cast<std::uint32_t>(position);
  }
  std::uint32_t wire_in(std::uint64_t position) const noexcept {
    return peer_initial_ + static_cast<std::uint32_t>(position);
  }

  TcpStack& stack_;
  Ends ends_;
  tcp::StreamOptions options_;
  Phase phase_ = Phase::syn_sent;
  bool in_stack_ = true;

  // The wire
  std::uint32_t initial_;
  std::uint32_t peer_initial_ = 0;
  std::uint32_t clock_offset_;
  std::uint32_t peer_clock_ = 0;
  std::uint64_t last_acknowledged_ = 0;  // position, as we told the peer
  std::int8_t peer_scale_ = 0;
  std::uint16_t mss_;
  std::optional<TcpSender> sender_;
  std::optional<TcpReceiver> receiver_;
  std::vector<Bytes> early_writes_;  // before the handshake tells the segment's size
  std::size_t early_bytes_ = 0;
  bool fin_wanted_ = false;
  bool closed_first_ = false;
  Timestamp syn_sent_at_{};
  unsigned syns_ = 0;
  bool ack_due_ = false;
  unsigned quick_acks_ = kQuickAcks;
  std::size_t unacknowledged_ = 0;  // bytes received
  Timestamp heard_{};
  unsigned probes_ = 0;

  // The stream's owner
  SimTcp* network_ = nullptr;
  tcp::Stream* handle_ = nullptr;
  tcp::StreamSink* sink_ = nullptr;
  std::shared_ptr<TcpListening> listening_;  // until its slot there is free again
  bool paused_ = false;
  bool attached_ = false;
  bool accepted_ = false;  // by the listener's owner
  bool connected_told_ = true;
  bool end_told_ = false;
  bool above_water_ = false;
  bool lingering_ = false;
  std::size_t queued_ = 0;
  int error_ = 0;
  std::vector<std::uint8_t> delivery_;

  Timer sender_timer_, ack_timer_, handshake_timer_, connect_timer_, keep_alive_timer_,
      linger_timer_;
};

}  // namespace tern::sim
