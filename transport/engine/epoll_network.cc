#include "transport/engine/epoll_network.h"

#include <algorithm>
#include <cerrno>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include "base/check.h"

namespace tern::engine {

namespace {
/// A wait that was over so soon had something already, and did not sleep.
constexpr Duration kAtOnce = std::chrono::microseconds(5);
/// While one socket is polled: of so many looks at it, one is at the others as well.
constexpr unsigned kLooksAtOthers = 16;
}  // namespace

struct EpollNetwork::EpollSocket final : SocketState {
  explicit EpollSocket(UdpSocket&& opened) noexcept : descriptor(std::move(opened)) {}

  UdpSocket descriptor;
  bool watching_writable = false;
  bool touched = false;        // in touched_
  bool read = false;           // in batches_, or was in this turn
  std::size_t last_batch = 0;  // messages it had when last read
};

EpollNetwork::EpollNetwork(const EngineOptions& options, std::string description)
    : EngineNetwork(options, std::move(description)) {}

EpollNetwork::~EpollNetwork() {
  TERN_CHECK(open_sockets_ == 0);
  tcp_.reset();
  if (epoll_ >= 0) ::close(epoll_);
}

Result<void> EpollNetwork::open_all() {
  if (auto opened = open_shared(); !opened) return opened;
  TERN_TRY(slots_, ReceiveSlots::open(std::min(options_.receive_buffers(), kMaxBatch)));
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return fail(Error::os(errno, "epoll_create1"));
  // Else the kernel lets this thread oversleep by 50 us to save wake-ups, and pacing with it.
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;  // edge-triggered: never read
  event.data.ptr = nullptr;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, waker_->fd(), &event) != 0) {
    return fail(Error::os(errno, "epoll_ctl"));
  }
  return {};
}

// ---- sockets ------------------------------------------------------------------------------------

Result<std::unique_ptr<udp::Socket>> EpollNetwork::take_in(UdpSocket&& opened, udp::Sink& sink,
                                                           bool paused) {
  auto socket = std::make_unique<EpollSocket>(std::move(opened));
  describe(*socket, socket->descriptor, sink);
  socket->paused = paused;
  epoll_event event{};
  event.events = paused ? 0u : std::uint32_t{EPOLLIN};
  event.data.ptr = socket.get();
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket->fd, &event) != 0) {
    return fail(Error::os(errno, "epoll_ctl"));
  }
  auto handle = std::make_unique<SocketHandle>(*this, *socket);
  socket->handle = handle.get();
  sockets_.push_back(std::move(socket));
  ++open_sockets_;
  return handle;
}

void EpollNetwork::close(SocketState& state) {
  auto& socket = static_cast<EpollSocket&>(state);
  socket.sink = nullptr;
  drop_backlog(socket);
  forget_failures(socket);
  forget_receiver(socket);
  for (std::size_t i = 0; i < event_count_; ++i) {
    if (events_[i].data.ptr == &socket) events_[i].data.ptr = nullptr;
  }
  for (Batch& batch : batches_) {
    if (batch.socket == &socket) batch.socket = nullptr;
  }
  // Another process may have the socket open, and then closing it alone would leave it in the set.
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, socket.fd, nullptr);
  --open_sockets_;
  const auto owner = std::find_if(sockets_.begin(), sockets_.end(), [&](const auto& candidate) {
    return candidate.get() == &socket;
  });
  TERN_CHECK(owner != sockets_.end());
  std::swap(*owner, sockets_.back());
  sockets_.pop_back();
}

Result<void> EpollNetwork::poll_interfaces(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = this;  // no socket is at that address
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    return fail(Error::os(errno, "epoll_ctl"));
  }
  return {};
}

tcp::Network& EpollNetwork::tcp() {
  if (!tcp_) tcp_ = std::make_unique<EpollTcp>(*this, counters_, epoll_);
  return *tcp_;
}

// ---- sending ------------------------------------------------------------------------------------

void EpollNetwork::submit(udp::Slab* slab) {
  auto& sending = static_cast<SendSlab&>(*slab);
  sending.prepare();
  if (sending.finished()) {
    pool_.release(sending);
    return;
  }
  for (SendOperation& operation : sending.operations()) {
    auto& socket = static_cast<EpollSocket&>(*operation.socket);
    socket.hold(operation);
    if (!std::exchange(socket.touched, true)) touched_.push_back(&socket);
  }
  for (EpollSocket* socket : touched_) {
    socket->touched = false;
    if (!socket->watching_writable) send_backlog(*socket);
  }
  touched_.clear();
}

