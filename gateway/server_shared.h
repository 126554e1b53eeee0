#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "base/error.h"
#include "base/runtime.h"
#include "gateway/handed_listeners.h"
#include "gateway/server_options.h"
#include "http/exchange.h"
#include "http/server_hooks.h"
#include "transport/engine/unix_channel.h"
#include "transport/quic/cid.h"
#include "transport/quic/token.h"
#include "transport/tls/key_ring.h"
#include "transport/tls/server_context.h"
#include "transport/udp/network.h"

namespace tern {

class ServerWorker;

/// What the workers of one server share: the options and the handler, which never change, the keys,
/// the TLS context, which reload_certificates() swaps, and the list of workers, so that a stray
/// datagram finds its owner. Thread-safe where it changes.
class ServerShared {
 public:
  /// Datagrams on their way from one worker to another; more are dropped.
  static constexpr std::size_t kMaxHandedOver = 1024;

  explicit ServerShared(ServerOptions server_options) : options(std::move(server_options)) {}

  /// For the hand-over to another process (server_handover.h): the sockets that workers have, each
  /// address's in the order of its group …
  using SocketGroup = std::pair<udp::Address, std::vector<int>>;
  void note_socket(const udp::Address& local, std::size_t place, int descriptor);
  std::vector<SocketGroup> sockets() const;
  /// … and those that came from the process before. Before there are several workers, or on the
  /// thread of the one that is set up.
  engine::Descriptors& offered(const udp::Address& address);
  /// The address among them that `wanted` stands for, if there is one: with port 0, any of its IP
  /// that is not `taken`.
  std::optional<udp::Address> find_offered(const udp::Address& wanted) const;
  void note_taken(const udp::Address& address) { taken_.push_back(address); }
  const std::vector<udp::Address>& taken() const noexcept { return taken_; }
  /// What was not taken is the process before's alone again.
  void forget_offers() { offered_.clear(); }
  /// A datagram came back from the process after.
  void note_forwarded(bool delivered) noexcept {
    (delivered ? forwarded_received_ : forwarded_lost_).add();
  }

  /// On the first worker's thread, before there are others: certificates, keys, addresses.
  Result<void> prepare(Runtime& runtime);
  /// Reads the certificate files.
  struct Contexts {
    std::shared_ptr<const tls::ServerContext> quic;
    std::shared_ptr<const tls::ServerContext> tcp;  ///< null without TCP
  };
  Result<Contexts> make_contexts() const;
  Contexts contexts() const;
  /// For all later connections, on every worker.
  void use(const Contexts& contexts);

  /// The first worker calls it from time to time: rotates the keys when they are due, and takes
  /// over what another process has rotated in the state folder.
  void tend_keys(Random& random, UnixSeconds now);
  /// How often.
  Duration key_check_interval() const noexcept;

  void add(std::size_t index, Runtime& runtime, const udp::Network& network,
           std::weak_ptr<ServerWorker> worker);
  void remove(std::size_t index) noexcept;
  /// Has `work` run on every worker's thread.
  void on_every_worker(const std::function<void(ServerWorker&)>& work);
  /// Has every worker drain, or close: also those that are only being made.
  enum class Ending : std::uint8_t { no, drain, close };
  void end(Ending how);
  /// All have ended, and the next ones are not told to.
  void begin_anew();
  /// Copies the datagrams and gives them to the worker that owns them. False: no such worker, or
  /// too many wait already.
  bool hand_over(std::size_t worker, const udp::Arrival& arrival);
  std::vector<std::pair<std::string, std::uint64_t>> counters() const;

  /// For LogSink: a line of the server's own.
  void log(LogLevel level, const std::string& text) const { options.log_->line(level, text); }

  /// Listeners on TCP: those of TLS, and those without.
  HandedListeners& listeners(bool cleartext) noexcept {
    return cleartext ? cleartext_listeners_ : tls_listeners_;
  }

  ServerOptions options;
  http::Handler handler;  ///< set before there are workers
  std::size_t worker_count = 1;
  std::shared_ptr<tls::KeyRing> keys;
  std::shared_ptr<const quic::StatelessResetKey> reset_key;
  std::array<std::uint8_t, 32> reset_secret{};   ///< behind reset_key
  std::shared_ptr<tls::KeyRing> inherited_keys;  ///< of the process before, as reset_secret
  std::optional<quic::CidGenerator> cids;        ///< any worker's
  std::optional<std::uint8_t> worker_offset;     ///< of the CIDs, for steering
  quic::QlogOpener qlog;

  /// Of the sessions on TCP.
  fallback::SessionOptions stream_options() const;
  http::ServerHooks hooks() const { return {handler, options.access_log_, options.age_}; }

  std::vector<udp::Address> listen() const;
  std::vector<udp::Address> preferred() const;
  std::vector<udp::Address> cleartext() const;
  /// The first worker's sockets have real ports: the other workers take them.
  void set_bound(std::vector<udp::Address> addresses, std::vector<udp::Address> cleartext,
                 std::string engine);
  std::vector<udp::Address> bound() const;
  std::vector<udp::Address> bound_cleartext() const;
  std::string engine() const;

  /// A worker has nothing left to do; called once by each.
  void worker_ended();
  /// All have.
  bool ended() const;
  void wait_until_ended();

 private:
  struct Slot {
    Runtime* runtime = nullptr;
    const udp::Network* network = nullptr;
    std::weak_ptr<ServerWorker> worker;
    std::shared_ptr<std::atomic<std::size_t>> handed_over;
  };

  Result<void> prepare_keys(Random& random, UnixSeconds now);
  static void tell(const Slot& slot, const std::function<void(ServerWorker&)>& work);
  static std::function<void(ServerWorker&)> work_of(Ending how);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t running_ = 0;
  bool started_ = false;
  Ending ending_ = Ending::no;
  Contexts contexts_;
  std::vector<Slot> slots_;
  std::vector<udp::Address> listen_;
  std::vector<udp::Address> preferred_;
  std::vector<udp::Address> cleartext_;
  std::vector<udp::Address> bound_;
  std::vector<udp::Address> bound_cleartext_;
  std::string engine_;
  std::vector<SocketGroup> sockets_;
  std::vector<std::pair<udp::Address, engine::Descriptors>> offered_;
  std::vector<udp::Address> taken_;
  HandedListeners tls_listeners_;
  HandedListeners cleartext_listeners_;
  Counters counters_;
  Counter& forwarded_received_ = counters_.at("server.forwarded_received");
  Counter& forwarded_lost_ = counters_.at("server.forwarded_lost");
};

}  // namespace tern
