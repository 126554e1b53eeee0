#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/runtime.h"
#include "http/fallback/options.h"
#include "http/fallback/session.h"
#include "http/server_hooks.h"
#include "transport/tcp/network.h"

namespace tern::fallback {

enum class Protocol : std::uint8_t {
  http1,  ///< HTTP/1.1, and HTTP/1.0 as far as RFC 9112 asks
  http2,  ///< after ALPN "h2", or with prior knowledge
  /// Server, on bare TCP: whichever the client's first bytes are (RFC 9113 §3.3).
  sniffed,
};

/// What the HTTP/2 and HTTP/1.1 sessions of one runtime share: options, the handler, counters; owns
/// the sessions and the tasks their requests run in. Destroying it breaks the connections off.
/// Outlived by runtime and network; belongs to the runtime's thread.
///
///   fallback::Context context(runtime, options, hooks);
///   context.accept(std::move(stream), Protocol::http2);
class Context {
 public:
  /// For clients, and for servers when `hooks` has a handler.
  explicit Context(Runtime& runtime, SessionOptions options = {}, http::ServerHooks hooks = {});
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  /// A server's session on a stream that is connected (TLS: whose handshake is complete), which it
  /// takes over. The reference is good until its connection has ended.
  Session& accept(std::unique_ptr<tcp::Stream> stream, Protocol protocol);
  /// A client's, likewise; `ClientHooks::closed` says when it is about to go.
  Session& connect(std::unique_ptr<tcp::Stream> stream, Protocol protocol, ClientHooks hooks = {});

  /// Server: `Session::drain` on each, and `Session::close`. `unused` false: not on those that have
  /// had no request, whose first one may be on its way.
  void drain_all(bool unused = true);
  void close_all();
  /// Sessions that are not over.
  std::size_t sessions() const noexcept;

  const SessionOptions& options() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tern::fallback
