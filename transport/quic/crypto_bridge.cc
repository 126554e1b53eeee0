#include "transport/quic/crypto_bridge.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/check.h"
#include "transport/quic/broken_rule.h"
#include "transport/quic/ngtcp2_bridge.h"
#include "transport/quic/packet_aead.h"
#include "transport/quic/packet_callbacks.h"

namespace tern::quic {
namespace {

ByteView view(const ngtcp2_cid& cid) noexcept { return {cid.data, cid.datalen}; }

ngtcp2_encryption_level from_ssl(ssl_encryption_level_t level) noexcept {
  switch (level) {
    case ssl_encryption_initial: return NGTCP2_ENCRYPTION_LEVEL_INITIAL;
    case ssl_encryption_early_data: return NGTCP2_ENCRYPTION_LEVEL_0RTT;
    case ssl_encryption_handshake: return NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE;
    case ssl_encryption_application: break;
  }
  return NGTCP2_ENCRYPTION_LEVEL_1RTT;
}

ssl_encryption_level_t to_ssl(ngtcp2_encryption_level level) noexcept {
  switch (level) {
    case NGTCP2_ENCRYPTION_LEVEL_INITIAL: return ssl_encryption_initial;
    case NGTCP2_ENCRYPTION_LEVEL_0RTT: return ssl_encryption_early_data;
    case NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE: return ssl_encryption_handshake;
    case NGTCP2_ENCRYPTION_LEVEL_1RTT: break;
  }
  return ssl_encryption_application;
}

bool install_initial_keys(ngtcp2_conn* conn, std::uint32_t version, ByteView dcid) {
  const bool server = ngtcp2_conn_is_server(conn) != 0;
  const ngtcp2_crypto_ctx context = crypto_context(kInitialSuite);
  ngtcp2_conn_set_initial_crypto_ctx(conn, &context);
  if (!server && !ngtcp2_conn_after_retry(conn)) {
    ngtcp2_crypto_aead_ctx retry{new PacketAead(Aead::aes_128_gcm, retry_key(version))};
    ngtcp2_conn_set_retry_aead(conn, &context.aead, &retry);  // takes it over
  }
  InitialKeys keys(version, dcid, server);
  const int result =
      ngtcp2_conn_install_initial_key(conn, keys.rx.aead(), keys.rx.iv(), keys.rx.header(),
                                      keys.tx.aead(), keys.tx.iv(), keys.tx.header(), kIvLength);
  return keys.rx.taken(result) && keys.tx.taken(result);
}

std::string tls_reason() {
  const std::uint32_t error = ERR_peek_error();
  const char* reason = error != 0 ? ERR_reason_error_string(error) : nullptr;
  return reason != nullptr ? reason : "";
}

}  // namespace

// ---- callbacks ----------------------------------------------------------------------------------

/// C callbacks: they find the bridge and hand over. Running out of memory ends the process.
struct BridgeCallbacks {
  static CryptoBridge& bridge_of(const SSL* ssl) noexcept {
    auto* state = static_cast<tls::HandshakeState*>(SSL_get_app_data(ssl));
    return *static_cast<CryptoBridge*>(state->owner);
  }
  static CryptoBridge& bridge_of(ngtcp2_conn* conn) noexcept {
    return *static_cast<CryptoBridge*>(ngtcp2_conn_get_tls_native_handle(conn));
  }

  // BoringSSL: 1 is success, 0 ends the handshake.

  static int set_read_secret(SSL* ssl, ssl_encryption_level_t level, const SSL_CIPHER* cipher,
                             const std::uint8_t* secret, std::size_t length) noexcept {
    const auto suite = CipherSuite::from_tls(SSL_CIPHER_get_protocol_id(cipher));
    return suite && bridge_of(ssl).install_rx_secret(from_ssl(level), *suite, {secret, length});
  }

  static int set_write_secret(SSL* ssl, ssl_encryption_level_t level, const SSL_CIPHER* cipher,
                              const std::uint8_t* secret, std::size_t length) noexcept {
    const auto suite = CipherSuite::from_tls(SSL_CIPHER_get_protocol_id(cipher));
    return suite && bridge_of(ssl).install_tx_secret(from_ssl(level), *suite, {secret, length});
  }

