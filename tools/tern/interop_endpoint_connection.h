#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/runtime.h"
#include "base/task.h"
#include "gateway/broadcast.h"
#include "http/exchange.h"
#include "http3/context.h"
#include "http3/hq_session.h"
#include "http3/session.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/quic/connection.h"
#include "transport/quic/options.h"
#include "transport/quic/session.h"

namespace tern::cli {

/// A client's connection that speaks hq-interop or HTTP/3, whichever `ConnectOptions::alpn` says.
/// Outlived by runtime, endpoint and context, and outlives the connection it has opened: closed()
/// before its destruction.
class InteropConnection {
 public:
  InteropConnection(Runtime& runtime, quic::BoundEndpoint& endpoint, http3::Context& http3) noexcept
      : endpoint_(endpoint), http3_(http3), runtime_(runtime), changed_(runtime) {}
  InteropConnection(const InteropConnection&) = delete;
  InteropConnection& operator=(const InteropConnection&) = delete;

  /// Returns when requests may be opened: with early data at once.
  Task<Result<void>> connect(quic::ConnectOptions options);
  /// Returns when the handshake is confirmed, or the connection over.
  Task<Result<void>> confirmed();
  /// Returns when the server has sent a ticket, or the connection is over, or after `limit`.
  Task<std::optional<quic::Session>> ticket(Duration limit);
  Result<std::unique_ptr<http::ClientExchange>> open();
  Result<void> update_keys();
  /// Ends it, if it is still open, with the protocol's code for "no error".
  void close();
  bool closed() const noexcept { return closed_.has_value(); }
  /// "QUICv1, h3, TLS_AES_128_GCM_SHA256, resumed"; empty until the handshake is complete.
  std::string handshake() const;

 private:
  class Application;

  std::unique_ptr<quic::Application> begin(quic::Connection& connection);
  void end(const Error& reason);
  /// That are not answered completely.
  std::size_t requests() const noexcept;

  quic::BoundEndpoint& endpoint_;
  http3::Context& http3_;
  Runtime& runtime_;
  Broadcast changed_;
  quic::Connection* connection_ = nullptr;
  http3::HqSession* hq_ = nullptr;
  http3::Session* h3_ = nullptr;
  quic::HandshakeInfo handshake_;
  std::optional<quic::Session> ticket_;
  bool http3_wanted_ = false;
  bool confirmed_ = false;
  bool begun_ = false;
  std::optional<Error> closed_;
};

}  // namespace tern::cli
