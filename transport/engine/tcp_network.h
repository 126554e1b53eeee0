#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/counters.h"
#include "base/driver.h"
#include "base/timer_heap.h"
#include "transport/engine/tcp_socket.h"
#include "transport/tcp/network.h"
#include "transport/tcp/send_queue.h"

namespace tern::engine {

class TcpNetwork;
struct TcpListener;

/// A stream as its network keeps it: with its handle, then while it lingers, then while the kernel
/// still works for it.
struct TcpStream final : TimerNode {
  TcpStream(TcpNetwork& owner, TcpSocket&& opened, const tcp::StreamOptions& chosen) noexcept
      : network(owner), socket(std::move(opened)), options(chosen) {}
  void expire(Timestamp now) override;
  bool open() const noexcept { return socket.fd() >= 0; }
  /// The sink, or the lingering stream's own reading to the end, wants what comes.
  bool wants_bytes() const noexcept {
    return !paused && !received_end && !connecting && !failed && !closing;
  }

  TcpNetwork& network;
  TcpSocket socket;
  tcp::StreamOptions options;
  tcp::Stream* handle = nullptr;  // null: destroyed, so no more callbacks
  tcp::StreamSink* sink = nullptr;
  TcpListener* listener = nullptr;  // that accepted it, while that is open
  udp::Address local, remote;
  tcp::SendQueue queue;
  std::unique_ptr<tcp::StreamInfo> last_info;  // once failed
  std::size_t index = 0;                       // in the network's list

  bool connecting = false;
  bool attached = false;
  bool paused = true;         // until attached
  bool received_end = false;  // FIN
  bool finishing = false;     // FIN wanted, when the queue is empty …
  bool finished = false;      // … and sent
  bool broken = false;        // cannot send, as `error` says; what the peer had sent is still read
  bool failed = false;
  bool closing = false;      // done with: freed when no list and no request has it
  bool blocked = false;      // the kernel's buffer is full: wait until writable
  bool above_water = false;  // `writable` is owed once the queue is short
  bool tell_writable = false;
  bool dirty = false;    // in dirty_
  bool pending = false;  // in pending_
  int error = 0;         // to be told

  // epoll: what edges said. io_uring: requests in the kernel.
  bool readable = false;
  bool hung_up = false;
  bool may_be_connected = false;
  bool receiving = false;
  bool cancelling = false;
  bool polling_writable = false;
  bool polling_hangup = false;
  std::vector<std::vector<std::uint8_t>> held;  // received before the pause took effect
  bool held_end = false;                        // and FIN after that
};

struct TcpListener final : TimerNode {
  TcpListener(TcpNetwork& owner, TcpSocket&& opened, const tcp::ListenOptions& chosen,
              tcp::ListenSink& to) noexcept
      : network(owner), socket(std::move(opened)), options(chosen), sink(to) {}
  void expire(Timestamp now) override;

  TcpNetwork& network;
  TcpSocket socket;
  tcp::ListenOptions options;
  tcp::ListenSink& sink;
  tcp::Listener* handle = nullptr;  // null: closed
  udp::Address local;
  std::size_t open_streams = 0;
  bool paused = false;     // see handed_socket.h
  bool starved = false;    // out of descriptors or memory: armed, to try again
  bool accepting = false;  // the engine waits for clients
  bool ready = false;      // epoll: there are some
  std::vector<int> held;   // accepted beyond max_streams, before accepting was stopped
};

/// The listener as the application owns it.
class ListenerHandle final : public tcp::Listener {
 public:
  ListenerHandle(TcpNetwork& network, TcpListener& state) noexcept
      : network_(network), state_(state) {}
  ~ListenerHandle() override;
  const udp::Address& local() const noexcept override { return state_.local; }
  std::size_t open_streams() const noexcept override { return state_.open_streams; }
  // For handed_socket.h.
  TcpNetwork& network() const noexcept { return network_; }
  TcpListener& state() const noexcept { return state_; }

 private:
  TcpNetwork& network_;
  TcpListener& state_;
};

/// TCP of the two engines: lives, queues, limits and callbacks. An engine adds how to wait and how
/// to receive.
///
/// Sends are plain calls in both: all writes of a turn in one sendmsg before the wait, and what it
/// took is known at once (docs/decisions/0014).
class TcpNetwork : public tcp::Network {
 public:
  /// A queue this long is sent before the end of the turn, while it is in the cache.
  static constexpr std::size_t kFlushAt = 128 * 1024;
  /// How long after a failed accept the next try comes, if no stream closes before.
  static constexpr Duration kAcceptPause = std::chrono::seconds(1);

  /// Both outlive it.
  TcpNetwork(Driver& driver, Counters& counters);
  ~TcpNetwork() override;

  Result<std::unique_ptr<tcp::Listener>> listen(const tcp::ListenOptions& options,
                                                tcp::ListenSink& sink) final;
  Result<std::unique_ptr<tcp::Stream>> connect(const tcp::ConnectOptions& options,
                                               tcp::StreamSink& sink) final;