  static int add_handshake_data(SSL* ssl, ssl_encryption_level_t level, const std::uint8_t* data,
                                std::size_t length) noexcept {
    const CryptoBridge& bridge = bridge_of(ssl);
    std::vector<std::uint8_t> hello;
    if (bridge.chacha20_only_ && level == ssl_encryption_initial) {
      hello.assign(data, data + length);
      if (!tls::offer_only_chacha20(hello)) return 0;
      data = hello.data();
    }
    return ngtcp2_conn_submit_crypto_data(bridge.conn_, from_ssl(level), data, length) == 0;
  }

  static int flush_flight(SSL*) noexcept { return 1; }  // ngtcp2 packs on the next write_pkt

  static int send_alert(SSL* ssl, ssl_encryption_level_t, std::uint8_t alert) noexcept {
    CryptoBridge& bridge = bridge_of(ssl);
    bridge.alert_ = alert;
    ngtcp2_conn_set_tls_alert(bridge.conn_, alert);
    return 1;
  }

  static constexpr SSL_QUIC_METHOD kMethod = {set_read_secret, set_write_secret, add_handshake_data,
                                              flush_flight, send_alert};

  /// A ClientHello on its way into the transcript: see tls::offer_only_chacha20.
  static void message(int is_write, int, int content_type, const void* data, std::size_t length,
                      SSL* ssl, void*) noexcept {
    if (is_write == 0 || content_type != SSL3_RT_HANDSHAKE || length == 0) return;
    auto* bytes = static_cast<std::uint8_t*>(const_cast<void*>(data));
    if (bytes[0] != SSL3_MT_CLIENT_HELLO) return;
    if (!tls::offer_only_chacha20({bytes, length})) bridge_of(ssl).failure_ = "ClientHello";
  }

  static void session_received(tls::HandshakeState& state, SSL_SESSION* session) {
    static_cast<CryptoBridge*>(state.owner)->receive_session(session);
  }

  // ngtcp2: 0 is success.

