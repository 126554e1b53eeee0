#include "transport/tls/secure_stream.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <string_view>
#include <utility>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/check.h"
#include "transport/tls/alert.h"
#include "transport/tls/boringssl.h"
#include "transport/tls/record_layer.h"
#include "transport/tls/secure_session.h"

namespace tern::tls {
namespace {

/// Plaintext of a full record (RFC 8446 §5.1).
constexpr std::size_t kRecord = 16 * 1024;
/// What a record adds at most: header, content type, tag, and TLS 1.2's explicit nonce.
constexpr std::size_t kRecordOverhead = 5 + 1 + 16 + 8;
/// A piece at least this large is encrypted from where it lies; smaller ones are put together.
constexpr std::size_t kLargePiece = kRecord;

/// A record's plaintext, on its way out or in. One a thread: nobody is called back while it is used
/// for writing, and reading and writing have one each. Reading has another for TLS inside TLS,
/// whose records lie in the first.
using RecordBuffer = std::array<std::uint8_t, kRecord>;
thread_local RecordBuffer outgoing_plain;
thread_local RecordBuffer incoming_plain;
thread_local RecordBuffer inner_plain;

bool lies_in(ByteView bytes, const RecordBuffer& buffer) noexcept {
  return !std::less<>()(bytes.data(), buffer.data()) &&
         std::less<>()(bytes.data(), buffer.data() + buffer.size());
}

}  // namespace

// ---- options ------------------------------------------------------------------------------------

SecureClientOptions& SecureClientOptions::server_name(std::string name) {
  server_name_ = std::move(name);
  return *this;
}
SecureClientOptions& SecureClientOptions::alpn(std::vector<std::string> protocols) {
  alpn_ = std::move(protocols);
  return *this;
}
SecureClientOptions& SecureClientOptions::handshake_timeout(Duration limit) {
  handshake_timeout_ = limit;
  return *this;
}
SecureClientOptions& SecureClientOptions::session(std::vector<std::uint8_t> ticket) {
  ticket_ = std::move(ticket);
  return *this;
}
SecureClientOptions& SecureClientOptions::session_received(
    std::function<void(StreamSession)> take) {
  session_received_ = std::move(take);
  return *this;
}

/// Calls a sink, which may destroy the stream. False: it has.
template <typename Call>
bool SecureStream::tell(Call&& call) {
  bool destroyed = false;
  bool* const outer = std::exchange(destroyed_, &destroyed);
  call();
  if (destroyed) {
    if (outer != nullptr) *outer = true;
    return false;
  }
  destroyed_ = outer;
  return true;
}

// ---- making one ---------------------------------------------------------------------------------

SecureStream::SecureStream(Runtime& runtime, tcp::StreamSink& sink)
    : runtime_(runtime), sink_(&sink), session_(std::make_unique<Session>()) {
  session_->owner = this;
}

SecureStream::~SecureStream() {
  if (destroyed_ != nullptr) *destroyed_ = true;
}

Result<void> SecureStream::set_up_client(std::shared_ptr<const ClientContext> context,
                                         const SecureClientOptions& options) {
  if (context->chacha20_only()) {
    return fail(Error(Code::unsupported,
                      "offering ChaCha20-Poly1305 alone is possible over QUIC, not over TCP"));
  }
  const UnixSeconds now = runtime_.unix_seconds();
  const Result<void> made = session_->make(context->native(), input_, now, true);
  if (!made) return made;
  SSL* const ssl = session_->ssl.get();
  SSL_set_connect_state(ssl);
  session_->take_sessions(options.session_received_);
  const Result<void> named = set_server_name(ssl, *context, options.server_name_, now);
  if (!named) return named;
  std::vector<std::uint8_t> protocols;  // each with its length before it
  for (const std::string& protocol : options.alpn_) {
    if (protocol.empty() || protocol.size() > 255) {
      return fail(Error::invalid("ALPN protocol names have 1 to 255 bytes"));
    }
    protocols.push_back(static_cast<std::uint8_t>(protocol.size()));
    protocols.insert(protocols.end(), protocol.begin(), protocol.end());
  }
  TERN_CHECK(SSL_set_alpn_protos(ssl, protocols.data(), protocols.size()) == 0);
  if (!options.ticket_.empty()) {
    SSL_SESSION* ticket =
        SSL_SESSION_from_bytes(options.ticket_.data(), options.ticket_.size(), context->native());
    if (ticket != nullptr) {
      SSL_set_session(ssl, ticket);
      SSL_SESSION_free(ticket);
      // Got without verifying the server: it is no proof of who that is.
      if (!context->insecure() && SSL_get_verify_result(ssl) != X509_V_OK) {
        SSL_set_session(ssl, nullptr);
      }
    } else {
      ERR_clear_error();
    }
  }
  handshake_limit_ = options.handshake_timeout_;
  handshake_.server_name = options.server_name_;
  session_->client_context = std::move(context);
  return {};
}

Result<std::unique_ptr<SecureStream>> SecureStream::connect(
    Runtime& runtime, tcp::Network& network, const tcp::ConnectOptions& connect,
    std::shared_ptr<const ClientContext> context, const SecureClientOptions& options,
    tcp::StreamSink& sink) {
  std::unique_ptr<SecureStream> stream(new SecureStream(runtime, sink));
  const Result<void> set_up = stream->set_up_client(std::move(context), options);
  if (!set_up) return fail(set_up.error());
  TERN_TRY(stream->stream_, network.connect(connect, *stream));
  return stream;
}

Result<std::unique_ptr<SecureStream>> SecureStream::client(
    Runtime& runtime, std::unique_ptr<tcp::Stream> lower,
    std::shared_ptr<const ClientContext> context, const SecureClientOptions& options,
    tcp::StreamSink& sink) {
  std::unique_ptr<SecureStream> stream(new SecureStream(runtime, sink));
  const Result<void> set_up = stream->set_up_client(std::move(context), options);
  if (!set_up) return fail(set_up.error());
  stream->begin(std::move(lower));
  return stream;
}

Result<std::unique_ptr<SecureStream>> SecureStream::server(
    Runtime& runtime, std::unique_ptr<tcp::Stream> lower,
    std::shared_ptr<const ServerContext> context, Duration limit, tcp::StreamSink& sink) {
  std::unique_ptr<SecureStream> stream(new SecureStream(runtime, sink));
  Session& session = *stream->session_;
  const UnixSeconds now = runtime.unix_seconds();
  const Result<void> made =
      session.make(context->native(), stream->input_, now, !context->chacha20_only());
  if (!made) return fail(made.error());
  SSL_set_accept_state(session.ssl.get());
  set_verify_time(session.ssl.get(), now);
  session.server_context = std::move(context);
  stream->handshake_limit_ = limit;
  stream->begin(std::move(lower));
  return stream;
}

void SecureStream::begin(std::unique_ptr<tcp::Stream> stream) {
  stream_ = std::move(stream);
  stream_->attach(*this);
  stream_->resume();
  // Not from here: a sink hears nothing from inside a call.
  runtime_.timers().arm(*this, runtime_.now());
}

// ---- the handshake ------------------------------------------------------------------------------

void SecureStream::connected(tcp::Stream&) {
  begun_ = true;
  if (handshake_limit_ > Duration::zero()) {
    runtime_.timers().arm(*this, runtime_.now() + handshake_limit_);
  }
  shake_hands();
}

bool SecureStream::shake_hands() {
  SSL* const ssl = session_->ssl.get();
  session_->now = runtime_.unix_seconds();
  const ScopedTime time(session_->now);
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl);
  if (result != 1) {
    const int error = SSL_get_error(ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return fail_tls();
    return send_records() || end(Error::closed("TCP takes no more"));
  }
  complete_ = true;
  if (armed()) runtime_.timers().disarm(*this);
  handshake_.version = SSL_get_version(ssl);
  const std::uint8_t* alpn = nullptr;
  unsigned alpn_size = 0;
  SSL_get0_alpn_selected(ssl, &alpn, &alpn_size);
  handshake_.alpn.assign(reinterpret_cast<const char*>(alpn), alpn_size);
  if (const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl); cipher != nullptr) {
    handshake_.cipher = SSL_CIPHER_standard_name(cipher);
  }
  handshake_.group = group_name(ssl);
  if (session_->client_context != nullptr) {
    bssl::Span<const std::uint8_t> read;
    bssl::Span<const std::uint8_t> write;
    if (SSL_version(ssl) == TLS1_3_VERSION && bssl::SSL_get_traffic_secrets(ssl, &read, &write)) {
      session_->first_write_secret.assign(write.begin(), write.end());
    }
  } else {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name != nullptr) handshake_.server_name = name;
  }
  handshake_.resumed = SSL_session_reused(ssl) != 0;
  handshake_.peer_certificate_subject = verified_peer(ssl);
  if (!send_records()) return end(Error::closed("TCP takes no more"));
  if (!tell([this] { sink_->connected(*this); })) return false;
  if (over_) return true;
  if (paused_) stream_->pause();
  if (!waiting_.empty()) {
    std::vector<Bytes> waiting = std::exchange(waiting_, {});
    waiting_size_ = 0;
    if (!encrypt(waiting)) return end(Error::closed("TCP takes no more"));
  }
  if (finished_) say_goodbye();
  return true;
}