void EpollNetwork::send_backlog(EpollSocket& socket) { watch_writable(socket, !send_held(socket)); }

void EpollNetwork::watch_writable(EpollSocket& socket, bool on) {
  if (socket.watching_writable == on) return;
  socket.watching_writable = on;
  watch(socket);
}

void EpollNetwork::watch(EpollSocket& socket) {
  epoll_event event{};
  event.events = 0;
  if (!socket.paused) event.events |= EPOLLIN;
  if (socket.watching_writable) event.events |= EPOLLOUT;
  event.data.ptr = &socket;
  TERN_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket.fd, &event) == 0);
}

void EpollNetwork::pause(SocketState& socket) { watch(static_cast<EpollSocket&>(socket)); }

void EpollNetwork::resume(SocketState& socket) { watch(static_cast<EpollSocket&>(socket)); }

// ---- waiting and receiving ----------------------------------------------------------------------

Duration EpollNetwork::wait(Timestamp deadline) {
  bool awake = callbacks_due() || waker_->pending() || (slab_wanted_ && !pool_.exhausted());
  if (tcp_) {
    tcp_->flush();
    awake = awake || tcp_->due();
    deadline = std::min(deadline, tcp_->next_deadline());
  }
  const Timestamp start = now();
  Duration idle{};
  if (awake || deadline <= start) {
    take_events(look());
  } else {
    idle = sleep(start, deadline);
  }
  slab_wanted_ = false;
  waker_->clear();
  return idle;
}

/// TCP notes its own; the others stay in events_.
void EpollNetwork::take_events(int count) {
  event_count_ = count > 0 ? static_cast<std::size_t>(count) : 0;
  if (!tcp_) return;
  const auto others =
      std::remove_if(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(event_count_),
                     [&](const epoll_event& event) { return tcp_->take(event); });
  event_count_ = static_cast<std::size_t>(others - events_.begin());
}

Duration EpollNetwork::sleep(Timestamp start, Timestamp deadline) {
  int count = 0;
  const bool polls = busy_poll_.wanted();
  EpollSocket* const lone = static_cast<EpollSocket*>(lone_receiver());
  // What comes while it polls comes by itself, mostly; more is found by the next wait.
  const std::size_t share = slots_->size() / std::clamp<std::size_t>(open_sockets_, 1, 2);
  unsigned looks = 0;
  const auto come = [&] {
    if (lone != nullptr && read_at_once(*lone, looks > 0 ? 1 : share)) return true;
    if (lone != nullptr && looks++ % kLooksAtOthers != 0) return waker_->pending();
    return (count = look()) != 0;
  };
  if (!polls || !poll(start, deadline, come)) {
    count = sleep_for(deadline == kNever ? Duration::max() : deadline - now());
  }
  take_events(count);
  const Duration took = now() - start;
  if (took < kAtOnce) return {};
  if (!polls) busy_poll_.slept(took);
  return took;
}

int EpollNetwork::look() noexcept {
  return ::epoll_wait(epoll_, events_.data(), static_cast<int>(kMaxEvents), 0);
}

