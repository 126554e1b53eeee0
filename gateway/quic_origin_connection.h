#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "gateway/client.h"
#include "gateway/path_follower.h"
#include "gateway/racing_connection.h"
#include "gateway/service_records.h"
#include "http/uri.h"
#include "http3/options.h"
#include "http3/session.h"
#include "transport/quic/connection.h"
#include "transport/quic/options.h"

namespace tern {

class ClientPool;

/// A QUIC connection to an origin, with HTTP/3. The QUIC connection and the session are the
/// endpoint's and go when they close.
class QuicOriginConnection final : public RacingConnection {
 public:
  /// `avoided`: the index of an interface that it does not go through, being the successor of a
  /// connection that this one has failed; 0: of none.
  QuicOriginConnection(ClientPool& pool, http::Url url, std::uint64_t id,
                       std::optional<std::uint32_t> avoided = std::nullopt);
  ~QuicOriginConnection() override;
  /// Connects to that host and port instead of the origin's own (RFC 7838); the certificate must
  /// still be the origin's. Before `establish`.
  void go_via(std::string host, std::uint16_t port);

  Task<Result<void>> establish() override;
  bool open() const noexcept override { return connection_ != nullptr; }
  bool over_tcp() const noexcept override { return false; }
  http::Session* session() noexcept override { return session_; }
  quic::Connection* connection() noexcept { return connection_; }
  ClientConnectionInfo info() const override;

  void networks_changed() override;
  bool uses(const udp::Address& local) const noexcept override;
  Result<void> migrate(const udp::Address& local, bool now) override;
  Result<void> update_keys() override;
  void stop_following() noexcept override { follower_.reset(); }
  bool stranded() const noexcept override { return follower_ != nullptr && follower_->stranded(); }
  void succeeded_by(const OriginConnection* successor) override;

 private:
  class Application;
  class Handshake;

  Task<Result<void>> try_to_establish();
  bool idled_out() const;
  Task<Result<ServicePlace>> find() override;
  void attempt(const Target& target, bool more) override;
  /// Of a successor: the networks that are not avoided.
  std::vector<Target> other_targets_for(const std::vector<udp::Address>& addresses) const;
  void follow_network();
  void give_up_attempts() noexcept override;
  std::unique_ptr<quic::Application> won(Handshake& handshake, quic::Connection& connection);
  /// What the connection's application has seen; before and after it handled the event.
  void seen(const quic::Event& event);
  void ended(const Error& reason);

  const std::optional<std::uint32_t> avoided_;
  bool via_ = false;  // Alt-Svc has said where to
  std::string host_;  // where it goes
  std::uint16_t port_;
  std::optional<quic::Session> remembered_;
  std::unique_ptr<PathFollower> follower_;
  Handshake* winner_ = nullptr;             // of attempts_
  quic::Connection* connection_ = nullptr;  // its
  http3::Session* session_ = nullptr;
  // Kept when the connection has gone.
  udp::Path last_path_;
  quic::HandshakeInfo last_handshake_;
  quic::ConnectionStats last_stats_;
};

}  // namespace tern
