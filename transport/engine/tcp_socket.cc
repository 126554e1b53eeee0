#include "transport/engine/tcp_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

namespace tern::engine {

namespace {

template <typename Unit>
int rounded_up(Duration duration) noexcept {
  const auto count = std::chrono::ceil<Unit>(duration).count();
  return static_cast<int>(std::clamp<std::int64_t>(count, 0, std::numeric_limits<int>::max()));
}

bool set_option(int fd, int level, int option, int value) noexcept {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/// A sandbox that filters one of these loses that feature only.
void set_stream_options(int fd, const tcp::StreamOptions& options) noexcept {
  if (options.no_delay()) set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
             static_cast<int>(std::min<std::size_t>(options.unsent_low_water(), INT32_MAX)));
  if (options.user_timeout() > Duration{0}) {
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
               rounded_up<std::chrono::milliseconds>(options.user_timeout()));
  }
  if (const auto& probes = options.keep_alive()) {
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE,
               std::max(rounded_up<std::chrono::seconds>(probes->idle), 1));
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL,
               std::max(rounded_up<std::chrono::seconds>(probes->interval), 1));
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT,
               static_cast<int>(std::clamp(probes->probes, 1U, 127U)));
  }
}

Result<void> bind_device(int fd, const std::string& device) {
  if (device.empty()) return {};
  if (::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device.data(),
                   static_cast<socklen_t>(device.size())) == 0) {
    return {};
  }
  return fail(Error::os(errno, "bind to device " + device));
}

template <typename Call>
udp::Address address_of(Call&& call) noexcept {
  sockaddr_in6 name{};
  socklen_t length = sizeof name;
  if (call(reinterpret_cast<sockaddr*>(&name), &length) != 0) return {};
  return udp::Address::from(reinterpret_cast<const sockaddr*>(&name), length);
}

}  // namespace

bool out_of_resources(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

Result<TcpSocket> TcpSocket::listen(const tcp::ListenOptions& options) {
  const udp::Address& bind = options.bind;
  const tcp::ReusePort& group = options.reuse_port;
  if (!bind.specified()) return fail(Error::invalid("a listener needs an address to bind"));
  if (group.count == 0 || group.index >= group.count) {
    return fail(Error::invalid(
        fmt::format("listener {} of a group of {} cannot be", group.index, group.count)));
  }
  const auto failed = [&](int error, std::string_view what) {
    return fail(Error::os(error, fmt::format("{} TCP {}", what, bind.to_string())));
  };
  // As with datagrams: another server's group must not be joined by accident.
  if (group.count > 1 && group.index == 0 && bind.port() != 0) {
    tcp::ListenOptions alone = options;
    alone.reuse_port = tcp::ReusePort();
    if (auto free = TcpSocket::listen(alone); !free) return free;
  }
  const bool v6 = bind.is_v6();
  TcpSocket socket(
      ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int fd = socket.fd();
  if (fd < 0) return failed(errno, "socket for");
  const bool v6_only = options.v6_only || !bind.is_wildcard();
  if (v6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6_only ? 1 : 0)) {
    return failed(errno, "IPV6_V6ONLY on");
  }
  // A server that starts again must not wait for its old connections' TIME_WAIT.
  if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1)) return failed(errno, "SO_REUSEADDR on");
  if (group.count > 1 && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) {
    return failed(errno, "SO_REUSEPORT on");
  }
  if (auto bound = bind_device(fd, options.device); !bound) return fail(std::move(bound).error());
  set_stream_options(fd, options.stream);
  if (::bind(fd, bind.data(), bind.size()) != 0) return failed(errno, "bind");
  const auto backlog = static_cast<int>(std::clamp(options.backlog, 1U, 65535U));
  if (::listen(fd, backlog) != 0) return failed(errno, "listen on");
  return socket;
}

Result<TcpSocket> TcpSocket::open(const tcp::ConnectOptions& options) {
  const udp::Address& remote = options.remote;
  if (!remote.specified() || remote.port() == 0) {
    return fail(Error::invalid("a connection needs an address and a port"));
  }
  TcpSocket socket(
      ::socket(remote.is_v6() ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int fd = socket.fd();
  if (fd < 0) return fail(Error::os(errno, "socket for TCP to " + remote.to_string()));
  if (auto bound = bind_device(fd, options.device); !bound) return fail(std::move(bound).error());
  if (options.local.specified()) {
    if (options.local.is_v6() != remote.is_v6()) {
      return fail(Error::invalid(fmt::format("TCP from {} to {}: one IPv4, one IPv6",
                                             options.local.to_string(), remote.to_string())));
    }
    // The port is then chosen with the remote address known: one serves many connections.
    if (options.local.port() == 0) set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (::bind(fd, options.local.data(), options.local.size()) != 0) {
      return fail(Error::os(errno, "bind TCP " + options.local.to_string()));
    }
  }
  set_stream_options(fd, options.stream);
  return socket;
}

int TcpSocket::connect(const udp::Address& remote) noexcept {
  for (;;) {
    if (::connect(fd_, remote.data(), remote.size()) == 0) return 0;
    if (errno != EINTR) return errno;
  }
}

udp::Address TcpSocket::local() const noexcept {
  return address_of(
      [&](sockaddr* name, socklen_t* length) { return ::getsockname(fd_, name, length); });
}

udp::Address TcpSocket::remote() const noexcept {
  return address_of(
      [&](sockaddr* name, socklen_t* length) { return ::getpeername(fd_, name, length); });
}

int TcpSocket::take_error() noexcept {
  int error = 0;
  socklen_t length = sizeof error;
  return ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

tcp::StreamInfo TcpSocket::info() const noexcept {
  tcp::StreamInfo info;
  tcp_info kernel{};
  socklen_t length = sizeof kernel;
  if (::getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &kernel, &length) != 0) return info;
  using Microseconds = std::chrono::microseconds;
  info.rtt = Microseconds(kernel.tcpi_rtt);
  info.rtt_variance = Microseconds(kernel.tcpi_rttvar);
  // All ones until the first sample.
  if (kernel.tcpi_min_rtt != UINT32_MAX) info.min_rtt = Microseconds(kernel.tcpi_min_rtt);
  info.mss = kernel.tcpi_snd_mss;
  info.congestion_window = std::uint64_t{kernel.tcpi_snd_cwnd} * kernel.tcpi_snd_mss;
  info.in_flight = std::uint64_t{kernel.tcpi_unacked} * kernel.tcpi_snd_mss;
  info.bytes_sent = kernel.tcpi_bytes_sent;
  info.bytes_acknowledged = kernel.tcpi_bytes_acked;
  info.bytes_received = kernel.tcpi_bytes_received;
  info.bytes_retransmitted = kernel.tcpi_bytes_retrans;
  info.segments_retransmitted = kernel.tcpi_total_retrans;
  return info;
}

void TcpSocket::finish() noexcept { ::shutdown(fd_, SHUT_WR); }

void TcpSocket::reset() noexcept {
  // For the close, should the kernel not know the other way.
  const linger abort{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  ::connect(fd_, &nobody, sizeof nobody);
}

void TcpSocket::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace tern::engine
