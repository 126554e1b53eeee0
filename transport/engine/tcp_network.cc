#include "transport/engine/tcp_network.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <utility>

#include "base/check.h"

namespace tern::engine {

namespace {

/// The stream as the application owns it; see TcpStream.
class StreamHandle final : public tcp::Stream {
 public:
  StreamHandle(TcpNetwork& network, TcpStream& state) noexcept : network_(network), state_(state) {}
  ~StreamHandle() override { network_.close(state_); }

  const udp::Address& local() const noexcept override { return state_.local; }
  const udp::Address& remote() const noexcept override { return state_.remote; }
  void attach(tcp::StreamSink& sink) override { network_.attach(state_, sink); }
  using tcp::Stream::write;
  Result<void> write(Bytes bytes) override { return network_.write(state_, std::move(bytes)); }
  std::size_t queued() const noexcept override { return state_.queue.size(); }
  std::size_t low_water() const noexcept override { return state_.options.low_water(); }
  void finish() override { network_.finish(state_); }
  void reset() override { network_.reset(state_); }
  void pause() override { network_.pause(state_); }
  void resume() override { network_.resume(state_); }
  bool paused() const noexcept override { return state_.paused; }
  tcp::StreamInfo info() const override { return network_.info(state_); }

 private:
  TcpNetwork& network_;
  TcpStream& state_;
};

/// The peer, or the way to it, has ended the connection; the bytes before that may wait unread.
bool broken_off(int error) noexcept { return error == EPIPE || error == ECONNRESET; }

}  // namespace

void TcpStream::expire(Timestamp) { network.stream_deadline(*this); }
void TcpListener::expire(Timestamp) { network.accept_again(*this); }

ListenerHandle::~ListenerHandle() { network_.close(state_); }

TcpNetwork::TcpNetwork(Driver& driver, Counters& counters)
    : driver_(driver),
      receive_starved_(counters.at("tcp.receive.out_of_buffers")),
      accepted_(counters.at("tcp.accepted")),
      accept_failures_(counters.at("tcp.accept_failed")),
      connected_(counters.at("tcp.connected")),
      failed_(counters.at("tcp.failed")),
      bytes_received_(counters.at("tcp.receive.bytes")),
      bytes_sent_(counters.at("tcp.send.bytes")),
      sends_(counters.at("tcp.send.calls")),
      sends_blocked_(counters.at("tcp.send.blocked")) {}

TcpNetwork::~TcpNetwork() {
  for (const auto& listener : listeners_) TERN_CHECK(listener->handle == nullptr);
  for (const auto& stream : streams_) {
    TERN_CHECK(stream->handle == nullptr);
    // One that lingers: the kernel finishes what it has, but must not end half a message cleanly.
    if (stream->open() && !stream->queue.empty()) stream->socket.reset();
  }
}

// ---- listening ----------------------------------------------------------------------------------

Result<std::unique_ptr<tcp::Listener>> TcpNetwork::listen(const tcp::ListenOptions& options,
                                                          tcp::ListenSink& sink) {
  TERN_TRY(TcpSocket socket, TcpSocket::listen(options));
  return take_in(std::move(socket), options, sink, false);
}

Result<std::unique_ptr<tcp::Listener>> TcpNetwork::adopt(int descriptor,
                                                         const tcp::ListenOptions& options,
                                                         tcp::ListenSink& sink) {
  return take_in(TcpSocket(descriptor), options, sink, true);
}

Result<std::unique_ptr<tcp::Listener>> TcpNetwork::take_in(TcpSocket&& socket,
                                                           const tcp::ListenOptions& options,
                                                           tcp::ListenSink& sink, bool paused) {
  auto listener = std::make_unique<TcpListener>(*this, std::move(socket), options, sink);
  listener->local = listener->socket.local();
  listener->paused = paused;
  if (auto watched = watch(*listener); !watched) return tern::fail(std::move(watched).error());
  auto handle = std::make_unique<ListenerHandle>(*this, *listener);
  listener->handle = handle.get();
  if (!paused) start_accepting(*listener);
  listeners_.push_back(std::move(listener));
  return handle;
}

void TcpNetwork::pause(TcpListener& listener) {
  if (std::exchange(listener.paused, true)) return;
  stop_accepting_now(listener);
  // Who was accepted is ours, whether there is room or not.
  if (!listener.held.empty()) schedule(listener);
}

void TcpNetwork::resume(TcpListener& listener) {
  if (!std::exchange(listener.paused, false)) return;
  if (has_room(listener)) start_accepting(listener);
}

void TcpNetwork::close(TcpListener& listener) {
  listener.handle = nullptr;
  timers_.disarm(listener);
  if (std::exchange(listener.starved, false)) --starved_listeners_;
  for (const auto& stream : streams_) {
    if (stream->listener == &listener) stream->listener = nullptr;
  }
  forget(listener);
  for (const int fd : std::exchange(listener.held, {})) TcpSocket(fd).reset();
  listeners_closing_ = true;
}

void TcpNetwork::accepted(TcpListener& listener, int fd) {
  TcpSocket socket(fd);
  const udp::Address remote = socket.remote();
  if (!remote.specified()) return;  // it has gone again
  auto stream = std::make_unique<TcpStream>(*this, std::move(socket), listener.options.stream);
  stream->remote = remote;
  stream->local = stream->socket.local();
  if (auto watched = watch(*stream); !watched) return;
  stream->listener = &listener;
  ++listener.open_streams;
  accepted_.add();
  listener.sink.accepted(*listener.handle, add(std::move(stream)));
}

void TcpNetwork::accept_failed(TcpListener& listener, int error) {
  accept_failures_.add();
  listener.starved = true;
  ++starved_listeners_;
  timers_.arm(listener, driver_.now() + kAcceptPause);
  listener.sink.accept_failed(*listener.handle,
                              Error::os(error, "accept on TCP " + listener.local.to_string()));
}

void TcpNetwork::accept_again(TcpListener& listener) {
  if (!std::exchange(listener.starved, false)) return;
  --starved_listeners_;
  timers_.disarm(listener);
  if (has_room(listener)) start_accepting(listener);
}

void TcpNetwork::schedule(TcpListener& listener) {
  if (!std::exchange(listener.ready, true)) ready_listeners_.push_back(&listener);
}

// ---- connecting ---------------------------------------------------------------------------------

Result<std::unique_ptr<tcp::Stream>> TcpNetwork::connect(const tcp::ConnectOptions& options,
                                                         tcp::StreamSink& sink) {
  TERN_TRY(TcpSocket socket, TcpSocket::open(options));
  const int error = socket.connect(options.remote);
  const bool refused = error == ECONNREFUSED || error == ECONNRESET || error == ETIMEDOUT;
  if (error != 0 && error != EINPROGRESS && !refused) {
    return tern::fail(tcp::stream_error(error, options.remote));
  }
  auto stream = std::make_unique<TcpStream>(*this, std::move(socket), options.stream);
  stream->remote = options.remote;
  stream->sink = &sink;
  stream->connecting = true;
  stream->attached = true;
  stream->paused = false;
  stream->error = refused ? error : 0;
  if (auto watched = watch(*stream); !watched) return tern::fail(std::move(watched).error());
  timers_.arm(*stream, driver_.now() + options.timeout);
  TcpStream& state = *stream;
  auto handle = add(std::move(stream));
  if (refused) schedule(state);
  return handle;
}

std::unique_ptr<tcp::Stream> TcpNetwork::add(std::unique_ptr<TcpStream> stream) {
  auto handle = std::make_unique<StreamHandle>(*this, *stream);
  stream->handle = handle.get();
  stream->index = streams_.size();
  streams_.push_back(std::move(stream));
  return handle;
}

void TcpNetwork::connected(TcpStream& stream) {
  stream.connecting = false;
  stream.local = stream.socket.local();
  connected_.add();
  if (stream.handle != nullptr) {
    timers_.disarm(stream);
    stream.sink->connected(*stream.handle);
  }
  if (stream.failed || stream.closing) return;
  if (!stream.queue.empty() || stream.finishing) mark_dirty(stream);
  if (stream.wants_bytes()) start_receiving(stream);
}

void TcpNetwork::stream_deadline(TcpStream& stream) {
  if (stream.handle != nullptr) return fail(stream, ETIMEDOUT);  // it could not connect
  stream.socket.reset();
  let_go(stream);
}

// ---- sending ------------------------------------------------------------------------------------

Result<void> TcpNetwork::write(TcpStream& stream, Bytes bytes) {
  if (stream.finishing || stream.failed || stream.broken) {
    return tern::fail(Error::closed("the stream is closed"));
  }
  if (stream.queue.size() + bytes.size() > stream.options.max_queued()) {
    return tern::fail(Error::limit("too much is queued on the stream"));
  }
  stream.queue.push(std::move(bytes));
  if (stream.queue.size() > stream.options.low_water()) stream.above_water = true;
  if (stream.queue.size() >= kFlushAt && !stream.connecting && !stream.blocked) {
    send(stream);
  } else {
    mark_dirty(stream);
  }
  return {};
}

void TcpNetwork::mark_dirty(TcpStream& stream) {
  if (!std::exchange(stream.dirty, true)) dirty_.push_back(&stream);
}

void TcpNetwork::flush() {
  for (TcpStream* stream : dirty_) {
    stream->dirty = false;
    if (stream->connecting || stream->blocked || stream->failed || stream->closing) continue;
    send(*stream);
  }
  dirty_.clear();
  free_closed();
}

void TcpNetwork::send(TcpStream& stream) {
  constexpr std::size_t kMaxPieces = 64;
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  tcp::SendQueue& queue = stream.queue;
  while (!queue.empty()) {
    std::array<iovec, kMaxPieces> pieces;
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = queue.gather(pieces);
    const int fd = stream.socket.fd();
    // One piece by itself, as a short answer is, costs less.
    const ssize_t sent = message.msg_iovlen == 1
                             ? ::send(fd, pieces[0].iov_base, pieces[0].iov_len, kFlags)
                             : ::sendmsg(fd, &message, kFlags);
    if (sent >= 0) {
      sends_.add();
      bytes_sent_.add(static_cast<std::uint64_t>(sent));
      queue.pop_until(queue.begin() + static_cast<std::uint64_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM) return send_failed(stream, errno);
    stream.blocked = true;
    sends_blocked_.add();
    wait_until_writable(stream);
    break;
  }
  if (stream.above_water && queue.size() <= stream.options.low_water()) {
    stream.above_water = false;
    stream.tell_writable = true;
    schedule(stream);
  }
  if (stream.finishing && !stream.finished && queue.empty()) {
    stream.socket.finish();
    stream.finished = true;
    close_if_done(stream);
  }
}

void TcpNetwork::send_failed(TcpStream& stream, int error) {
  stream.queue.clear();
  stream.error = error;
  stream.above_water = false;
  if (stream.handle == nullptr) return fail(stream, error);
  stream.broken = broken_off(error) && stream.wants_bytes();
  stream.hung_up = true;
  stream.readable = true;
  schedule(stream);
}

void TcpNetwork::now_writable(TcpStream& stream) {
  stream.blocked = false;
  if (!stream.failed && !stream.closing && !stream.broken) send(stream);
}

void TcpNetwork::finish(TcpStream& stream) {
  if (stream.finishing || stream.failed) return;
  stream.finishing = true;
  mark_dirty(stream);
}

// ---- receiving ----------------------------------------------------------------------------------

void TcpNetwork::attach(TcpStream& stream, tcp::StreamSink& sink) {
  stream.sink = &sink;
  if (!std::exchange(stream.attached, true)) {
    resume(stream);
    if (stream.error != 0) schedule(stream);
  }
}

void TcpNetwork::pause(TcpStream& stream) {
  if (std::exchange(stream.paused, true)) return;
  if (stream.open() && !stream.connecting) stop_receiving(stream);
}

void TcpNetwork::resume(TcpStream& stream) {
  if (!std::exchange(stream.paused, false)) return;
  if (stream.open() && stream.wants_bytes()) start_receiving(stream);
}

void TcpNetwork::deliver(TcpStream& stream, MutableBytes bytes) {
  bytes_received_.add(bytes.size());
  if (stream.handle != nullptr) stream.sink->receive(*stream.handle, bytes);
}

void TcpNetwork::end(TcpStream& stream) {
  if (stream.broken) return fail(stream, stream.error);
  stream.received_end = true;
  if (stream.handle != nullptr) stream.sink->end_of_stream(*stream.handle);
  close_if_done(stream);
}

void TcpNetwork::fail(TcpStream& stream, int error) {
  if (stream.failed || stream.closing) return;
  if (stream.broken) error = stream.error;
  if (error == EPIPE) error = ECONNRESET;
  if (stream.handle != nullptr && stream.sink == nullptr) {
    stream.error = error;  // told when there is somebody to tell
    return;
  }
  failed_.add();
  if (stream.handle == nullptr) return let_go(stream);
  release(stream);
  stream.sink->failed(*stream.handle, tcp::stream_error(error, stream.remote));
}

// ---- turns --------------------------------------------------------------------------------------

void TcpNetwork::schedule(TcpStream& stream) {
  if (!std::exchange(stream.pending, true)) pending_.push_back(&stream);
}

void TcpNetwork::reap(Timestamp now) {
  reap_completions();
  timers_.expire(now);
  turning_.swap(pending_);
  for (TcpStream* stream : turning_) {
    stream->pending = false;
    turn(*stream);
  }
  turning_.clear();
  accepting_listeners_.swap(ready_listeners_);
  for (TcpListener* listener : accepting_listeners_) {
    listener->ready = false;
    if (listener->handle != nullptr) accept(*listener);
  }
  accepting_listeners_.clear();
  free_closed();
}

void TcpNetwork::turn(TcpStream& stream) {
  if (stream.failed || stream.closing) return;
  if (stream.connecting) {
    int error = std::exchange(stream.error, 0);
    if (error == 0) {
      if (!std::exchange(stream.may_be_connected, false)) return;
      error = stream.socket.take_error();
    }
    if (error != 0) return fail(stream, error);
    connected(stream);
    if (stream.failed || stream.closing) return;
  }
  if (stream.error != 0 && !stream.broken && stream.sink != nullptr) {
    return fail(stream, stream.error);
  }
  if (std::exchange(stream.tell_writable, false) && stream.handle != nullptr) {
    stream.sink->writable(*stream.handle);
    if (stream.failed || stream.closing) return;
  }
  if (stream.wants_bytes()) return receive(stream);
  // Nobody reads, who would find this out.
  if (!stream.hung_up) return;
  if (const int error = stream.socket.take_error(); error != 0) fail(stream, error);
}

// ---- ends ---------------------------------------------------------------------------------------

tcp::StreamInfo TcpNetwork::info(const TcpStream& stream) const {
  return stream.last_info ? *stream.last_info : stream.socket.info();
}

void TcpNetwork::reset(TcpStream& stream) {
  if (stream.failed) return;
  stream.last_info = std::make_unique<tcp::StreamInfo>(stream.socket.info());
  stream.socket.reset();
  release(stream);
}

void TcpNetwork::close(TcpStream& stream) {
  stream.handle = nullptr;
  stream.sink = nullptr;
  if (stream.failed) return let_go(stream);
  if (stream.finishing && stream.error == 0) return linger(stream);
  stream.socket.reset();
  let_go(stream);
}

void TcpNetwork::linger(TcpStream& stream) {
  timers_.arm(stream, driver_.now() + stream.options.linger());
  if (!stream.connecting && !stream.blocked) send(stream);
  close_if_done(stream);
  if (!stream.closing && !stream.connecting && !stream.received_end) resume(stream);
}

void TcpNetwork::close_if_done(TcpStream& stream) {
  if (stream.handle == nullptr && stream.finished && stream.received_end && !stream.closing) {
    let_go(stream);
  }
}

void TcpNetwork::release(TcpStream& stream) {
  if (stream.failed) return;
  if (!stream.last_info && stream.handle != nullptr) {
    stream.last_info = std::make_unique<tcp::StreamInfo>(stream.socket.info());
  }
  stream.failed = true;
  stream.queue.clear();
  stream.held = {};
  timers_.disarm(stream);
  forget(stream);
  if (TcpListener* listener = std::exchange(stream.listener, nullptr); listener != nullptr) {
    --listener->open_streams;
    if (has_room(*listener)) start_accepting(*listener);
  }
  if (starved_listeners_ == 0) return;
  for (const auto& listener : listeners_) accept_again(*listener);
}

void TcpNetwork::let_go(TcpStream& stream) {
  release(stream);
  stream.closing = true;
  closing_.push_back(&stream);
}

void TcpNetwork::free_closed() {
  if (!closing_.empty()) {
    std::erase_if(closing_, [&](TcpStream* stream) {
      if (stream->dirty || stream->pending || !unused(*stream)) return false;
      const std::size_t index = stream->index;
      std::swap(streams_[index], streams_.back());
      streams_[index]->index = index;
      streams_.pop_back();
      return true;
    });
  }
  if (!listeners_closing_) return;
  std::erase_if(listeners_, [&](const auto& listener) {
    return listener->handle == nullptr && !listener->ready && unused(*listener);
  });
  listeners_closing_ = std::any_of(listeners_.begin(), listeners_.end(), [](const auto& listener) {
    return listener->handle == nullptr;
  });
}

}  // namespace tern::engine
