#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "http/limits.h"
#include "transport/tcp/network.h"

namespace tern::fallback {

class Session;

/// An entry of HTTP/2's SETTINGS that an extension has defined (RFC 9113 §5.5).
struct Setting {
  std::uint16_t id = 0;
  std::uint32_t value = 0;
  /// The largest value that a peer may announce: more ends the connection with PROTOCOL_ERROR.
  std::uint32_t peer_limit = UINT32_MAX;
};

/// What all sessions of a `Context` allow their peers, beside what holds on every protocol.
struct SessionOptions : http::Limits {
  /// A connection without a request is closed after that long (HTTP/2: GOAWAY with NO_ERROR).
  Duration idle_timeout = std::chrono::seconds(60);
  /// Server: the `alt-svc` (RFC 7838) of the responses on a stream that have none of their own, for
  /// instance `h3=":4433"; ma=86400`. Asked once for each session; empty: none.
  std::function<std::string(const tcp::Stream&)> alt_svc;

  // ---- HTTP/2
  /// Window we give each stream and the connection, in bytes. What the handler has not taken stays
  /// out of it, so a stream's window bounds what we hold for it.
  std::uint32_t stream_window = 1024 * 1024;
  std::uint32_t connection_window = 4 * 1024 * 1024;
  /// Largest frame we accept, in bytes: 16384 to 16777215.
  std::uint32_t max_frame = 16 * 1024;
  /// HPACK's dynamic table, for each direction at most this many bytes.
  std::size_t hpack_capacity = 4096;
  /// CONTINUATION frames of one field section (CVE-2024-27316).
  std::size_t max_continuations = 8;
  /// PING and SETTINGS frames that wait to be acknowledged because the peer does not read
  /// (CVE-2019-9512, -9515).
  std::size_t max_unsent_acks = 100;
  /// Extended CONNECT (RFC 8441) is announced by a server.
  bool extended_connect = true;
  /// More entries for our SETTINGS, WebTransport's for instance; 16 at most. A client says them
  /// with its first extended CONNECT. What the peer says of them is kept (`Session::peer_setting`).
  std::vector<Setting> extra_settings;
  /// Client: whether a server, by its SETTINGS, takes extended CONNECTs of this `:protocol`; one it
  /// does not take fails with Error unsupported and is not sent. Empty: it takes any.
  std::function<bool(std::string_view protocol, const Session&)> takes_protocol;

  // ---- HTTP/1.1
  /// Bytes of a request's target; 414 (RFC 9110 §4.1 asks for 8000 at least).
  std::size_t max_target = 16 * 1024;
  /// Requests of one connection that wait for the one before them to be answered (pipelining). Safe
  /// ones are worked on at the same time and answered in order, others wait for their turn; what
  /// comes beyond stays in TCP.
  std::size_t max_pipelined = 16;
  /// Bytes of a message's body that are kept for a reader who does not keep up; then the rest stays
  /// in TCP. What one read brings, at most 64 KiB, may come on top.
  std::size_t max_buffered_body = 256 * 1024;
  /// Requests on one connection, then `connection: close`. 0: no limit.
  std::uint64_t max_requests_per_connection = 0;
};

/// A client session's stream leads to a proxy that forwards requests for http:// URLs.
struct ForwardProxy {
  std::string authority;      ///< of the origin, whatever `host` a request has
  std::string authorization;  ///< `proxy-authorization` of each request; empty: none
};

/// What a client session tells its owner, in the drain phase, each of which may be empty; and whom
/// it speaks with.
struct ClientHooks {
  /// The server wants no more requests on this connection (GOAWAY, `connection: close`). Those it
  /// did not process fail with Code::rejected.
  std::function<void()> goaway;
  /// The connection is over; the Session is destroyed when this returns.
  std::function<void(const Error&)> closed;
  /// The value of an `alt-svc` field of a response (RFC 7838). Called while it is read.
  std::function<void(std::string_view)> alt_svc;

  /// HTTP/1.1: requests name whole URLs (RFC 9112 §3.2.2).
  std::optional<ForwardProxy> proxy;
};

}  // namespace tern::fallback
