#include "transport/tls/server_context.h"

#include <algorithm>
#include <cctype>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "transport/tls/boringssl.h"
#include "transport/tls/ticket_sealer.h"

namespace bssl {
// Exported by libssl but declared in none of its installed headers. Weak, so that a library
// without it fails chacha20_only with an Error instead of failing to load.
__attribute__((weak)) void SSL_CTX_set_aes_hw_override_for_testing(SSL_CTX* ctx,
                                                                   bool override_value);
}  // namespace bssl

namespace tern::tls {
namespace {

constexpr std::uint16_t kChaCha20Poly1305 = 0x1303;
constexpr std::uint32_t kMaxTicketLifetime = 7 * 24 * 3600;  // RFC 8446 §4.6.1

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>()(text);
  }
};
using NameIndex = std::unordered_map<std::string, std::size_t, StringHash, std::equal_to<>>;

bool offers(const SSL_CLIENT_HELLO* hello, std::uint16_t suite) noexcept {
  for (std::size_t i = 0; i + 1 < hello->cipher_suites_len; i += 2) {
    if ((hello->cipher_suites[i] << 8 | hello->cipher_suites[i + 1]) == suite) return true;
  }
  return false;
}

}  // namespace

struct ServerContext::Impl : ContextState {
  std::vector<Certificate> certificates;
  std::vector<std::vector<CRYPTO_BUFFER*>>
      chains;           // of each certificate, for SSL_set_chain_and_key
  NameIndex exact;      // "www.example.com"
  NameIndex wildcards;  // ".example.com" for "*.example.com"
  std::vector<std::string> alpn;
  std::shared_ptr<const KeyRing> ticket_keys;
  bool early_data = false;
  bool chacha20_only = false;

  std::size_t index_for(std::string_view server_name) const {
    if (server_name.ends_with('.')) server_name.remove_suffix(1);
    std::string name(server_name);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (const auto found = exact.find(name); found != exact.end()) return found->second;
    const std::size_t dot = name.find('.');
    if (dot != std::string::npos && dot != 0) {
      const auto found = wildcards.find(std::string_view(name).substr(dot));
      if (found != wildcards.end()) return found->second;
    }
    return 0;
  }
};

