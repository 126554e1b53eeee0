#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "http/exchange.h"
#include "http3/options.h"
#include "transport/quic/connection.h"
#include "transport/quic/event.h"

namespace tern::http3 {

class Context;

/// HTTP/0.9 over QUIC, ALPN "hq-interop": what the QUIC interop runner and the example programs of
/// QUIC libraries speak. A request is "GET /path" on a bidirectional stream, the response the bare
/// body. There are no fields and no status: a handler's response other than 2xx resets the stream
/// with the status as error code, and the client reports it as an error of Domain::http.
///
/// Owned by its connection, used on its runtime's thread.
class HqSession final : public quic::Application {
 public:
  /// The longest request line a server reads; beyond it the stream is reset with 414.
  static constexpr std::size_t kMaxRequestLine = 8 * 1024;
  /// Client: requests that wait for the server to allow more streams; beyond it `open` fails.
  static constexpr std::size_t kMaxWaiting = 10'000;

  /// A server's session on a connection that has become ready. The context, of which it uses the
  /// hooks, outlives it and owns the tasks that its requests run in.
  static std::unique_ptr<HqSession> accept(Context& context, quic::Connection& connection);
  /// A client's. Of the hooks, `session` and `closed` are used.
  static std::unique_ptr<HqSession> connect(Runtime& runtime, quic::Connection& connection,
                                            ClientHooks hooks = {});
  ~HqSession() override;

  /// Client: a new request, for `ClientExchange::send` of a GET without a body. Goes out, also in
  /// 0-RTT, as soon as the server allows; again if it refused 0-RTT.
  Result<std::unique_ptr<http::ClientExchange>> open();
  /// Requests that are not over; on a server also those whose handlers still run.
  std::size_t requests() const noexcept { return streams_.size() + unopened_.size(); }
  void close();
  /// Server: closes the connection once no request is open. HTTP/0.9 cannot tell the client.
  void drain();

  void handle(const quic::Event& event) override;

 private:
  class Stream;

  HqSession(Runtime& runtime, quic::Connection& connection, Context* server, ClientHooks client);
  void on_data(const quic::Event& event);
  void on_request_line(Stream& stream, bool fin);
  void flush_waiting();
  void begin_again();
  void forget(Stream& stream);
  void close_if_drained();

  Runtime& runtime_;
  quic::Connection& connection_;
  Context* server_;  // null on a client
  ClientHooks client_;
  bool draining_ = false;
  std::unordered_map<quic::StreamId, std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Stream>> unopened_;  // client: made, but without a stream
  std::deque<Stream*> waiting_;                    // those of them that are to be sent
};

}  // namespace tern::http3
