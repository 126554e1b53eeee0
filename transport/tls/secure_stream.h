#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "base/time.h"
#include "base/timer_heap.h"
#include "transport/tcp/network.h"
#include "transport/tls/client_context.h"
#include "transport/tls/server_context.h"

/// TLS on a byte stream (RFC 8446; RFC 5246 with AEAD ciphers for peers that know no better).

namespace tern::tls {

class RecordLayer;

/// What a handshake settled.
struct StreamHandshake {
  std::string version;                   ///< "TLSv1.3" or "TLSv1.2"
  std::string alpn;                      ///< empty: none was agreed on
  std::string cipher;                    ///< "TLS_AES_128_GCM_SHA256"
  std::string group;                     ///< "X25519"
  std::string server_name;               ///< the SNI
  bool resumed = false;                  ///< a session ticket was used, no certificate was sent
  std::string peer_certificate_subject;  ///< of a verified peer, one line; else empty
};

/// A ticket that a server gave, to resume with. Holds secrets.
struct StreamSession {
  std::string alpn;  ///< of the connection that got it
  std::vector<std::uint8_t> ticket;
  UnixSeconds expires = 0;
};

class SecureClientOptions {
 public:
  /// Name or IP address that the certificate must be for; a name is the SNI as well.
  SecureClientOptions& server_name(std::string name);
  /// Offered in this order. Default: none.
  SecureClientOptions& alpn(std::vector<std::string> protocols);
  /// From the connection's standing to the handshake's end, else Code::timed_out. Default 10 s.
  SecureClientOptions& handshake_timeout(Duration limit);
  /// One that cannot be used any more means a full handshake.
  SecureClientOptions& session(std::vector<std::uint8_t> ticket);
  /// Called from reap for each ticket the server gives; must not touch the stream.
  SecureClientOptions& session_received(std::function<void(StreamSession)> take);

 private:
  friend class SecureStream;
  std::string server_name_;
  std::vector<std::string> alpn_;
  Duration handshake_timeout_ = std::chrono::seconds(10);
  std::vector<std::uint8_t> ticket_;
  std::function<void(StreamSession)> session_received_;
};

/// TLS around another stream, which it owns: plain bytes on this side, records on that. Everything
/// tcp::Stream promises holds, with these additions:
///
/// - `StreamSink::connected` comes when the handshake is complete, for accepted streams as well:
///   attach a sink that waits for it, then (from inside it, if one likes) the one for what follows.
///   What is written before goes after it.
/// - `finish` says close_notify; a peer that finishes without one gives `end_of_stream` with
///   `ended_cleanly()` false.
/// - Errors besides TCP's: Domain::tls with the alert's number, remote when the peer sent it;
///   Code::certificate with the reason in words; Code::timed_out for the handshake. An alert of
///   ours leaves before the stream ends.
/// - `queued` counts records' bytes and what waits for the handshake, which may be kMaxWaiting
/// bytes.
///   A write that there is no room for (Code::limit) once the handshake is complete breaks the
///   stream: records cannot be taken back, and all it is good for is `reset`.
/// - 0-RTT is not offered and not taken.
/// - BoringSSL shakes hands and takes and gives the session tickets; TLS 1.3's records after that
///   are sealed and opened by us, in the memory that is sent and received (docs/decisions/0023).
///
/// Sinks hear from it in reap, and in the timers' part of a turn: of a handshake that takes too
/// long, and of bytes that had come before `resume`. Runtime and context outlive it; on one thread.
class SecureStream final : public tcp::Stream, private tcp::StreamSink, private TimerNode {
 public:
  static constexpr std::size_t kMaxWaiting = 4 * 1024 * 1024;