  // For handed_socket.h.
  Result<std::unique_ptr<tcp::Listener>> adopt(int descriptor, const tcp::ListenOptions& options,
                                               tcp::ListenSink& sink);
  void pause(TcpListener& listener);
  void resume(TcpListener& listener);

  // For the engine's network.
  /// Sends what was written; before each wait.
  void flush();
  /// Something is to be done in the next reap: the wait must not sleep.
  bool due() const noexcept { return !pending_.empty() || !ready_listeners_.empty(); }
  Timestamp next_deadline() const noexcept { return timers_.next_deadline(); }
  /// All callbacks come from here.
  void reap(Timestamp now);

  // For the handles.
  void attach(TcpStream& stream, tcp::StreamSink& sink);
  Result<void> write(TcpStream& stream, Bytes bytes);
  void finish(TcpStream& stream);
  void reset(TcpStream& stream);
  void pause(TcpStream& stream);
  void resume(TcpStream& stream);
  tcp::StreamInfo info(const TcpStream& stream) const;
  void close(TcpStream& stream);
  void close(TcpListener& listener);

  // For the timers.
  void stream_deadline(TcpStream& stream);
  void accept_again(TcpListener& listener);

 protected:
  /// Takes note of the descriptor. A stream that connects is watched for the outcome, which is
  /// `may_be_connected` and `schedule`.
  virtual Result<void> watch(TcpStream& stream) = 0;
  virtual Result<void> watch(TcpListener& listener) = 0;
  virtual void start_receiving(TcpStream& stream) = 0;
  virtual void stop_receiving(TcpStream& stream) = 0;
  /// Calls `now_writable` once it is.
  virtual void wait_until_writable(TcpStream& stream) = 0;
  virtual void start_accepting(TcpListener& listener) = 0;
  virtual void stop_accepting(TcpListener& listener) = 0;
  /// As that, but when it returns the kernel accepts nothing more for us. What it has accepted
  /// until then comes in the next reap.
  virtual void stop_accepting_now(TcpListener& listener) { stop_accepting(listener); }
  /// Takes back what it asked of the descriptor, and closes it as soon as that may be. The stream
  /// or listener is freed once `unused`.
  virtual void forget(TcpStream& stream) = 0;
  virtual void forget(TcpListener& listener) = 0;
  virtual bool unused(const TcpStream&) const noexcept { return true; }
  virtual bool unused(const TcpListener&) const noexcept { return true; }
  /// What is there for a stream that wants bytes, to `deliver`, `end` or `fail`; for a listener
  /// while it `has_room`, to `accepted` or `accept_failed`.
  virtual void receive(TcpStream& stream) = 0;
  virtual void accept(TcpListener& listener) = 0;
  /// What the kernel has completed; comes first in a reap.
  virtual void reap_completions() {}

  /// The stream's turn is to come, in this reap or the next.
  void schedule(TcpStream& stream);
  void schedule(TcpListener& listener);
  void now_writable(TcpStream& stream);
  void deliver(TcpStream& stream, MutableBytes bytes);
  void end(TcpStream& stream);
  void fail(TcpStream& stream, int error);
  /// A listener may hand out one more.
  bool has_room(const TcpListener& listener) const noexcept {
    return listener.handle != nullptr && !listener.starved && !listener.paused &&
           listener.open_streams < listener.options.max_streams;
  }
  /// A client's descriptor; taken over.
  void accepted(TcpListener& listener, int fd);
  void accept_failed(TcpListener& listener, int error);

  Driver& driver_;
  Counter& receive_starved_;
  TimerHeap timers_;  // outlives its nodes, which are:
  std::vector<std::unique_ptr<TcpListener>> listeners_;
  std::vector<std::unique_ptr<TcpStream>> streams_;

 private:
  void send(TcpStream& stream);
  void send_failed(TcpStream& stream, int error);
  void connected(TcpStream& stream);
  void turn(TcpStream& stream);
  void linger(TcpStream& stream);
  void close_if_done(TcpStream& stream);
  /// The descriptor is not needed any more.
  void release(TcpStream& stream);
  /// Nor is the stream.
  void let_go(TcpStream& stream);
  void mark_dirty(TcpStream& stream);
  void free_closed();
  std::unique_ptr<tcp::Stream> add(std::unique_ptr<TcpStream> stream);
  Result<std::unique_ptr<tcp::Listener>> take_in(TcpSocket&& socket,
                                                 const tcp::ListenOptions& options,
                                                 tcp::ListenSink& sink, bool paused);

  std::vector<TcpStream*> dirty_;              // to be sent from before the next wait
  std::vector<TcpStream*> pending_, turning_;  // to have a turn in the next reap; in this one
  std::vector<TcpStream*> closing_;            // let go, not yet freed
  std::vector<TcpListener*> ready_listeners_, accepting_listeners_;
  bool listeners_closing_ = false;
  std::size_t starved_listeners_ = 0;

  Counter& accepted_;
  Counter& accept_failures_;
  Counter& connected_;
  Counter& failed_;
  Counter& bytes_received_;
  Counter& bytes_sent_;
  Counter& sends_;
  Counter& sends_blocked_;
};

}  // namespace tern::engine
