#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ngtcp2/ngtcp2.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "transport/quic/packet_aead.h"
#include "transport/quic/packet_protection.h"
#include "transport/quic/packet_watch.h"
#include "transport/quic/session.h"
#include "transport/tls/client_context.h"
#include "transport/tls/handshake_state.h"
#include "transport/tls/server_context.h"

struct ssl_st;
struct ssl_session_st;

/// Between ngtcp2 and BoringSSL: the TLS handshake over CRYPTO frames and the packet protection
/// keys (RFC 9001, RFC 9369). Internal to transport/quic.

namespace tern::quic {

/// What the handshake settled. Views into the bridge; valid as long as it lives.
struct HandshakeFacts {
  std::string_view alpn;             ///< e.g. "h3"
  std::string_view cipher;           ///< e.g. "TLS_AES_128_GCM_SHA256"
  std::string_view group;            ///< e.g. "X25519"; empty for a resumption without one
  std::string_view server_name;      ///< the SNI: what the client asked for
  bool resumed = false;              ///< a session ticket was used, no certificate was sent
  bool early_data_accepted = false;  ///< 0-RTT was offered and taken
  bool early_data_rejected = false;  ///< 0-RTT was offered and refused (client only)
  std::string_view peer_certificate_subject;  ///< of a verified peer, one line; else empty
};

/// One connection's TLS session. Owned by its Connection, used on that connection's thread only.
///
/// Order of use
///  1. `CryptoBridge::install(callbacks)` fills the crypto members of an `ngtcp2_callbacks`
///     (list at `install`). The other members are the caller's.
///  2. `server(…)` or `client(…)`; then `ngtcp2_conn_server_new` / `ngtcp2_conn_client_new`;
///     then `attach(conn)` before anything else is done with `conn`.
///     A client with a session must have created `conn` with the session's `quic_version`
///     (RFC 9369 §5); `attach` restores the remembered transport parameters for 0-RTT, and
///     `offers_early_data()` then says whether streams may be opened at once. ngtcp2 wants one
///     `ngtcp2_conn_write_pkt` before the first 0-RTT stream is opened.
///  3. ngtcp2 calls back from `read_pkt`/`write_pkt`. The bridge never calls application code.
///     Before feeding packets call `set_unix_time(now)` when the wall clock has moved on
///     (certificate and ticket ages are judged by it; seconds are enough).
///  4. After every `read_pkt`: `take_session()` until empty, on a client.
///  5. When ngtcp2 returns NGTCP2_ERR_CRYPTO or another error that stems from TLS: `failure()`
///     says what went wrong in words, and `ngtcp2_conn_get_tls_alert(conn)` holds the alert for
///     `ngtcp2_ccerr_set_tls_alert` (CRYPTO_ERROR 0x100 + alert).
///  6. `ngtcp2_conn_del(conn)` before the bridge is destroyed: ngtcp2 gives the keys back through
///     the delete callbacks (they do not touch the bridge, but `attach`'s pointer must not dangle).
///
/// A server's TLS state is freed as soon as its handshake is complete: from then on nothing may
/// arrive in CRYPTO frames (a client certificate renegotiation does not exist in QUIC, KeyUpdate is
/// forbidden), and anything that does ends the connection with unexpected_message (RFC 9001 §6).
class CryptoBridge {
 public:
  /// `early_data_context` is what the application adds to the conditions for accepting 0-RTT,
  /// such as its HTTP/3 SETTINGS: a ticket from a server with other bytes here, other transport
  /// parameters or another ALPN resumes without 0-RTT. Without early data in the context's options
  /// it has no effect.
  static Result<std::unique_ptr<CryptoBridge>> server(
      std::shared_ptr<const tls::ServerContext> context, UnixSeconds now,
      ByteView early_data_context = {});

  struct ClientOptions {
    std::string server_name;           ///< host name or IP address literal (no brackets): SNI
                                       ///< (names only) and certificate verification
    std::vector<std::string> alpn;     ///< in order of preference; QUIC wants at least one
    const Session* session = nullptr;  ///< to resume; copied. Ignored if it is for another name
    bool early_data = false;           ///< offer 0-RTT if the session allows it
    /// Encoded transport parameters to send after our own; at most kMaxMoreParameters bytes.
    ByteView more_parameters;
  };
  static constexpr std::size_t kMaxMoreParameters = 16 * 1024;
  static Result<std::unique_ptr<CryptoBridge>> client(
      std::shared_ptr<const tls::ClientContext> context, UnixSeconds now,
      const ClientOptions& options);

  ~CryptoBridge();
  CryptoBridge(const CryptoBridge&) = delete;
  CryptoBridge& operator=(const CryptoBridge&) = delete;

  /// Fills: client_initial, recv_client_initial, recv_retry, recv_crypto_data, encrypt, decrypt,
  /// hp_mask, update_key, delete_crypto_aead_ctx, delete_crypto_cipher_ctx, version_negotiation.
  static void install(ngtcp2_callbacks& callbacks);

