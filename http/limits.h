#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace tern::http {

/// What a peer may ask of us, on every protocol alike. A server's defaults hold from the start;
/// what goes beyond is answered with the status or code in parentheses (HTTP/3's; HTTP/2's are
/// named alike, ENHANCE_YOUR_CALM for H3_EXCESSIVE_LOAD; HTTP/1.1 answers with the status and
/// closes), has a counter, and leaves other connections alone. docs/operations.md lists them.
struct Limits {
  /// Announced and enforced size of a field section, counted as RFC 9114 §4.2.2 does: names,
  /// values and 32 bytes a line. A request above it is answered with 431, a response above it fails
  /// (H3_EXCESSIVE_LOAD).
  std::uint64_t max_field_section = 64 * 1024;
  /// Field lines in a section, likewise.
  std::size_t max_fields = 256;
  /// Server: bytes of a request's body; 413, or a reset when they were not announced
  /// (H3_EXCESSIVE_LOAD). 0: no limit, the handler's flow control is the only one.
  std::uint64_t max_body = 0;
  /// Server: requests open at once, those whose stream has ended but whose handler still runs
  /// included.
  std::uint64_t max_requests = 128;
  /// Client: requests that wait for the handshake, for SETTINGS or for the server to allow more
  /// streams; beyond it `open` fails.
  std::size_t max_waiting_requests = 1024;

  /// A request's header section must be complete this long after its first byte
  /// (H3_REQUEST_INCOMPLETE). Any stream's type likewise (H3_STREAM_CREATION_ERROR if it is no
  /// request's).
  Duration head_timeout = std::chrono::seconds(10);
  /// Silence within a request's body that the handler is ready to take (H3_REQUEST_INCOMPLETE).
  /// Does not apply to tunnels, nor to bodies of unannounced length once the response has begun:
  /// streaming calls may be silent for long.
  Duration body_timeout = std::chrono::seconds(60);
  /// A peer that does not open its flow control, or does not read, although we have something to
  /// send: the stream is reset after that long, the connection closed if none moves
  /// (H3_EXCESSIVE_LOAD).
  Duration send_timeout = std::chrono::minutes(2);

  /// Server: requests the client may cancel before their response is complete, or that it makes us
  /// reset by breaking the rules (CVE-2023-44487, CVE-2025-8671), in `window`; then the connection
  /// is closed (H3_EXCESSIVE_LOAD).
  std::uint32_t max_resets = 200;
  /// Oddities, legal or the end of one stream only, that cost us more than the peer (malformed
  /// messages, empty or unknown frames, unknown streams, priority updates), in `window`; likewise.
  std::uint32_t max_glitches = 1000;
  Duration window = std::chrono::seconds(10);
};

}  // namespace tern::http
