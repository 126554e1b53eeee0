#pragma once

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
#include "http/fallback/session.h"
#include "http/uri.h"
#include "transport/tcp/network.h"
#include "transport/tls/secure_stream.h"

namespace tern {

/// A TCP connection to an origin, with HTTP/2 or HTTP/1.1, over TLS unless the URL says http. Tries
/// the host's addresses as RFC 8305 does, the next one after `ClientOptions::address_delay`; the
/// first whose handshake is complete wins.
class TcpOriginConnection final : public OriginConnection {
 public:
  TcpOriginConnection(ClientPool& pool, http::Url url, std::uint64_t id);
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

  Task<Result<void>> race(std::vector<udp::Address> addresses);
  void attempt(const udp::Address& remote);
  std::vector<std::string> protocols() const;
  Error why_none_connected() const;
  void take(Attempt& attempt);
  void ended(const Error& reason);
  void give_up_attempts() noexcept override;

  std::deque<std::unique_ptr<Attempt>> attempts_;
  fallback::Session* session_ = nullptr;
  bool serial_ = false;
  // Kept when the connection has gone.
  udp::Path path_;
  quic::HandshakeInfo handshake_;
  tcp::StreamInfo last_info_;
};

}  // namespace tern
