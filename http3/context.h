#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/counters.h"
#include "base/memory_pool.h"
#include "base/runtime.h"
#include "base/scope.h"
#include "http/server_hooks.h"
#include "http3/options.h"
#include "http3/session.h"
#include "transport/quic/connection.h"

namespace tern::http3 {

class RequestStream;

/// What the HTTP/3 sessions of one runtime share: options, the handler, pooled memory, counters.
///
///   http3::Context context(runtime, options, hooks);
///   endpoint.serve([&](quic::Connection& connection) { return context.accept(connection); });
///
/// Outlives its sessions and owns the tasks their requests run in: destroying it cancels them.
/// Destroyed before the runtime, and after the endpoint that has the sessions. Belongs to the
/// runtime's thread.
class Context {
 public:
  /// For clients, and for servers when `hooks` has a handler.
  explicit Context(Runtime& runtime, SessionOptions options = {}, http::ServerHooks hooks = {});
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  /// A server's session on a connection that has become ready with ALPN "h3".
  std::unique_ptr<Session> accept(quic::Connection& connection);
  /// A client's.
  std::unique_ptr<Session> connect(quic::Connection& connection, ClientHooks hooks = {});

  /// For quic::EndpointOptions::early_data_context: a ticket from a server that promised other
  /// settings is no good for 0-RTT (RFC 9114 §7.2.4.2).
  static std::vector<std::uint8_t> early_data_context(const SessionOptions& options);

  Runtime& runtime() noexcept { return runtime_; }
  const SessionOptions& options() const noexcept { return options_; }
  const http::ServerHooks& hooks() const noexcept { return hooks_; }

  // ---- for the sessions
  Scope& tasks() noexcept { return tasks_; }
  MemoryPool& memory() noexcept { return memory_; }
  ChunkArena& arena() noexcept { return arena_; }
  /// For the field section that is being encoded.
  std::vector<std::uint8_t>& scratch() noexcept { return scratch_; }
  /// Room for what a session offers next to be sent; good until any session does so again.
  std::array<quic::Vec, 8>& vecs() noexcept { return vecs_; }
  /// A blank stream object; given back with `recycle`.
  RequestStream* take_stream();
  void recycle(RequestStream* stream) noexcept;

  struct Counts {
    explicit Counts(Counters& counters);
    Counter &sessions, &requests, &responses, &peer_resets, &peer_stops, &rejected;
    Counter &malformed, &errors, &peer_errors, &timeouts, &stalled, &aged;
    Counter &limit_fields, &limit_body, &limit_resets, &limit_glitches, &limit_waiting;
    Counter &datagrams_received, &datagrams_sent, &datagrams_dropped, &early_data_replayed;
    Counter& streams_refused;
  };
  Counts& counts() noexcept { return counts_; }

 private:
  /// Stream objects kept for reuse.
  static constexpr std::size_t kMaxSpareStreams = 1024;

  Runtime& runtime_;
  SessionOptions options_;
  http::ServerHooks hooks_;
  MemoryPool memory_;
  ChunkArena arena_;
  std::vector<std::uint8_t> scratch_;
  std::array<quic::Vec, 8> vecs_{};
  std::vector<RequestStream*> spare_;
  Counts counts_;
  Scope tasks_{runtime_.ready()};  // last: the tasks use everything above
};

}  // namespace tern::http3