// ---- in -----------------------------------------------------------------------------------------

void SecureStream::receive(tcp::Stream&, MutableBytes bytes) {
  if (over_) return;
  if (!held_.empty()) {  // what came before it goes first
    held_.insert(held_.end(), bytes.begin(), bytes.end());
    return;
  }
  input_ = bytes;
  if (process()) keep_rest();
}

/// Records, as far as they are wanted now. False: the stream is not there any more.
bool SecureStream::process() {
  RecordBuffer& buffer = lies_in(input_, incoming_plain) ? inner_plain : incoming_plain;
  if (!complete_ && !shake_hands()) return false;
  if (records_ != nullptr) return process_records();
  SSL* const ssl = session_->ssl.get();
  while (complete_ && !over_ && !paused_ && !peer_closed_) {
    const ScopedTime time(session_->now);
    ERR_clear_error();
    const int count = SSL_read(ssl, buffer.data(), static_cast<int>(kRecord));
    if (count > 0) {
      const MutableBytes plain(buffer.data(), static_cast<std::size_t>(count));
      if (!tell([&] { sink_->receive(*this, plain); })) return false;
      // The server's tickets, if it gives any, came before its first data.
      if (session_->client_context != nullptr && !over_) take_over();
      if (records_ != nullptr) return process_records();
      continue;
    }
    const int error = SSL_get_error(ssl, count);
    if (error == SSL_ERROR_WANT_READ) break;
    if (error != SSL_ERROR_ZERO_RETURN) return fail_tls();
    peer_closed_ = true;
    told_end_ = true;
    if (!tell([this] { sink_->end_of_stream(*this); })) return false;
  }
  // An answer to a KeyUpdate.
  return over_ || send_records() || end(Error::closed("TCP takes no more"));
}

