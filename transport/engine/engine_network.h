#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.h"
#include "transport/engine/busy_poll.h"
#include "transport/engine/engine.h"
#include "transport/engine/error_queue.h"
#include "transport/engine/interface_monitor.h"
#include "transport/engine/resolver.h"
#include "transport/engine/send_slab.h"
#include "transport/engine/udp_socket.h"
#include "transport/engine/waker.h"
#include "transport/udp/network.h"

namespace tern::engine {

/// What the io_uring and the epoll network have in common: clocks, wake, slabs, the fate of sends,
/// name lookup, counters. An engine adds how to wait, to receive, and to hand sends to the kernel.
class EngineNetwork : public udp::Network {
 public:
  EngineNetwork(const EngineOptions& options, std::string description);

  Timestamp now() final;
  UnixSeconds unix_seconds() final;
  Random::Key random_key() final;
  void wake() noexcept final { waker_->wake(); }
  udp::Slab* acquire() final;
  void resolve(std::string_view host, std::uint16_t port,
               std::function<void(Result<std::vector<udp::Address>>)> done) final;
  Result<udp::Interfaces> interfaces() final { return InterfaceMonitor::snapshot(); }
  Result<std::unique_ptr<udp::InterfaceWatch>> watch_interfaces(
      std::function<void()> changed) final;
  Result<udp::Address> source_for(const udp::Address& remote) final {
    return InterfaceMonitor::source_for(remote);
  }
  std::string description() const final { return description_; }
  const Counters& counters() const noexcept final { return counters_; }

  /// For the handle's destructor.
  virtual void close(SocketState& socket) = 0;
  /// For handed_socket.h; `SocketState::paused` says the same.
  virtual void pause(SocketState& socket) = 0;
  virtual void resume(SocketState& socket) = 0;
  Result<std::unique_ptr<udp::Socket>> adopt(int descriptor, bool group, udp::Sink& sink);
  Result<std::unique_ptr<udp::Socket>> open(const udp::SocketOptions& options,
                                            udp::Sink& sink) final;

 protected:
  /// Slabs and the eventfd.
  Result<void> open_shared();
  /// Takes a socket in, and begins to receive unless `paused`.
  virtual Result<std::unique_ptr<udp::Socket>> take_in(UdpSocket&& socket, udp::Sink& sink,
                                                       bool paused) = 0;

  /// Polls a descriptor of ours besides the sockets; when it is readable, `interfaces_readable` is
  /// to be called in the next `reap`.
  virtual Result<void> poll_interfaces(int fd) = 0;
  void interfaces_readable() noexcept { interfaces_readable_ = true; }

  /// `acquire` found none: the engine may free some at once.
  virtual void reclaim_slabs() {}

  /// What a finished send leaves to do: nothing, or its socket's backlog, now or once writable.
  enum class Next : std::uint8_t { nothing, send_held, wait_until_writable };
  /// The fate of a send: 0 or an errno value. Success and failure free the operation; otherwise it,
  /// or what it was split into, joins the backlog, at its end or (`first`) before the rest.
  Next complete(SendOperation& operation, int error, bool first);
  /// Sends a socket's backlog in order with sendmmsg; false if it must wait until writable.
  bool send_held(SocketState& socket);
  /// Gives up everything in the backlog.
  void drop_backlog(SocketState& socket) noexcept;
  void release(SendOperation& operation) noexcept;
  /// The socket's handle is gone: no more callbacks for it.
  void forget_failures(SocketState& socket) noexcept;

  /// What both engines note of a socket when they open it.
  void describe(SocketState& state, const UdpSocket& socket, udp::Sink& sink) const;
  /// Empties the socket's error queue; what says "unreachable" goes to the sink in this turn or
  /// the next. To be called after any error of a socket that `tells_unreachable`, for while its
  /// queue holds something the socket polls as ready.
  void take_errors(SocketState& socket);

  /// The socket to which alone something has come for a while, and may come again: the one to read
  /// at once while polling. Null where none or several are in use.
  SocketState* lone_receiver() const noexcept {
    return arrivals_in_a_row_ >= kArrivalsInARow ? last_receiver_ : nullptr;
  }
  /// It is closed, or receives no more.
  void forget_receiver(const SocketState& socket) noexcept {
    if (last_receiver_ == &socket) last_receiver_ = nullptr, arrivals_in_a_row_ = 0;
  }

