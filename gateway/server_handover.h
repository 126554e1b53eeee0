#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "gateway/handover_message.h"
#include "gateway/server_shared.h"
#include "transport/engine/unix_channel.h"
#include "transport/quic/cid.h"
#include "transport/udp/network.h"

namespace tern {

/// What a process that has taken over sends back to the one before: its connections' datagrams.
/// Immutable; used by all workers at once.
class Forwarder {
 public:
  Forwarder(std::shared_ptr<engine::UnixChannel> channel,
            const std::vector<quic::ConnectionId>& handshakes)
      : channel_(std::move(channel)), handshakes_(handshakes.begin(), handshakes.end()) {}

  /// Is a datagram that nobody here knows for the other process? Of Initials only those are whose
  /// handshake is under way there.
  bool wants(ByteView dcid, bool initial) const {
    return !initial || handshakes_.contains(quic::ConnectionId(dcid));
  }
  /// False: the other process is behind with reading, or gone; the datagram is lost.
  bool forward(const udp::Arrival& arrival) const noexcept {
    return channel_->try_send(handover::datagram_head(arrival.path, arrival.ecn), arrival.bytes);
  }

 private:
  const std::shared_ptr<engine::UnixChannel> channel_;
  const std::unordered_set<quic::ConnectionId> handshakes_;  // looked up only
};

/// The replacement of a server's process by another one without losing a connection
/// (docs/decisions/0013), at a unix socket that both are given the path of. In the new process:
/// `ask`, then the workers start with the sockets that came, then `begin`. From then on a thread of
/// its own waits for the next process.
class ServerHandover {
 public:
  static constexpr Duration kAnswerLimit = std::chrono::seconds(10);
  /// How long a new process may take to start its workers.
  static constexpr Duration kStartLimit = std::chrono::seconds(60);
  /// How often a process that was replaced looks whether it has connections left.
  static constexpr Duration kLookInterval = std::chrono::milliseconds(100);
  /// Datagrams of one round before the other messages have their turn.
  static constexpr int kMaxDatagrams = 256;

  ServerHandover(ServerShared& shared, std::string path);
  ServerHandover(const ServerHandover&) = delete;
  ServerHandover& operator=(const ServerHandover&) = delete;
  /// After the workers' end, or before their beginning.
  ~ServerHandover();

  /// Asks who serves at present; its sockets and keys go to `shared`. Nobody is no error.
  Result<void> ask();
  /// The workers are ready: takes over, if somebody serves, and waits for the next process.
  Result<void> begin();
  /// This process is told to stop, and so is the one before it. From any thread.
  void stopping() noexcept;

 private:
  void run();
  bool take_over();
  void offer();
  Result<void> make_offer(engine::UnixChannel& channel);
  Result<void> give(std::unique_ptr<engine::UnixChannel> channel);
  /// Has `work` run on every worker, and `after` in the turn after; waits for that.
  bool on_all(std::function<void(ServerWorker&)> work, std::function<void(ServerWorker&)> after);
  void read_successor();
  void read_predecessor();
  void dispatch(const handover::Datagram& datagram);
  void take_back();
  void end_if_empty();
  std::size_t worker_for(ByteView datagram) const;

  ServerShared& shared_;
  const std::string path_;
  std::shared_ptr<engine::UnixChannel> predecessor_;
  std::atomic<bool> took_over_{false};  // predecessor_ is set for good
  // The rest is the thread's.
  std::unique_ptr<engine::UnixListener> listener_;
  std::unique_ptr<engine::UnixChannel> successor_;
  std::unordered_map<quic::ConnectionId, std::size_t> handshakes_;  // their worker; looked up only
  bool predecessor_lives_ = false;
  bool left_ = false;             // to a successor
  bool successor_stops_ = false;  // or this process does: it does not serve again
  bool passed_on_ = false;        // the successor has one of its own, who has the sockets
  int wake_ = -1;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace tern
