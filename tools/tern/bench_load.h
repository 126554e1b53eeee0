#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <sys/types.h>
#include <vector>

#include "base/runtime.h"
#include "base/scope.h"
#include "base/task.h"
#include "gateway/broadcast.h"
#include "gateway/proxy.h"
#include "http/message.h"
#include "http/uri.h"
#include "http/websocket.h"
#include "tools/tern/bench_options.h"
#include "tools/tern/bench_report.h"
#include "tools/tern/bench_transport.h"
#include "tools/tern/process_cpu.h"
#include "webtransport/session.h"

namespace tern::cli {

/// The load generator: -c connections with -m coroutines each, which send one request after the
/// other; one coroutine frame lives as long as its stream slot. The connections are a
/// BenchTransport's.
class Load {
 public:
  /// Handshakes at the same time while the connections are being opened.
  static constexpr std::size_t kMaxOpening = 64;

  Load(Runtime& runtime, udp::Network& network, const BenchOptions& options, http::Url url,
       ProxyOptions proxies);
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load();

  /// The whole run. Error: it could not begin.
  Task<Result<void>> run(BenchReport& report);
  /// Ends the run early, with what has been measured.
  void stop();

  /// For a progress line.
  std::uint64_t done() const noexcept { return done_; }
  bool measuring() const noexcept { return measuring_; }

 private:
  Result<void> prepare();
  Task<Result<std::vector<udp::Address>>> look_up();
  /// The address to load: the server's, or its proxy's.
  Task<Result<udp::Address>> find_server();
  Result<std::unique_ptr<BenchTransport>> make_transport(BenchReport& report);
  /// Opens it and waits for the end of its handshake.
  Task<Result<void>> connect(BenchConnection& connection, std::size_t number);
  Task<void> connect_all();
  Task<void> connect_some(std::size_t first, std::size_t step);

  Task<void> request_slot(BenchConnection& connection, std::size_t number);
  Task<Result<void>> request(BenchConnection& connection, int& status);
  /// A WebSocket on the connection: sends messages, wants them back, sends the next ones.
  Task<void> websocket_slot(BenchConnection& connection);
  Task<void> echo(http::WebSocket& socket);
  Task<Result<void>> echoed(http::WebSocket& socket);
  // ---- bench_sessions.cc
  /// A WebTransport session on the connection: streams or datagrams there and back.
  Task<void> session_slot(BenchConnection& connection);
  Task<Result<std::unique_ptr<webtransport::Session>>> open_session(
      std::unique_ptr<http::ClientExchange> exchange);
  Task<void> use(webtransport::Session& session);
  Task<void> stream_slot(webtransport::Session& session, std::size_t& left);
  Task<Result<void>> stream_there_and_back(webtransport::Session& session);
  Task<void> echo_datagrams(webtransport::Session& session);
  void send_datagrams(webtransport::Session& session, std::size_t& under_way);
  void lose_datagrams(std::size_t& under_way);

  Task<void> handshake_slot(std::size_t number);
  Task<Result<void>> first_session();

  void find_process(BenchReport& report);
  Task<Result<bool>> open_connections(BenchReport& report);
  void start_slots();

  /// Takes the right to begin one more; with --rate it comes at its time, which is put in `begin`.
  bool take_ticket(Timestamp& begin);
  void begin_measuring(BenchReport& report);
  void end_measuring(BenchReport& report);
  void note(Timestamp begin, const Result<void>& outcome, int status);
  /// Waits until the deadline passes or every slot has ended.
  Task<void> wait_until(Timestamp deadline);

  Runtime& runtime_;
  udp::Network& network_;
  const BenchOptions& options_;
  const http::Url url_;
  const ProxyOptions proxies_;
  udp::Address remote_;
  http::RequestHead head_;
  Bytes body_;
  std::vector<std::unique_ptr<BenchConnection>> connections_;
  Broadcast changed_;
  std::unique_ptr<BenchTransport> transport_;  // its connections are told of to those above
  BenchReport* report_ = nullptr;
  std::uint64_t tickets_ = 0;  // given out in this phase
  std::uint64_t ticket_limit_ = UINT64_MAX;
  Timestamp phase_begun_{};
  std::uint64_t done_ = 0;
  std::size_t running_ = 0;
  bool measuring_ = false;
  bool stopping_ = false;
  std::optional<ProcessUse> server_before_;
  Duration client_before_{};
  Scope scope_;  // last: its tasks use everything above
};

}  // namespace tern::cli
