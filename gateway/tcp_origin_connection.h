#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "gateway/client.h"
#include "gateway/proxy.h"
#include "gateway/racing_connection.h"
#include "gateway/service_records.h"
#include "http/fallback/session.h"
#include "http/uri.h"
#include "transport/tcp/network.h"
#include "transport/tls/secure_stream.h"

namespace tern {

/// A TCP connection to an origin, with HTTP/2 or HTTP/1.1, over TLS unless the URL says http. Where
/// there is a proxy for the origin, that is connected to instead, and the way on is asked of it.
class TcpOriginConnection final : public RacingConnection {
 public:
  /// `http1_only`: HTTP/1.1 whatever the client's options say, for a WebSocket.
  TcpOriginConnection(ClientPool& pool, http::Url url, std::uint64_t id, bool http1_only = false);
  ~TcpOriginConnection() override;

  Task<Result<void>> establish() override;
  bool open() const noexcept override { return session_ != nullptr; }
  bool over_tcp() const noexcept override { return true; }
  http::Session* session() noexcept override { return session_; }
  ClientConnectionInfo info() const override;
  void networks_changed() override;
  bool serial() const noexcept override { return session_ != nullptr && serial_; }

 private:
  class Dial;

  Task<Result<ServicePlace>> find() override;
  void attempt(const Target& target, bool more) override;
  /// The stream to the origin, or to the proxy that forwards to it.
  Result<std::unique_ptr<tcp::Stream>> connect(const tcp::ConnectOptions& to, Dial& entry);
  std::vector<std::string> protocols() const;
  Error silence(Error error, const udp::Address& remote) const override;
  void take(Dial& winner);
  void ended(const Error& reason);
  void give_up_attempts() noexcept override;

  const std::optional<Proxy> proxy_;
  /// It is asked for URLs, not for a tunnel.
  const bool forwarded_;
  fallback::Session* session_ = nullptr;
  const bool http1_only_;
  bool serial_ = false;
  // Kept when the connection has gone.
  udp::Path path_;
  quic::HandshakeInfo handshake_;
  tcp::StreamInfo last_info_;
};

}  // namespace tern
