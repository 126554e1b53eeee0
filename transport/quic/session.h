#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"

namespace tern::quic {

/// What a client remembers of a server to come back faster: the TLS session ticket, the transport
/// parameters for 0-RTT, an address validation token and the application's own state (HTTP/3: the
/// server's SETTINGS). A plain value. It holds the resumption secret: keep files private (0600).
struct Session {
  std::string server_name;           ///< it may only be used for this name
  std::string alpn;                  ///< the protocol that was negotiated
  std::uint32_t quic_version = 0;    ///< it may only be used with this version (RFC 9369 §5)
  UnixSeconds expires = 0;           ///< end of the ticket's life by its own lifetime
  bool early_data = false;           ///< the ticket allows 0-RTT
  std::vector<std::uint8_t> ticket;  ///< BoringSSL's serialised SSL_SESSION
  std::vector<std::uint8_t> transport_params;  ///< for 0-RTT (RFC 9000 §7.4.1)
  std::vector<std::uint8_t> token;             ///< from NEW_TOKEN; empty if none came
  std::vector<std::uint8_t> application;       ///< opaque to QUIC

  /// A versioned binary form; `parse` refuses anything it does not know whole.
  std::vector<std::uint8_t> serialize() const;
  static Result<Session> parse(ByteView bytes);

  bool operator==(const Session&) const = default;
};

}  // namespace tern::quic
