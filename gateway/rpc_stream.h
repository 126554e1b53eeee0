#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/scope.h"
#include "base/task.h"
#include "http/carrier.h"
#include "http/exchange.h"
#include "rpc/status.h"
#include "rpc/stream_head.h"
#include "webtransport/session.h"
#include "webtransport/stream.h"

namespace tern {

/// A stream of WebTransport as what carries one exchange: so a call on it is gRPC-Web's, with its
/// heads in envelopes (rpc/stream_head.h). For either side. Private to the room; the session
/// outlives it, and it its exchange.
class RpcStream final : public http::Carrier {
 public:
  RpcStream(webtransport::Session& session, std::unique_ptr<webtransport::Stream> stream);
  RpcStream(const RpcStream&) = delete;
  RpcStream& operator=(const RpcStream&) = delete;
  ~RpcStream() = default;

  // ---- of a server
  /// What the caller begins with; a call that has no head after `kHeadTime` is none.
  static constexpr Duration kHeadTime = std::chrono::seconds(10);
  Task<rpc::Result<rpc::CallHead>> read_head();
  /// Answers with that status and nothing else.
  void refuse(const rpc::Status& status);
  /// From now on what comes is the exchange's.
  void serve(http::Exchange& exchange);

  // ---- of a client
  /// Before the request is sent.
  void serve(http::ClientExchange& exchange);

  // ---- http::Carrier
  std::string_view protocol() const noexcept override;
  udp::Path path() const noexcept override { return session_.path(); }
  bool early_data() const noexcept override { return false; }
  void send_request(const http::RequestHead& head, bool end) override;
  void send_response(http::Status status, http::Fields fields, bool end) override;
  void send_body(Bytes bytes, bool end) override { send(std::move(bytes), end); }
  void send_trailers(const http::Fields& trailers) override;
  std::size_t unsent() const noexcept override;
  void consumed(std::size_t) override { taken_.notify(); }
  void abort(http::Abort why) override;
  void stop_reading(http::Abort why) override;
  void set_priority(http::Priority) override {}
  bool send_datagram(ByteView) override { return false; }
  std::size_t max_datagram() const noexcept override { return 0; }
  void detach() noexcept override { ends_ = nullptr; }

 private:
  /// What is read ahead of the exchange's reader.
  static constexpr std::size_t kReadAhead = std::size_t{64} * 1024;
  class Stopped;

  void send(Bytes bytes, bool end);
  void fail_reading(Error error);
  /// Reads the head. An error: the stream's own, or what is wrong with it.
  Task<rpc::Status> gather_head();
  Task<void> read_response(http::ClientExchange& exchange);
  Task<void> read_body();
  Task<void> watch();
  Task<void> drain();

  webtransport::Session& session_;
  std::unique_ptr<webtransport::Stream> stream_;
  http::detail::Ends* ends_ = nullptr;
  rpc::HeadReader head_;
  Signal taken_;
  bool ended_ = false;     // our side
  bool draining_ = false;  // a coroutine waits until less is queued
  Scope scope_;            // last: what runs in it uses all of the above
};

}  // namespace tern
