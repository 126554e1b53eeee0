#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/runtime.h"
#include "gateway/broadcast.h"
#include "gateway/proxy.h"
#include "http/session.h"
#include "http/uri.h"
#include "tools/tern/bench_options.h"
#include "tools/tern/bench_report.h"
#include "transport/udp/network.h"

namespace tern::cli {

/// One connection of a load, whatever it runs on: opening, then open (it has a session), then
/// failed; and after that perhaps opened again. `BenchTransport` keeps it.
struct BenchConnection {
  http::Session* session = nullptr;  ///< while it is open
  std::optional<Error> failure;      ///< why it is not, or is not any more
  bool opening = false;
  bool confirmed = false;  ///< the server has the whole handshake, too
  Timestamp begun{};
};

/// What the connections of a load run on, QUIC or TCP. It sits directly on the transport's
/// endpoint and the protocol's sessions, so that the client is as light as it can be. Belongs to
/// the runtime's thread, and is outlived by everything it was made with.
class BenchTransport {
 public:
  /// A load's, as a transport sees it.
  struct Load {
    Runtime& runtime;
    udp::Network& network;
    const BenchOptions& options;
    const http::Url& url;
    const ProxyOptions& proxies;
    udp::Address remote;  ///< of the server, or of its proxy
    BenchReport& report;
    Broadcast& changed;  ///< told of each change of a connection
  };

  /// Files and sockets that cannot be opened are an Error.
  static Result<std::unique_ptr<BenchTransport>> over_quic(Load load);
  static Result<std::unique_ptr<BenchTransport>> over_tcp(Load load);

  BenchTransport(const BenchTransport&) = delete;
  BenchTransport& operator=(const BenchTransport&) = delete;
  virtual ~BenchTransport() = default;

  /// Begins to open the connection, which is not open; `number` spreads them over sockets.
  virtual Result<void> open(BenchConnection& connection, std::size_t number) = 0;
  /// Says goodbye on all of them.
  virtual void close_all() = 0;
  /// A session is there to resume with.
  virtual bool can_resume() const noexcept = 0;
  /// Version, cipher and group of the connection that was opened first.
  const std::string& handshake() const noexcept { return handshake_; }

 protected:
  explicit BenchTransport(const Load& load) : load_(load) {}

  void opened(BenchConnection& connection, http::Session& session) {
    connection.opening = false;
    connection.session = &session;
    load_.changed.notify_all();
  }
  void ended(BenchConnection& connection, const Error& reason) {
    connection.opening = false;
    connection.failure = reason;
    connection.session = nullptr;
    load_.changed.notify_all();
  }

  Load load_;
  std::string handshake_;
};

}  // namespace tern::cli