/// The same once the records are ours.
bool SecureStream::process_records() {
  using Kind = RecordLayer::Step::Kind;
  while (!over_ && !paused_ && !peer_closed_) {
    const RecordLayer::Step step = records_->next(input_);
    if (step.kind == Kind::nothing) break;
    switch (step.kind) {
      case Kind::data:
        if (!tell([&] { sink_->receive(*this, step.data); })) return false;
        break;
      case Kind::closed:
        peer_closed_ = true;
        told_end_ = true;
        if (!tell([this] { sink_->end_of_stream(*this); })) return false;
        break;
      case Kind::alert:
        stream_->finish();
        return end(Error(Domain::tls, step.alert, explained_alert(step.alert), Origin::remote));
      case Kind::failed: return fail_record(step.alert, step.reason);
      case Kind::other:
      case Kind::nothing: break;
    }
  }
  if (over_ || finished_ || !records_->owes_update()) return true;
  return stream_->write(records_->key_update()) || end(Error::closed("TCP takes no more"));
}

bool SecureStream::fail_record(std::uint8_t alert, const char* reason) {
  // The alert leaves before the connection ends.
  if (finished_ || stream_->write(records_->alert(alert))) stream_->finish();
  return end(Error(Domain::tls, alert, std::string(alert_name(alert)) + ": " + reason));
}

/// From now on the records are ours, if they can be: in TLS 1.3, and between two of them. Only
/// when BoringSSL has nothing left to say.
void SecureStream::take_over() {
  SSL* const ssl = session_->ssl.get();
  if (SSL_version(ssl) != TLS1_3_VERSION || !session_->between_records() || SSL_pending(ssl) != 0) {
    return;
  }
  Aead aead = Aead::aes_128_gcm;
  Hash hash = Hash::sha256;
  switch (SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl))) {
    case 0x1301: break;
    case 0x1302:
      aead = Aead::aes_256_gcm;
      hash = Hash::sha384;
      break;
    case 0x1303: aead = Aead::chacha20_poly1305; break;
    default: return;
  }
  bssl::Span<const std::uint8_t> read;
  bssl::Span<const std::uint8_t> write;
  if (!bssl::SSL_get_traffic_secrets(ssl, &read, &write)) return ERR_clear_error();
  const bool client = session_->client_context != nullptr;
  if (client && !std::equal(write.begin(), write.end(), session_->first_write_secret.begin(),
                            session_->first_write_secret.end())) {
    return;
  }
  records_ = std::make_unique<RecordLayer>(
      client, aead, hash,
      RecordLayer::Start{{read.data(), read.size()}, SSL_get_read_sequence(ssl)},
      RecordLayer::Start{{write.data(), write.size()}, SSL_get_write_sequence(ssl)});
  session_->forget_secret();
  session_->ssl.reset();
}

