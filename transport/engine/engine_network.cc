#include "transport/engine/engine_network.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/random.h>
#include <time.h>
#include <utility>

#include "base/check.h"

namespace tern::engine {

namespace {

std::size_t datagrams(std::size_t length, std::size_t segment_size) noexcept {
  return (length + segment_size - 1) / segment_size;
}

}  // namespace

EngineNetwork::EngineNetwork(const EngineOptions& options, std::string description)
    : options_(options), description_(std::move(description)) {}

Result<void> EngineNetwork::open_shared() {
  if (auto opened = waker_->open(); !opened) return opened;
  return pool_.open(options_.slabs());
}

Timestamp EngineNetwork::now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return Timestamp(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

UnixSeconds EngineNetwork::unix_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec;
}

Random::Key EngineNetwork::random_key() {
  Random::Key key;
  // Up to 256 bytes come whole, whatever signals arrive (getrandom(2)).
  TERN_CHECK(::getrandom(key.data(), key.size(), 0) == static_cast<ssize_t>(key.size()));
  return key;
}

udp::Slab* EngineNetwork::acquire() {
  SendSlab* slab = pool_.acquire();
  if (slab != nullptr) return slab;
  reclaim_slabs();
  slab = pool_.acquire();
  if (slab == nullptr) {
    slab_wanted_ = true;
    slabs_exhausted_.add();
  }
  return slab;
}

void EngineNetwork::resolve(std::string_view host, std::uint16_t port, ResolveCallback done) {
  const std::string name(host);
  ResolveResult result;
  if (!resolve_without_lookup(name, port, result)) {
    auto started = resolver_.start(name, port, done);
    if (started) return;
    result = fail(std::move(started).error());
  }
  posted_.push_back(
      [done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
}

EngineNetwork::Next EngineNetwork::complete(SendOperation& operation, int error, bool first) {
  SocketState& socket = *operation.socket;
  if (error == 0) {
    transmits_.add();
    datagrams_sent_.add(datagrams(operation.data.iov_len, operation.transmit->segment_size));
    bytes_sent_.add(operation.data.iov_len);
    if (operation.after_split) socket.segmentation = false;
    release(operation);
    return Next::nothing;
  }
  if (socket.sink == nullptr) {  // closed: dropped
    release(operation);
    return Next::nothing;
  }
  const auto keep = [&] {
    sends_delayed_.add();
    first ? socket.hold_first(operation) : socket.hold(operation);
    return Next::wait_until_writable;
  };
  if (socket.tells_unreachable && error != EAGAIN) {
    take_errors(socket);
    // What ICMP said about an earlier datagram, whoever that was for, fails the next send.
    const bool may_be_icmps = is_unreachable(error) || error == EMSGSIZE || error == EPROTO;
    if (may_be_icmps && !operation.retried) {
      operation.retried = true;
      first ? socket.hold_first(operation) : socket.hold(operation);
      return Next::send_held;
    }
  }
  switch (error) {
    case EAGAIN: return keep();
    case ENOBUFS:
    case ENOMEM:
      if (operation.retried) break;
      operation.retried = true;
      return keep();
    case EIO:
      // The device cannot checksum, so the kernel will not segment for it (udp(7)).
      if (!operation.segmented()) break;
      socket.segmentation = false;
      split(operation, false, first);
      return Next::send_held;
    case EINVAL:
      // No UDP_SEGMENT in this kernel, or something else is wrong: the parts will tell.
      if (!operation.segmented()) break;
      split(operation, true, first);
      return Next::send_held;
    default: break;
  }
  fail_send(operation, error);
  return Next::nothing;
}

bool EngineNetwork::send_held(SocketState& socket) {
  constexpr std::size_t kMaxBatch = 64;
  while (socket.blocked()) {
    std::array<mmsghdr, kMaxBatch> messages;
    unsigned count = 0;
    for (SendOperation* next = socket.backlog_head; next != nullptr && count < kMaxBatch;
         next = next->next) {
      messages[count++] = {next->header, 0};
    }
    const int sent = ::sendmmsg(socket.fd, messages.data(), count, MSG_DONTWAIT | MSG_NOSIGNAL);
    for (int i = 0; i < sent; ++i) complete(socket.next_held(), 0, true);
    if (sent >= 0) continue;
    const int error = errno;  // of the first
    if (error == EINTR) continue;
    if (complete(socket.next_held(), error, true) == Next::wait_until_writable) return false;
  }
  return true;
}

void EngineNetwork::split(SendOperation& whole, bool proves, bool first) {
  SocketState& socket = *whole.socket;
  sends_split_.add();
  std::vector<SendOperation>& parts = whole.slab->split(whole);
  // One that is shorter than a segment goes through also where segments are too large.
  for (SendOperation& part : parts) {
    part.after_split = proves && part.data.iov_len == whole.transmit->segment_size;
  }
  if (first) {
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) socket.hold_first(*part);
  } else {
    for (SendOperation& part : parts) socket.hold(part);
  }
  release(whole);
}

void EngineNetwork::fail_send(SendOperation& operation, int error) {
  sends_failed_.add();
  failures_.push_back({operation.socket, operation.transmit->path, error, std::nullopt});
  release(operation);
}

void EngineNetwork::release(SendOperation& operation) noexcept {
  SendSlab& slab = *operation.slab;
  if (slab.finish_one()) pool_.release(slab);
}

void EngineNetwork::drop_backlog(SocketState& socket) noexcept {
  while (socket.blocked()) release(socket.next_held());
}

void EngineNetwork::forget_failures(SocketState& socket) noexcept {
  std::erase_if(failures_, [&](const Failure& failure) { return failure.socket == &socket; });
  for (Failure& failure : delivering_) {
    if (failure.socket == &socket) failure.socket = nullptr;
  }
}

Result<std::unique_ptr<udp::Socket>> EngineNetwork::open(const udp::SocketOptions& options,
                                                         udp::Sink& sink) {
  TERN_TRY(UdpSocket opened, UdpSocket::open(options, options_));
  return take_in(std::move(opened), sink, false);
}

Result<std::unique_ptr<udp::Socket>> EngineNetwork::adopt(int descriptor, bool group,
                                                          udp::Sink& sink) {
  TERN_TRY(UdpSocket adopted, UdpSocket::adopt(descriptor, group, options_));
  return take_in(std::move(adopted), sink, true);
}

void EngineNetwork::describe(SocketState& state, const UdpSocket& socket, udp::Sink& sink) const {
  state.sink = &sink;
  state.fd = socket.fd();
  state.local = socket.local();
  state.v6 = socket.v6();
  state.default_ecn = socket.default_ecn();
  state.wildcard = state.local.is_wildcard();
  state.tells_unreachable = socket.tells_unreachable();
  state.segmentation = options_.offload();
}

void EngineNetwork::take_errors(SocketState& socket) {
  QueuedError error;
  for (int i = 0; i < kMaxErrors && next_error(socket.fd, error); ++i) {
    if (error.error == 0 || socket.sink == nullptr) continue;
    unreachable_.add();
    if (unreachable_waiting_ == kMaxUnreachable) continue;
    ++unreachable_waiting_;
    udp::Path path;
    path.local = socket.local;
    path.remote = error.remote;
    failures_.push_back({&socket, path, error.error, error.quoted});
  }
}

void EngineNetwork::deliver(SocketState& socket, const udp::Address& remote,
                            const ReceivedControl& control, MutableBytes bytes) {
  if (control.dropped != 0 && control.dropped != socket.dropped) {
    receive_drops_.add(control.dropped - socket.dropped);
    socket.dropped = control.dropped;
  }
  if (bytes.empty() || socket.sink == nullptr) return;
  if (&socket != last_receiver_) {
    last_receiver_ = &socket;
    arrivals_in_a_row_ = 0;
  }
  arrivals_in_a_row_ = std::min(arrivals_in_a_row_ + 1, kArrivalsInARow);
  udp::Arrival arrival;
  arrival.path.local = socket.local;
  if (control.local.specified()) {
    arrival.path.local = control.local;
    arrival.path.local.set_port(socket.local.port());
  }
  arrival.path.remote = remote;
  arrival.ecn = control.ecn;
  arrival.bytes = bytes;
  arrival.segment_size =
      control.segment_size != 0 ? std::min(control.segment_size, bytes.size()) : bytes.size();
  arrivals_.add();
  datagrams_received_.add(datagrams(bytes.size(), arrival.segment_size));
  bytes_received_.add(bytes.size());
  socket.sink->receive(*socket.handle, arrival);
}

void EngineNetwork::run_callbacks() {
  if (!failures_.empty()) {
    delivering_.swap(failures_);
    unreachable_waiting_ = 0;
    for (const Failure& failure : delivering_) {
      if (failure.socket == nullptr) continue;
      udp::Sink& sink = *failure.socket->sink;
      udp::Socket& handle = *failure.socket->handle;
      if (failure.quoted) {
        sink.unreachable(handle, failure.path.remote, failure.error, failure.quoted->bytes());
      } else {
        sink.send_failed(handle, failure.path, failure.error);
      }
    }
    delivering_.clear();
  }
  if (!posted_.empty()) {
    for (const auto& callback : std::exchange(posted_, {})) callback();
  }
  resolver_.run_callbacks();
  if (interfaces_readable_) interfaces_readable_ = interface_monitor_.reap();
}

Result<std::unique_ptr<udp::InterfaceWatch>> EngineNetwork::watch_interfaces(
    std::function<void()> changed) {
  auto watch = interface_monitor_.watch(std::move(changed));
  if (watch && !interfaces_polled_) {
    if (auto polled = poll_interfaces(interface_monitor_.fd()); !polled) {
      return fail(std::move(polled).error());
    }
    interfaces_polled_ = true;
  }
  return watch;
}

}  // namespace tern::engine
