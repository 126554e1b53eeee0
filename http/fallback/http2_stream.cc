#include "http/fallback/http2_stream.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "http/fallback/http2_core.h"
#include "http/message_lines.h"

namespace tern::fallback {

namespace {

Http2Code code_for(http::Abort why) noexcept {
  switch (why) {
    case http::Abort::cancelled: return Http2Code::cancel;
    case http::Abort::rejected: return Http2Code::refused_stream;
    case http::Abort::internal: return Http2Code::internal_error;
    case http::Abort::malformed: return Http2Code::protocol_error;
    case http::Abort::too_much: return Http2Code::enhance_your_calm;
    case http::Abort::no_error: return Http2Code::no_error;
  }
  return Http2Code::internal_error;
}

Error peer_error(Http2Code code) {
  if (code == Http2Code::refused_stream) {
    return Error(Code::rejected, "the peer refused the request before processing it",
                 Origin::remote);
  }
  return Error(Domain::application, static_cast<std::uint64_t>(code), std::string(name(code)),
               Origin::remote);
}

/// A section this many times above our limits is no mistake but an attack on memory or time: HPACK
/// makes much of little.
constexpr std::size_t kBombFactor = 16;
/// Bytes of one request in a row while others wait.
constexpr std::size_t kTurn = 64 * 1024;

using Lines = std::vector<Http2Bridge::Line>;

std::size_t section_size(const Lines& lines) noexcept {
  std::size_t size = 0;
  for (const auto& line : lines) {
    size += line.name().size() + line.value().size() + http::kLineOverhead;
  }
  return size;
}

void append(Lines& lines, const http::Fields& fields, bool borrowed = false) {
  http::each_line(fields, [&](std::string_view name, std::string_view value) {
    lines.emplace_back(name, value, borrowed);
  });
}

/// How long the rest of a request that has been answered may come, and is dropped, within the
/// stream's window, which stays closed. A client that is in the midst of sending takes even a
/// NO_ERROR for a failure, and never reads the answer (curl 7.88: "Stream error").
constexpr Duration kLinger = std::chrono::seconds(1);

}  // namespace

// ---- life ---------------------------------------------------------------------------------------

void Http2Stream::begin(Http2Session& session, Http2StreamId id, Timestamp now) noexcept {
  session_ = &session;
  id_ = id;
  last_received_ = now;
  if (session.is_server()) {
    head_.method.clear();
    head_.scheme.clear();
    head_.path.clear();
  }
}

void Http2Stream::clear() noexcept {
  body_.clear();
  count_queued();
  session_ = nullptr;
  ends_ = nullptr;
  id_ = 0;
  head_.method.clear();
  head_.scheme.clear();
  head_.authority.clear();
  head_.path.clear();
  head_.protocol.clear();
  head_.fields.clear();
  fields_.clear();
  cookie_.clear();
  kept_fields_.clear();
  trailers_.clear();
  section_size_ = section_lines_ = 0;
  content_length_ = -1;
  received_ = 0;
  status_ = 0;
  turn_ = 0;
  blocked_since_ = lingers_until_ = kNever;
  fault_ = Fault::none;
  fault_reason_.clear();
  rule_.clear();
  wanted_priority_ = http::Priority();
  head_complete_ = in_trailers_ = receiving_done_ = discarding_ = tunnel_ = expects_ = peer_reset_ =
      false;
  flagged = counted = priority_set_ = submitted_ = body_ended_ = has_trailers_ = false;
  body_waits_ = turn_over_ = end_sent_ = write_shut_ = reset_ = waiting_ = responding_ = false;
  closed_ = false;
}

bool Http2Stream::is_server() const noexcept { return session_->is_server(); }

void Http2Stream::detach() noexcept {
  ends_ = nullptr;
  if (closed_ || id_ == 0) session_->remove(*this);
}

bool Http2Stream::closed(Http2Code code) noexcept {
  closed_ = true;
  if (ends_ == nullptr) return true;
  if (!receiving_done_ || !sending_done()) {
    const Error error = code == Http2Code::refused_stream && !peer_reset_ ? session_->refusal()
                        : peer_reset_                                     ? peer_error(code)
                        : code == Http2Code::no_error
                            ? Error(Code::closed, "the stream was closed", Origin::remote)
                            : Error(Domain::application, static_cast<std::uint64_t>(code),
                                    fmt::format("{}: {}", name(code), rule(code)));
    if (!receiving_done_) ends_->incoming().fail(error);
    if (!sending_done()) ends_->outgoing().fail(error);
  }
  receiving_done_ = write_shut_ = true;
  return false;
}

void Http2Stream::connection_gone(const Error& error) noexcept {
  if (ends_ == nullptr) return;
  http::detail::Ends& ends = *std::exchange(ends_, nullptr);
  if (!is_server() && !submitted_) {
    ends.carrier_gone(Error(
        Code::rejected, "the connection ended before the request was sent: " + error.to_string()));
  } else {
    ends.carrier_gone(error);
  }
}

/// HTTP/2 knows resets of both directions only.
void Http2Stream::reset(Http2Code code) noexcept {
  receiving_done_ = write_shut_ = true;
  if (id_ == 0 || closed_ || reset_) return;
  reset_ = true;
  session_->bridge().reset(id_, code);
  session_->wake_up();
}

void Http2Stream::fail(Http2Code code, const Error& error) noexcept {
  const bool unfinished = !sending_done();
  reset(code);
  if (ends_ == nullptr) return;
  ends_->incoming().fail(error);
  if (unfinished) ends_->outgoing().fail(error);
}

void Http2Stream::refuse(const Error& error) noexcept {
  if (waiting_) session_->unschedule(*this);
  waiting_ = false;
  fail(Http2Code::cancel, error);
}

void Http2Stream::set_fault(Fault fault, std::string reason) noexcept {
  if (fault_ != Fault::none) return;
  fault_ = fault;
  fault_reason_ = std::move(reason);
  session_->flag(*this);
}

// ---- Carrier: what goes out ---------------------------------------------------------------------

http::Session* Http2Stream::session() noexcept { return session_; }

udp::Path Http2Stream::path() const noexcept { return session_->network_path(); }

void Http2Stream::send_request(const http::RequestHead& head, bool end) {
  body_ended_ = end;
  tunnel_ = head.method == "CONNECT";
  if (!session_->accepts_requests()) {
    refuse(Error(Code::rejected, "the connection takes no more requests"));
    return;
  }
  head_ = head;
  waiting_ = true;
  session_->schedule(*this);
}

void Http2Stream::submit_kept() {
  waiting_ = false;
  Lines& lines = session_->lines();
  lines.clear();
  const std::string priority = priority_set_ ? wanted_priority_.to_string() : std::string();
  http::each_line(head_, priority, [&](std::string_view name, std::string_view value) {
    lines.emplace_back(name, value);
  });
  if (section_size(lines) > session_->bridge().peer_field_limit()) {
    fail(Http2Code::cancel,
         Error::limit("the request's header section is larger than the server takes"));
    return;
  }
  const bool bare = body_ended_ && body_.unsent() == 0 && !has_trailers_;
  const std::ptrdiff_t id = session_->bridge().submit_request(*this, lines, !bare);
  if (id < 0) {
    // All identifiers are spent.
    drop_waiting(Error(Code::rejected, "the connection takes no more requests"));
    return;
  }
  id_ = static_cast<Http2StreamId>(id);
  submitted_ = true;
  head_.fields.clear();
  session_->wake_up();
}

void Http2Stream::send_response(http::Status status, http::Fields fields, bool end) {
  if (sending_done() || closed_) return;
  Lines& lines = session_->lines();
  lines.clear();
  if (http::code(status) < 200) {
    const http::StatusText text(status);
    lines.emplace_back(":status", text);
    append(lines, fields);
    session_->check(session_->bridge().submit_interim(id_, lines));
    session_->wake_up();
    return;
  }
  // They stay here as long as this stream, so nghttp2 needs no copy of them.
  kept_fields_ = std::move(fields);
  if (const std::string& alt_svc = session_->alternative(); !alt_svc.empty()) {
    if (!kept_fields_.contains("alt-svc")) kept_fields_.add("alt-svc", alt_svc);
  }
  status_text_ = http::StatusText(status);
  lines.emplace_back(":status", status_text_, true);
  append(lines, kept_fields_, true);
  body_ended_ = end;
  responding_ = submitted_ = true;
  if (section_size(lines) > session_->bridge().peer_field_limit()) {
    // RFC 9113 §10.5.1: the client would refuse it.
    const Error error =
        Error::limit("the response's header section is larger than the client takes");
    if (ends_ != nullptr) ends_->outgoing().fail(error);
    reset(Http2Code::internal_error);
    return;
  }
  session_->count_response();
  session_->check(session_->bridge().submit_response(id_, lines, !end));
  session_->wake_up();
}

void Http2Stream::send_body(Bytes bytes, bool end) {
  if (sending_done() || closed_) return;
  if (!bytes.empty()) body_.push(std::move(bytes));
  count_queued();
  body_ended_ = end;
  resume_body();
}

void Http2Stream::send_trailers(const http::Fields& trailers) {
  if (sending_done() || closed_) return;
  body_ended_ = has_trailers_ = true;
  trailers_ = trailers;
  resume_body();
}

void Http2Stream::submit_trailers() noexcept {
  Lines& lines = session_->lines();
  lines.clear();
  append(lines, trailers_);
  // A failure shows as a stream without an end, which the peer's patience or ours resolves.
  session_->bridge().submit_trailers(id_, lines);
}

void Http2Stream::resume_body() {
  if (!submitted_) return;
  if (body_waits_) {
    body_waits_ = false;
    session_->bridge().resume(id_);
  }
  session_->watch_streams();
  session_->wake_up();
}

void Http2Stream::resume_turn() {
  turn_over_ = false;
  turn_ = 0;
  if (!closed_ && !write_shut_) session_->bridge().resume(id_);
}

void Http2Stream::consumed(std::size_t count) {
  if (id_ == 0) return;
  last_received_ = session_->now();
  if (discarding_) {
    session_->bridge().consumed_connection(count);
  } else {
    session_->bridge().consumed(id_, count);
  }
  session_->wake_up();
}

void Http2Stream::abort(http::Abort why) {
  if (waiting_) {
    session_->unschedule(*this);
    waiting_ = false;
  }
  reset(code_for(why));
}

/// There is no STOP_SENDING: the peer may send what it has window for, and is told with a reset
/// when our message has ended (RFC 9113 §8.1).
void Http2Stream::stop_reading(http::Abort why) {
  if (receiving_done_ || closed_) return;
  if (sending_done() || !is_server()) {
    const bool wait = is_server() && why == http::Abort::no_error && may_linger();
    if ((end_sent_ && !wait) || id_ == 0) {
      reset(code_for(why));
      return;
    }
    if (end_sent_) linger();
    // A client's request is still on its way, and goes on.
  }
  discarding_ = true;
}

void Http2Stream::set_priority(http::Priority priority) {
  if (closed_) return;
  wanted_priority_ = priority;
  priority_set_ = true;
  if (is_server()) {
    session_->bridge().set_priority(id_, priority);
  } else if (submitted_) {
    // RFC 9218 §7: an empty value is the default.
    session_->bridge().send_priority_update(id_, priority.to_string());
  } else {
    return;  // goes with the request
  }
  session_->wake_up();
}

Http2Bridge::Body Http2Stream::read_body(std::size_t room) noexcept {
  Http2Bridge::Body body;
  body.size = std::min(room, body_.unsent());
  if (!is_server() && body.size > 0) {
    // nghttp2 shares between a server's responses alone.
    turn_ += body.size;
    if (turn_ > kTurn && session_->others_send(*this)) {
      turn_over_ = true;
      session_->turn_over();
      body.size = 0;
      return body;
    }
  }
  if (body_ended_ && body.size == body_.unsent()) {
    body.end = true;
    body.trailers = has_trailers_;
  }
  if (body.size == 0 && !body.end) body_waits_ = true;
  return body;
}

/// After each change of the body that waits.
void Http2Stream::count_queued() noexcept {
  const std::size_t unsent = body_.unsent();
  session_->queued().changed(counted_, unsent);
  counted_ = unsent;
}

std::size_t Http2Stream::unsent() const noexcept { return session_->queued().felt(body_.unsent()); }

void Http2Stream::sent() noexcept {
  count_queued();
  blocked_since_ = kNever;
  if (ends_ != nullptr) ends_->outgoing().drained();
}

void Http2Stream::end_sent() noexcept {
  end_sent_ = true;
  // The rest of the request was not wanted.
  if (!discarding_ || receiving_done_) return;
  if (may_linger()) {
    linger();
  } else {
    session_->reset_later(id_);
  }
}

/// Who waits for 100 (Continue) sends nothing more.
bool Http2Stream::may_linger() const noexcept {
  const bool waits = expects_ && received_ == 0;
  return !tunnel_ && !waits && session_->bridge().receive_window(id_) > 0;
}

void Http2Stream::linger() noexcept {
  lingers_until_ = session_->now() + kLinger;
  session_->watch_streams();
}

// ---- time limits --------------------------------------------------------------------------------

Http2Stream::Late Http2Stream::late(Timestamp now, std::int32_t window) noexcept {
  const SessionOptions& options = session_->session_options();
  if (closed_) return Late::no;
  if (lingers_until_ != kNever && !receiving_done_) {
    return now >= lingers_until_ ? Late::answered : Late::no;
  }
  if (window > 0 || !wants_to_send()) {
    blocked_since_ = kNever;
  } else if (blocked_since_ == kNever) {
    blocked_since_ = now;
  } else if (now - blocked_since_ >= options.send_timeout) {
    return Late::stalled;
  }
  // The time limit of a head is the connection's, for a section is never interrupted.
  if (receiving_done_ || !head_complete_ || (discarding_ && !end_sent_)) return Late::no;
  if (tunnel_ || (content_length_ < 0 && responding_)) return Late::no;
  if (ends_ != nullptr && ends_->incoming().buffered() > 0) return Late::no;
  return now - last_received_ >= options.body_timeout ? Late::body : Late::no;
}

// ---- what comes in ------------------------------------------------------------------------------

void Http2Stream::section_begins() noexcept {
  section_size_ = section_lines_ = 0;
  in_trailers_ = head_complete_;
  if (head_complete_ || !is_server()) {
    fields_.clear();
    cookie_.clear();
    status_ = 0;
    if (!head_complete_) content_length_ = -1;
  }
}

bool Http2Stream::too_many(std::string_view name, std::string_view value) noexcept {
  section_size_ += name.size() + value.size() + http::kLineOverhead;
  ++section_lines_;
  const SessionOptions& options = session_->session_options();
  if (section_size_ <= options.max_field_section && section_lines_ <= options.max_fields) {
    return false;
  }
  set_fault(Fault::too_large,
            section_lines_ > options.max_fields
                ? fmt::format("more than {} header fields (max_fields)", options.max_fields)
                : fmt::format("a header section of more than {} bytes (max_field_section)",
                              options.max_field_section));
  return true;
}

bool Http2Stream::field(Http2Name name, std::string_view name_text,
                        std::string_view value) noexcept {
  const bool fine = !too_many(name_text, value) && fault_ == Fault::none;
  if (!fine) {
    const SessionOptions& options = session_->session_options();
    const bool bomb = section_size_ > kBombFactor * options.max_field_section ||
                      section_lines_ > kBombFactor * options.max_fields;
    if (bomb) {
      session_->fail(Http2Code::enhance_your_calm,
                     fmt::format("stream {}: a header section more than {} times above our limits "
                                 "(max_field_section, max_fields)",
                                 id_, kBombFactor));
    }
    return !bomb;
  }
  if (head_complete_) {
    fields_.add(name_text, value);
  } else {
    keep(name, name_text, value);
  }
  return true;
}

/// A line of a head.
void Http2Stream::keep(Http2Name name, std::string_view name_text,
                       std::string_view value) noexcept {
  using Name = Http2Name;
  http::Fields& fields = is_server() ? head_.fields : fields_;
  switch (name) {
    case Name::method: head_.method.assign(value); return;
    case Name::scheme: head_.scheme.assign(value); return;
    case Name::path: head_.path.assign(value); return;
    case Name::protocol: head_.protocol.assign(value); return;
    case Name::authority:
    case Name::host:
      if (!is_server()) break;
      has_host_ = has_host_ || name == Name::host;
      // RFC 9113 §8.3.1: a host field stands in for :authority, or says the same.
      if (!head_.authority.empty() && head_.authority != value) {
        set_fault(Fault::malformed, "\":authority\" and host differ (RFC 9113 section 8.3.1)");
      }
      // User information is for nobody here, and HTTP/1.1 and HTTP/3 refuse it; so does
      // nghttp2 1.64 (Debian 13).
      if (value.find('@') != std::string_view::npos) {
        set_fault(Fault::malformed, "RFC 9113: an authority with a user (RFC 9110 section 4.2.4)");
      }
      head_.authority.assign(value);
      return;
    case Name::status:
      if (value.size() == 3) {
        status_ = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
      }
      return;
    case Name::content_length:
      if (const auto length = http::parse_content_length(value)) {
        content_length_ = static_cast<std::int64_t>(*length);
      } else {
        set_fault(Fault::malformed, "a content-length that is no number (RFC 9113 section 8.1.1)");
      }
      break;
    case Name::cookie:
      // RFC 9113 §8.2.3: crumbs are put together for whoever knows no HTTP/2.
      if (!cookie_.empty()) cookie_ += "; ";
      cookie_ += value;
      return;
    case Name::other: break;
  }
  fields.add(name_text, value);
}

http::PartOfMessage Http2Stream::message() const noexcept {
  using Part = http::PartOfMessage::Part;
  http::PartOfMessage all;
  all.request = is_server();
  all.part = !head_complete_ ? Part::head : in_trailers_ ? Part::trailers : Part::body;
  all.content_length = content_length_;
  if (all.request && !head_complete_) {
    all.method = head_.method;
    all.scheme = head_.scheme;
    all.authority = head_.authority;
    all.path = head_.path;
    all.protocol = head_.protocol;
  }
  all.status = status_;
  all.fields = has_host_ || !cookie_.empty() || !(all.request ? head_.fields : fields_).empty();
  return all;
}

void Http2Stream::line_refused(std::string_view name, std::string_view value) noexcept {
  rule_ = http::rule_of_line(http::kHttp2Rules, message(), name, value);
}

void Http2Stream::window_overflows() noexcept {
  rule_ = "WINDOW_UPDATE takes its flow control window above 2^31-1 bytes (RFC 9113 section 6.9.1)";
}

std::string Http2Stream::rule(Http2Code code) const {
  if (!rule_.empty()) return rule_;
  switch (code) {
    case Http2Code::flow_control_error:
      return "a flow control window was exceeded: by more DATA than it allows, or by a "
             "SETTINGS_INITIAL_WINDOW_SIZE that takes it above 2^31-1 bytes (RFC 9113 section 6.9)";
    case Http2Code::protocol_error: return http::rule_of_whole(http::kHttp2Rules, message());
    default: return "the peer broke a rule of RFC 9113";
  }
}

void Http2Stream::section_ends() noexcept {
  last_received_ = session_->now();
  if (fault_ != Fault::none) return;
  if (head_complete_) {
    if (ends_ != nullptr && !receiving_done_ && !discarding_) {
      ends_->incoming().set_trailers(std::move(fields_));
    }
    fields_.clear();
  } else if (is_server()) {
    finish_head();
  } else {
    finish_response();
  }
}

void Http2Stream::finish_head() noexcept {
  if (!cookie_.empty()) head_.fields.add("cookie", cookie_);
  tunnel_ = head_.method == "CONNECT";
  head_complete_ = true;
  if (tunnel_) content_length_ = -1;
  expects_ = content_length_ > 0 && head_.fields.contains("expect");
  const std::uint64_t limit = session_->session_options().max_body;
  if (limit != 0 && content_length_ > 0 && static_cast<std::uint64_t>(content_length_) > limit) {
    set_fault(Fault::body_too_large,
              fmt::format("a content-length above {} bytes (max_body)", limit));
    return;
  }
  session_->dispatch(*this);
}

void Http2Stream::finish_response() noexcept {
  if (status_ < 100)
    return set_fault(Fault::malformed, "a \":status\" below 100 (RFC 9110 section 15)");
  const auto status = static_cast<http::Status>(status_);
  if (!cookie_.empty()) fields_.add("cookie", cookie_);
  if (status_ >= 200) head_complete_ = true;
  if (const auto value = fields_.find("alt-svc")) session_->heard_alt_svc(*value);
  if (ends_ != nullptr) {
    auto& exchange = *static_cast<http::ClientExchange*>(ends_);
    if (status_ < 200) {
      exchange.on_interim(status, std::move(fields_));
    } else {
      exchange.on_response(status, std::move(fields_));
    }
  }
  fields_.clear();
}

void Http2Stream::body(ByteView bytes) noexcept {
  last_received_ = session_->now();
  received_ += bytes.size();
  const std::uint64_t limit = is_server() ? session_->session_options().max_body : 0;
  if (limit != 0 && received_ > limit && !tunnel_) {
    set_fault(Fault::body_too_large, fmt::format("a body above {} bytes (max_body)", limit));
  } else if (ends_ != nullptr && !receiving_done_ && !discarding_ &&
             ends_->incoming().push(session_->arena(), bytes)) {
    return;
  }
  if (discarding_) {
    session_->bridge().consumed_connection(bytes.size());
  } else {
    session_->bridge().consumed(id_, bytes.size());
  }
  // It is blocked now, and not in the midst of anything.
  if (lingers_until_ == kNever || may_linger()) return;
  session_->reset_later(id_);
  session_->wake_up();
}

void Http2Stream::message_ends() noexcept {
  if (receiving_done_) return;
  receiving_done_ = true;
  if (ends_ != nullptr && fault_ == Fault::none) ends_->incoming().finish();
}

/// A reset ends both directions; nghttp2 closes the stream right after.
void Http2Stream::peer_reset(Http2Code code) noexcept {
  peer_reset_ = true;
  session_->count_reset(*this);
  // RFC 9113 §8.1: after a whole response, a server tells that it does not need the request's rest.
  if (code == Http2Code::no_error && receiving_done_ && !is_server()) {
    if (ends_ != nullptr) ends_->outgoing().fail(Error(Code::closed, "the server has answered"));
    write_shut_ = true;
  }
}

}  // namespace tern::fallback
