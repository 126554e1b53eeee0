#include "transport/engine/epoll_tcp.h"

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>

#include "base/check.h"

namespace tern::engine {

namespace {

/// The low bits of an event's data say what its pointer points to; 0 is the datagrams' own.
constexpr std::uint64_t kStream = 1;
constexpr std::uint64_t kListener = 2;
constexpr std::uint64_t kKindMask = 3;

Result<void> enlist(int epoll, int fd, std::uint32_t events, const void* object,
                    std::uint64_t tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = reinterpret_cast<std::uintptr_t>(object) | tag;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return fail(Error::os(errno, "epoll_ctl"));
}

template <typename T>
T& object_of(std::uint64_t data) noexcept {
  return *reinterpret_cast<T*>(static_cast<std::uintptr_t>(data & ~kKindMask));
}

}  // namespace

EpollTcp::EpollTcp(Driver& driver, Counters& counters, int epoll)
    : TcpNetwork(driver, counters), epoll_(epoll), buffer_(new std::uint8_t[kBufferSize]) {}

Result<void> EpollTcp::watch(TcpStream& stream) {
  constexpr std::uint32_t kEdges = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  return enlist(epoll_, stream.socket.fd(), kEdges, &stream, kStream);
}

Result<void> EpollTcp::watch(TcpListener& listener) {
  return enlist(epoll_, listener.socket.fd(), 0, &listener, kListener);
}

void EpollTcp::listen_for(TcpListener& listener, std::uint32_t events) {
  const bool accepting = events != 0;
  if (listener.accepting == accepting || listener.handle == nullptr) return;
  listener.accepting = accepting;
  epoll_event event{};
  event.events = events;
  event.data.u64 = reinterpret_cast<std::uintptr_t>(&listener) | kListener;
  TERN_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_MOD, listener.socket.fd(), &event) == 0);
}

bool EpollTcp::take(const epoll_event& event) {
  switch (event.data.u64 & kKindMask) {
    case kListener: schedule(object_of<TcpListener>(event.data.u64)); return true;
    case kStream: break;
    default: return false;
  }
  auto& stream = object_of<TcpStream>(event.data.u64);
  const bool over = (event.events & (EPOLLHUP | EPOLLERR)) != 0;
  if (over || (event.events & EPOLLRDHUP) != 0) stream.hung_up = true;
  if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) stream.readable = true;
  if (stream.connecting) {
    if (over || (event.events & EPOLLOUT) != 0) stream.may_be_connected = true;
  } else if ((event.events & EPOLLOUT) != 0 && stream.blocked) {
    now_writable(stream);
  }
  schedule(stream);
  return true;
}

void EpollTcp::start_receiving(TcpStream& stream) {
  if (stream.readable) schedule(stream);
}

void EpollTcp::receive(TcpStream& stream) {
  std::size_t budget = kMaxReceive;
  while (stream.readable && stream.wants_bytes()) {
    if (budget == 0) return schedule(stream);
    const std::size_t size = std::min(budget, kBufferSize);
    const ssize_t received = ::recv(stream.socket.fd(), buffer_.get(), size, MSG_DONTWAIT);
    if (received > 0) {
      const auto count = static_cast<std::size_t>(received);
      // What is short was all there is (epoll(7)), unless the end came with it.
      if (count < size && !stream.hung_up) stream.readable = false;
      budget -= count;
      deliver(stream, {buffer_.get(), count});
    } else if (received == 0) {
      stream.readable = false;
      stream.hung_up = false;
      end(stream);
    } else if (errno != EINTR) {
      stream.readable = false;
      if (errno != EAGAIN) fail(stream, errno);
    }
  }
}

void EpollTcp::accept(TcpListener& listener) {
  for (std::size_t tries = 0; tries < kMaxAccepts && has_room(listener); ++tries) {
    const int fd = ::accept4(listener.socket.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      accepted(listener, fd);
    } else if (errno == EAGAIN) {
      return;
    } else if (out_of_resources(errno)) {
      accept_failed(listener, errno);
    }
    // Else it was about one client, who is gone.
  }
  if (!has_room(listener)) stop_accepting(listener);
}

}  // namespace tern::engine
