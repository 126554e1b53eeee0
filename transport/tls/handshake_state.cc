#include "transport/tls/handshake_state.h"

#include <sys/time.h>
#include <utility>

#include <openssl/x509v3.h>

#include "base/check.h"
#include "transport/tls/boringssl.h"
#include "transport/tls/client_context.h"

namespace tern::tls {
namespace {

thread_local UnixSeconds current_time = 0;

void tell_time(const SSL*, timeval* out) noexcept {
  out->tv_sec = static_cast<time_t>(current_time);
  out->tv_usec = 0;
}

/// Nothing else of BoringSSL gives the exporter's secret away, which is wanted after its state is
/// gone.
void log_key(const SSL* ssl, const char* line) noexcept {
  auto* const handshake = static_cast<HandshakeState*>(SSL_get_app_data(ssl));
  if (handshake != nullptr) handshake->exporter.read_key_log(line);
  const auto& state = *static_cast<ContextState*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  if (state.key_log != nullptr) state.key_log->write(line);
}

/// The IANA name of X25519Kyber768Draft00 in BoringSSL's own spelling.
std::string spell_groups(std::string groups) {
  constexpr std::string_view kName = "X25519Kyber768Draft00";
  for (std::size_t at = 0; (at = groups.find(kName, at)) != std::string::npos;) {
    groups.replace(at, kName.size(), SSL_get_curve_name(SSL_CURVE_X25519KYBER768));
  }
  return groups;
}

/// "a, b and 3 more"
std::string list(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 4;
  if (names.empty()) return "no name at all";
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

}  // namespace

ScopedTime::ScopedTime(UnixSeconds now) noexcept : previous_(std::exchange(current_time, now)) {}
ScopedTime::~ScopedTime() { current_time = previous_; }

void attach(SSL* ssl, HandshakeState& state) noexcept { SSL_set_app_data(ssl, &state); }

void set_verify_time(SSL* ssl, UnixSeconds now) noexcept {
  X509_VERIFY_PARAM_set_time_posix(SSL_get0_param(ssl), now);
}

Result<void> set_server_name(SSL* ssl, const ClientContext& context, const std::string& server_name,
                             UnixSeconds now) {
  set_verify_time(ssl, now);
  X509_VERIFY_PARAM* const param = SSL_get0_param(ssl);
  bool accepted = true;
  if (is_ip_address(server_name)) {  // no SNI for addresses (RFC 6066 §3)
    accepted = X509_VERIFY_PARAM_set1_ip_asc(param, server_name.c_str()) == 1;
  } else {
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    accepted = !server_name.empty() && SSL_set_tlsext_host_name(ssl, server_name.c_str()) == 1 &&
               X509_VERIFY_PARAM_set1_host(param, server_name.data(), server_name.size()) == 1;
    // Without certificate verification any name that fits into SNI will do, or none.
    if (!accepted && server_name.empty() && context.insecure()) accepted = true;
  }
  if (!accepted) {
    take_error();
    return fail(Error::invalid("\"" + server_name + "\" is not a host name or IP address"));
  }
  return {};
}

void understate_ticket_age(SSL_SESSION* session, UnixSeconds now) noexcept {
  const auto received = static_cast<UnixSeconds>(SSL_SESSION_get_time(session));
  if (received < now) SSL_SESSION_set_time(session, static_cast<std::uint64_t>(received + 1));
}

std::string_view group_name(const SSL* ssl) noexcept {
  const std::uint16_t group = SSL_get_curve_id(ssl);
  // As IANA has it; BoringSSL's name is another.
  if (group == SSL_CURVE_X25519KYBER768) return "X25519Kyber768Draft00";
  const char* const name = SSL_get_curve_name(group);
  return name == nullptr ? std::string_view() : std::string_view(name);
}

std::string verified_peer(const SSL* ssl) {
  if (SSL_get0_peer_certificates(ssl) == nullptr || SSL_get_verify_result(ssl) != X509_V_OK) {
    return {};
  }
  const bssl::UniquePtr<X509> leaf(SSL_get_peer_certificate(ssl));
  char text[256];
  const bool named = leaf != nullptr && X509_NAME_oneline(X509_get_subject_name(leaf.get()), text,
                                                          sizeof(text)) != nullptr;
  return named ? std::string(text) : std::string();
}

int explain_verification(int ok, X509_STORE_CTX* store) {
  if (ok == 1) return 1;
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* state = ssl != nullptr ? static_cast<HandshakeState*>(SSL_get_app_data(ssl)) : nullptr;
  if (state == nullptr) return ok;
  const int error = X509_STORE_CTX_get_error(store);
  X509* const certificate = X509_STORE_CTX_get_current_cert(store);
  std::string& text = state->verify_failure;
  text = X509_verify_cert_error_string(error);
  if (certificate == nullptr) return ok;
  if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    text += ": the certificate is for " + list(names_of(certificate));
    return ok;
  }
  char name[256];
  if (X509_NAME_oneline(X509_get_subject_name(certificate), name, sizeof(name)) != nullptr) {
    text += std::string(": ") + name;
  }
  if (X509_NAME_oneline(X509_get_issuer_name(certificate), name, sizeof(name)) != nullptr) {
    text += std::string(", issued by ") + name;
  }
  return ok;
}

Result<void> make_context(ContextState& state, const std::string& groups) {
  state.context.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* const context = state.context.get();
  TERN_CHECK(context != nullptr);
  TERN_CHECK(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1);
  TERN_CHECK(SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1);
  SSL_CTX_set_app_data(context, &state);
  SSL_CTX_set_current_time_cb(context, tell_time);
  if (SSL_CTX_set1_groups_list(context, spell_groups(groups).c_str()) != 1) {
    take_error();
    return fail(Error::invalid("\"" + groups + "\" is not a list of key exchange groups such as " +
                               "X25519:P-256:P-384:X25519Kyber768Draft00"));
  }
  SSL_CTX_set_keylog_callback(context, log_key);
  return {};
}

Result<void> use_certificate(SSL_CTX* context, const Certificate& certificate) {
  const Certificate::Impl& impl = certificate.impl();
  std::vector<CRYPTO_BUFFER*> chain;
  for (const auto& buffer : impl.chain) chain.push_back(buffer.get());
  if (SSL_CTX_set_chain_and_key(context, chain.data(), chain.size(), impl.key.get(), nullptr) !=
      1) {
    return fail(Error::invalid("the certificate cannot be used for TLS: " + take_error()));
  }
  return {};
}

Result<std::size_t> trust(SSL_CTX* context, std::string_view pem, const std::string& name) {
  TERN_TRY(const auto certificates, read_certificates(pem, name));
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  for (const auto& certificate : certificates) {
    if (X509_STORE_add_cert(store, certificate.get()) != 1) {
      return fail(Error::invalid(name + ": " + take_error()));
    }
  }
  return certificates.size();
}

}  // namespace tern::tls
