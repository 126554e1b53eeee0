#include "http/fallback/http2_core.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "http/escape.h"
#include "http/fallback/http2_session.h"

namespace tern::fallback {

namespace {

/// Of a GOAWAY's text, what the log shows, and what we send.
constexpr std::size_t kMaxDebug = 256;

constexpr std::string_view kOddities = "oddities (max_glitches), the last one ";

/// No peer reads less at a time, unless it is out to send us many small frames.
constexpr std::size_t kPieceRead = 1024;

Error connection_error(Http2Code code, std::string_view reason, Origin origin) {
  return Error(Domain::application, static_cast<std::uint64_t>(code),
               fmt::format("{}: {}", name(code), reason), origin);
}

}  // namespace

std::unique_ptr<SessionBase> make_http2_session(ContextCore& core,
                                                std::unique_ptr<tcp::Stream> stream, bool server,
                                                ClientHooks hooks) {
  return std::make_unique<Http2Session>(core, std::move(stream), server, std::move(hooks));
}

// ---- Http2Pool ----------------------------------------------------------------------------------

Http2Pool::~Http2Pool() {
  for (Http2Stream* stream : spare_) delete stream;
}

Http2Stream* Http2Pool::take() {
  if (spare_.empty()) return new Http2Stream();
  Http2Stream* stream = spare_.back();
  spare_.pop_back();
  return stream;
}

void Http2Pool::recycle(Http2Stream* stream) noexcept {
  stream->clear();
  if (spare_.size() < kMaxSpare) {
    spare_.push_back(stream);
  } else {
    delete stream;
  }
}

// ---- life ---------------------------------------------------------------------------------------

Http2Bridge::Config Http2Session::config_of(const SessionOptions& options, bool server) noexcept {
  Http2Bridge::Config config;
  config.server = server;
  config.stream_window = options.stream_window;
  config.connection_window = options.connection_window;
  config.max_frame = options.max_frame;
  config.hpack_capacity = options.hpack_capacity;
  config.max_field_section = options.max_field_section;
  config.max_streams =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(options.max_requests, UINT32_MAX));
  config.max_unsent_acks = options.max_unsent_acks;
  config.extended_connect = options.extended_connect;
  config.extra_settings = options.extra_settings;
  return config;
}

Http2Session::Http2Session(ContextCore& core, std::unique_ptr<tcp::Stream> stream, bool server,
                           ClientHooks hooks)
    : SessionBase(core, core.http2(), std::move(stream), server, std::move(hooks)),
      pool_(core.http2_pool()),
      bridge_(*this, pool_.memory(), config_of(core.options(), server)),
      guard_(*this, server, core.options().max_continuations, core.options().max_frame),
      resets_limit_(core.options().max_resets, core.options().window),
      glitches_limit_(core.options().max_glitches, core.options().window) {
  counts().sessions.add();
}

Http2Session::~Http2Session() {
  while (Http2Stream* stream = table_.first()) {
    table_.remove(*stream);
    pool_.recycle(stream);
  }
}

void Http2Session::on_start() {
  began_ = idle_since_ = now();
  wake();
  watch(now() + std::min(options().head_timeout, options().idle_timeout));
}

/// Whoever still has a stream's exchange finds every call failing.
void Http2Session::on_over(const Error& error) noexcept {
  waiting_.clear();
  flagged_.clear();
  for (Http2Stream* stream = table_.first(); stream != nullptr; stream = stream->next) {
    stream->connection_gone(error);
  }
}

void Http2Session::fail(Http2Code code, std::string_view reason) noexcept {
  if (failure_ || ending()) return;
  counts().errors.add();
  failure_code_ = code;
  failure_ = connection_error(code, reason, Origin::local);
  log(LogLevel::warning, fmt::format("closed with {}: {}", name(code), reason));
  wake();
}

bool Http2Session::check(std::ptrdiff_t result) noexcept {
  if (result >= 0) return true;
  broken_ = true;
  fail(Http2Bridge::code_of(result), Http2Bridge::describe(result));
  return false;
}

bool Http2Session::glitch() noexcept {
  if (glitches_limit_.allow(now())) return true;
  counts().limit_glitches.add();
  return false;
}

std::string Http2Session::seconds(Duration time) {
  return fmt::format("{:g} s", std::chrono::duration<double>(time).count());
}

void Http2Session::fail_for_number(std::uint32_t most, std::string_view what) noexcept {
  fail(Http2Code::enhance_your_calm,
       fmt::format("more than {} in {}: {}", most, seconds(options().window), what));
}

void Http2Session::count_oddity(std::string_view last) noexcept {
  if (!glitch()) fail_for_number(options().max_glitches, fmt::format("{}{}", kOddities, last));
}

void Http2Session::close() {
  if (over() || failure_ || ending()) return;
  closing_ = true;
  failure_ = Error::closed();
  wake();
}

// ---- what comes in ------------------------------------------------------------------------------

