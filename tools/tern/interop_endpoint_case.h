#pragma once

#include <cstdint>
#include <string_view>

/// What each test case of the QUIC interop runner asks of an endpoint beyond a plain transfer.

namespace tern::cli {

/// How a client spreads its requests over connections.
enum class InteropConnections : std::uint8_t {
  one,         ///< all requests at once on one connection
  resumed,     ///< the first request, then the others on a resumed connection
  early_data,  ///< likewise, and the others go in 0-RTT
  each,        ///< a connection for every request
};

/// The defaults are the runner's "transfer": HTTP/0.9, QUIC version 1, no Retry.
struct InteropCase {
  std::string_view name;
  bool client = true;  ///< a client may be asked for it
  bool server = true;
  InteropConnections connections = InteropConnections::one;
  bool http3 = false;
  bool chacha20 = false;  ///< TLS_CHACHA20_POLY1305_SHA256 alone
  bool retry = false;
  bool version2 = false;            ///< begins with version 1 and agrees on version 2 (RFC 9368)
  bool key_update = false;          ///< the client's, before its requests
  bool preferred_address = false;   ///< the server's
  bool path_mtu_discovery = true;   ///< probes spoil counts of bytes and marks
  bool patient_handshakes = false;  ///< they may take minutes: a third of the packets is lost
};

/// nullptr: the role knows no such case, which is exit code 127.
const InteropCase* interop_case(std::string_view name, bool server) noexcept;

}  // namespace tern::cli
