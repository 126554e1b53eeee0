#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "transport/tls/exporter.h"

struct ssl_st;
struct ssl_session_st;

/// What a context's callbacks know of the connection they run for. Internal to transport.

namespace tern::tls {

class ClientContext;
class ServerContext;

/// One per connection (SSL object), owned by whoever drives the handshake and set as its app data
/// by `attach`. Used on one thread.
struct HandshakeState {
  void* owner = nullptr;           ///< whoever drives the handshake
  UnixSeconds now = 0;             ///< judges certificates and tickets
  std::uint32_t quic_version = 0;  ///< tickets are sealed for, and opened in, this version; TCP: 0
  std::string verify_failure;      ///< why the peer's certificate was refused, in words
  Exporter exporter;               ///< TLS 1.3's; known before the handshake is complete
  /// A client received a session ticket. The session is the callee's only during the call.
  void (*session_received)(HandshakeState& state, ssl_session_st* session) = nullptr;
};

void attach(ssl_st* ssl, HandshakeState& state) noexcept;

/// BoringSSL asks a context for the time without saying for which connection: whoever calls into
/// the library holds one of these around the call.
class ScopedTime {
 public:
  explicit ScopedTime(UnixSeconds now) noexcept;
  ~ScopedTime();
  ScopedTime(const ScopedTime&) = delete;
  ScopedTime& operator=(const ScopedTime&) = delete;

 private:
  UnixSeconds previous_;
};

/// SNI, the name or IP address to verify and the time to verify at. `server_name` may be an IP
/// address literal.
Result<void> set_server_name(ssl_st* ssl, const ClientContext& context,
                             const std::string& server_name, UnixSeconds now);
/// The time to verify a client's certificate at.
void set_verify_time(ssl_st* ssl, UnixSeconds now) noexcept;

/// Before a session is resumed at `now`: takes a second from the age that the ClientHello tells the
/// server (RFC 8446 §4.2.11.1). BoringSSL counts whole seconds of the clock, as many as began since
/// the ticket came, so that it may tell of more time than has passed; GnuTLS takes early data with
/// such an age for a replay and rejects it. Less than has passed is in every server's tolerance,
/// as a ticket takes its time on the way.
void understate_ticket_age(ssl_session_st* session, UnixSeconds now) noexcept;

/// What a complete handshake settled: the group by its IANA name (empty for a resumption without
/// one; a string that lasts for ever), and the subject of the peer's certificate in one line if it
/// was verified.
std::string_view group_name(const ssl_st* ssl) noexcept;
std::string verified_peer(const ssl_st* ssl);

/// Reduces the cipher suites of a ClientHello message (with its 4-byte handshake header) to
/// TLS_CHACHA20_POLY1305_SHA256, in place and without changing its length (an empty padding
/// extension takes the place of the two suites). True also if it offers nothing else already; false
/// if it has another shape than BoringSSL gives it.
/// Why and where this is done: docs/decisions/0008.
bool offer_only_chacha20(MutableBytes client_hello) noexcept;

}  // namespace tern::tls
