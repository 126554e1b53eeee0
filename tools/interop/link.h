#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "base/task.h"
#include "gateway/broadcast.h"
#include "http/exchange.h"
#include "http3/context.h"
#include "http3/hq_session.h"
#include "http3/session.h"
#include "tools/interop/qlog_facts.h"
#include "tools/interop/wiretap.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/quic/options.h"

namespace tern::interop {

/// How a case wants its connection.
struct LinkSettings {
  std::shared_ptr<const tls::ClientContext> context;
  udp::Address remote;
  std::string server_name;
  std::string authority;  ///< of requests
  std::string alpn = "h3";
  std::string user_agent;
  quic::TransportOptions transport;
  std::optional<quic::Session> session;  ///< to resume
  bool early_data = false;
  std::vector<std::uint8_t> more_parameters;  ///< quic::ConnectOptions::more_parameters
  std::uint32_t reserved_version = 0;         ///< quic::ConnectOptions::reserved_version
  bool facts = true;                          ///< read the qlog; a long download goes without
  quic::QlogOpener qlog;                      ///< writes it to a file as well, if set
};

/// What came of a request.
struct Answer {
  int status = 0;  ///< 200 for hq-interop, which has none
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> length;  ///< what content-length said
  std::string server;                   ///< the response's server field
  bool early = false;                   ///< the request left before the handshake was complete
  bool cut = false;                     ///< more than was wanted; the rest was refused
};

/// One connection of the prober: an endpoint of its own, its sockets under a wiretap, and HTTP/3 or
/// hq-interop on it. Belongs to the runtime's thread. Runtime and network outlive it.
class Link final : private http3::StreamRouter {
 public:
  /// Bytes of a response body that are read at most, unless `get` is told otherwise.
  static constexpr std::uint64_t kMaxBody = 1024 * 1024;
  /// Bytes kept of what came on a stream of `send_raw`.
  static constexpr std::size_t kMaxRaw = 16 * 1024;

  Link(Runtime& runtime, udp::Network& network);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// Opens the connection; returns once requests may be sent: with early data at once, else when
  /// the handshake is complete. How long that may take is settings.transport.handshake_timeout.
  Task<Result<void>> connect(LinkSettings settings);
  /// With early data: waits for the end of the handshake.
  Task<Result<void>> handshake();
  /// Waits until `condition` holds; false when it does not after `limit`, or the connection is
  /// over. The condition is looked at when a datagram has come and when something has happened.
  Task<bool> until(const std::function<bool()>& condition, Duration limit);

  /// GET, and the whole body of the answer, of which at most `max_body` bytes are read.
  Task<Result<Answer>> get(std::string target, std::uint64_t max_body = kMaxBody);
  /// One more field for the requests after this.
  void add_field(std::string name, std::string value) { extra_.add(name, value); }

  /// Null once the connection is over.
  quic::Connection* connection() noexcept { return connection_; }
  /// Null with hq-interop, and once the connection is over.
  http3::Session* session() noexcept { return session_; }
  /// Why it is over.
  const std::optional<Error>& end() const noexcept { return end_; }
  /// Its last facts when it is over.
  quic::HandshakeInfo info() const;
  quic::ConnectionStats stats() const;
  udp::Path path() const;

  const WireFacts& wire() const noexcept { return tap_.facts(); }
  const QlogFacts& qlog() const noexcept { return *facts_; }
  bool confirmed() const noexcept { return confirmed_; }
  bool early_data_rejected() const noexcept { return early_data_rejected_; }
  unsigned path_changes() const noexcept { return path_changes_; }
  /// From `connect` to the end of the handshake.
  Duration handshake_time() const noexcept { return handshake_time_; }
  /// The tickets that came, oldest first.
  std::vector<quic::Session>& sessions() noexcept { return sessions_; }

  /// One more socket on `ip` (a wildcard address: any), with a port of its own.
  Result<udp::Address> bind(const udp::Address& ip);
  void unbind(const udp::Address& local) { endpoint_->unbind(local); }

  /// HTTP/3: bytes on a new stream of ours that the session knows nothing of, with its end.
  Result<quic::StreamId> send_raw(Bytes bytes, bool unidirectional);
  /// What came back on the stream of the last bidirectional `send_raw`.
  const std::vector<std::uint8_t>& raw() const noexcept { return raw_; }
  bool raw_ended() const noexcept { return raw_ended_; }

  /// CONNECTION_CLOSE without an error. The endpoint goes on listening.
  void say_close();
  /// The same, and waits until the packet has left.
  Task<void> close();

 private:
  class Application;

  bool accept(quic::StreamId, quic::StreamId) override { return false; }
  void handle(const quic::Event& event) override;  // of our own raw streams
  std::unique_ptr<quic::Application> make_application(quic::Connection& connection);
  void seen(const quic::Event& event);
  Result<std::unique_ptr<http::ClientExchange>> open();

  Runtime& runtime_;
  Broadcast changed_;
  Wiretap tap_;
  std::shared_ptr<QlogFacts> facts_ = std::make_shared<QlogFacts>();
  LinkSettings settings_;
  http::Fields extra_;
  http3::Context context_;
  std::unique_ptr<quic::BoundEndpoint> endpoint_;  // goes before the context
  quic::Connection* connection_ = nullptr;
  http3::Session* session_ = nullptr;
  http3::HqSession* hq_ = nullptr;
  std::optional<Error> end_;
  std::vector<quic::Session> sessions_;
  Timestamp begun_{};
  Duration handshake_time_{};
  bool ready_ = false;
  bool complete_ = false;
  bool confirmed_ = false;
  bool early_data_rejected_ = false;
  unsigned path_changes_ = 0;
  quic::StreamId raw_stream_ = -1;
  std::vector<std::uint8_t> raw_;
  bool raw_ended_ = false;
  quic::HandshakeInfo last_info_;
  quic::ConnectionStats last_stats_;
  udp::Path last_path_;
};

}  // namespace tern::interop
