#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "base/counters.h"
#include "base/error.h"
#include "base/runtime.h"
#include "http/fallback/context.h"
#include "http/server_hooks.h"
#include "transport/tcp/network.h"
#include "transport/tls/secure_stream.h"
#include "transport/tls/server_context.h"

namespace tern {

/// One worker's part of a server on TCP: listeners, TLS handshakes under way, and the HTTP/2 and
/// HTTP/1.1 sessions behind them. On the worker's thread; runtime and network outlive it.
class StreamServer final : private tcp::ListenSink {
 public:
  /// From a connection's first byte to its handshake's end.
  static constexpr Duration kHandshakeLimit = std::chrono::seconds(10);
  /// TLS handshakes under way; beyond it clients are turned away.
  static constexpr std::size_t kMaxHandshakes = 10'000;

  StreamServer(Runtime& runtime, tcp::Network& network, fallback::SessionOptions options,
               http::ServerHooks hooks);
  ~StreamServer();

  /// With TLS, or without: then the client's first bytes say whether it speaks HTTP/2. Returns the
  /// address with its real port.
  Result<udp::Address> listen(const udp::Address& address, const tcp::ReusePort& group,
                              bool cleartext);
  /// Listens with a socket of the process before (engine::adopt); nobody is accepted before
  /// `resume`. The socket is this one's, also if that fails.
  Result<udp::Address> adopt(int descriptor, bool cleartext);
  bool listens(const udp::Address& local) const noexcept;
  /// The listener that was opened last.
  tcp::Listener& newest() noexcept { return *listeners_.back().listener; }
  /// Takes no new clients.
  void stop_listening();
  /// Drops the listener that was opened last.
  void unlisten() { listeners_.pop_back(); }

  /// For handshakes that begin from now on.
  void use(std::shared_ptr<const tls::ServerContext> context) { context_ = std::move(context); }
  /// Asked about each new client: is there room for it?
  std::function<bool()> room;

  // The hand-over to another process (server_handover.h):

  /// Accepts nobody more. Those of `handed` are another process's to accept, and nobody listens at
  /// the other addresses.
  void pause(const std::vector<udp::Address>& handed);
  void resume();
  /// Connections end with their requests, those that are still in their handshake after their
  /// first ones.
  void leave();

  /// Takes no new clients and lets requests under way finish.
  void drain();
  /// Ends every connection.
  void close();
  /// Handshakes and sessions that are not over.
  std::size_t connections() const noexcept { return handshakes_.size() + sessions_.sessions(); }
  /// Shows `connections` in the counters.
  void note_open() { open_.set(connections()); }

 private:
  class Handshake;
  Result<udp::Address> add(Result<std::unique_ptr<tcp::Listener>> listener, bool cleartext);
  struct Listening {
    std::unique_ptr<tcp::Listener> listener;
    bool cleartext = false;
  };

  void accepted(tcp::Listener& listener, std::unique_ptr<tcp::Stream> stream) override;
  void accept_failed(tcp::Listener& listener, const Error& error) override;
  void handshake_done(Handshake& handshake);
  void handshake_failed(Handshake& handshake, const Error& error);
  std::unique_ptr<tls::SecureStream> remove(Handshake& handshake);

  Runtime& runtime_;
  tcp::Network& network_;
  fallback::Context sessions_;
  std::shared_ptr<const tls::ServerContext> context_;
  std::vector<std::unique_ptr<Handshake>> handshakes_;
  std::vector<Listening> listeners_;
  Timer late_;  // since `leave`: no handshake that began before it goes on
  Counter &open_, &accepted_, &refused_, &tls_complete_, &tls_resumed_, &tls_failed_;
};

}  // namespace tern