  static int client_initial(ngtcp2_conn* conn, void*) noexcept {
    const bool installed = install_initial_keys(conn, ngtcp2_conn_get_client_chosen_version(conn),
                                                view(*ngtcp2_conn_get_dcid(conn)));
    CryptoBridge& bridge = bridge_of(conn);
    if (!installed || !bridge.set_local_transport_params() || bridge.advance() != 0) {
      return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
  }

  static int recv_client_initial(ngtcp2_conn* conn, const ngtcp2_cid* dcid, void*) noexcept {
    const std::uint32_t version = ngtcp2_conn_get_client_chosen_version(conn);
    return install_initial_keys(conn, version, view(*dcid)) ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
  }

  static int recv_retry(ngtcp2_conn* conn, const ngtcp2_pkt_hd* header, void*) noexcept {
    const std::uint32_t version = ngtcp2_conn_get_client_chosen_version(conn);
    return install_initial_keys(conn, version, view(header->scid)) ? 0
                                                                   : NGTCP2_ERR_CALLBACK_FAILURE;
  }

  static int version_negotiation(ngtcp2_conn* conn, std::uint32_t version,
                                 const ngtcp2_cid* client_dcid, void*) noexcept {
    InitialKeys keys(version, view(*client_dcid), ngtcp2_conn_is_server(conn) != 0);
    const int result = ngtcp2_conn_install_vneg_initial_key(
        conn, version, keys.rx.aead(), keys.rx.iv(), keys.rx.header(), keys.tx.aead(), keys.tx.iv(),
        keys.tx.header(), kIvLength);
    return keys.rx.taken(result) && keys.tx.taken(result) ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
  }

  static int recv_crypto_data(ngtcp2_conn* conn, ngtcp2_encryption_level level, std::uint64_t,
                              const std::uint8_t* data, std::size_t length, void*) noexcept {
    return bridge_of(conn).read_crypto_data(level, {data, length});
  }

  static int update_key(ngtcp2_conn* conn, std::uint8_t* rx_secret, std::uint8_t* tx_secret,
                        ngtcp2_crypto_aead_ctx* rx_aead, std::uint8_t* rx_iv,
                        ngtcp2_crypto_aead_ctx* tx_aead, std::uint8_t* tx_iv,
                        const std::uint8_t* current_rx, const std::uint8_t* current_tx,
                        std::size_t length, void*) noexcept {
    CryptoBridge& bridge = bridge_of(conn);
    ++bridge.prepared_generation_;
    const CipherSuite suite = bridge.suite_;
    const std::uint32_t version = ngtcp2_conn_get_negotiated_version(conn);
    const auto derive = [&](std::uint8_t* secret, ngtcp2_crypto_aead_ctx* aead, std::uint8_t* iv,
                            const std::uint8_t* current) {
      derive_next_secret({secret, length}, version, suite.hash, {current, length});
      const PacketKeys keys = derive_packet_keys(version, suite, {secret, length});
      std::memcpy(iv, keys.iv.data(), kIvLength);
      auto* const made = new PacketAead(suite.aead, keys.key_view());
      made->iv = keys.iv;
      made->generation = bridge.prepared_generation_;
      aead->native_handle = made;
    };
    derive(rx_secret, rx_aead, rx_iv, current_rx);
    auto& opens = *static_cast<PacketAead*>(rx_aead->native_handle);
    opens.watch = &bridge.packets_;
    bridge.keys_.add(opens);
    // Not when the first packet seems to need it: that would show in the time it takes whether a
    // forged one has the next key phase (RFC 9001 §6.3, §9.5).
    static_cast<void>(opens.key());
    derive(tx_secret, tx_aead, tx_iv, current_tx);
    auto& seals = *static_cast<PacketAead*>(tx_aead->native_handle);
    seals.seal_watch = &bridge.packets_;
    bridge.keys_.add(seals);
    return 0;
  }
};

void CryptoBridge::install(ngtcp2_callbacks& callbacks) {
  callbacks.client_initial = BridgeCallbacks::client_initial;
  callbacks.recv_client_initial = BridgeCallbacks::recv_client_initial;
  callbacks.recv_retry = BridgeCallbacks::recv_retry;
  callbacks.recv_crypto_data = BridgeCallbacks::recv_crypto_data;
  callbacks.update_key = BridgeCallbacks::update_key;
  callbacks.version_negotiation = BridgeCallbacks::version_negotiation;
  install_packet_callbacks(callbacks);
}

// ---- construction -------------------------------------------------------------------------------

CryptoBridge::CryptoBridge(Role role, UnixSeconds now) : role_(role) {
  state_.owner = this;
  state_.now = now;
}

CryptoBridge::~CryptoBridge() { SSL_free(ssl_); }

Result<std::unique_ptr<CryptoBridge>> CryptoBridge::server(
    std::shared_ptr<const tls::ServerContext> context, UnixSeconds now,
    ByteView early_data_context) {
  std::unique_ptr<CryptoBridge> bridge(new CryptoBridge(Role::server, now));
  bridge->ssl_ = SSL_new(context->native());
  SSL* const ssl = bridge->ssl_;
  if (ssl == nullptr || SSL_set_quic_method(ssl, &BridgeCallbacks::kMethod) != 1) {
    return fail(Error(Domain::tls, 0, "cannot begin a TLS session: " + tls_reason()));
  }
  SSL_set_accept_state(ssl);
  tls::attach(ssl, bridge->state_);
  tls::set_verify_time(ssl, now);
  if (context->early_data()) {
    bridge->early_data_context_.assign(early_data_context.begin(), early_data_context.end());
  }
  bridge->server_context_ = std::move(context);
  return bridge;
}

Result<std::unique_ptr<CryptoBridge>> CryptoBridge::client(
    std::shared_ptr<const tls::ClientContext> context, UnixSeconds now,
    const ClientOptions& options) {
  std::unique_ptr<CryptoBridge> bridge(new CryptoBridge(Role::client, now));
  bridge->ssl_ = SSL_new(context->native());
  SSL* const ssl = bridge->ssl_;
  if (ssl == nullptr || SSL_set_quic_method(ssl, &BridgeCallbacks::kMethod) != 1) {
    return fail(Error(Domain::tls, 0, "cannot begin a TLS session: " + tls_reason()));
  }
  SSL_set_connect_state(ssl);
  tls::attach(ssl, bridge->state_);
  bridge->state_.session_received = BridgeCallbacks::session_received;
  if (auto named = tls::set_server_name(ssl, *context, options.server_name, now); !named) {
    return fail(std::move(named).error());
  }

  std::vector<std::uint8_t> protocols;  // each with its length before it
  for (const std::string& protocol : options.alpn) {
    if (protocol.empty() || protocol.size() > 255) {
      return fail(Error::invalid("ALPN protocol names have 1 to 255 bytes"));
    }
    protocols.push_back(static_cast<std::uint8_t>(protocol.size()));
    protocols.insert(protocols.end(), protocol.begin(), protocol.end());
  }
  if (protocols.empty() || SSL_set_alpn_protos(ssl, protocols.data(), protocols.size()) != 0) {
    return fail(Error::invalid("QUIC needs an ALPN protocol (RFC 9001 section 8.1)"));
  }

  if (options.more_parameters.size() > kMaxMoreParameters) {
    return fail(Error::limit("more transport parameters than 16 KiB"));
  }
  bridge->more_parameters_.assign(options.more_parameters.begin(), options.more_parameters.end());

  if (context->chacha20_only()) {
    bridge->chacha20_only_ = true;
    SSL_set_msg_callback(ssl, BridgeCallbacks::message);
  }
  if (options.session != nullptr && !bridge->chacha20_only_ &&
      options.session->server_name == options.server_name && options.session->expires > now) {
    const Session& session = *options.session;
    // A ticket that cannot be read or was got without verifying the server means a full handshake.
    SSL_SESSION* ticket =
        SSL_SESSION_from_bytes(session.ticket.data(), session.ticket.size(), context->native());
    if (ticket != nullptr) {
      tls::understate_ticket_age(ticket, now);
      const bool set = SSL_set_session(ssl, ticket) == 1;
      SSL_SESSION_free(ticket);
      if (set) bridge->session_version_ = session.quic_version;
      if (!context->insecure() && SSL_get_verify_result(ssl) != X509_V_OK) {
        SSL_set_session(ssl, nullptr);
        bridge->session_version_ = 0;
      } else if (set && options.early_data && session.early_data) {
        SSL_set_early_data_enabled(ssl, 1);
        bridge->early_transport_params_ = session.transport_params;
        bridge->offers_early_data_ = true;  // as far as TLS goes; `attach` has a word in it
      }
    } else {
      ERR_clear_error();
    }
  }
  bridge->facts_.server_name = options.server_name;
  bridge->client_context_ = std::move(context);
  return bridge;
}

Result<void> CryptoBridge::attach(ngtcp2_conn* conn) {
  TERN_CHECK(conn_ == nullptr);
  conn_ = conn;
  ngtcp2_conn_set_tls_native_handle(conn, this);
  state_.quic_version = ngtcp2_conn_get_client_chosen_version(conn);

  if (role_ == Role::server) {
    if (!server_context_->early_data()) return {};
    std::array<std::uint8_t, kMaxTransportParams> params;
    const ngtcp2_ssize length =
        ngtcp2_conn_encode_0rtt_transport_params(conn, params.data(), params.size());
    TERN_CHECK(length >= 0);  // our own parameters
    early_data_context_.insert(early_data_context_.end(), params.data(), params.data() + length);
    TERN_CHECK(SSL_set_quic_early_data_context(ssl_, early_data_context_.data(),
                                               early_data_context_.size()) == 1);
    early_data_context_ = {};
    return {};
  }

  if (session_version_ != 0 && session_version_ != state_.quic_version) {
    SSL_set_session(ssl_, nullptr);
    SSL_set_early_data_enabled(ssl_, 0);
    offers_early_data_ = false;
    return fail(
        Error(Code::version, "the session is for another QUIC version (RFC 9369 section 5)"));
  }
  if (!offers_early_data_) return {};
  const int result = ngtcp2_conn_decode_and_set_0rtt_transport_params(
      conn, early_transport_params_.data(), early_transport_params_.size());
  early_transport_params_ = {};
  if (result != 0) {
    offers_early_data_ = false;
    SSL_set_session(ssl_, nullptr);
    SSL_set_early_data_enabled(ssl_, 0);
    return fail(Error::invalid("the session's transport parameters are not readable: " +
                               std::string(ngtcp2_strerror(result))));
  }
  return {};
}

// ---- the handshake ------------------------------------------------------------------------------

int CryptoBridge::read_crypto_data(ngtcp2_encryption_level level, ByteView data) {
  if (ssl_ == nullptr) {  // a server whose handshake is complete
    alert_ = SSL_AD_UNEXPECTED_MESSAGE;
    ngtcp2_conn_set_tls_alert(conn_, alert_);
    failure_ = "a TLS message after the handshake (RFC 9001 section 6)";
    return NGTCP2_ERR_CRYPTO;
  }
  const tls::ScopedTime time(state_.now);
  ERR_clear_error();
  if (SSL_provide_quic_data(ssl_, to_ssl(level), data.data(), data.size()) != 1) {
    switch (ERR_GET_REASON(ERR_peek_error())) {
      case SSL_R_WRONG_ENCRYPTION_LEVEL_RECEIVED:
        transport_error_ = NGTCP2_ERR_PROTO;  // RFC 9001 §4.1.3
        break;
      case SSL_R_EXCESSIVE_MESSAGE_SIZE:
        transport_error_ = NGTCP2_ERR_CRYPTO_BUFFER_EXCEEDED;
        break;
      default: break;
    }
    return fail_handshake();
  }
  return advance();
}

int CryptoBridge::advance() {
  const tls::ScopedTime time(state_.now);
  ERR_clear_error();
  if (!handshake_complete_) {
    for (;;) {
      const int result = SSL_do_handshake(ssl_);
      if (result == 1) break;
      const int error = SSL_get_error(ssl_, result);
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
      if (error != SSL_ERROR_EARLY_DATA_REJECTED) return fail_handshake();
      SSL_reset_early_data_reject(ssl_);
      offers_early_data_ = false;
      facts_.early_data_rejected = true;
      if (const int rejected = ngtcp2_conn_tls_early_data_rejected(conn_); rejected != 0) {
        transport_error_ = rejected;
        return fail_handshake();
      }
    }
    if (SSL_in_early_data(ssl_)) return 0;
    complete();
  }
  if (ssl_ != nullptr && SSL_process_quic_post_handshake(ssl_) != 1) return fail_handshake();
  return 0;
}

int CryptoBridge::fail_handshake() {
  if (failure_.empty() && alert_ == SSL_AD_NO_APPLICATION_PROTOCOL) {
    failure_ = "no protocol in common, by ALPN (RFC 9001 section 8.1)";
  }
  if (failure_.empty()) failure_ = tls_reason();
  ERR_clear_error();
  if (transport_error_ != 0) return transport_error_;
  if (alert_ == 0) {
    alert_ = SSL_AD_INTERNAL_ERROR;
    ngtcp2_conn_set_tls_alert(conn_, alert_);
  }
  return NGTCP2_ERR_CRYPTO;
}

void CryptoBridge::complete() {
  handshake_complete_ = true;
  ngtcp2_conn_tls_handshake_completed(conn_);
  record_facts();
  if (role_ == Role::server) {  // its tickets are written: nothing is left to say
    SSL_free(std::exchange(ssl_, nullptr));
    server_context_.reset();
  }
}

Result<void> CryptoBridge::export_keying_material(std::string_view label, ByteView context,
                                                  MutableBytes out) const {
  // A server knows the secret before it knows that its client does.
  if (!handshake_complete_) {
    return fail(Error::invalid("no keying material before the handshake is complete"));
  }
  return state_.exporter.derive(label, context, out);
}

bool CryptoBridge::install_rx_secret(ngtcp2_encryption_level level, CipherSuite suite,
                                     ByteView secret) {
  if (!set_crypto_context(level, suite)) return false;
  // A client believes the server's transport parameters once the server's Finished is verified,
  // which is when its 1-RTT secret comes.
  if (level == NGTCP2_ENCRYPTION_LEVEL_1RTT && role_ == Role::client &&
      !set_remote_transport_params()) {
    return false;
  }
  const bool early = level == NGTCP2_ENCRYPTION_LEVEL_0RTT;
  const std::uint32_t version = early ? ngtcp2_conn_get_client_chosen_version(conn_)
                                      : ngtcp2_conn_get_negotiated_version(conn_);
  KeyPair keys(version, suite, secret);
  if (level != NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE) keys.watch_opening(packets_, keys_);
  switch (level) {
    case NGTCP2_ENCRYPTION_LEVEL_0RTT:
      return keys.taken(
          ngtcp2_conn_install_0rtt_key(conn_, keys.aead(), keys.iv(), kIvLength, keys.header()));
    case NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE:
      return keys.taken(ngtcp2_conn_install_rx_handshake_key(conn_, keys.aead(), keys.iv(),
                                                             kIvLength, keys.header()));
    case NGTCP2_ENCRYPTION_LEVEL_1RTT:
      return keys.taken(ngtcp2_conn_install_rx_key(conn_, secret.data(), secret.size(), keys.aead(),
                                                   keys.iv(), kIvLength, keys.header()));
    case NGTCP2_ENCRYPTION_LEVEL_INITIAL: break;
  }
  return false;
}

bool CryptoBridge::install_tx_secret(ngtcp2_encryption_level level, CipherSuite suite,
                                     ByteView secret) {
  if (!set_crypto_context(level, suite)) return false;
  const bool early = level == NGTCP2_ENCRYPTION_LEVEL_0RTT;
  const std::uint32_t version = early ? ngtcp2_conn_get_client_chosen_version(conn_)
                                      : ngtcp2_conn_get_negotiated_version(conn_);
  KeyPair keys(version, suite, secret);
  switch (level) {
    case NGTCP2_ENCRYPTION_LEVEL_0RTT:
      return keys.taken(
          ngtcp2_conn_install_0rtt_key(conn_, keys.aead(), keys.iv(), kIvLength, keys.header()));
    case NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE:
      if (!keys.taken(ngtcp2_conn_install_tx_handshake_key(conn_, keys.aead(), keys.iv(), kIvLength,
                                                           keys.header()))) {
        return false;
      }
      // EncryptedExtensions come next, and the negotiated version, which they hold, is known now.
      return role_ == Role::client || set_local_transport_params();
    case NGTCP2_ENCRYPTION_LEVEL_1RTT:
      keys.watch_sealing(packets_, keys_);
      return keys.taken(ngtcp2_conn_install_tx_key(conn_, secret.data(), secret.size(), keys.aead(),
                                                   keys.iv(), kIvLength, keys.header()));
    case NGTCP2_ENCRYPTION_LEVEL_INITIAL: break;
  }
  return false;
}

bool CryptoBridge::set_crypto_context(ngtcp2_encryption_level level, CipherSuite suite) {
  const ngtcp2_crypto_ctx context = crypto_context(suite);
  if (level == NGTCP2_ENCRYPTION_LEVEL_0RTT) {
    ngtcp2_conn_set_0rtt_crypto_ctx(conn_, &context);
    return true;
  }
  // A server learns from the client's parameters which version the two speak from here on; every
  // later key depends on it.
  if (role_ == Role::server && ngtcp2_conn_get_negotiated_version(conn_) == 0) {
    if (!set_remote_transport_params()) return false;
    state_.quic_version = ngtcp2_conn_get_negotiated_version(conn_);
  }
  suite_ = suite;
  ngtcp2_conn_set_crypto_ctx(conn_, &context);
  return true;
}

bool CryptoBridge::set_remote_transport_params() {
  const std::uint8_t* params = nullptr;
  std::size_t length = 0;
  SSL_get_peer_quic_transport_params(ssl_, &params, &length);
  int result = ngtcp2_conn_decode_and_set_remote_transport_params(conn_, params, length);
  if (result == 0 && has_parameter_twice({params, length})) result = NGTCP2_ERR_TRANSPORT_PARAM;
  if (result == 0) return true;
  transport_error_ = result;
  failure_ = std::string("the peer's transport parameters: ") + ngtcp2_strerror(result);
  return false;
}

bool CryptoBridge::set_local_transport_params() {
  std::array<std::uint8_t, kMaxTransportParams> params;
  const ngtcp2_transport_params announced =
      announced_parameters(*ngtcp2_conn_get_local_transport_params(conn_));
  const ngtcp2_ssize length =
      ngtcp2_transport_params_encode(params.data(), params.size(), &announced);
  TERN_CHECK(length >= 0);
  const auto size = static_cast<std::size_t>(length);
  if (more_parameters_.empty()) {
    return SSL_set_quic_transport_params(ssl_, params.data(), size) == 1;
  }
  more_parameters_.insert(more_parameters_.begin(), params.data(), params.data() + size);
  const bool set =
      SSL_set_quic_transport_params(ssl_, more_parameters_.data(), more_parameters_.size()) == 1;
  more_parameters_ = {};
  return set;
}

}  // namespace tern::quic