/// Duration::max(): until something comes.
int EpollNetwork::sleep_for(Duration duration) {
  const long long left = std::max<long long>(duration.count(), 0);
  const timespec timeout{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
  const bool forever = duration == Duration::max();
  constexpr int kMax = static_cast<int>(kMaxEvents);
  if (has_pwait2_) {
    const long count = ::syscall(SYS_epoll_pwait2, epoll_, events_.data(), kMax,
                                 forever ? nullptr : &timeout, nullptr, 0);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(count);
    has_pwait2_ = false;  // before Linux 5.11, or an old seccomp filter
  }
  constexpr long long kMaxMilliseconds = 3'600'000;
  const long long milliseconds =
      std::min(timeout.tv_sec * 1000LL + (timeout.tv_nsec + 999'999) / 1'000'000, kMaxMilliseconds);
  return ::epoll_wait(epoll_, events_.data(), kMax, forever ? -1 : static_cast<int>(milliseconds));
}

void EpollNetwork::reap(Timestamp now) {
  for (std::size_t i = 0; i < event_count_; ++i) {
    if (events_[i].data.ptr == this) {
      interfaces_readable();
      events_[i].data.ptr = nullptr;
      continue;
    }
    auto* socket = static_cast<EpollSocket*>(events_[i].data.ptr);
    if (socket != nullptr && (events_[i].events & EPOLLOUT) != 0) send_backlog(*socket);
  }
  receive_all();
  if (tcp_) tcp_->reap(now);
  run_callbacks();
}

/// The socket that had most last time is read first and delivered last. Read first: whatever came
/// to the others before the last of it is there when their turn to be read comes. Delivered last:
/// nothing of it overtakes what they have.
void EpollNetwork::receive_all() {
  if (!take_readable() && batches_.empty()) return;
  if (readable_.size() > 1) {  // it allocates, whatever there is to sort
    std::stable_sort(
        readable_.begin(), readable_.end(),
        [](const EpollSocket* a, const EpollSocket* b) { return a->last_batch > b->last_batch; });
  }
  // A share is left for those that become readable meanwhile.
  const std::size_t sockets = readable_.size() + (open_sockets_ > readable_.size() ? 1 : 0);
  const std::size_t share = std::max<std::size_t>(slots_->size() / sockets, 1);
  for (EpollSocket* socket : readable_) read(*socket, share);
  if (open_sockets_ > batches_.size()) {
    take_events(look());
    if (take_readable()) {
      for (EpollSocket* socket : readable_) read(*socket, share);
    }
  }
  readable_.clear();
  deliver_batches();
}

/// Moves the sockets to be read, and not yet read in this turn, from the events to readable_. Epoll
/// is level-triggered: what is not dealt with now is reported in the next turn.
bool EpollNetwork::take_readable() {
  readable_.clear();
  for (std::size_t i = 0; i < event_count_; ++i) {
    if (events_[i].data.ptr == this) continue;  // level-triggered: the next wait reports it
    auto* socket = static_cast<EpollSocket*>(events_[i].data.ptr);
    const bool ready = (events_[i].events & ~static_cast<unsigned>(EPOLLOUT)) != 0;
    if (socket != nullptr && ready && !socket->read && !socket->paused) {
      readable_.push_back(socket);
    }
  }
  event_count_ = 0;
  return !readable_.empty();
}

void EpollNetwork::read(EpollSocket& socket, std::size_t most) {
  ReceiveSlots& slots = *slots_;
  if (slots_used_ == slots.size()) deliver_batches();
  const std::size_t room = std::min(most, slots.size() - slots_used_);
  const int count = slots.receive(socket.fd, slots_used_, room);
  if (socket.tells_unreachable && (count < 0 && errno != EAGAIN)) take_errors(socket);
  socket.last_batch = count > 0 ? static_cast<std::size_t>(count) : 0;
  socket.read = true;
  batches_.push_back({&socket, slots_used_, socket.last_batch});
  slots_used_ += socket.last_batch;
}

/// For a poll: what is there goes to the sink in the next reap.
bool EpollNetwork::read_at_once(EpollSocket& socket, std::size_t most) {
  if (socket.read || socket.paused) return socket.read;
  read(socket, std::max<std::size_t>(most, 1));
  if (socket.last_batch != 0) {
    direct_arrivals_.add(socket.last_batch);
    return true;
  }
  batches_.pop_back();
  socket.read = false;
  return callbacks_due();
}

void EpollNetwork::deliver_batches() {
  if (batches_.size() > 1) {
    std::stable_sort(batches_.begin(), batches_.end(),
                     [](const Batch& a, const Batch& b) { return a.count < b.count; });
  }
  ReceiveSlots& slots = *slots_;
  for (const Batch& batch : batches_) {
    if (batch.socket != nullptr) batch.socket->read = false;
    for (std::size_t i = batch.first; i < batch.first + batch.count; ++i) {
      const ReceiveSlots::Message message = slots.take(i);
      if (batch.socket == nullptr || !message.whole) continue;
      deliver(*batch.socket, message.remote, message.control, message.bytes);
    }
  }
  batches_.clear();
  slots_used_ = 0;
}

}  // namespace tern::engine