struct ServerContextCallbacks {
  static const ServerContext::Impl& impl_of(const SSL* ssl) noexcept {
    return *static_cast<const ServerContext::Impl*>(
        static_cast<ContextState*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl))));
  }

  static const KeyRing& ticket_keys(const SSL* ssl) noexcept { return *impl_of(ssl).ticket_keys; }

  /// Runs before anything of the ClientHello is acted upon.
  static ssl_select_cert_result_t select_certificate(const SSL_CLIENT_HELLO* hello) noexcept {
    const ServerContext::Impl& impl = impl_of(hello->ssl);
    if (impl.chacha20_only && !offers(hello, kChaCha20Poly1305)) return ssl_select_cert_error;
    const char* const name = SSL_get_servername(hello->ssl, TLSEXT_NAMETYPE_host_name);
    const std::size_t index = name != nullptr ? impl.index_for(name) : 0;
    if (index == 0) return ssl_select_cert_success;  // the context's own
    const auto& chain = impl.chains[index];
    EVP_PKEY* const key = impl.certificates[index].impl().key.get();
    return SSL_set_chain_and_key(hello->ssl, chain.data(), chain.size(), key, nullptr) == 1
               ? ssl_select_cert_success
               : ssl_select_cert_error;
  }

  static int select_alpn(SSL* ssl, const std::uint8_t** out, std::uint8_t* out_length,
                         const std::uint8_t* in, unsigned in_length, void*) noexcept {
    const std::string_view offered(reinterpret_cast<const char*>(in), in_length);
    for (const std::string& protocol : impl_of(ssl).alpn) {
      for (std::size_t at = 0; at < offered.size();) {
        const std::size_t length = in[at];  // BoringSSL has checked the list's form
        if (offered.substr(at + 1, length) == protocol) {
          *out = in + at + 1;
          *out_length = static_cast<std::uint8_t>(length);
          return SSL_TLSEXT_ERR_OK;
        }
        at += 1 + length;
      }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
};

const KeyRing& ticket_keys_of(const SSL* ssl) noexcept {
  return ServerContextCallbacks::ticket_keys(ssl);
}

ServerContextOptions& ServerContextOptions::certificate(Certificate certificate) {
  certificates_.push_back(std::move(certificate));
  return *this;
}
ServerContextOptions& ServerContextOptions::alpn(std::vector<std::string> protocols) {
  alpn_ = std::move(protocols);
  return *this;
}
ServerContextOptions& ServerContextOptions::client_ca(std::string pem, ClientCertificate mode) {
  client_ca_ = std::move(pem);
  client_certificate_ = mode;
  return *this;
}
ServerContextOptions& ServerContextOptions::ticket_keys(std::shared_ptr<const KeyRing> keys) {
  ticket_keys_ = std::move(keys);
  return *this;
}
ServerContextOptions& ServerContextOptions::ticket_lifetime(std::uint32_t seconds) {
  ticket_lifetime_ = std::min(seconds, kMaxTicketLifetime);
  return *this;
}
ServerContextOptions& ServerContextOptions::early_data(bool on) {
  early_data_ = on;
  return *this;
}
ServerContextOptions& ServerContextOptions::chacha20_only(bool on) {
  chacha20_only_ = on;
  return *this;
}
ServerContextOptions& ServerContextOptions::groups(std::string list) {
  groups_ = std::move(list);
  return *this;
}
ServerContextOptions& ServerContextOptions::key_log(std::shared_ptr<KeyLog> log) {
  key_log_ = std::move(log);
  return *this;
}

Result<std::shared_ptr<const ServerContext>> ServerContext::create(
    const ServerContextOptions& options) {
  if (options.certificates_.empty()) {
    return fail(
        Error::invalid("a server needs a certificate: `tern cert` makes one to develop with"));
  }
  if (options.alpn_.empty()) return fail(Error::invalid("a server needs an ALPN protocol"));
  auto impl = std::make_unique<Impl>();
  impl->key_log = options.key_log_;
  impl->certificates = options.certificates_;
  impl->alpn = options.alpn_;
  impl->ticket_keys = options.ticket_keys_;
  impl->early_data = options.early_data_ && options.ticket_keys_ != nullptr;
  impl->chacha20_only = options.chacha20_only_;
  if (auto made = make_context(*impl, options.groups_); !made) return fail(made.error());
  SSL_CTX* const context = impl->context.get();

  if (auto used = use_certificate(context, impl->certificates.front()); !used) {
    return fail(used.error());
  }
  for (std::size_t i = 0; i < impl->certificates.size(); ++i) {
    auto& chain = impl->chains.emplace_back();
    for (const auto& buffer : impl->certificates[i].impl().chain) chain.push_back(buffer.get());
    for (const std::string& name : impl->certificates[i].names()) {  // the first one wins
      if (name.starts_with("*.")) {
        impl->wildcards.emplace(name.substr(1), i);
      } else {
        impl->exact.emplace(name, i);
      }
    }
  }
  SSL_CTX_set_select_certificate_cb(context, ServerContextCallbacks::select_certificate);
  SSL_CTX_set_alpn_select_cb(context, ServerContextCallbacks::select_alpn, nullptr);

  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // tickets only
  if (impl->ticket_keys != nullptr) {
    seal_tickets(context);
    SSL_CTX_set_session_psk_dhe_timeout(context, options.ticket_lifetime_);
    SSL_CTX_set_early_data_enabled(context, impl->early_data ? 1 : 0);
  } else {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  }

  if (impl->chacha20_only) {
    if (bssl::SSL_CTX_set_aes_hw_override_for_testing == nullptr) {
      return fail(Error(Code::unsupported, "this BoringSSL cannot be told to prefer ChaCha20"));
    }
    bssl::SSL_CTX_set_aes_hw_override_for_testing(context, false);
  }

  if (options.client_certificate_ != ClientCertificate::none) {
    TERN_TRY(const auto authorities, read_certificates(options.client_ca_, "the client CAs"));
    for (const auto& authority : authorities) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get());
      SSL_CTX_add_client_CA(context, authority.get());
    }
    int mode = SSL_VERIFY_PEER;
    if (options.client_certificate_ == ClientCertificate::required) {
      mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    SSL_CTX_set_verify(context, mode, explain_verification);
    static constexpr std::uint8_t kSessionContext[] = {'t', 'e', 'r', 'n'};
    TERN_CHECK(SSL_CTX_set_session_id_context(context, kSessionContext, sizeof(kSessionContext)) ==
               1);
  }
  return std::shared_ptr<const ServerContext>(new ServerContext(std::move(impl)));
}

ServerContext::ServerContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ServerContext::~ServerContext() = default;

const Certificate& ServerContext::certificate_for(std::string_view server_name) const noexcept {
  return impl_->certificates[impl_->index_for(server_name)];
}
const std::vector<Certificate>& ServerContext::certificates() const noexcept {
  return impl_->certificates;
}
bool ServerContext::early_data() const noexcept { return impl_->early_data; }
bool ServerContext::chacha20_only() const noexcept { return impl_->chacha20_only; }
SSL_CTX* ServerContext::native() const noexcept { return impl_->context.get(); }

}  // namespace tern::tls
