#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "http/limits.h"
#include "http3/settings.h"
#include "transport/quic/session.h"

namespace tern::http3 {

class Session;
class StreamRouter;

/// What all sessions of a `Context` allow their peers. `max_requests` must be
/// quic::TransportOptions::max_bidi_streams, which enforces it.
struct SessionOptions : http::Limits {
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
  /// Client: whether a server with these SETTINGS takes extended CONNECTs of this `:protocol`; one
  /// it does not take fails with Error unsupported and is not sent. Empty: it takes any.
  std::function<bool(std::string_view protocol, const Settings&)> takes_protocol;
  /// More entries for our SETTINGS frame, e.g. WebTransport's.
  std::vector<Setting> extra_settings;
  /// Why an extension cannot live with the peer's SETTINGS, which ends the connection with
  /// H3_SETTINGS_ERROR; empty when it can. `promised`: on a client what the server had remembered
  /// of it when it took 0-RTT (RFC 9114 §7.2.4.2); else null.
  std::function<std::string_view(const Settings& peer, const Settings* promised)> settings_fault;
  /// Makes what takes streams that are not HTTP/3's own; empty: they are refused.
  std::function<std::unique_ptr<StreamRouter>(Session&)> make_router;
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
