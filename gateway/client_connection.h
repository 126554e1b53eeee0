#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "base/task.h"
#include "gateway/broadcast.h"
#include "gateway/client.h"
#include "gateway/path_follower.h"
#include "http/uri.h"
#include "http3/options.h"
#include "http3/session.h"
#include "transport/quic/connection.h"
#include "transport/quic/options.h"

namespace tern {

class ClientPool;

/// One connection to an origin, from the first look-up of its name to its end. Owned by the pool
/// and by the requests that use it; the QUIC connection and the session are the endpoint's and go
/// when they close.
class ClientConnection final : public std::enable_shared_from_this<ClientConnection> {
 public:
  /// Addresses tried at most.
  static constexpr std::size_t kMaxAddresses = 8;
  /// Networks tried at most, and how long the ones before have for an answer.
  static constexpr std::size_t kMaxNetworks = 3;
  static constexpr Duration kNetworkDelay = std::chrono::seconds(1);

  /// `avoided`: the index of an interface that it does not go through, being the successor of a
  /// connection that this one has failed; 0: of none.
  ClientConnection(ClientPool& pool, http::Url url, std::uint64_t id,
                   std::optional<std::uint32_t> avoided = std::nullopt);
  ~ClientConnection();

  /// Resolves, connects, and returns when requests may be opened. Called once, by the pool.
  Task<Result<void>> establish();
  /// What establish() came to; waits for it.
  Task<Result<void>> ready();
  void finish_establishing(Result<void> outcome);

  bool establishing() const noexcept { return !outcome_.has_value(); }
  /// New requests may go here.
  bool usable() const noexcept;
  bool open() const noexcept { return connection_ != nullptr; }
  http3::Session* session() noexcept { return session_; }
  quic::Connection* connection() noexcept { return connection_; }

  std::uint64_t id() const noexcept { return id_; }
  const std::string& origin() const noexcept { return origin_; }
  bool early_data() const noexcept { return early_data_; }
  std::optional<Timestamp> resolved_at() const noexcept { return resolved_at_; }
  std::optional<Timestamp> connected_at() const noexcept { return connected_at_; }
  ClientConnectionInfo info() const;
  void count_request() noexcept { ++requests_; }

  /// The interfaces are others than they were.
  void networks_changed();
  /// A socket at `local` is its, or that of its spare path.
  bool uses(const udp::Address& local) const noexcept;
  /// Moves it by the caller's wish.
  Result<void> migrate(const udp::Address& local, bool now);
  /// It ended because its networks failed it, not by anybody's decision.
  bool lost() const noexcept { return lost_; }
  void stop_following() noexcept { follower_.reset(); }
  /// Another connection is being made because no migration can save this one; new requests wait
  /// for what becomes of it.
  bool stranded() const noexcept { return follower_ != nullptr && follower_->stranded(); }
  Task<void> replaced();
  /// That one is there, or has failed.
  void succeeded_by(const ClientConnection* successor);
  const http::Url& url() const noexcept { return url_; }
  void retried(const std::string& why) const { tell(ClientEvent::Type::retried, why); }

  /// Ends it with H3_NO_ERROR, or gives up establishing it.
  void close();

 private:
  class Application;
  /// Where an attempt goes, and from the how-manieth best network.
  struct Target {
    udp::Address remote;
    std::size_t network = 0;
    Duration after{};  // the one before it has begun
  };
  struct Attempt {
    udp::Address remote;
    udp::Address local;
    quic::Connection* connection = nullptr;
    std::optional<Error> failure;
  };

  Task<Result<void>> try_to_establish();
  Task<Result<std::vector<udp::Address>>> look_up();
  /// Begins a handshake with one address; `more`: there are others.
  void attempt(const Target& target, bool more);
  std::vector<Target> targets_for(const std::vector<udp::Address>& addresses);
  Task<Result<void>> race(std::vector<Target> targets);
  void follow_network();
  Error why_none_connected() const;
  void give_up_attempts() noexcept;
  std::unique_ptr<quic::Application> won(std::size_t attempt, quic::Connection& connection);
  /// What the connection's application has seen; before and after it handled the event.
  void seen(const quic::Event& event);
  void ended(const Error& reason);
  void tell(ClientEvent::Type type, std::string text = {}) const;

  ClientPool& pool_;
  const http::Url url_;
  const std::string origin_;
  const std::uint64_t id_;
  const std::optional<std::uint32_t> avoided_;
  Broadcast changed_;
  std::optional<Result<void>> outcome_;
  std::vector<Attempt> attempts_;
  std::optional<quic::Session> remembered_;
  bool early_data_ = false;
  bool goaway_ = false;
  bool given_up_ = false;
  bool lost_ = false;
  std::unique_ptr<PathFollower> follower_;
  quic::Connection* connection_ = nullptr;  // the winner
  std::size_t winner_ = 0;                  // its attempt
  http3::Session* session_ = nullptr;
  std::optional<Timestamp> resolved_at_;
  std::optional<Timestamp> connected_at_;
  std::uint64_t requests_ = 0;
  // Kept when the connection has gone.
  udp::Path last_path_;
  quic::HandshakeInfo last_handshake_;
  quic::ConnectionStats last_stats_;
};

}  // namespace tern
