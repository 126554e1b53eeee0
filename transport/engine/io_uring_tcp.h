#pragma once

#include <cstdint>
#include <vector>

#include "transport/engine/io_uring_ring.h"
#include "transport/engine/provided_buffers.h"
#include "transport/engine/tcp_network.h"

namespace tern::engine {

/// TCP on an io_uring that datagram sockets share: a multishot accept for each listener, a
/// multishot receive into shared buffers for each stream.
class IoUringTcp final : public TcpNetwork {
 public:
  static constexpr std::uint16_t kBufferGroup = 1;
  static constexpr std::size_t kBuffers = 256;
  static constexpr std::size_t kBufferSize = 16 * 1024;
  static constexpr std::size_t kFewBuffers = 16;
  static_assert(kBuffers * kBufferSize <= kMaxHeldBytes);

  /// What a completion's user data points to, beside the datagrams' own; in its low bits.
  enum class Tag : std::uint64_t { accept = 4, receive = 5, writable = 6, hangup = 7 };

  /// The ring outlives it, but is closed first: see ~IoUringNetwork.
  IoUringTcp(Driver& driver, Counters& counters, IoUringRing& ring);

  /// A completion of one of its requests, kept for the coming reap.
  void completed(Tag tag, void* object, int result, unsigned flags) {
    completions_.push_back({tag, object, result, flags});
  }

 private:
  struct Completion {
    Tag tag;
    void* object;
    int result;
    unsigned flags;
  };

  Result<void> watch(TcpStream& stream) override;
  Result<void> watch(TcpListener& listener) override;
  void start_receiving(TcpStream& stream) override;
  void stop_receiving(TcpStream& stream) override;
  void wait_until_writable(TcpStream& stream) override;
  void start_accepting(TcpListener& listener) override;
  void stop_accepting(TcpListener& listener) override;
  void stop_accepting_now(TcpListener& listener) override;
  void forget(TcpStream& stream) override;
  void forget(TcpListener& listener) override;
  bool unused(const TcpStream& stream) const noexcept override {
    return !stream.receiving && !stream.polling_writable && !stream.polling_hangup;
  }
  bool unused(const TcpListener& listener) const noexcept override { return !listener.accepting; }
  void receive(TcpStream& stream) override;
  void accept(TcpListener& listener) override;
  void reap_completions() override;

  Result<void> open_buffers();
  void received(TcpStream& stream, int result, unsigned flags);
  void accept_completed(TcpListener& listener, int result, unsigned flags);
  void watch_hangup(TcpStream& stream);
  void cancel(const void* object, Tag tag);

  IoUringRing& ring_;
  ProvidedBuffers buffers_;
  std::size_t buffers_used_ = 0;  // in this reap
  std::vector<Completion> completions_;
  std::vector<TcpStream*> to_rearm_;  // once the turn's buffers are back
};

}  // namespace tern::engine