void Http2Session::on_bytes(MutableBytes bytes) {
  if (failure_ || ending()) return;
  const Http2Guard::Finding found = guard_.inspect(bytes);
  const ByteView fine = ByteView(bytes).subspan(found.begin, found.end - found.begin);
  const bool go_on = !found.has_header || check(bridge_.receive(found.header));
  if (go_on && !fine.empty()) check(bridge_.receive(fine));
  if (broken_) return;
  settle();
  if (found.code != Http2Code::no_error) {
    if (found.continuations) pool_.limit_continuations.add();
    if (found.glitch) {
      fail_for_number(options().max_glitches, fmt::format("{}{}", kOddities, found.reason));
    } else {
      fail(found.code, found.reason);
    }
  }
  if (failure_) return;
  if (!guard_.in_section()) {
    section_since_ = kNever;
  } else if (section_since_ == kNever) {
    section_since_ = now();
    watch(now() + options().head_timeout);
  }
  // Acknowledgements, windows, resets.
  if (bridge_.wants_to_send()) wake();
}

/// Acts on what the callbacks could only note.
void Http2Session::settle() {
  while (!flagged_.empty()) {
    Http2Stream& stream = *flagged_.back();
    flagged_.pop_back();
    stream.flagged = false;
    settle(stream);
  }
  if (goaway_to_tell_) on_goaway();
  if (std::exchange(allowance_changed_, false)) flush_waiting();
}

void Http2Session::on_end_of_stream() {
  if (failure_) return;
  if (!is_server()) {
    if (farewell_code_ == Http2Code::http_1_1_required) {
      end(farewell_error());
    } else {
      end(Error(Code::closed,
                "the server has closed the connection" +
                    (farewell_.empty() ? std::string() : ": " + farewell_),
                Origin::remote));
    }
    return;
  }
  // What it asked for whole may still be answered.
  for (Http2Stream* stream = table_.first(); stream != nullptr;) {
    Http2Stream& current = *stream;
    stream = stream->next;
    if (!current.receiving_done()) {
      current.fail(Http2Code::cancel,
                   Error(Code::closed, "the client has closed the connection", Origin::remote));
    }
  }
  drain_ = Drain::commenced;
  end_if_drained();
}

/// Only what we announce ourselves is of use to anybody, so a peer cannot fill the list.
void Http2Session::setting(std::uint16_t id, std::uint32_t value) noexcept {
  const auto has_id = [id](const Setting& entry) { return entry.id == id; };
  const std::vector<Setting>& ours = options().extra_settings;
  const auto known = std::find_if(ours.begin(), ours.end(), has_id);
  if (known == ours.end()) return;
  if (value > known->peer_limit) {
    fail(Http2Code::protocol_error,
         fmt::format("SETTINGS: {:#x} is {}, above {}", id, value, known->peer_limit));
    return;
  }
  auto place = std::find_if(peer_settings_.begin(), peer_settings_.end(), has_id);
  if (place == peer_settings_.end()) {
    peer_settings_.push_back(*known);
    place = std::prev(peer_settings_.end());
  }
  place->value = value;
}

std::optional<std::uint32_t> Http2Session::peer_setting(std::uint16_t id) const noexcept {
  for (const Setting& entry : peer_settings_) {
    if (entry.id == id) return entry.value;
  }
  return std::nullopt;
}

void Http2Session::settings(bool acknowledged) noexcept {
  if (acknowledged) {
    settings_acknowledged_ = true;
    return;
  }
  settings_came_ = true;
  allowance_changed_ = true;
}

void Http2Session::goaway(Http2StreamId, Http2Code code, ByteView debug) noexcept {
  if (code != Http2Code::no_error) {
    counts().peer_errors.add();
    const std::string_view text = as_text(debug.first(std::min(debug.size(), kMaxDebug)));
    farewell_code_ = code;
    farewell_ = fmt::format("{}{}{}", name(code), text.empty() ? "" : ": ", http::escaped(text));
    log(LogLevel::info, "the peer closes with " + farewell_);
  }
  goaway_came_ = goaway_to_tell_ = true;
}

Error Http2Session::refusal() const {
  if (farewell_code_ == Http2Code::http_1_1_required) return farewell_error();
  return Error(Code::rejected,
               farewell_.empty() ? "the server is going away and did not process the request"
                                 : "the server did not process the request: " + farewell_,
               Origin::remote);
}

Error Http2Session::farewell_error() const {
  return Error(Domain::application, static_cast<std::uint64_t>(farewell_code_), farewell_,
               Origin::remote);
}

/// The peer's GOAWAY. nghttp2 has closed the requests that it does not process.
void Http2Session::on_goaway() {
  goaway_to_tell_ = false;
  if (is_server()) {
    if (drain_ == Drain::no) drain_ = Drain::commenced;
    end_if_drained();
    return;
  }
  const Error error = refusal();
  std::vector<Http2Stream*> refused;
  refused.swap(waiting_);
  for (Http2Stream* stream : refused) {
    counts().rejected.add();
    stream->drop_waiting(error);
  }
  for (Http2Stream* stream = table_.first(); stream != nullptr; stream = stream->next) {
    stream->drain();
  }
  end_if_drained();
  if (hooks().goaway) hooks().goaway();
}

