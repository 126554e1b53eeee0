#pragma once

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

  ClientConnection(ClientPool& pool, http::Url url, std::uint64_t id);
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

  /// Ends it with H3_NO_ERROR, or gives up establishing it.
  void close();

 private:
  class Application;
  struct Attempt {
    udp::Address remote;
    quic::Connection* connection = nullptr;
    std::optional<Error> failure;
  };

  Task<Result<std::vector<udp::Address>>> look_up();
  /// Begins a handshake with one address; `more`: there are others.
  void attempt(const udp::Address& remote, bool more);
  Task<Result<void>> race(std::vector<udp::Address> addresses);
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
  Broadcast changed_;
  std::optional<Result<void>> outcome_;
  std::vector<Attempt> attempts_;
  std::optional<quic::Session> remembered_;
  bool early_data_ = false;
  bool goaway_ = false;
  bool given_up_ = false;
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
