#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "http/fallback/http2_bridge.h"
#include "http/fallback/http2_guard.h"
#include "http/fallback/http2_pool.h"
#include "http/fallback/http2_stream.h"
#include "http/fallback/http2_table.h"
#include "http/fallback/session_base.h"
#include "http/queued_bytes.h"
#include "http/rate_limit.h"

namespace tern::fallback {

/// Internal to http/fallback: an HTTP/2 connection, either side. Three files: http2_core.cc (life,
/// what comes and goes), http2_requests.cc (its requests), http2_time.cc (time limits).
class Http2Session final : public SessionBase,
                           private Http2Bridge::Listener,
                           private Http2Guard::Host {
 public:
  Http2Session(ContextCore& core, std::unique_ptr<tcp::Stream> stream, bool server,
               ClientHooks hooks);
  ~Http2Session() override;

  // ---- for Http2Stream
  const std::string& alternative() const noexcept { return alt_svc(); }

  // ---- Session
  std::string_view protocol() const noexcept override { return "h2"; }
  Result<std::unique_ptr<http::ClientExchange>> open() override;
  bool accepts_requests() const noexcept override;
  std::size_t requests() const noexcept override { return table_.listed(); }
  std::uint64_t total_requests() const noexcept override { return total_requests_; }
  void drain() override;
  bool draining() const noexcept override { return drain_ != Drain::no; }
  void close() override;
  std::optional<std::uint32_t> peer_setting(std::uint16_t id) const noexcept override;

  // ---- for Http2Stream
  /// Of a request that the peer's GOAWAY leaves out.
  Error refusal() const;
  using SessionBase::is_server;
  using SessionBase::now;
  Http2Bridge& bridge() noexcept { return bridge_; }
  const SessionOptions& session_options() const noexcept { return options(); }
  void heard_alt_svc(std::string_view value) const {
    if (hooks().alt_svc) hooks().alt_svc(value);
  }
  udp::Path network_path() const noexcept { return path(); }
  ChunkArena& arena() noexcept { return core().arena(); }
  /// The body of a section that is being built; reused.
  std::vector<Http2Bridge::Line>& lines() noexcept { return pool_.lines(); }
  void count_response() noexcept { counts().responses.add(); }
  http::QueuedBytes& queued() noexcept { return queued_; }

  /// There is something new to send.
  void wake_up() { wake(); }
  /// Acts on the stream's fault once nghttp2 has returned.
  void flag(Http2Stream& stream);
  /// A reset by the peer, or one that it made us send: rapid reset, and what MadeYouReset does.
  void count_reset(Http2Stream& stream) noexcept;
  /// Server: the request's head is complete.
  void dispatch(Http2Stream& stream);
  /// Client: sends the stream's request as soon as that may be.
  void schedule(Http2Stream& stream);
  void unschedule(Http2Stream& stream) noexcept;
  /// Nobody holds on to it any more.
  void remove(Http2Stream& stream) noexcept;
  /// Looks after the streams' time limits.
  void watch_streams();
  /// Resets a stream with NO_ERROR once nghttp2 has returned: its message has ended, and the rest
  /// of the peer's is not wanted.
  void reset_later(Http2StreamId id) { resets_.push_back(id); }
  /// Client: a stream lets the others send.
  void turn_over() noexcept { turns_over_ = true; }
  bool others_send(const Http2Stream&) const noexcept { return table_.listed() > 1; }
  /// Ends the connection with GOAWAY: the peer broke the protocol or went too far. `reason` is for
  /// people, on both sides: what the peer has put in is escaped.
  void fail(Http2Code code, std::string_view reason) noexcept;
  /// The same for what nghttp2 returned, if it is an error. Returns whether it is fine.
  bool check(std::ptrdiff_t result) noexcept;

 private:
  enum class Drain : std::uint8_t { no, noticed, commenced };

  // ---- SessionBase
  void on_start() override;
  void on_bytes(MutableBytes bytes) override;
  void on_end_of_stream() override;
  bool produce() override;
  void on_over(const Error& error) noexcept override;
  Timestamp check_times(Timestamp now) override;

  // ---- Http2Bridge::Listener
  Http2Stream* begin_request(Http2StreamId id) noexcept override;
  void stream_closed(Http2Stream& stream, Http2Code code) noexcept override;
  void reset_sent(Http2StreamId id, Http2Code code) noexcept override;
  bool put_data(Http2Stream& stream, ByteView header, std::size_t size) noexcept override;
  void setting(std::uint16_t id, std::uint32_t value) noexcept override;
  void settings(bool acknowledged) noexcept override;
  void goaway(Http2StreamId last, Http2Code code, ByteView debug) noexcept override;
  void goaway_sent(Http2Code code, std::string_view reason,
                   const Http2Bridge::Frame& frame) noexcept override;

  // ---- Http2Guard::Host
  bool glitch() noexcept override;
  bool is_open(Http2StreamId id) const noexcept override { return table_.find(id) != nullptr; }

  /// "2.5 s"
  static std::string seconds(Duration time);
  /// Ends the connection for more than `most` of something in the limits' window.
  void fail_for_number(std::uint32_t most, std::string_view what) noexcept;
  /// An oddity; one too many ends the connection. `last`: what it was, for people.
  void count_oddity(std::string_view last) noexcept;
  static Http2Bridge::Config config_of(const SessionOptions& options, bool server) noexcept;
  bool pump();
  void put_goaway(Http2Code code, std::string_view reason);
  void settle();
  void settle(Http2Stream& stream);
  void answer(Http2Stream& stream, http::Status status);
  void flush_waiting();
  void on_goaway();
  void commence_shutdown();
  void end_if_drained() noexcept;
  bool check_connection(Timestamp now);
  bool check_streams(Timestamp now);

  Http2Pool& pool_;
  Http2Bridge bridge_;
  Http2Guard guard_;
  http::QueuedBytes queued_;
  Http2Table table_;
  std::vector<Http2Stream*> flagged_;
  std::vector<Http2Stream*> waiting_;
  std::vector<Http2StreamId> resets_;  // to be sent
  std::vector<Setting> peer_settings_;
  http::RateLimit resets_limit_;
  http::RateLimit glitches_limit_;
  std::optional<Error> failure_;  // why the connection ends
  Http2Code failure_code_ = Http2Code::no_error;

  std::uint64_t total_requests_ = 0;
  Http2StreamId reset_id_ = 0;  // of the RST_STREAM that has just been sent
  Timestamp began_{};
  Timestamp idle_since_{};
  Timestamp section_since_ = kNever;  // a field section is under way
  Timestamp blocked_since_ = kNever;  // the connection's window is closed
  Timestamp shutdown_at_ = kNever;
  Drain drain_ = Drain::no;
  bool settings_came_ = false;
  bool settings_acknowledged_ = false;
  bool extensions_said_ = false;  // client: extra_settings
  bool goaway_came_ = false;
  Error farewell_error() const;
  Http2Code farewell_code_ = Http2Code::no_error;  // the peer's last GOAWAY's
  std::string farewell_;                           // empty without an error, else its name and text
  bool goaway_to_tell_ = false;
  bool goaway_said_ = false;  // nghttp2 has sent one with an error
  bool broken_ = false;       // nghttp2 must not be asked any more
  bool closing_ = false;      // at once, without sending what waits
  bool drained_ = false;
  bool turns_over_ = false;
  bool allowance_changed_ = false;  // more requests may be sent than before
};

}  // namespace tern::fallback