/// What a paused reader does not want yet is in a buffer of the network's now.
void SecureStream::keep_rest() {
  if (over_ || peer_closed_) input_ = {};
  held_.assign(input_.begin(), input_.end());
  input_ = {};
}

void SecureStream::end_of_stream(tcp::Stream&) {
  if (over_ || told_end_) return;
  if (!complete_) {
    end(Error(Code::closed, "the peer ended the connection during the TLS handshake",
              Origin::remote));
    return;
  }
  truncated_ = true;
  told_end_ = true;
  sink_->end_of_stream(*this);
}

void SecureStream::pause() {
  paused_ = true;
  if (complete_) stream_->pause();
}

void SecureStream::resume() {
  if (!std::exchange(paused_, false) || over_) return;
  // BoringSSL may hold a part of a record as well, so it is asked in any case.
  if (complete_) runtime_.timers().arm(*this, runtime_.now());
}

void SecureStream::expire(Timestamp) {
  if (over_) return;
  if (!begun_) return connected(*stream_);
  if (!complete_) {
    end(Error(Code::timed_out, "no TLS handshake in time"));
    return;
  }
  std::vector<std::uint8_t> held = std::exchange(held_, {});
  input_ = held;
  if (!process()) return;
  keep_rest();
  if (!over_ && !paused_) stream_->resume();
}

// ---- out ----------------------------------------------------------------------------------------

Result<void> SecureStream::write(std::span<Bytes> pieces) {
  if (over_ || finished_) return fail(Error::closed("the stream was finished"));
  if (complete_) {
    if (encrypt(pieces)) return {};
    return fail(Error::limit("more is queued than the stream may hold"));
  }
  std::size_t total = 0;
  for (const Bytes& piece : pieces) total += piece.size();
  if (waiting_size_ + total > kMaxWaiting) {
    return fail(Error::limit("more is queued than may wait for the handshake"));
  }
  for (Bytes& piece : pieces) {
    if (piece.empty()) continue;
    waiting_size_ += piece.size();
    waiting_.push_back(std::move(piece));
  }
  return {};
}

/// All pieces into records. False: the stream underneath refused them.
bool SecureStream::encrypt(std::span<Bytes> pieces) {
  if (records_ != nullptr) {
    Bytes sealed = records_->seal(pieces);
    return sealed.empty() || stream_->write(std::move(sealed)).has_value();
  }
  SSL* const ssl = session_->ssl.get();
  const ScopedTime time(session_->now);
  std::size_t total = 0;
  for (const Bytes& piece : pieces) total += piece.size();
  session_->output.reserve(session_->output.size() + total +
                           (total / kRecord + 2 + pieces.size() / 8) * kRecordOverhead);
  const auto seal = [&](const std::uint8_t* data, std::size_t size) {
    while (size > 0) {
      ERR_clear_error();
      const int written = SSL_write(ssl, data, static_cast<int>(std::min(size, kRecord)));
      TERN_CHECK(written > 0);  // the BIO takes everything, and the handshake is complete
      data += written;
      size -= static_cast<std::size_t>(written);
    }
  };
  std::size_t gathered = 0;
  for (Bytes& piece : pieces) {
    const std::uint8_t* data = piece.data();
    std::size_t size = piece.size();
    while (size > 0) {
      if (gathered == 0 && size >= kLargePiece) {
        const std::size_t whole = size - size % kRecord;
        seal(data, whole);
        data += whole;
        size -= whole;
        continue;
      }
      const std::size_t part = std::min(size, kRecord - gathered);
      std::memcpy(outgoing_plain.data() + gathered, data, part);
      gathered += part;
      data += part;
      size -= part;
      if (gathered == kRecord) seal(outgoing_plain.data(), std::exchange(gathered, 0));
    }
    piece = Bytes();
  }
  if (gathered > 0) seal(outgoing_plain.data(), gathered);
  if (!send_records()) return false;
  // The session tickets have gone out before the first data.
  if (session_->server_context != nullptr) take_over();
  return true;
}