// ---- what goes out ------------------------------------------------------------------------------

bool Http2Session::produce() {
  if (!closing_ && !broken_) {
    const bool nothing_left = pump();
    if (!failure_) {
      if (!nothing_left) return false;
      if (allowance_changed_) {
        settle();
        return pump();
      }
      if (drained_) {
        if (!is_server()) put_goaway(Http2Code::no_error, {});
        end_when_sent(Error::closed("drained"));
      }
      return true;
    }
  }
  if (!goaway_said_) {
    put_goaway(failure_code_, closing_ ? std::string_view() : std::string_view(failure_->detail));
  }
  end_when_sent(*failure_);
  return true;
}

/// Sends what nghttp2 has, as long as there is room. Returns whether nothing is left.
bool Http2Session::pump() {
  while (room() > 0) {
    const std::uint8_t* bytes = nullptr;
    const std::ptrdiff_t size = bridge_.send(bytes);
    if (size > 0) {
      put(ByteView(bytes, static_cast<std::size_t>(size)));
      continue;
    }
    if (size < 0) {
      check(size);
      return true;
    }
    if (room() == 0) break;
    if (!resets_.empty()) {
      const Http2StreamId id = resets_.back();
      resets_.pop_back();
      const Http2Stream* stream = table_.find(id);
      if (stream != nullptr && !stream->reset_by_us()) bridge_.reset(id, Http2Code::no_error);
    } else if (std::exchange(turns_over_, false)) {
      for (Http2Stream* stream = table_.first(); stream != nullptr; stream = stream->next) {
        if (stream->turn_over()) stream->resume_turn();
      }
    } else {
      return true;
    }
  }
  return !bridge_.wants_to_send() && resets_.empty() && !turns_over_;
}

bool Http2Session::put_data(Http2Stream& stream, ByteView header, std::size_t size) noexcept {
  put(header);
  stream.take_body(size, [this](Bytes piece) { put(std::move(piece)); });
  stream.sent();
  blocked_since_ = kNever;
  // One for the stream, one for the connection, from peers who tell each piece they read; and a
  // PING.
  guard_.expect_replies(1 + 2 * (1 + static_cast<std::uint32_t>(size / kPieceRead)));
  return room() > 0;
}

/// One of our own: nghttp2 is not asked any more.
void Http2Session::put_goaway(Http2Code code, std::string_view reason) {
  reason = reason.substr(0, kMaxDebug);
  std::array<std::uint8_t, 17> frame{};
  const auto number = [&](std::size_t at, std::size_t size, std::uint32_t value) {
    for (std::size_t i = 0; i < size; ++i) {
      frame[at + i] = static_cast<std::uint8_t>(value >> 8 * (size - 1 - i));
    }
  };
  number(0, 3, static_cast<std::uint32_t>(8 + reason.size()));
  frame[3] = kFrameGoaway;
  number(9, 4, is_server() ? static_cast<std::uint32_t>(bridge_.last_processed()) : 0);
  number(13, 4, static_cast<std::uint32_t>(code));
  put(ByteView(frame));
  put(reason);
}

/// nghttp2 has found the peer to break the protocol.
void Http2Session::goaway_sent(Http2Code code, std::string_view reason,
                               const Http2Bridge::Frame& frame) noexcept {
  goaway_said_ = true;
  std::string why(reason);
  if (why.empty()) {
    switch (code) {
      case Http2Code::flow_control_error:
        why = frame.type == kFrameWindowUpdate
                  ? "WINDOW_UPDATE takes the connection's flow control window above 2^31-1 bytes "
                    "(RFC 9113 section 6.9.1)"
                  : "more DATA than the connection's flow control window allows (RFC 9113 section "
                    "6.9)";
        break;
      case Http2Code::compression_error:
        why = "HEADERS whose field section HPACK cannot decode (RFC 9113 section 4.3)";
        break;
      default: why = "the peer broke the protocol"; break;
    }
  }
  // nghttp2's own begin with the frame's name; those of stream 0 say so.
  if (frame.stream > 0 && why.starts_with(frame_name(frame.type))) {
    why += fmt::format(", stream {}", frame.stream);
  }
  fail(code, why);
}

// ---- the end of requests ------------------------------------------------------------------------

bool Http2Session::accepts_requests() const noexcept {
  return !is_server() && !over() && !failure_ && !ending() && drain_ == Drain::no && !goaway_came_;
}

void Http2Session::end_if_drained() noexcept {
  if (over() || drained_ || !table_.empty()) return;
  if (drain_ != Drain::commenced && !(goaway_came_ && !is_server())) return;
  drained_ = true;
  wake();
}

}  // namespace tern::fallback
