#include "transport/tls/secure_session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>

#include "base/check.h"

namespace tern::tls {
namespace {

/// What RFC 9113 §9.2.2 leaves of TLS 1.2.
constexpr const char* kTls12Ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

}  // namespace

/// What BoringSSL calls: its BIO is the stream.
struct SecureStream::Session::Callbacks {
  static Session& of(BIO* bio) noexcept { return *static_cast<Session*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* out, int size) {
    BIO_clear_retry_flags(bio);
    MutableBytes& input = *of(bio).input;
    if (input.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const std::size_t taken = std::min(input.size(), static_cast<std::size_t>(size));
    std::memcpy(out, input.data(), taken);
    of(bio).follow(input.first(taken));
    input = input.subspan(taken);
    return static_cast<int>(taken);
  }

  static int write(BIO* bio, const char* data, int size) {
    BIO_clear_retry_flags(bio);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(data);
    std::vector<std::uint8_t>& output = of(bio).output;
    output.insert(output.end(), bytes, bytes + size);
    return size;
  }

  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static const BIO_METHOD* bio_method() {
    static BIO_METHOD* const method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tern stream");
      TERN_CHECK(made != nullptr && BIO_meth_set_read(made, read) == 1 &&
                 BIO_meth_set_write(made, write) == 1 && BIO_meth_set_ctrl(made, control) == 1);
      return made;
    }();
    return method;
  }

  static void on_info(const SSL* ssl, int where, int value) {
    if ((where & SSL_CB_ALERT) == 0) return;
    auto& session = static_cast<Session&>(*static_cast<HandshakeState*>(SSL_get_app_data(ssl)));
    session.alert = static_cast<std::uint8_t>(value & 0xff);
    session.alert_is_remote = (where & SSL_CB_READ) != 0;
  }

  static void on_session(HandshakeState& state, SSL_SESSION* given) {
    auto& session = static_cast<Session&>(state);
    std::uint8_t* ticket = nullptr;
    std::size_t size = 0;
    if (SSL_SESSION_to_bytes(given, &ticket, &size) != 1) {
      ERR_clear_error();
      return;
    }
    StreamSession taken;
    taken.ticket.assign(ticket, ticket + size);
    OPENSSL_free(ticket);
    taken.expires = static_cast<UnixSeconds>(SSL_SESSION_get_time(given)) +
                    static_cast<UnixSeconds>(SSL_SESSION_get_timeout(given));
    const std::uint8_t* alpn = nullptr;
    unsigned alpn_size = 0;
    SSL_get0_alpn_selected(session.ssl.get(), &alpn, &alpn_size);
    taken.alpn.assign(reinterpret_cast<const char*>(alpn), alpn_size);
    session.take_session(std::move(taken));
  }
};

SecureStream::Session::~Session() { forget_secret(); }

void SecureStream::Session::forget_secret() noexcept {
  OPENSSL_cleanse(first_write_secret.data(), first_write_secret.size());
  first_write_secret = {};
}

Result<void> SecureStream::Session::make(SSL_CTX* context, MutableBytes& input_view,
                                         UnixSeconds unix_now, bool tls12) {
  ssl.reset(SSL_new(context));
  BIO* const bio = ssl == nullptr ? nullptr : BIO_new(Callbacks::bio_method());
  if (bio == nullptr) {
    return fail(Error(Domain::tls, 0, "cannot begin a TLS session: " + take_error()));
  }
  input = &input_view;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl.get(), bio, bio);
  now = unix_now;
  tls::attach(ssl.get(), *this);
  SSL_set_info_callback(ssl.get(), Callbacks::on_info);
  SSL_set_shed_handshake_config(ssl.get(), 1);
  SSL_set_mode(ssl.get(), SSL_MODE_ENABLE_PARTIAL_WRITE);
  if (tls12) {
    TERN_CHECK(SSL_set_min_proto_version(ssl.get(), TLS1_2_VERSION) == 1);
    TERN_CHECK(SSL_set_strict_cipher_list(ssl.get(), kTls12Ciphers) == 1);
  }
  return {};
}

void SecureStream::Session::take_sessions(std::function<void(StreamSession)> take) {
  if (!take) return;
  take_session = std::move(take);
  session_received = Callbacks::on_session;
}

/// Where records begin and end in what BoringSSL has taken.
void SecureStream::Session::follow(ByteView taken) noexcept {
  while (!taken.empty()) {
    if (body_left > 0) {
      const std::size_t part = std::min(body_left, taken.size());
      body_left -= part;
      taken = taken.subspan(part);
      continue;
    }
    header[header_size++] = taken.front();
    taken = taken.subspan(1);
    if (header_size < RecordLayer::kHeader) continue;
    header_size = 0;
    body_left = static_cast<std::size_t>(header[3]) << 8 | header[4];
  }
}

}  // namespace tern::tls
