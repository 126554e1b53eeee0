#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <openssl/ssl.h>

#include "transport/quic/crypto_bridge.h"
#include "transport/tls/alert.h"

/// What a handshake came to: its facts, the sessions a server gave, and why it failed.

namespace tern::quic {

namespace {

/// Lives as long as `ssl`.
std::string_view selected_alpn(const SSL* ssl) {
  const std::uint8_t* alpn = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl, &alpn, &length);
  return {reinterpret_cast<const char*>(alpn), length};
}

}  // namespace

void CryptoBridge::record_facts() {
  facts_.alpn = selected_alpn(ssl_);
  if (const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_); cipher != nullptr) {
    facts_.cipher = SSL_CIPHER_standard_name(cipher);
  }
  facts_.group = tls::group_name(ssl_);
  if (role_ == Role::server) {
    if (const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name); name != nullptr) {
      facts_.server_name = name;
    }
  }
  facts_.resumed = SSL_session_reused(ssl_) != 0;
  facts_.early_data_accepted = SSL_early_data_accepted(ssl_) != 0;
  facts_.peer_subject = tls::verified_peer(ssl_);
}

HandshakeFacts CryptoBridge::facts() const {
  HandshakeFacts facts;
  facts.alpn = facts_.alpn;
  // The first thing to be settled: a connection is ready with it before the handshake is complete.
  if (facts.alpn.empty() && ssl_ != nullptr) facts.alpn = selected_alpn(ssl_);
  facts.cipher = facts_.cipher;
  facts.group = facts_.group;
  facts.server_name = facts_.server_name;
  facts.peer_certificate_subject = facts_.peer_subject;
  facts.resumed = facts_.resumed;
  facts.early_data_accepted = facts_.early_data_accepted;
  facts.early_data_rejected = facts_.early_data_rejected;
  return facts;
}

Error CryptoBridge::failure() const {
  if (!state_.verify_failure.empty()) return Error(Code::certificate, state_.verify_failure);
  std::string text = alert_ != 0 ? std::string(tls::alert_name(alert_)) : std::string();
  if (!failure_.empty()) text += (text.empty() ? "" : ": ") + failure_;
  return Error(Domain::tls, alert_, std::move(text));
}

void CryptoBridge::receive_session(SSL_SESSION* ssl_session) {
  std::array<std::uint8_t, kMaxTransportParams> params;
  const ngtcp2_ssize params_length =
      ngtcp2_conn_encode_0rtt_transport_params(conn_, params.data(), params.size());
  std::uint8_t* ticket = nullptr;
  std::size_t ticket_length = 0;
  if (params_length < 0 || SSL_SESSION_to_bytes(ssl_session, &ticket, &ticket_length) != 1) {
    ERR_clear_error();
    return;
  }
  Session session;
  session.server_name = facts_.server_name;
  session.alpn = facts_.alpn;
  session.quic_version = ngtcp2_conn_get_negotiated_version(conn_);
  session.expires = static_cast<UnixSeconds>(SSL_SESSION_get_time(ssl_session)) +
                    static_cast<UnixSeconds>(SSL_SESSION_get_timeout(ssl_session));
  session.early_data = SSL_SESSION_early_data_capable(ssl_session) != 0;
  session.ticket.assign(ticket, ticket + ticket_length);
  session.transport_params.assign(params.data(), params.data() + params_length);
  OPENSSL_free(ticket);
  if (sessions_.size() == kMaxSessions) sessions_.erase(sessions_.begin());
  sessions_.push_back(std::move(session));
}

bool CryptoBridge::take_session(Session& session) {
  if (sessions_.empty()) return false;
  session = std::move(sessions_.front());
  sessions_.erase(sessions_.begin());
  return true;
}

}  // namespace tern::quic
