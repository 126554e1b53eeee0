#include "transport/engine/io_uring_network.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <utility>

#include "base/check.h"

namespace tern::engine {

namespace {

/// The low bits of a completion's user data say what its pointer points to.
/// From 4 on they are TCP's, IoUringTcp::Tag. `wake`: the eventfd (null), the interfaces (the
/// network), or a socket that is watched for the next thing to read.
enum class Tag : std::uint64_t { wake = 0, receive = 1, send = 2, writable = 3 };
constexpr std::uint64_t kTagMask = 7;

std::uint64_t tagged(const void* pointer, Tag tag) noexcept {
  return reinterpret_cast<std::uintptr_t>(pointer) | static_cast<std::uint64_t>(tag);
}

template <typename T>
T& untagged(std::uint64_t user_data) noexcept {
  return *reinterpret_cast<T*>(static_cast<std::uintptr_t>(user_data & ~kTagMask));
}

/// EEXIST: another thread than the one that opened the network.
void check_entered(int result) noexcept {
  TERN_CHECK(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
             result == -EBUSY || result == -ENOMEM);
}

bool is_receive(const io_uring_cqe& completion) noexcept {
  return static_cast<Tag>(completion.user_data & kTagMask) == Tag::receive;
}

/// A multiple of 8 keeps the control messages behind it aligned.
constexpr socklen_t kNameSize = 32;
static_assert(kNameSize >= sizeof(sockaddr_in6) && kNameSize % alignof(cmsghdr) == 0);
static_assert(sizeof(io_uring_recvmsg_out) % alignof(cmsghdr) == 0);
static_assert(IoUringRing::kBufferSize >=
              sizeof(io_uring_recvmsg_out) + kNameSize + kReceiveControlSize + 65535);

}  // namespace

struct IoUringNetwork::IoUringSocket final : SocketState {
  explicit IoUringSocket(UdpSocket&& opened) noexcept : descriptor(std::move(opened)) {}
  bool used_by_kernel() const noexcept { return receiving || polling || sends != 0 || watched; }