  /// Connects, then shakes hands. An Error at once is tcp::Network::connect's, or says what is
  /// wrong with the options.
  static Result<std::unique_ptr<SecureStream>> connect(Runtime& runtime, tcp::Network& network,
                                                       const tcp::ConnectOptions& connect,
                                                       std::shared_ptr<const ClientContext> context,
                                                       const SecureClientOptions& options,
                                                       tcp::StreamSink& sink);
  /// A client's on a stream that stands already, a proxy's tunnel for instance.
  static Result<std::unique_ptr<SecureStream>> client(Runtime& runtime,
                                                      std::unique_ptr<tcp::Stream> stream,
                                                      std::shared_ptr<const ClientContext> context,
                                                      const SecureClientOptions& options,
                                                      tcp::StreamSink& sink);
  /// A server's on an accepted stream. `limit`: of the handshake.
  static Result<std::unique_ptr<SecureStream>> server(Runtime& runtime,
                                                      std::unique_ptr<tcp::Stream> stream,
                                                      std::shared_ptr<const ServerContext> context,
                                                      Duration limit, tcp::StreamSink& sink);
  ~SecureStream() override;

  /// A server's: said as it is, without TLS, to a client that began with an HTTP/1 request where a
  /// ClientHello was due; then the stream ends, with an error as before. Default: nothing. The text
  /// is there for as long as the stream.
  void answer_to_plain_http(std::string_view text) noexcept { plain_answer_ = text; }

  /// Valid when the handshake is complete.
  const StreamHandshake& handshake() const noexcept { return handshake_; }

  // ---- tcp::Stream
  const udp::Address& local() const noexcept override;
  const udp::Address& remote() const noexcept override;
  bool secure() const noexcept override { return true; }
  Result<void> export_keying_material(std::string_view label, ByteView context,
                                      MutableBytes out) const override;
  void attach(tcp::StreamSink& sink) override { sink_ = &sink; }
  using tcp::Stream::write;
  Result<void> write(Bytes bytes) override { return write(std::span<Bytes>(&bytes, 1)); }
  Result<void> write(std::span<Bytes> pieces) override;
  std::size_t queued() const noexcept override;
  std::size_t low_water() const noexcept override;
  void finish() override;
  void reset() override;
  void pause() override;
  void resume() override;
  bool paused() const noexcept override { return paused_; }
  bool ended_cleanly() const noexcept override { return !truncated_; }
  tcp::StreamInfo info() const override;

 private:
  struct Session;  // BoringSSL's side, and what its callbacks see

  SecureStream(Runtime& runtime, tcp::StreamSink& sink);
  void begin(std::unique_ptr<tcp::Stream> stream);
  Result<void> set_up_client(std::shared_ptr<const ClientContext> context,
                             const SecureClientOptions& options);

  void connected(tcp::Stream& stream) override;
  void receive(tcp::Stream& stream, MutableBytes bytes) override;
  void end_of_stream(tcp::Stream& stream) override;
  void writable(tcp::Stream& stream) override;
  void failed(tcp::Stream& stream, const Error& error) override;
  void expire(Timestamp now) override;

  // These return false when a sink has destroyed the stream meanwhile.
  template <typename Call>
  bool tell(Call&& call);
  bool shake_hands();
  bool process();
  bool fail_tls();
  bool end(const Error& error);

  void keep_rest();
  void say_goodbye();
  bool encrypt(std::span<Bytes> pieces);
  bool send_records();
  bool process_records();
  bool fail_record(std::uint8_t alert, const char* reason);
  void take_over();

  Runtime& runtime_;
  tcp::StreamSink* sink_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<tcp::Stream> stream_;
  StreamHandshake handshake_;
  Duration handshake_limit_{};
  std::string_view plain_answer_;
  std::vector<Bytes> waiting_;  // for the handshake
  std::size_t waiting_size_ = 0;
  std::vector<std::uint8_t> held_;        // records that came before a pause ended
  MutableBytes input_;                    // records not yet looked at
  std::unique_ptr<RecordLayer> records_;  // once it is they, not BoringSSL
  bool* destroyed_ = nullptr;             // tells a caller further up that we are gone
  bool begun_ = false;                    // the handshake
  bool complete_ = false;
  bool paused_ = false;
  bool finished_ = false;     // finish was called
  bool peer_closed_ = false;  // its close_notify has come
  bool told_end_ = false;
  bool truncated_ = false;
  bool over_ = false;
};

}  // namespace tern::tls