  /// Hands one received batch to the socket's sink.
  void deliver(SocketState& socket, const udp::Address& remote, const ReceivedControl& control,
               MutableBytes bytes);

  /// Polls until something has `come`, the longest poll is over, or `deadline`, which counts as
  /// something. True: there is no reason to sleep.
  template <typename Come>
  bool poll(Timestamp start, Timestamp deadline, Come come) {
    const Timestamp end = std::min(deadline, start + busy_poll_.longest());
    Timestamp time = start;
    bool found = false;
    while (!found && time < end) {
      found = come();
      time = now();
    }
    found = found || time >= deadline;
    busy_poll_.polled(time - start, found);
    polls_.add();
    if (!found) polls_in_vain_.add();
    return found;
  }

  /// Callbacks are due: a wait must not sleep.
  bool callbacks_due() const noexcept {
    return !failures_.empty() || !posted_.empty() || interfaces_readable_;
  }
  /// Runs them: failed sends, looked-up names, changed interfaces.
  void run_callbacks();

  const EngineOptions options_;
  const std::shared_ptr<Waker> waker_ = std::make_shared<Waker>();
  SlabPool pool_;
  BusyPoll busy_poll_{options_.busy_poll()};
  bool slab_wanted_ = false;  ///< `acquire` had none: a wait returns when there is one again
  std::size_t open_sockets_ = 0;

 private:
  struct Failure {
    SocketState* socket;
    udp::Path path;
    int error;
    std::optional<QuotedDatagram> quoted;  // ICMP told; without: a send of ours failed
  };
  /// Of ICMP messages that wait for their turn, and of what one emptying of an error queue takes.
  static constexpr std::size_t kMaxUnreachable = 64;
  static constexpr int kMaxErrors = 65536;
  static constexpr int kArrivalsInARow = 64;

  void split(SendOperation& whole, bool proves, bool first);
  void fail_send(SendOperation& operation, int error);

  const std::string description_;
  SocketState* last_receiver_ = nullptr;
  int arrivals_in_a_row_ = 0;            // that were last_receiver_'s, up to kArrivalsInARow
  std::vector<Failure> failures_;        // at most one for each operation, and kMaxUnreachable
  std::vector<Failure> delivering_;      // those whose turn it is; null where the socket was closed
  std::size_t unreachable_waiting_ = 0;  // among failures_
  std::vector<std::function<void()>> posted_;
  Resolver resolver_{waker_};
  InterfaceMonitor interface_monitor_;
  bool interfaces_polled_ = false;
  bool interfaces_readable_ = false;

 protected:
  Counters counters_;
  Counter& arrivals_ = counters_.at("udp.receive.batches");
  Counter& datagrams_received_ = counters_.at("udp.receive.datagrams");
  Counter& bytes_received_ = counters_.at("udp.receive.bytes");
  Counter& direct_arrivals_ = counters_.at("udp.receive.by_polling");
  Counter& receive_drops_ = counters_.at("udp.receive.dropped_by_kernel");
  Counter& receive_starved_ = counters_.at("udp.receive.out_of_buffers");
  Counter& unreachable_ = counters_.at("udp.receive.unreachable");
  Counter& polls_ = counters_.at("wait.busy_polls");
  Counter& polls_in_vain_ = counters_.at("wait.busy_polls_in_vain");
  Counter& transmits_ = counters_.at("udp.send.batches");
  Counter& datagrams_sent_ = counters_.at("udp.send.datagrams");
  Counter& bytes_sent_ = counters_.at("udp.send.bytes");
  Counter& sends_delayed_ = counters_.at("udp.send.delayed");
  Counter& sends_failed_ = counters_.at("udp.send.failed");
  Counter& sends_split_ = counters_.at("udp.send.segmented_in_user_space");
  Counter& slabs_exhausted_ = counters_.at("udp.send.out_of_slabs");
};

/// The socket as the application owns it; see SocketState.
class SocketHandle final : public udp::Socket {
 public:
  SocketHandle(EngineNetwork& network, SocketState& state) noexcept
      : network_(network), state_(state) {}
  ~SocketHandle() override { network_.close(state_); }
  const udp::Address& local() const noexcept override { return state_.local; }
  SocketState& state() noexcept { return state_; }
  EngineNetwork& network() noexcept { return network_; }

 private:
  EngineNetwork& network_;
  SocketState& state_;
};

}  // namespace tern::engine
