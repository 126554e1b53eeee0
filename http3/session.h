#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "http/exchange.h"
#include "http/session.h"
#include "http3/error_code.h"
#include "http3/settings.h"
#include "transport/quic/connection.h"
#include "transport/quic/event.h"

namespace tern::http3 {

/// Takes a session's streams that are not HTTP/3's own. Made by `SessionOptions::make_router` when
/// it is first needed, and then the session's; or registered with `Session::set_router`, when it
/// outlives the session or unregisters. Without a router such streams are refused. Called in the
/// drain phase.
class StreamRouter {
 public:
  virtual ~StreamRouter() = default;
  /// The peer has opened a stream that belongs to a session of WebTransport
  /// (draft-ietf-webtrans-http3 §4): a unidirectional one of type 0x54, or a bidirectional one that
  /// begins with the signal 0x41. `session`, the stream of its CONNECT request, has been read as
  /// well; whether there is such a session is for the router to find out, but it names a client's
  /// bidirectional stream. True: all the stream's events, the rest of its bytes first, go to
  /// `handle`; false: it is refused with `refusal()`.
  virtual bool accept(quic::StreamId stream, quic::StreamId session) = 0;
  virtual ErrorCode refusal() const noexcept { return ErrorCode::wt_buffered_stream_rejected; }
  /// The same for a unidirectional stream whose type HTTP/3 does not know; refused with
  /// H3_STREAM_CREATION_ERROR (RFC 9114 §6.2).
  virtual bool accept_unknown(quic::StreamId, std::uint64_t /*type*/) { return false; }
  /// An event of an accepted or adopted stream: data, reset, acknowledged, closed. What is sent on
  /// it goes through `quic::Connection::write`.
  virtual void handle(const quic::Event& event) = 0;
  /// The peer lets us open more streams.
  virtual void streams_available() {}
  /// The peer's SETTINGS have come.
  virtual void settings_received() {}

  /// A datagram for `stream` (RFC 9297). False: the stream's exchange is to have it.
  virtual bool take_datagram(quic::StreamId /*stream*/, Bytes& /*payload*/) { return false; }
  /// Datagrams of its streams (RFC 9297 §2.1), the quarter stream ID in front: see
  /// `quic::DatagramSource`. `id` is the stream.
  virtual bool next_datagram(Timestamp, quic::DatagramSource::Datagram&) { return false; }
  virtual void datagram_done(bool /*sent*/) {}
  virtual void datagram_lost(quic::StreamId) {}
};

/// HTTP/3 (RFC 9114) on one QUIC connection: requests in on a server, out on a client. Made by a
/// `Context`, owned by the connection from `ready` to `closed`, used on its runtime's thread.
///
/// A peer that breaks the protocol closes the connection with the code that RFC 9114, 9204 or 9297
/// names, one line in the log and a counter; a malformed message ends its stream alone.
///
/// A server's that drains is also closed when its answers have left whole and nothing was heard
/// since for 2.5 s, or three PTOs: the client is gone.
class Session : public quic::Application, public http::Session {
 public:
  std::string_view protocol() const noexcept override { return "h3"; }
  /// As http::Session says. In 0-RTT only safe methods go out (RFC 8470), others wait for the
  /// handshake; if the server refuses 0-RTT, what was sent is sent again.
  Result<std::unique_ptr<http::ClientExchange>> open() override = 0;
  void close() override { close(ErrorCode::no_error); }
  /// Ends the connection at once, with a CONNECTION_CLOSE.
  virtual void close(ErrorCode why, std::string_view reason = {}) = 0;

  /// The peer's SETTINGS, once they have come.
  virtual const std::optional<Settings>& peer_settings() const noexcept = 0;
  /// What we announce, without grease.
  virtual const Settings& local_settings() const noexcept = 0;

  /// nullptr unregisters.
  virtual void set_router(StreamRouter* router) noexcept = 0;
  /// The one there is, or is made now; null without any.
  virtual StreamRouter* router() = 0;
  /// Events of this stream, which we have opened, go to the router.
  virtual void adopt(quic::StreamId stream) = 0;

  virtual quic::Connection& connection() noexcept = 0;
};

}  // namespace tern::http3
