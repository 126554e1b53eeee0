#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "gateway/client.h"
#include "gateway/origin_connection.h"
#include "gateway/proxy.h"
#include "gateway/service_records.h"
#include "http/fallback/session.h"
#include "http/uri.h"
#include "transport/tcp/network.h"
#include "transport/tls/secure_stream.h"

namespace tern {

/// A TCP connection to an origin, with HTTP/2 or HTTP/1.1, over TLS unless the URL says http. Tries
/// the host's addresses as RFC 8305 does, the next one after `ClientOptions::address_delay`; the
/// first whose handshake is complete wins. Where there is a proxy for the origin, that is connected
/// to instead, and the way on is asked of it.
class TcpOriginConnection final : public OriginConnection {
 public:
  /// Networks tried at most, and how long the ones before have for an answer.
  static constexpr std::size_t kMaxNetworks = 3;
  static constexpr Duration kNetworkDelay = std::chrono::seconds(1);

  /// `http1_only`: HTTP/1.1 whatever the client's options say, for a WebSocket.
  TcpOriginConnection(ClientPool& pool, http::Url url, std::uint64_t id, bool http1_only = false);
  ~TcpOriginConnection() override;

  Task<Result<void>> establish() override;
  bool usable() const noexcept override;
  bool open() const noexcept override { return session_ != nullptr; }
  bool over_tcp() const noexcept override { return true; }
  http::Session* session() noexcept override { return session_; }
  ClientConnectionInfo info() const override;
  void networks_changed() override;
  void close() override;
  bool serial() const noexcept override { return session_ != nullptr && serial_; }

 private:
  class Attempt;

  /// Where an attempt goes, and from the how-manieth best network.
  struct Target {
    udp::Address remote;
    std::size_t network = 0;
    Duration after{};  // the one before it has begun
  };

  Task<Result<ServicePlace>> find();
  std::vector<Target> targets_for(const std::vector<udp::Address>& addresses);
  Task<Result<void>> race(std::vector<Target> targets);
  void attempt(const Target& target);
  /// The stream to the origin, or to the proxy that forwards to it.
  Result<std::unique_ptr<tcp::Stream>> connect(const tcp::ConnectOptions& to, Attempt& entry);
  std::vector<std::string> protocols() const;
  Error why_none_connected() const;
  void take(Attempt& attempt);
  void ended(const Error& reason);
  void give_up_attempts() noexcept override;

  const std::optional<Proxy> proxy_;
  /// It is asked for URLs, not for a tunnel.
  const bool forwarded_;
  std::deque<std::unique_ptr<Attempt>> attempts_;
  fallback::Session* session_ = nullptr;
  const bool http1_only_;
  bool serial_ = false;
  // Kept when the connection has gone.
  udp::Path path_;
  quic::HandshakeInfo handshake_;
  tcp::StreamInfo last_info_;
};

}  // namespace tern
