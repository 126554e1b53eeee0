#include "transport/engine/io_uring_tcp.h"

#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <utility>

#include "base/check.h"

namespace tern::engine {

namespace {

std::uint64_t tagged_object(const void* object, IoUringTcp::Tag tag) noexcept {
  return reinterpret_cast<std::uintptr_t>(object) | static_cast<std::uint64_t>(tag);
}

}  // namespace

IoUringTcp::IoUringTcp(Driver& driver, Counters& counters, IoUringRing& ring)
    : TcpNetwork(driver, counters), ring_(ring) {}

Result<void> IoUringTcp::open_buffers() {
  if (buffers_.is_open()) return {};
  return buffers_.open(*ring_.get(), {kBufferGroup, kBuffers, kBufferSize, kFewBuffers});
}

// ---- requests -----------------------------------------------------------------------------------

Result<void> IoUringTcp::watch(TcpStream& stream) {
  if (auto opened = open_buffers(); !opened) return opened;
  if (stream.connecting) wait_until_writable(stream);
  return {};
}

Result<void> IoUringTcp::watch(TcpListener&) { return open_buffers(); }

void IoUringTcp::start_receiving(TcpStream& stream) {
  if (!stream.held.empty() || stream.held_end) return schedule(stream);
  if (stream.receiving) return;  // if it is being cancelled, its end arms it again
  io_uring_sqe* entry = ring_.entry();
  io_uring_prep_recv_multishot(entry, stream.socket.fd(), nullptr, 0, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = kBufferGroup;
  io_uring_sqe_set_data64(entry, tagged_object(&stream, Tag::receive));
  stream.receiving = true;
}

void IoUringTcp::stop_receiving(TcpStream& stream) {
  if (stream.receiving && !std::exchange(stream.cancelling, true)) cancel(&stream, Tag::receive);
  watch_hangup(stream);
}

void IoUringTcp::wait_until_writable(TcpStream& stream) {
  if (std::exchange(stream.polling_writable, true)) return;
  io_uring_sqe* entry = ring_.entry();
  io_uring_prep_poll_add(entry, stream.socket.fd(), POLLOUT);
  io_uring_sqe_set_data64(entry, tagged_object(&stream, Tag::writable));
}

/// Nothing is received from now on, so that a broken connection has to be told in another way:
/// whatever is asked of a poll, it reports errors, and a multishot one each time.
void IoUringTcp::watch_hangup(TcpStream& stream) {
  if (std::exchange(stream.polling_hangup, true)) return;
  io_uring_sqe* entry = ring_.entry();
  io_uring_prep_poll_multishot(entry, stream.socket.fd(), 0);
  io_uring_sqe_set_data64(entry, tagged_object(&stream, Tag::hangup));
}

void IoUringTcp::start_accepting(TcpListener& listener) {
  if (!listener.held.empty()) schedule(listener);
  if (std::exchange(listener.accepting, true)) return;
  io_uring_sqe* entry = ring_.entry();
  io_uring_prep_multishot_accept(entry, listener.socket.fd(), nullptr, nullptr,
                                 SOCK_CLOEXEC | SOCK_NONBLOCK);
  io_uring_sqe_set_data64(entry, tagged_object(&listener, Tag::accept));
}

void IoUringTcp::stop_accepting(TcpListener& listener) {
  if (listener.accepting) cancel(&listener, Tag::accept);
}

void IoUringTcp::cancel(const void* object, Tag tag) {
  io_uring_sqe* entry = ring_.entry();
  io_uring_prep_cancel64(entry, tagged_object(object, tag), 0);
  entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
  // Where there was nothing to cancel any more, a completion that means nothing.
  io_uring_sqe_set_data64(entry, tagged_object(nullptr, Tag::hangup));
}

void IoUringTcp::forget(TcpStream& stream) {
  if (unused(stream)) return stream.socket.close();
  if (stream.receiving && !std::exchange(stream.cancelling, true)) cancel(&stream, Tag::receive);
  if (stream.polling_writable) cancel(&stream, Tag::writable);
  if (stream.polling_hangup) cancel(&stream, Tag::hangup);
  // The descriptor goes with the last of them: until then its number must not be another's.
}

void IoUringTcp::forget(TcpListener& listener) {
  // The request holds the open file, hence the port: cancel it before the descriptor goes.
  stop_accepting_now(listener);
  listener.socket.close();
}

void IoUringTcp::stop_accepting_now(TcpListener& listener) {
  if (ring_.has_submissions()) io_uring_submit(ring_.get());
  io_uring_sync_cancel_reg reg{};
  reg.fd = listener.socket.fd();
  reg.flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;
  reg.timeout = {.tv_sec = -1, .tv_nsec = -1};
  const int cancelled = io_uring_register_sync_cancel(ring_.get(), &reg);
  TERN_CHECK(cancelled >= 0 || cancelled == -ENOENT || cancelled == -EINTR);
  io_uring_get_events(ring_.get());
}

// ---- completions --------------------------------------------------------------------------------

void IoUringTcp::reap_completions() {
  buffers_used_ = 0;
  for (const Completion& completion : completions_) {
    if (completion.object == nullptr) continue;
    const bool more = (completion.flags & IORING_CQE_F_MORE) != 0;
    if (completion.tag == Tag::accept) {
      accept_completed(*static_cast<TcpListener*>(completion.object), completion.result,
                       completion.flags);
      continue;
    }
    auto& stream = *static_cast<TcpStream*>(completion.object);
    switch (completion.tag) {
      case Tag::receive: received(stream, completion.result, completion.flags); break;
      case Tag::writable:
        stream.polling_writable = false;
        if (stream.failed) break;
        if (stream.connecting) {
          stream.may_be_connected = true;
          schedule(stream);
        } else {
          now_writable(stream);
        }
        break;
      case Tag::hangup:
        if (!more) stream.polling_hangup = false;
        stream.hung_up = true;
        schedule(stream);
        break;
      case Tag::accept: break;
    }
    if (stream.failed && unused(stream)) stream.socket.close();
  }
  completions_.clear();
  for (TcpStream* stream : to_rearm_) {
    if (stream->wants_bytes()) start_receiving(*stream);
  }
  to_rearm_.clear();
  if (buffers_used_ != 0) buffers_.used(buffers_used_);
}

void IoUringTcp::received(TcpStream& stream, int result, unsigned flags) {
  const bool more = (flags & IORING_CQE_F_MORE) != 0;
  if (!more) stream.receiving = stream.cancelling = false;
  const bool hold = stream.paused || !stream.held.empty();
  if ((flags & IORING_CQE_F_BUFFER) != 0) {
    const auto id = static_cast<std::uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT);
    if (result > 0 && !stream.failed) {
      const MutableBytes bytes{buffers_.at(id), static_cast<std::size_t>(result)};
      if (hold) {
        stream.held.emplace_back(bytes.begin(), bytes.end());
      } else {
        deliver(stream, bytes);
      }
    }
    buffers_.give_back(id);
    ++buffers_used_;
  }
  if (stream.failed) return;
  if (result == 0) {
    // Whoever has pauses or its own reasons to wait hears of a reset all the same.
    watch_hangup(stream);
    if (hold) {
      stream.held_end = true;
    } else {
      end(stream);
    }
    return;
  }
  if (result == -ENOBUFS) {
    receive_starved_.add();
    buffers_.ran_out();
  } else if (result < 0 && result != -ECANCELED && result != -EAGAIN && result != -EINTR) {
    return fail(stream, -result);
  }
  if (!more && stream.wants_bytes()) to_rearm_.push_back(&stream);
}

/// What had come before the pause took effect.
void IoUringTcp::receive(TcpStream& stream) {
  if (stream.held.empty() && !stream.held_end) {
    if (!stream.receiving && !stream.received_end) start_receiving(stream);
    return;
  }
  auto held = std::exchange(stream.held, {});
  std::size_t delivered = 0;
  while (delivered < held.size() && stream.wants_bytes()) deliver(stream, held[delivered++]);
  if (stream.failed) return;
  if (delivered < held.size()) {  // paused again
    held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(delivered));
    stream.held = std::move(held);
    return;
  }
  if (!stream.wants_bytes()) return;
  if (std::exchange(stream.held_end, false)) {
    end(stream);
  } else {
    start_receiving(stream);
  }
}

void IoUringTcp::accept_completed(TcpListener& listener, int result, unsigned flags) {
  if ((flags & IORING_CQE_F_MORE) == 0) listener.accepting = false;
  if (result >= 0) {
    if (listener.handle == nullptr) {
      TcpSocket(result).reset();
    } else if (listener.paused || (has_room(listener) && listener.held.empty())) {
      accepted(listener, result);
    } else {
      listener.held.push_back(result);
    }
  } else if (listener.handle != nullptr && !listener.starved && out_of_resources(-result)) {
    accept_failed(listener, -result);
  }
  if (listener.handle == nullptr) return;
  if (!has_room(listener)) {
    stop_accepting(listener);
  } else if (!listener.accepting) {
    start_accepting(listener);
  }
}

void IoUringTcp::accept(TcpListener& listener) {
  std::size_t taken = 0;
  auto held = std::exchange(listener.held, {});
  while (taken < held.size() && listener.handle != nullptr &&
         (listener.paused || has_room(listener))) {
    accepted(listener, held[taken++]);
  }
  if (listener.handle == nullptr) {
    for (; taken < held.size(); ++taken) TcpSocket(held[taken]).reset();
    return;
  }
  held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(taken));
  listener.held = std::move(held);
}

}  // namespace tern::engine