  /// Ties the bridge to `conn` (its `tls_native_handle`), which must outlive every use of `conn`.
  /// Fails only for a session of another QUIC version or whose remembered transport parameters
  /// ngtcp2 refuses; the connection can then go on with a full handshake, without 0-RTT.
  Result<void> attach(ngtcp2_conn* conn);

  void set_unix_time(UnixSeconds now) noexcept { state_.now = now; }

  /// What the connection's 0-RTT and 1-RTT packets hold.
  PacketWatch& packets() noexcept { return packets_; }
  const PacketWatch& packets() const noexcept { return packets_; }

  /// Nothing is sent or received for a while: the key schedules are freed, and made anew for the
  /// next packet.
  void rest() noexcept { keys_.rest(); }

  /// Client: a session is being resumed with 0-RTT, and `attach` accepted its parameters. Turns
  /// false when the server refuses; ngtcp2's `tls_early_data_rejected` callback comes at that
  /// moment and the caller sends its requests again.
  bool offers_early_data() const noexcept { return offers_early_data_; }
  bool handshake_complete() const noexcept { return handshake_complete_; }
  /// Of TLS 1.3's exporter (RFC 8446 §7.5). Error invalid: as `tls::Exporter::derive`, and before
  /// `handshake_complete()`.
  Result<void> export_keying_material(std::string_view label, ByteView context,
                                      MutableBytes out) const;
  /// Complete once `handshake_complete()`; before that, what is known so far.
  HandshakeFacts facts() const;

  /// What ended the handshake, in words: Code::certificate with X.509's reason when the peer's
  /// certificate is not trusted, else Domain::tls with the alert we sent. Nothing failed:
  /// Domain::tls, code 0. The peer's alerts come in its CONNECTION_CLOSE, not here.
  Error failure() const;
  std::uint8_t alert() const noexcept { return alert_; }

  /// Client: the oldest session received and not yet taken (a server usually sends two). Only
  /// `token` and `application` are left for the caller to fill. At most kMaxSessions wait; the
  /// oldest is dropped for a new one. Tickets are for one use (RFC 8446 C.4).
  bool take_session(Session& session);
  bool has_session() const noexcept { return !sessions_.empty(); }
  static constexpr std::size_t kMaxSessions = 4;

 private:
  friend struct BridgeCallbacks;  // SSL_QUIC_METHOD and ngtcp2_callbacks, in crypto_bridge.cc
  enum class Role : std::uint8_t { server, client };
  static constexpr std::size_t kMaxTransportParams = 512;  // bytes, encoded

  explicit CryptoBridge(Role role, UnixSeconds now);

  // Each returns 0 or an ngtcp2 error.
  int read_crypto_data(ngtcp2_encryption_level level, ByteView data);
  int advance();
  int fail_handshake();

  // Called by BoringSSL within those; false ends the handshake.
  bool install_rx_secret(ngtcp2_encryption_level level, CipherSuite suite, ByteView secret);
  bool install_tx_secret(ngtcp2_encryption_level level, CipherSuite suite, ByteView secret);
  bool set_crypto_context(ngtcp2_encryption_level level, CipherSuite suite);
  bool set_remote_transport_params();
  bool set_local_transport_params();
  void receive_session(ssl_session_st* session);

  void complete();
  void record_facts();

  Role role_;
  bool handshake_complete_ = false;
  bool offers_early_data_ = false;
  bool chacha20_only_ = false;
  std::uint8_t alert_ = 0;
  CipherSuite suite_;  // of 1-RTT packets
  PacketWatch packets_;
  RestingKeys keys_;
  std::uint64_t prepared_generation_ = 0;  // of the newest keys that ngtcp2 has asked for
  int transport_error_ = 0;                // what ngtcp2 said to the peer's transport parameters
  ngtcp2_conn* conn_ = nullptr;
  ssl_st* ssl_ = nullptr;  // null on a server once its handshake is complete
  tls::HandshakeState state_;
  std::shared_ptr<const tls::ServerContext> server_context_;  // until the handshake is complete
  std::shared_ptr<const tls::ClientContext> client_context_;
  std::string failure_;  // what ended the handshake, if not the certificate

  struct Facts {
    std::string alpn, server_name, peer_subject;
    std::string_view cipher, group;  // BoringSSL's static strings
    bool resumed = false, early_data_accepted = false, early_data_rejected = false;
  };
  Facts facts_;
  std::vector<std::uint8_t> early_data_context_;      // server, until `attach`
  std::vector<std::uint8_t> early_transport_params_;  // client, until `attach`
  std::vector<std::uint8_t> more_parameters_;         // client
  std::uint32_t session_version_ = 0;                 // of the session to resume; 0: none
  std::vector<Session> sessions_;
};

}  // namespace tern::quic
