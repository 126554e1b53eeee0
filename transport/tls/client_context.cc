#include "transport/tls/client_context.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "transport/tls/boringssl.h"
#include "transport/tls/handshake_state.h"
#include "transport/tls/private_file.h"

namespace tern::tls {
namespace {

/// BoringSSL's own list and Ed25519.
constexpr std::uint16_t kSignatureAlgorithms[] = {
    SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ED25519,
    SSL_SIGN_RSA_PSS_RSAE_SHA256,    SSL_SIGN_RSA_PKCS1_SHA256,
    SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA384,
    SSL_SIGN_RSA_PKCS1_SHA384,       SSL_SIGN_RSA_PSS_RSAE_SHA512,
    SSL_SIGN_RSA_PKCS1_SHA512,
};

int session_received(SSL* ssl, SSL_SESSION* session) noexcept {
  auto* state = static_cast<HandshakeState*>(SSL_get_app_data(ssl));
  if (state != nullptr && state->session_received != nullptr) {
    state->session_received(*state, session);
  }
  return 0;  // the session stays BoringSSL's
}

}  // namespace

struct ClientContext::Impl : ContextState {
  bool insecure = false;
  bool chacha20_only = false;
};

ClientContextOptions& ClientContextOptions::ca_file(std::string path) {
  ca_file_ = std::move(path);
  return *this;
}
ClientContextOptions& ClientContextOptions::ca_pem(std::string pem) {
  ca_pem_ = std::move(pem);
  return *this;
}
ClientContextOptions& ClientContextOptions::insecure(bool on) {
  insecure_ = on;
  return *this;
}
ClientContextOptions& ClientContextOptions::certificate(Certificate certificate) {
  certificate_ = std::move(certificate);
  return *this;
}
ClientContextOptions& ClientContextOptions::chacha20_only(bool on) {
  chacha20_only_ = on;
  return *this;
}
ClientContextOptions& ClientContextOptions::groups(std::string list) {
  groups_ = std::move(list);
  return *this;
}
ClientContextOptions& ClientContextOptions::key_log(std::shared_ptr<KeyLog> log) {
  key_log_ = std::move(log);
  return *this;
}

Result<std::shared_ptr<const ClientContext>> ClientContext::create(
    const ClientContextOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->key_log = options.key_log_;
  impl->insecure = options.insecure_;
  impl->chacha20_only = options.chacha20_only_;
  if (auto made = make_context(*impl, options.groups_); !made) return fail(made.error());
  SSL_CTX* const context = impl->context.get();
  TERN_CHECK(SSL_CTX_set_verify_algorithm_prefs(context, kSignatureAlgorithms,
                                                std::size(kSignatureAlgorithms)) == 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, session_received);
  if (options.certificate_) {
    if (auto used = use_certificate(context, *options.certificate_); !used) {
      return fail(used.error());
    }
  }

  SSL_CTX_set_verify(context, options.insecure_ ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                     options.insecure_ ? nullptr : explain_verification);
  Result<std::size_t> trusted = 0;
  if (!options.ca_pem_.empty()) trusted = trust(context, options.ca_pem_, "the CA certificates");
  if (trusted && !options.ca_file_.empty()) {
    TERN_TRY(const std::string pem, read_file(options.ca_file_));
    trusted = trust(context, pem, options.ca_file_);
  }
  if (options.ca_pem_.empty() && options.ca_file_.empty() && !options.insecure_) {
    const auto pem = read_file(kSystemRoots);
    if (!pem) {
      return fail(Error(Code::not_found, std::string("no system roots at ") + kSystemRoots +
                                             ": install ca-certificates or name a CA file"));
    }
    trusted = trust(context, *pem, kSystemRoots);
  }
  if (!trusted) return fail(trusted.error());
  return std::shared_ptr<const ClientContext>(new ClientContext(std::move(impl)));
}

ClientContext::ClientContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ClientContext::~ClientContext() = default;
bool ClientContext::insecure() const noexcept { return impl_->insecure; }
bool ClientContext::chacha20_only() const noexcept { return impl_->chacha20_only; }
SSL_CTX* ClientContext::native() const noexcept { return impl_->context.get(); }

}  // namespace tern::tls