  UdpSocket descriptor;
  bool receiving = false;    // a multishot recvmsg is armed
  bool polling = false;      // a poll for POLLOUT is armed
  bool watched = false;      // a poll for POLLIN is armed
  bool retrying = false;     // in retries_
  unsigned sends = 0;        // in sends_
  std::size_t arrivals = 0;  // in arrivals_
};

IoUringNetwork::IoUringNetwork(const EngineOptions& options, std::string description,
                               std::unique_ptr<IoUringRing> ring)
    : EngineNetwork(options, std::move(description)), ring_(std::move(ring)) {
  receive_layout_.msg_namelen = kNameSize;
  receive_layout_.msg_controllen = kReceiveControlSize;
}

IoUringNetwork::~IoUringNetwork() {
  TERN_CHECK(open_sockets_ == 0);
  ring_.reset();  // ends the requests that refer to what tcp_ has
}

// ---- sockets ------------------------------------------------------------------------------------

Result<std::unique_ptr<udp::Socket>> IoUringNetwork::take_in(UdpSocket&& opened, udp::Sink& sink,
                                                             bool paused) {
  auto socket = std::make_unique<IoUringSocket>(std::move(opened));
  describe(*socket, socket->descriptor, sink);
  socket->paused = paused;
  auto handle = std::make_unique<SocketHandle>(*this, *socket);
  socket->handle = handle.get();
  if (!paused) arm_receive(*socket);
  sockets_.push_back(std::move(socket));
  ++open_sockets_;
  return handle;
}

void IoUringNetwork::close(SocketState& state) {
  auto& socket = static_cast<IoUringSocket&>(state);
  // What was submitted goes out: a CONNECTION_CLOSE is often a socket's last packet.
  if (ring_->has_submissions()) io_uring_submit(ring_->get());
  socket.sink = nullptr;
  socket.handle = nullptr;
  drop_backlog(socket);
  forget_failures(socket);
  forget_receiver(socket);
  if (direct_ == &socket) direct_ = nullptr;
  if (direct_arrived_from_ == &socket) direct_arrived_from_ = nullptr;
  // Requests hold the open file, hence the port: cancel them before the descriptor goes.
  cancel_all(socket);
  // A cancelled request lets go of the file when its completion is posted.
  io_uring_get_events(ring_->get());
  socket.descriptor.close();
  --open_sockets_;
  free_if_unused(socket);
}

void IoUringNetwork::cancel_all(IoUringSocket& socket) {
  io_uring_sync_cancel_reg cancel{};
  cancel.fd = socket.fd;
  cancel.flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;
  cancel.timeout = {.tv_sec = -1, .tv_nsec = -1};
  const int cancelled = io_uring_register_sync_cancel(ring_->get(), &cancel);
  TERN_CHECK(cancelled >= 0 || cancelled == -ENOENT || cancelled == -EINTR);
}

void IoUringNetwork::pause(SocketState& state) {
  forget_receiver(state);
  if (direct_ == &state) direct_ = nullptr;
  // A receive that is armed and not yet submitted could not be cancelled.
  if (ring_->has_submissions()) io_uring_submit(ring_->get());
  cancel_all(static_cast<IoUringSocket&>(state));
  io_uring_get_events(ring_->get());
}

void IoUringNetwork::resume(SocketState& state) {
  auto& socket = static_cast<IoUringSocket&>(state);
  if (!socket.receiving) arm_receive(socket);  // else when the cancelled one's end is seen
}

void IoUringNetwork::free_if_unused(IoUringSocket& socket) {
  if (socket.sink != nullptr || socket.used_by_kernel()) return;
  const auto owner = std::find_if(sockets_.begin(), sockets_.end(), [&](const auto& candidate) {
    return candidate.get() == &socket;
  });
  TERN_CHECK(owner != sockets_.end());
  std::swap(*owner, sockets_.back());
  sockets_.pop_back();
}

/// No multishot: while the socket is full (ENOBUFS) one would go on without end.
void IoUringNetwork::arm_interfaces() {
  io_uring_sqe* entry = ring_->entry();
  io_uring_prep_poll_add(entry, interfaces_fd_, POLLIN);
  io_uring_sqe_set_data64(entry, tagged(this, Tag::wake));
}

Result<void> IoUringNetwork::poll_interfaces(int fd) {
  interfaces_fd_ = fd;
  arm_interfaces();
  return {};
}

tcp::Network& IoUringNetwork::tcp() {
  if (!tcp_) tcp_ = std::make_unique<IoUringTcp>(*this, counters_, *ring_);
  return *tcp_;
}

// ---- submission ---------------------------------------------------------------------------------

void IoUringNetwork::arm_wake() {
  io_uring_sqe* entry = ring_->entry();
  io_uring_prep_poll_multishot(entry, waker_->fd(), POLLIN);
  io_uring_sqe_set_data64(entry, tagged(nullptr, Tag::wake));
  wake_armed_ = true;
}

void IoUringNetwork::arm_receive(IoUringSocket& socket) {
  io_uring_sqe* entry = ring_->entry();
  io_uring_prep_recvmsg_multishot(entry, socket.fd, &receive_layout_, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = IoUringRing::kBufferGroup;
  io_uring_sqe_set_data64(entry, tagged(&socket, Tag::receive));
  socket.receiving = true;
}

void IoUringNetwork::watch(IoUringSocket& socket) {
  if (socket.watched) return;
  io_uring_sqe* entry = ring_->entry();
  io_uring_prep_poll_add(entry, socket.fd, POLLIN);
  io_uring_sqe_set_data64(entry, tagged(&socket, Tag::wake));
  socket.watched = true;
}

void IoUringNetwork::arm_writable(IoUringSocket& socket) {
  if (socket.polling) return;
  io_uring_sqe* entry = ring_->entry();
  io_uring_prep_poll_add(entry, socket.fd, POLLOUT);
  io_uring_sqe_set_data64(entry, tagged(&socket, Tag::writable));
  socket.polling = true;
}

void IoUringNetwork::submit(udp::Slab* slab) {
  auto& sending = static_cast<SendSlab&>(*slab);
  sending.prepare();
  if (sending.finished()) {
    pool_.release(sending);
    return;
  }
  for (SendOperation& operation : sending.operations()) {
    SocketState& socket = *operation.socket;
    if (&socket == direct_) {
      if (direct_->polling) sends_delayed_.add();
      socket.hold(operation);
    } else if (socket.blocked()) {
      sends_delayed_.add();
      socket.hold(operation);
    } else {
      send(operation);
    }
  }
  if (direct_ != nullptr && direct_->blocked() && !direct_->polling) send_backlog(*direct_);
  if (unflushed_ >= kMaxUnflushed) flush_sends();
}

void IoUringNetwork::flush_sends() {
  io_uring* ring = ring_->get();
  io_uring_submit(ring);
  unflushed_ = 0;
  // Sends that fail leave completions. If there is none of any kind, all went out.
  if (!reaping_ && sends_settled() && io_uring_cq_ready(ring) == 0) finish_sends(sends_.size());
}

/// Whether what became of every send is known, or among the completions that are here: the kernel
/// has taken all of them and keeps nothing back.
bool IoUringNetwork::sends_settled() noexcept {
  return !ring_->has_submissions() && !ring_->has_overflow();
}

void IoUringNetwork::send(SendOperation& operation) {
  auto& socket = static_cast<IoUringSocket&>(*operation.socket);
  io_uring_sqe* entry = ring_->entry();
  io_uring_prep_sendmsg(entry, socket.fd, &operation.header, MSG_DONTWAIT | MSG_NOSIGNAL);
  entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(entry, tagged(&operation, Tag::send));
  operation.error = 0;
  ++socket.sends;
  sends_.push_back(&operation);
  unflushed_ += operation.data.iov_len;
}

/// The rare case: with one call after the other, for what is submitted together would overtake when
/// the first of it finds the socket full and the next does not.
void IoUringNetwork::send_backlog(IoUringSocket& socket) {
  if (!send_held(socket)) arm_writable(socket);
}

// ---- waiting and completion ---------------------------------------------------------------------

Duration IoUringNetwork::wait(Timestamp deadline) {
  io_uring* ring = ring_->get();
  if (!wake_armed_) arm_wake();
  // The sends below are over before the call sleeps: if somebody waits for their slabs, it must
  // not.
  if (tcp_) {
    tcp_->flush();
    deadline = std::min(deadline, tcp_->next_deadline());
  }
  if (direct_ != nullptr && direct_ != lone_receiver()) end_direct();
  const bool awake = callbacks_due() || waker_->pending() || io_uring_cq_ready(ring) != 0 ||
                     (tcp_ && tcp_->due()) ||
                     (slab_wanted_ && (!sends_.empty() || !pool_.exhausted()));
  if (ring_->has_submissions() || ring_->has_deferred_work()) {
    check_entered(io_uring_submit_and_get_events(ring));
  }
  const bool here = read_directly(kMaxDirectArrivals);
  const bool idle = !awake && !here && io_uring_cq_ready(ring) == 0 && !ring_->has_deferred_work();
  const Duration slept = idle ? sleep(deadline) : Duration();
  unflushed_ = 0;
  slab_wanted_ = false;
  waker_->clear();
  return slept;
}

/// There is nothing to hand over, and nothing to take. Returns for how long.
Duration IoUringNetwork::sleep(Timestamp deadline) {
  io_uring* ring = ring_->get();
  const Timestamp start = now();
  if (deadline <= start) return {};
  Timestamp asleep = start;
  const bool polls = busy_poll_.wanted();
  if (polls) {
    if (direct_ == nullptr) begin_direct();
    const auto come = [&] {
      if (ring_->has_deferred_work()) check_entered(io_uring_get_events(ring));
      return io_uring_cq_ready(ring) != 0 || read_directly(1);
    };
    const bool came = poll(start, deadline, come);
    asleep = now();
    if (came || deadline <= asleep) return asleep - start;
    if (direct_ != nullptr) watch(*direct_);
  } else {
    end_direct();
  }
  io_uring_cqe* first = nullptr;
  if (deadline == kNever) {
    check_entered(io_uring_submit_and_wait_timeout(ring, &first, 1, nullptr, nullptr));
  } else {
    const auto left = (deadline - asleep).count();
    __kernel_timespec timeout{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
    check_entered(io_uring_submit_and_wait_timeout(ring, &first, 1, &timeout, nullptr));
  }
  read_directly(kMaxDirectArrivals);
  const Duration took = now() - start;
  if (!polls) busy_poll_.slept(took);
  return took;
}

/// Nothing is left to hand over, and nothing to take: from here on the lone receiver's datagrams
/// come and go without the ring, in order.
void IoUringNetwork::begin_direct() {
  auto* const socket = static_cast<IoUringSocket*>(lone_receiver());
  if (socket == nullptr || socket->paused || socket->blocked()) return;
  if (!slots_) {
    auto opened = ReceiveSlots::open(std::min(options_.receive_buffers(), kMaxDirectArrivals));
    if (!opened) return;
    slots_ = std::move(*opened);
  }
  if (sends_settled() && io_uring_cq_ready(ring_->get()) == 0) finish_sends(sends_.size());
  if (socket->sends != 0 || socket->polling) return;
  direct_ = socket;
  cancel_all(*socket);
}

/// Its multishot is armed again; if the last one's end has not been seen yet, it is then.
void IoUringNetwork::end_direct() {
  IoUringSocket* const socket = std::exchange(direct_, nullptr);
  if (socket != nullptr && !socket->receiving) arm_receive(*socket);
}

/// There is something for the next reap that came without the ring. `most`: 1 where nothing was
/// there just before, so that a second message need not be looked for; the next wait does.
bool IoUringNetwork::read_directly(std::size_t most) {
  if (direct_arrived_ != 0) return true;
  if (direct_ == nullptr) return false;
  const int count = slots_->receive(direct_->fd, 0, std::min(most, slots_->size()));
  if (count < 0) {
    if (errno != EAGAIN && direct_->tells_unreachable) take_errors(*direct_);
    return callbacks_due();
  }
  direct_arrived_ = static_cast<std::size_t>(count);
  direct_arrived_from_ = direct_;
  direct_arrivals_.add(direct_arrived_);
  return true;
}

void IoUringNetwork::deliver_direct() {
  for (std::size_t i = 0; i < direct_arrived_; ++i) {
    const ReceiveSlots::Message message = slots_->take(i);
    if (direct_arrived_from_ == nullptr || !message.whole) continue;
    deliver(*direct_arrived_from_, message.remote, message.control, message.bytes);
  }
  direct_arrived_ = 0;
}

void IoUringNetwork::reap(Timestamp now) {
  io_uring* ring = ring_->get();
  const bool several = open_sockets_ > 1;
  // Since a busy socket was read, something may have come to another before the last of it.
  if (several && ring_->has_deferred_work()) io_uring_get_events(ring);
  const std::size_t sends = sends_settled() ? sends_.size() : 0;
  buffers_used_ = 0;
  reaping_ = true;
  // What was there at the start, so that this ends however fast sinks answer.
  for (unsigned left = io_uring_cq_ready(ring); left > 0; --left) {
    const unsigned head = *ring->cq.khead;
    const io_uring_cqe completion{ring->cq.cqes[head & ring->cq.ring_mask]};
    io_uring_cq_advance(ring, 1);
    if (several && is_receive(completion)) {
      auto& socket = untagged<IoUringSocket>(completion.user_data);
      ++socket.arrivals;
      arrivals_.push_back({&socket, completion.res, completion.flags});
    } else {
      dispatch(completion);
    }
  }
  if (!arrivals_.empty()) receive_in_turn();
  deliver_direct();  // after the others': the lone receiver has more
  reaping_ = false;
  finish_sends(sends);
  ring_->buffers().used(buffers_used_);
  if (tcp_) tcp_->reap(now);
  run_callbacks();
}

void IoUringNetwork::dispatch(const io_uring_cqe& completion) {
  const std::uint64_t tag = completion.user_data & kTagMask;
  if (tag >= static_cast<std::uint64_t>(IoUringTcp::Tag::accept)) {
    const auto object = static_cast<std::uintptr_t>(completion.user_data & ~kTagMask);
    return tcp_->completed(static_cast<IoUringTcp::Tag>(tag), reinterpret_cast<void*>(object),
                           completion.res, completion.flags);
  }
  switch (static_cast<Tag>(tag)) {
    case Tag::receive:
      return received(
          {&untagged<IoUringSocket>(completion.user_data), completion.res, completion.flags},
          false);
    case Tag::send: untagged<SendOperation>(completion.user_data).error = -completion.res; return;
    case Tag::writable: {
      auto& socket = untagged<IoUringSocket>(completion.user_data);
      socket.polling = false;
      send_backlog(socket);
      return free_if_unused(socket);
    }
    case Tag::wake:
      if (completion.user_data == tagged(this, Tag::wake)) {
        interfaces_readable();
        return arm_interfaces();
      }
      if (completion.user_data != tagged(nullptr, Tag::wake)) {
        auto& socket = untagged<IoUringSocket>(completion.user_data);
        socket.watched = false;
        return free_if_unused(socket);
      }
      if ((completion.flags & IORING_CQE_F_MORE) == 0) wake_armed_ = false;
      return;
  }
}

/// The socket with least comes first: the busy ones do not overtake it, and when buffers ran out it
/// is the first to be armed again.
void IoUringNetwork::receive_in_turn() {
  std::stable_sort(arrivals_.begin(), arrivals_.end(), [](const Arrived& a, const Arrived& b) {
    return a.socket->arrivals < b.socket->arrivals;
  });
  const bool contended = arrivals_.front().socket != arrivals_.back().socket;
  for (const Arrived& arrived : arrivals_) arrived.socket->arrivals = 0;
  for (const Arrived& arrived : arrivals_) received(arrived, contended);
  arrivals_.clear();
}

void IoUringNetwork::received(const Arrived& arrived, bool contended) {
  IoUringSocket& socket = *arrived.socket;
  if ((arrived.flags & IORING_CQE_F_BUFFER) != 0) {
    const auto id = static_cast<std::uint16_t>(arrived.flags >> IORING_CQE_BUFFER_SHIFT);
    if (arrived.result >= 0) deliver_buffer(socket, ring_->buffers().at(id), arrived.result);
    ring_->buffers().give_back(id);
    ++buffers_used_;
  } else if (arrived.result == -ENOBUFS) {
    receive_starved_.add();
    ring_->buffers().ran_out();
    if (contended) receive_without_buffer(socket);
  } else if (arrived.result < 0 && socket.sink != nullptr && socket.tells_unreachable) {
    take_errors(socket);
  }
  if ((arrived.flags & IORING_CQE_F_MORE) != 0) return;
  // The multishot has ended: out of buffers (those before it are back by now), or a socket error,
  // which it took with it.
  socket.receiving = false;
  if (socket.sink == nullptr) {
    free_if_unused(socket);
  } else if (!socket.paused && &socket != direct_) {
    arm_receive(socket);
  }
}

/// Others have taken all buffers: one message at once, before theirs are delivered.
void IoUringNetwork::receive_without_buffer(IoUringSocket& socket) {
  if (socket.sink == nullptr || socket.paused) return;
  spare_.resize(IoUringRing::kBufferSize);
  sockaddr_in6 name{};
  iovec data{spare_.data(), spare_.size()};
  alignas(cmsghdr) std::uint8_t control[kReceiveControlSize];
  msghdr message{};
  message.msg_name = &name;
  message.msg_namelen = sizeof name;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t size = ::recvmsg(socket.fd, &message, MSG_DONTWAIT);
  if (size < 0) {
    if (errno != EAGAIN && socket.tells_unreachable) take_errors(socket);
    return;
  }
  deliver(socket, udp::Address::from(reinterpret_cast<const sockaddr*>(&name), message.msg_namelen),
          decode_control(control, message.msg_controllen),
          {spare_.data(), static_cast<std::size_t>(size)});
}

void IoUringNetwork::deliver_buffer(IoUringSocket& socket, std::uint8_t* buffer, int length) {
  io_uring_recvmsg_out* out = io_uring_recvmsg_validate(buffer, length, &receive_layout_);
  if (out == nullptr || (out->flags & MSG_TRUNC) != 0) return;
  auto* name = static_cast<std::uint8_t*>(io_uring_recvmsg_name(out));
  const auto remote = udp::Address::from(reinterpret_cast<const sockaddr*>(name), out->namelen);
  const ReceivedControl control =
      decode_control(name + kNameSize, std::min<std::size_t>(out->controllen, kReceiveControlSize));
  auto* payload = static_cast<std::uint8_t*>(io_uring_recvmsg_payload(out, &receive_layout_));
  const std::size_t size = io_uring_recvmsg_payload_length(out, length, &receive_layout_);
  deliver(socket, remote, control, {payload, size});
}

/// The first `count` of sends_, in order, so that what must be sent again keeps its order too.
void IoUringNetwork::finish_sends(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    SendOperation& operation = *sends_[i];
    auto& socket = static_cast<IoUringSocket&>(*operation.socket);
    --socket.sends;
    switch (complete(operation, operation.error, false)) {
      case Next::nothing: free_if_unused(socket); break;
      case Next::send_held:
        if (!std::exchange(socket.retrying, true)) retries_.push_back(&socket);
        break;
      case Next::wait_until_writable: arm_writable(socket); break;
    }
  }
  sends_.erase(sends_.begin(), sends_.begin() + static_cast<std::ptrdiff_t>(count));
  for (IoUringSocket* socket : retries_) {
    socket->retrying = false;
    if (!socket->polling) send_backlog(*socket);
  }
  retries_.clear();
}

}  // namespace tern::engine
