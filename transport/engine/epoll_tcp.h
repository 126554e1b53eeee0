#pragma once

#include <cstdint>
#include <memory>
#include <sys/epoll.h>

#include "transport/engine/tcp_network.h"

namespace tern::engine {

/// TCP on an epoll set that datagram sockets share. Streams are edge-triggered and registered once,
/// so that pausing and waiting to write cost no call; listeners are level-triggered.
class EpollTcp final : public TcpNetwork {
 public:
  /// Most that one turn delivers of one stream.
  static constexpr std::size_t kMaxReceive = 256 * 1024;

  /// Clients accepted from one listener in a turn.
  static constexpr std::size_t kMaxAccepts = 64;

  EpollTcp(Driver& driver, Counters& counters, int epoll);

  /// Takes the event if it is one of TCP's.
  bool take(const epoll_event& event);

 private:
  static constexpr std::size_t kBufferSize = 64 * 1024;

  Result<void> watch(TcpStream& stream) override;
  Result<void> watch(TcpListener& listener) override;
  void start_receiving(TcpStream& stream) override;
  void stop_receiving(TcpStream&) override {}
  void wait_until_writable(TcpStream&) override {}
  void start_accepting(TcpListener& listener) override { listen_for(listener, EPOLLIN); }
  void stop_accepting(TcpListener& listener) override { listen_for(listener, 0); }
  void forget(TcpStream& stream) override { stream.socket.close(); }
  void forget(TcpListener& listener) override { listener.socket.close(); }
  void receive(TcpStream& stream) override;
  void accept(TcpListener& listener) override;
  void listen_for(TcpListener& listener, std::uint32_t events);

  const int epoll_;
  const std::unique_ptr<std::uint8_t[]> buffer_;
};

}  // namespace tern::engine
