#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "http/message.h"
#include "http/origin_policy.h"
#include "http/websocket_deflate.h"

namespace tern::http {

class Exchange;

/// What both ends of a WebSocket are told. Fluent; the defaults are meant to be left alone.
///
/// Origins and `authorize` hold on a server alone; what a client says of itself, an origin for
/// instance, are fields of its `ClientRequest`.
class WebSocketOptions {
 public:
  // ---- the handshake, on a server
  /// Browsers are let in from this origin too (`OriginPolicy`); without any only from the server's
  /// own. Others are refused with 403.
  WebSocketOptions& allow_origin(std::string origin) & {
    origins_.allow(std::move(origin));
    return *this;
  }
  WebSocketOptions&& allow_origin(std::string origin) && {
    return std::move(allow_origin(std::move(origin)));
  }
  WebSocketOptions& allow_any_origin() & { return origins_.allow_any(), *this; }
  WebSocketOptions&& allow_any_origin() && { return std::move(allow_any_origin()); }
  /// A request without an origin is refused with 403.
  WebSocketOptions& require_origin() & { return origins_.require(), *this; }
  WebSocketOptions&& require_origin() && { return std::move(require_origin()); }
  WebSocketOptions& origins(OriginPolicy policy) & { return origins_ = std::move(policy), *this; }
  WebSocketOptions&& origins(OriginPolicy policy) && {
    return std::move(origins(std::move(policy)));
  }
  /// Looks at the request before it is accepted, its token for instance (`bearer_token`): anything
  /// but `Status::ok` is the answer instead. Runs on the worker's thread.
  WebSocketOptions& authorize(std::function<Status(const Exchange&)> check) & {
    return authorize_ = std::move(check), *this;
  }
  WebSocketOptions&& authorize(std::function<Status(const Exchange&)> check) && {
    return std::move(authorize(std::move(check)));
  }

  // ---- the handshake, on both
  /// A subprotocol that we speak, the best first. A server takes the first of its own that the
  /// client offers; none, when there is none in common.
  WebSocketOptions& protocol(std::string name) & {
    protocols_.push_back(std::move(name));
    return *this;
  }
  WebSocketOptions&& protocol(std::string name) && { return std::move(protocol(std::move(name))); }
  /// permessage-deflate (RFC 7692).
  WebSocketOptions& deflate(WebSocketDeflateOptions options) & {
    return deflate_ = std::move(options), *this;
  }
  WebSocketOptions&& deflate(WebSocketDeflateOptions options) && {
    return std::move(deflate(std::move(options)));
  }

  // ---- limits
  /// Bytes of a received message, inflated; a longer one ends the connection with 1009. Default
  /// 16 MiB. 0: none, for those that read with `receive_part`.
  WebSocketOptions& max_message(std::uint64_t bytes) & { return max_message_ = bytes, *this; }
  WebSocketOptions&& max_message(std::uint64_t bytes) && { return std::move(max_message(bytes)); }
  /// Bytes received and not taken by the application, from which on no more is read: the peer is
  /// held back by flow control. Default 64 KiB. (`receive` reads on until its message is complete.)
  WebSocketOptions& receive_buffer(std::size_t bytes) & { return receive_buffer_ = bytes, *this; }
  WebSocketOptions&& receive_buffer(std::size_t bytes) && {
    return std::move(receive_buffer(bytes));
  }
  /// Sends that wait at the same time, of several coroutines; one more fails with Error limit.
  /// Default 1024.
  WebSocketOptions& max_waiting_sends(std::size_t count) & {
    return max_waiting_sends_ = count, *this;
  }
  WebSocketOptions&& max_waiting_sends(std::size_t count) && {
    return std::move(max_waiting_sends(count));
  }
  /// Pings and pongs of the peer in 10 s; more ends the connection with 1008. Default 1000.
  WebSocketOptions& max_control_frames(std::uint32_t count) & {
    return max_control_frames_ = count, *this;
  }
  WebSocketOptions&& max_control_frames(std::uint32_t count) && {
    return std::move(max_control_frames(count));
  }

  // ---- time
  /// A ping is sent when nothing has come for so long. 0: never. Default 20 s.
  WebSocketOptions& ping_interval(Duration time) & { return ping_interval_ = time, *this; }
  WebSocketOptions&& ping_interval(Duration time) && { return std::move(ping_interval(time)); }
  /// Silence after such a ping (any frame breaks it) that ends the connection, as lost: 1006.
  /// Default 20 s.
  WebSocketOptions& pong_timeout(Duration time) & { return pong_timeout_ = time, *this; }
  WebSocketOptions&& pong_timeout(Duration time) && { return std::move(pong_timeout(time)); }
  /// Time without a message in either direction after which the connection is closed with 1001.
  /// Pings do not count. Default 0: none.
  WebSocketOptions& idle_timeout(Duration time) & { return idle_timeout_ = time, *this; }
  WebSocketOptions&& idle_timeout(Duration time) && { return std::move(idle_timeout(time)); }
  /// A message that waits so long for the peer to read ends the connection: the stream is reset,
  /// `send` fails with Error timed_out. Default 30 s.
  WebSocketOptions& send_timeout(Duration time) & { return send_timeout_ = time, *this; }
  WebSocketOptions&& send_timeout(Duration time) && { return std::move(send_timeout(time)); }
  /// How long the peer's close frame, and then its end of the stream, is waited for. Default 5 s.
  WebSocketOptions& close_timeout(Duration time) & { return close_timeout_ = time, *this; }
  WebSocketOptions&& close_timeout(Duration time) && { return std::move(close_timeout(time)); }

  const OriginPolicy& origins() const noexcept { return origins_; }
  const std::function<Status(const Exchange&)>& authorize() const noexcept { return authorize_; }
  const std::vector<std::string>& protocols() const noexcept { return protocols_; }
  const WebSocketDeflateOptions& deflate() const noexcept { return deflate_; }
  std::uint64_t max_message() const noexcept { return max_message_; }
  std::size_t receive_buffer() const noexcept { return receive_buffer_; }
  std::size_t max_waiting_sends() const noexcept { return max_waiting_sends_; }
  std::uint32_t max_control_frames() const noexcept { return max_control_frames_; }
  Duration ping_interval() const noexcept { return ping_interval_; }
  Duration pong_timeout() const noexcept { return pong_timeout_; }
  Duration idle_timeout() const noexcept { return idle_timeout_; }
  Duration send_timeout() const noexcept { return send_timeout_; }
  Duration close_timeout() const noexcept { return close_timeout_; }

 private:
  OriginPolicy origins_;
  std::function<Status(const Exchange&)> authorize_;
  std::vector<std::string> protocols_;
  WebSocketDeflateOptions deflate_;
  std::uint64_t max_message_ = 16 * 1024 * 1024;
  std::size_t receive_buffer_ = 64 * 1024;
  std::size_t max_waiting_sends_ = 1024;
  std::uint32_t max_control_frames_ = 1000;
  Duration ping_interval_ = std::chrono::seconds(20);
  Duration pong_timeout_ = std::chrono::seconds(20);
  Duration idle_timeout_{};
  Duration send_timeout_ = std::chrono::seconds(30);
  Duration close_timeout_ = std::chrono::seconds(5);
};

}  // namespace tern::http
