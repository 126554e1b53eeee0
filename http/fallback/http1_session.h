#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/fallback/http1_parser.h"
#include "http/fallback/http1_stream.h"
#include "http/fallback/session_base.h"

namespace tern::fallback {

/// Internal to http/fallback: HTTP/1.1 (RFC 9112) on `stream`.
std::unique_ptr<SessionBase> make_http1_session(ContextCore& core,
                                                std::unique_ptr<tcp::Stream> stream, bool server,
                                                ClientHooks hooks);

/// Both sides of it. Three files: http1_session.cc (life, what comes in), http1_output.cc (what
/// goes out), http1_sides.cc (what servers and clients do with messages).
///
/// A server reads on while requests are worked on, as far as `max_pipelined` allows, and answers
/// them in order. A client sends a request when the one before it has its response: pipelining is
/// not worth what it breaks.
class Http1Session final : public SessionBase {
 public:
  Http1Session(ContextCore& core, std::unique_ptr<tcp::Stream> stream, bool server,
               ClientHooks hooks);
  ~Http1Session() override;

  // ---- Session
  std::string_view protocol() const noexcept override { return "http/1.1"; }
  Result<std::unique_ptr<http::ClientExchange>> open() override;
  bool accepts_requests() const noexcept override;
  std::size_t requests() const noexcept override;
  std::uint64_t total_requests() const noexcept override { return total_requests_; }
  void drain() override;
  bool draining() const noexcept override { return draining_ || old_; }
  void close() override;

  // ---- for Http1Stream
  udp::Path stream_path() const noexcept { return path(); }
  Timestamp time() noexcept { return now(); }
  void wake_up() { wake(); }
  /// Client: the request is there.
  void submit(Http1Stream& stream);
  void consumed(Http1Stream& stream);
  void aborted(Http1Stream& stream);
  void detached(Http1Stream& stream) noexcept;

 private:
  // ---- SessionBase
  void on_start() override;
  void on_bytes(MutableBytes bytes) override;
  void on_end_of_stream() override;
  bool produce() override;
  void on_over(const Error& error) noexcept override;
  Timestamp check_times(Timestamp now) override;
  void grow_old() override;

  // ---- http1_session.cc
  Http1Stream& add_stream();
  void remove(Http1Stream& stream) noexcept;
  bool in_queue(const Http1Stream& stream) const noexcept;
  void tell_draining() noexcept;
  /// Reads messages from `bytes` as far as they may be read now.
  void pump(ByteView& bytes);
  void pump_held();
  void hold(ByteView bytes);
  bool may_read_on() const noexcept;
  void on_body(ByteView bytes);
  void on_message_end();
  void on_failure(const Http1Failure& failure);
  void maybe_resume();
  bool too_much_buffered() const noexcept;
  /// The connection's last words, after what is still to be answered.
  void fail_with(int status, std::string_view reason);
  bool body_late(Timestamp now) const noexcept;

  // ---- http1_output.cc
  /// Sends what there is of a message. Returns whether all of it is sent.
  bool put_message(Http1Stream& stream);
  void put_response_head(Http1Stream& stream);
  void put_request_head(Http1Stream& stream);
  void put_status_line(http::Status status);
  void put_body(Http1Stream& stream);
  bool produce_responses();
  bool produce_requests();
  bool finish_front(Http1Stream& stream);

  // ---- http1_sides.cc
  void on_request();
  void on_response();
  void dispatch(Http1Stream& stream);
  void dispatch_next();
  bool rest_is_small(const Http1Stream& stream) const noexcept;
  void switch_to_tunnel(Http1Stream& stream);
  void response_complete(Http1Stream& stream);
  void refuse_waiting(const Error& error);

  Http1Limits limits_;
  Http1Parser parser_;
  http::RateLimit glitches_;
  std::vector<std::unique_ptr<Http1Stream>> streams_;
  std::vector<Http1Stream*>
      queue_;  // in the order of their responses; a client's first is on its way
  Http1Stream* reading_ = nullptr;  // whose message is being received
  std::string held_;                // received and not read yet
  std::string text_;                // a head that is being written
  std::string last_words_;
  std::string failure_reason_;
  std::uint64_t total_requests_ = 0;
  Timestamp head_since_ = kNever;
  Timestamp idle_since_{};
  bool peer_finished_ = false;
  bool last_ = false;  // no message after those in the queue
  bool draining_ = false;
  bool old_ = false;  // the next answer that begins is the last
  bool pumping_ = false;
  bool reading_waits_ = false;  // for its handler to start
};

}  // namespace tern::fallback
