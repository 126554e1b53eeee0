#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "http/exchange.h"
#include "http3/settings.h"
#include "transport/quic/session.h"

namespace tern::http3 {

/// What all sessions of a `Context` allow their peers. What a peer does beyond it is answered with
/// the code in parentheses.
struct SessionOptions {
  /// Announced and enforced size of a field section (RFC 9114 §4.2.2). A request above it is
  /// answered with 431, a response above it fails (H3_EXCESSIVE_LOAD).
  std::uint64_t max_field_section = 64 * 1024;
  /// Field lines in a section, likewise.
  std::size_t max_fields = 256;
  /// Server: bytes of a request's body; 413, or a reset when they were not announced
  /// (H3_EXCESSIVE_LOAD). 0: no limit, the handler's flow control is the only one.
  std::uint64_t max_body = 0;
  /// Server: requests open at once, those whose stream has ended but whose handler still runs
  /// included. Must be quic::TransportOptions::max_bidi_streams, which enforces it.
  std::uint64_t max_requests = 128;
  /// Client: requests that wait for the handshake, for SETTINGS or for the server to allow more
  /// streams; beyond it `open` fails.
  std::size_t max_waiting_requests = 1024;

  /// QPACK's dynamic tables, for each direction at most this many bytes, and streams that the peer
  /// may let wait for its table (RFC 9204 §5). Two tables of 4 KiB save nearly all repeated bytes
  /// of usual headers, and an idle connection that has filled them stays small. No stream waits: a
  /// lost packet of one would hold up others (docs/decisions/0010).
  std::size_t qpack_capacity = 4096;
  std::size_t qpack_blocked_streams = 0;

  /// HTTP datagrams (RFC 9297). quic::TransportOptions::max_datagram_frame must allow them, too.
  bool datagrams = true;
  /// Datagrams kept for requests whose header section has not come yet; the oldest is dropped.
  std::size_t max_early_datagrams = 32;
  /// Server: extended CONNECT (RFC 9220).
  bool extended_connect = true;
  /// More entries for our SETTINGS frame, e.g. WebTransport's.
  std::vector<Setting> extra_settings;

  /// A request's header section must be complete this long after its first byte
  /// (H3_REQUEST_INCOMPLETE). Any stream's type likewise (H3_STREAM_CREATION_ERROR if it is no
  /// request's).
  Duration head_timeout = std::chrono::seconds(10);
  /// Silence within a request's body that the handler is ready to take (H3_REQUEST_INCOMPLETE).
  /// Does not apply to tunnels, nor to bodies of unannounced length once the response has begun:
  /// streaming calls may be silent for long.
  Duration body_timeout = std::chrono::seconds(60);
  /// A peer that does not open its flow control although we have something to send: the stream is
  /// reset after that long, the connection closed if none moves (H3_EXCESSIVE_LOAD).
  Duration send_timeout = std::chrono::minutes(2);

  /// Server: requests the client may cancel before their response is complete, in `window`; then
  /// the connection is closed (H3_EXCESSIVE_LOAD).
  std::uint32_t max_resets = 200;
  /// Oddities, legal or the end of one stream only, that cost us more than the peer (malformed
  /// messages, empty or unknown frames, unknown streams, priority updates), in `window`; likewise.
  std::uint32_t max_glitches = 1000;
  Duration window = std::chrono::seconds(10);
};

/// What a server does with requests.
struct ServerHooks {
  http::Handler handler;
  /// Called when a request's handler is through, for the access log; may be empty.
  std::function<void(const http::Exchange&)> done;
};

/// What a client session tells its owner, in the drain phase; each may be empty.
struct ClientHooks {
  /// `quic::Session::application` of the session that the connection resumes; empty otherwise.
  std::vector<std::uint8_t> remembered;
  /// A session to resume with, its `application` filled in.
  std::function<void(quic::Session)> session;
  /// The server wants no more requests on this connection (GOAWAY). Those it did not process fail
  /// with Code::rejected.
  std::function<void()> goaway;
  /// The connection is over; the Session is destroyed when this returns.
  std::function<void(const Error&)> closed;
};

}  // namespace tern::http3