bool SecureStream::send_records() {
  if (session_->output.empty()) return true;
  std::vector<std::uint8_t> records = std::exchange(session_->output, {});
  return stream_->write(Bytes::take(std::move(records))).has_value();
}

std::size_t SecureStream::queued() const noexcept {
  return waiting_size_ + (stream_ == nullptr ? 0 : stream_->queued());
}

std::size_t SecureStream::low_water() const noexcept { return stream_->low_water(); }

void SecureStream::writable(tcp::Stream&) {
  if (complete_ && !over_) sink_->writable(*this);
}

void SecureStream::finish() {
  if (std::exchange(finished_, true) || over_) return;
  if (complete_) say_goodbye();
}

void SecureStream::say_goodbye() {
  if (records_ != nullptr) {
    if (stream_->write(records_->alert(0))) stream_->finish();
    return;
  }
  ERR_clear_error();
  SSL_shutdown(session_->ssl.get());
  send_records();
  stream_->finish();
}

void SecureStream::reset() {
  over_ = true;
  if (armed()) runtime_.timers().disarm(*this);
  stream_->reset();
}

// ---- the end ------------------------------------------------------------------------------------

void SecureStream::failed(tcp::Stream&, const Error& error) { end(error); }

bool SecureStream::fail_tls() {
  const std::uint32_t error_code = ERR_peek_error();
  if (ERR_GET_LIB(error_code) == ERR_LIB_SSL && ERR_GET_REASON(error_code) == SSL_R_HTTP_REQUEST &&
      !plain_answer_.empty()) {
    session_->output.assign(plain_answer_.begin(), plain_answer_.end());
  }
  const std::string reason = take_error();
  // The alert leaves before the connection ends.
  if (send_records()) stream_->finish();
  if (!session_->verify_failure.empty()) {
    const Error error(Code::certificate, session_->verify_failure);
    return end(error);
  }
  const std::uint8_t alert = session_->alert;
  if (session_->alert_is_remote) {
    return end(Error(Domain::tls, alert, explained_alert(alert), Origin::remote));
  }
  std::string text = alert == 0 ? reason : std::string(alert_name(alert));
  if (alert != 0 && !reason.empty()) text += ": " + reason;
  // BoringSSL's name for bytes that are no record.
  if (reason == "WRONG_VERSION_NUMBER") text = "the peer does not speak TLS";
  if (reason == "HTTP_REQUEST") text = "the peer speaks HTTP without TLS";
  return end(Error(Domain::tls, alert, std::move(text), Origin::local));
}

bool SecureStream::end(const Error& error) {
  if (std::exchange(over_, true)) return true;
  if (armed()) runtime_.timers().disarm(*this);
  return tell([&] { sink_->failed(*this, error); });
}

// ---- facts --------------------------------------------------------------------------------------

const udp::Address& SecureStream::local() const noexcept { return stream_->local(); }
const udp::Address& SecureStream::remote() const noexcept { return stream_->remote(); }
tcp::StreamInfo SecureStream::info() const { return stream_->info(); }

Result<void> SecureStream::export_keying_material(std::string_view label, ByteView context,
                                                  MutableBytes out) const {
  if (!complete_) {
    return fail(Error::invalid("no keying material before the handshake is complete"));
  }
  if (session_->exporter.known()) return session_->exporter.derive(label, context, out);
  if (auto checked = Exporter::check(label, out); !checked) return checked;
  // TLS 1.2's, which BoringSSL keeps. Without the extended master secret two connections might
  // share it (RFC 7627 §6.4).
  SSL* const ssl = session_->ssl.get();
  if (ssl == nullptr || SSL_get_extms_support(ssl) != 1) {
    return fail(Error(Code::unsupported,
                      "keying material of TLS 1.2 wants the peer's extended master secret"));
  }
  ERR_clear_error();
  if (SSL_export_keying_material(ssl, out.data(), out.size(), label.data(), label.size(),
                                 context.data(), context.size(), 1) != 1) {
    return fail(Error(Domain::tls, 0, "no keying material: " + take_error()));
  }
  return {};
}

}  // namespace tern::tls
