#include "http3/request_stream.h"

#include <algorithm>
#include <utility>

#include "http3/session_core.h"

namespace tern::http3 {

namespace {

ErrorCode code_for(http::Abort why) noexcept {
  switch (why) {
    case http::Abort::cancelled: return ErrorCode::request_cancelled;
    case http::Abort::rejected: return ErrorCode::request_rejected;
    case http::Abort::internal: return ErrorCode::internal_error;
    case http::Abort::malformed: return ErrorCode::message_error;
    case http::Abort::too_much: return ErrorCode::excessive_load;
    case http::Abort::no_error: return ErrorCode::no_error;
  }
  return ErrorCode::internal_error;
}

Error peer_error(std::uint64_t number) {
  const auto error = static_cast<ErrorCode>(number);
  if (error == ErrorCode::request_rejected) {
    return Error(Code::rejected, "the peer refused the request before processing it",
                 Origin::remote);
  }
  return Error(Domain::application, number, std::string(name(error)), Origin::remote);
}

/// A section this many times above our limits is no mistake but an attack on time: QPACK makes much
/// of little, and nghttp3 looks at all of it.
constexpr std::size_t kBombFactor = 16;

/// What a line adds to a section's size (RFC 9114 §4.2.2).
constexpr std::size_t kLineOverhead = 32;
constexpr std::size_t kStatusSize = std::string_view(":status").size() + 3 + kLineOverhead;

std::size_t section_size(const std::vector<Nghttp3Bridge::Line>& lines) noexcept {
  std::size_t size = 0;
  for (const auto& line : lines) size += line.name().size() + line.value().size() + kLineOverhead;
  return size;
}

void append(std::vector<Nghttp3Bridge::Line>& lines, const http::Fields& fields,
            bool borrowed = false) {
  const bool look = fields.may_be_connection_specific();
  for (const http::Field field : fields) {
    // RFC 9114 §4.2: these belong to HTTP/1.1.
    if (look && http::Fields::connection_specific(field.name, field.value)) continue;
    lines.emplace_back(field.name, field.value, borrowed);
  }
}

/// Pieces smaller than this are copied together when earlier ones still wait to be read: each slice
/// keeps alive all that arrived around it.
constexpr std::size_t kSmallPiece = 1024;

}  // namespace

// ---- life
// ----------------------------------------------------------------------------------------

void RequestStream::begin(SessionCore& session, quic::StreamId id, Timestamp now) noexcept {
  session_ = &session;
  server_ = session.is_server();
  id_ = id;
  opened_ = last_received_ = last_sent_ = now;
}

void RequestStream::clear() noexcept {
  session_ = nullptr;
  ends_ = nullptr;
  id_ = -1;
  body_.clear();
  walker_ = FrameWalker();
  drop_exchange();
  head_.reset();
  fields_.clear();
  cookie_.clear();
  kept_fields_.clear();
  section_size_ = section_lines_ = 0;
  content_length_ = expected_ = -1;
  announced_ = 0;
  headers_frames_ = 0;
  had_empty_data_ = false;
  status_ = 0;
  fault_ = Fault::none;
  fault_reason_ = "";
  wanted_priority_ = http::Priority();
  known_ = have_method_ = have_scheme_ = have_path_ = false;
  head_complete_ = receiving_done_ = early_ = tunnel_ = head_request_ = connect_request_ = false;
  flagged = counted = priority_set_ = submitted_ = body_ended_ = has_trailers_ = body_waits_ =
      false;
  bare_end_ = false;
  held_acks_ = 0;
  fin_sent_ = write_shut_ = blocked_ = waiting_ = keep_head_ = responding_ = closed_ = false;
  closed_with.reset();
}

void RequestStream::drop_exchange() noexcept {
  if (exchange_ == nullptr) return;
  exchange_->disown();
  exchange_.reset();
}

std::unique_ptr<http::Exchange> RequestStream::take_exchange() {
  if (exchange_ == nullptr) {  // no line of its head has come
    exchange_ = std::make_unique<http::Exchange>(session_->runtime(), *this);
  }
  http::RequestHead& head = exchange_->head();
  // What they are by default goes without saying, but not of a CONNECT, nor of half a head.
  if (!have_method_) head.method.clear();
  if (!have_scheme_) head.scheme.clear();
  if (!have_path_) head.path.clear();
  if (!cookie_.empty()) head.fields.add_lower("cookie", cookie_);
  exchange_->begin();
  return std::move(exchange_);
}

void RequestStream::detach() noexcept {
  ends_ = nullptr;
  if (closed_ || closed_with || id_ < 0) session_->remove(*this);
}

bool RequestStream::closed(std::uint64_t number) noexcept {
  closed_ = true;
  if (ends_ == nullptr) return true;
  const Error error = number != 0 ? peer_error(number)
                                  : Error(Code::closed, "the stream was closed", Origin::remote);
  if (!receiving_done_) ends_->incoming().fail(error);
  if (!sending_done()) ends_->outgoing().fail(error);
  receiving_done_ = true;
  return false;
}

void RequestStream::connection_gone(const Error& error) noexcept {
  if (ends_ == nullptr) return;
  http::detail::Ends& ends = *std::exchange(ends_, nullptr);
  if (!is_server() && !submitted_) {
    ends.carrier_gone(Error(
        Code::rejected, "the connection ended before the request was sent: " + error.to_string()));
  } else {
    ends.carrier_gone(error);
  }
}

void RequestStream::stop_receiving(ErrorCode code) noexcept {
  if (receiving_done_ || closed_) return;
  receiving_done_ = true;
  if (id_ < 0) return;
  session_->connection().stop_sending(id_, http3::code(code));
  session_->check(session_->bridge().shutdown_read(id_));
}

void RequestStream::stop_sending(ErrorCode code) noexcept {
  if (sending_done() || closed_) return;
  write_shut_ = true;
  if (id_ < 0) return;
  session_->connection().reset(id_, http3::code(code));
  session_->bridge().shutdown_write(id_);
  session_->wake();
}

void RequestStream::fail(ErrorCode code, const Error& error) noexcept {
  const bool unfinished = !sending_done();
  drop_exchange();
  stop_receiving(code);
  stop_sending(code);
  if (ends_ == nullptr) return;
  ends_->incoming().fail(error);
  if (unfinished) ends_->outgoing().fail(error);
}

void RequestStream::refuse(const Error& error) noexcept {
  if (waiting_) session_->unschedule(*this);
  waiting_ = false;
  fail(ErrorCode::request_cancelled, error);
}

void RequestStream::set_fault(Fault fault, const char* reason) noexcept {
  if (fault_ != Fault::none) return;
  fault_ = fault;
  fault_reason_ = reason;
  session_->flag(*this);
}

// ---- Carrier: what goes out
// ----------------------------------------------------------------------

udp::Path RequestStream::path() const noexcept { return session_->connection().path(); }

bool RequestStream::early_data() const noexcept {
  return early_ && !session_->connection().handshake_complete();
}

void RequestStream::send_request(const http::RequestHead& head, bool end) {
  body_ended_ = end;
  head_request_ = head.method == "HEAD";
  connect_request_ = head.method == "CONNECT";
  if (!session_->accepts_requests()) {
    refuse(Error(Code::rejected, "the connection takes no more requests"));
    return;
  }
  head_ = std::make_unique<http::RequestHead>(head);
  waiting_ = true;
  session_->schedule(*this);
}

void RequestStream::submit_kept(quic::StreamId id) {
  id_ = id;
  waiting_ = false;
  keep_head_ = session_->in_early_data();
  const bool bare = body_ended_ && body_.unsent() == 0 && !has_trailers_;
  submit_request(*head_, !bare);
  if (submitted_ && has_trailers_) {
    auto& lines = session_->lines();
    lines.clear();
    append(lines, kept_fields_);
    session_->check(session_->bridge().submit_trailers(id_, lines));
  }
  if (!keep_head_) forget_kept();
}

void RequestStream::submit_request(const http::RequestHead& head, bool body) {
  auto& lines = session_->lines();
  lines.clear();
  lines.emplace_back(":method", head.method);
  const bool plain_connect = connect_request_ && head.protocol.empty();
  if (!plain_connect) lines.emplace_back(":scheme", head.scheme);
  lines.emplace_back(":authority", head.authority);
  if (!plain_connect) lines.emplace_back(":path", head.path);
  if (!head.protocol.empty()) lines.emplace_back(":protocol", head.protocol);
  append(lines, head.fields);
  const std::string priority = priority_set_ ? wanted_priority_.to_string() : std::string();
  if (!priority.empty() && !head.fields.contains("priority")) {
    lines.emplace_back("priority", priority);
  }
  if (section_size(lines) > session_->peer_field_limit()) {
    fail(ErrorCode::request_cancelled,
         Error::limit("the request's header section is larger than the server takes"));
    return;
  }
  const std::ptrdiff_t result = session_->bridge().submit_request(*this, id_, lines, body);
  if (!session_->check(result)) return;
  submitted_ = true;
  if (session_->qlog().on()) {
    session_->qlog().request_stream(true, id_);
    session_->qlog().headers_created(id_, lines);
  }
  session_->wake();
}

void RequestStream::forget_kept() noexcept {
  keep_head_ = false;
  if (!submitted_ || is_server()) return;
  head_.reset();
  kept_fields_.clear();
}

bool RequestStream::rewind() noexcept {
  if (ends_ == nullptr || write_shut_ || waiting_) return waiting_;
  body_.rewind();
  walker_ = FrameWalker();
  id_ = -1;
  submitted_ = body_waits_ = fin_sent_ = bare_end_ = blocked_ = false;
  held_acks_ = 0;
  waiting_ = true;
  return true;
}

void RequestStream::send_response(http::Status status, http::Fields fields, bool end) {
  if (sending_done() || closed_) return;
  auto& lines = session_->lines();
  lines.clear();
  if (http::code(status) < 200) {
    const StatusText text(status);
    lines.emplace_back(":status", text);
    append(lines, fields);
    if (session_->qlog().on()) session_->qlog().headers_created(id_, lines);
    session_->check(session_->bridge().submit_interim(id_, lines));
    session_->wake();
    return;
  }
  // They stay here as long as this stream, so nghttp3 needs no copy of them.
  status_text_ = StatusText(status);
  kept_fields_ = std::move(fields);
  lines.emplace_back(":status", status_text_, true);
  append(lines, kept_fields_, true);
  if (session_->qlog().on()) session_->qlog().headers_created(id_, lines);
  body_ended_ = end;
  responding_ = submitted_ = true;
  const std::uint64_t limit = session_->peer_field_limit();
  if (kept_fields_.section_size() + kStatusSize > limit && section_size(lines) > limit) {
    // RFC 9114 §4.2.2: the client would refuse it.
    stop_sending(ErrorCode::internal_error);
    if (ends_ != nullptr) {
      ends_->outgoing().fail(
          Error::limit("the response's header section is larger than the client takes"));
    }
    return;
  }
  session_->context().counts().responses.add();
  RequestStream* const owner = known_ ? nullptr : this;
  session_->check(session_->bridge().submit_response(owner, id_, lines, !end));
  session_->wake();
}

void RequestStream::send_body(Bytes bytes, bool end) {
  if (sending_done() || closed_) return;
  if (!bytes.empty()) body_.push(std::move(bytes));
  body_ended_ = end;
  resume_body();
}

void RequestStream::send_trailers(const http::Fields& trailers) {
  if (sending_done() || closed_) return;
  body_ended_ = has_trailers_ = true;
  if (keep_head_ || waiting_) kept_fields_ = trailers;
  if (!submitted_) return;
  auto& lines = session_->lines();
  lines.clear();
  append(lines, trailers);
  if (session_->qlog().on()) session_->qlog().headers_created(id_, lines);
  if (!session_->check(session_->bridge().submit_trailers(id_, lines))) return;
  resume_body();
}

void RequestStream::resume_body() {
  if (!submitted_) return;
  if (body_waits_) {
    body_waits_ = false;
    session_->bridge().resume(id_);
  }
  if (is_server() && !fin_sent_) session_->watch();
  session_->wake();
}

void RequestStream::consumed(std::size_t count) {
  if (id_ < 0) return;
  last_received_ = session_->now();
  session_->connection().consumed(id_, count);
}

void RequestStream::abort(http::Abort why) {
  if (waiting_) {
    session_->unschedule(*this);
    waiting_ = false;
  }
  const ErrorCode code = code_for(why);
  stop_receiving(code);
  stop_sending(code);
}

void RequestStream::stop_reading(http::Abort why) { stop_receiving(code_for(why)); }

void RequestStream::set_priority(http::Priority priority) {
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
  if (session_->qlog().on()) session_->qlog().priority_updated(id_, priority, false);
  session_->wake();
}

void RequestStream::datagram(Bytes payload) {
  if (ends_ != nullptr) ends_->incoming().push_datagram(std::move(payload));
}

bool RequestStream::send_datagram(ByteView payload) {
  return id_ >= 0 && !closed_ && !write_shut_ && session_->send_datagram(id_, payload);
}

std::size_t RequestStream::max_datagram() const noexcept {
  return id_ < 0 ? 0 : session_->max_datagram(id_);
}

Nghttp3Bridge::Body RequestStream::read_body(std::span<quic::Vec> vecs) noexcept {
  Nghttp3Bridge::Body body;
  body.count = body_.offer(vecs.data(), vecs.size());
  if (body_ended_ && body_.all_offered()) {
    body.end = true;
    body.trailers = has_trailers_;
  }
  if (body.count == 0 && !body.end) {
    body_waits_ = true;
    session_->body_waits();
  } else if (body.count > 0 && session_->qlog().on()) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < body.count; ++i) size += vecs[i].size;
    session_->qlog().data_frame(true, id_, size);
  }
  return body;
}

void RequestStream::sent(std::span<const quic::Vec> vecs, std::size_t count, bool fin,
                         Timestamp now) noexcept {
  for (const quic::Vec& vec : vecs) {
    if (count == 0) break;
    const std::size_t size = std::min(count, vec.size);
    body_.sent(vec.data, size);
    count -= size;
  }
  fin_sent_ = fin_sent_ || fin;
  last_sent_ = now;
  if (ends_ != nullptr) ends_->outgoing().drained();
}

void RequestStream::set_blocked(bool blocked, Timestamp now) noexcept {
  if (blocked && !blocked_) last_sent_ = now;
  blocked_ = blocked;
}

// ---- time limits
// ---------------------------------------------------------------------------------

bool RequestStream::watched() const noexcept {
  return !closed_ && (!receiving_done_ || blocked_ || wants_to_send());
}

RequestStream::Late RequestStream::late(Timestamp now) const noexcept {
  const SessionOptions& options = session_->options();
  if (blocked_ && !sending_done() && now - last_sent_ >= options.send_timeout) {
    return Late::stalled;
  }
  if (receiving_done_ || closed_) return Late::no;
  if (!head_complete_) return now - opened_ >= options.head_timeout ? Late::head : Late::no;
  if (tunnel_ || (expected_ < 0 && responding_)) return Late::no;
  if (ends_ != nullptr && ends_->incoming().buffered() > 0) return Late::no;
  return now - last_received_ >= options.body_timeout ? Late::body : Late::no;
}

// ---- what comes in
// -------------------------------------------------------------------------------

RequestStream::Inspection RequestStream::inspect(ByteView bytes, bool fin) noexcept {
  Inspection result;
  const auto wrong = [&](Fault fault, const char* reason) {
    result.fault = fault;
    result.reason = reason;
    return result;
  };
  const auto fatal = [&](ErrorCode code, const char* reason) {
    result.connection_error = code;
    result.reason = reason;
    return result;
  };
  const std::size_t whole = bytes.size();
  while (!bytes.empty()) {
    ByteView payload;
    const FrameWalker::Step step = walker_.next(bytes, payload);
    if (step == FrameWalker::Step::more) break;
    const std::uint64_t type = walker_.type();
    if (step == FrameWalker::Step::header) {
      if (type == kFrameData) {
        announced_ += walker_.length();
        if (expected_ >= 0 && announced_ > static_cast<std::uint64_t>(expected_)) {
          return wrong(Fault::malformed, "a body longer than its content-length");
        }
        const std::uint64_t limit = is_server() ? session_->options().max_body : 0;
        if (limit != 0 && announced_ > limit && !tunnel_) {
          return wrong(Fault::body_too_large, "a body above our limit");
        }
        // One may end the message: that is how it ends where its end was not known in time.
        if (walker_.length() == 0 && std::exchange(had_empty_data_, true) && !session_->glitch()) {
          return fatal(ErrorCode::excessive_load, "too many empty frames");
        }
      } else if (type == kFrameHeaders) {
        ++headers_frames_;
        if (walker_.length() > session_->options().max_field_section) {
          result.size = whole - bytes.size();  // nghttp3 has to know the stream to answer on it
          return wrong(Fault::too_large, "a header section above our limit");
        }
      } else if (type == kSignalWebTransport) {
        return fatal(ErrorCode::frame_error,
                     "a WebTransport signal that does not begin its stream");
      } else if (type == kFramePushPromise && !is_server()) {
        return fatal(ErrorCode::id_error, "a push although none was allowed");
      } else if (!session_->glitch()) {
        return fatal(ErrorCode::excessive_load, "too many unknown frames");
      }
      if (session_->qlog().on()) {
        if (type == kFrameData) {
          session_->qlog().data_frame(false, id_, walker_.length());
        } else if (type != kFrameHeaders) {
          session_->qlog().other_frame(id_, type, walker_.length());
        }
      }
    } else if (type == kFrameHeaders && walker_.left() == 0 && !head_complete_ &&
               (!bytes.empty() || fin)) {
      // What may follow depends on what the section says.
      result.size = whole - bytes.size();
      result.more = true;
      return result;
    }
  }
  if (fin && walker_.between_frames()) {
    if (headers_frames_ == 0) {
      return wrong(Fault::incomplete, "a stream that ended without a message");
    }
    if (head_complete_ && expected_ >= 0 && announced_ != static_cast<std::uint64_t>(expected_)) {
      return wrong(Fault::malformed, "a body shorter than its content-length");
    }
  }
  result.size = whole;
  return result;
}

void RequestStream::section_begins(bool trailers) noexcept {
  section_size_ = section_lines_ = 0;
  if (!trailers) known_ = true;
  if (!trailers && is_server()) {
    if (exchange_ == nullptr) {
      exchange_ = std::make_unique<http::Exchange>(session_->runtime(), *this);
    }
  } else {
    fields_.clear();
    cookie_.clear();
    status_ = 0;
    if (!trailers) content_length_ = -1;
  }
}

bool RequestStream::field(Nghttp3Bridge::Name name, std::string_view name_text,
                          std::string_view value, bool trailers) noexcept {
  section_size_ += name_text.size() + value.size() + kLineOverhead;
  ++section_lines_;
  const SessionOptions& options = session_->options();
  const bool fits =
      section_size_ <= options.max_field_section && section_lines_ <= options.max_fields;
  if (!fits || fault_ != Fault::none) {
    if (!fits) set_fault(Fault::too_large, "a header section above our limit");
    const bool bomb = section_size_ > kBombFactor * options.max_field_section ||
                      section_lines_ > kBombFactor * options.max_fields;
    if (bomb) session_->fail(ErrorCode::excessive_load, "a header section far above our limit");
    return !bomb;
  }
  if (session_->qlog().on()) session_->qlog().header_parsed(name_text, value);
  if (trailers) {
    fields_.add_lower(name_text, value);
  } else {
    keep(name, name_text, value);
  }
  return true;
}

/// A line of a head.
void RequestStream::keep(Nghttp3Bridge::Name name, std::string_view name_text,
                         std::string_view value) noexcept {
  using Name = Nghttp3Bridge::Name;
  if (is_server()) {
    if (exchange_ != nullptr) server_field(name, name_text, value);
    return;
  }
  switch (name) {
    case Name::status:
      if (value.size() == 3) {
        status_ = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
      }
      return;
    case Name::content_length: read_content_length(value); break;
    default: break;
  }
  fields_.add_lower(name_text, value);
}

void RequestStream::server_field(Nghttp3Bridge::Name name, std::string_view name_text,
                                 std::string_view value) noexcept {
  using Name = Nghttp3Bridge::Name;
  http::RequestHead& head = exchange_->head();
  // Mostly a head says what it says by default.
  const auto set = [value](std::string& part) {
    if (part != value) part.assign(value);
  };
  switch (name) {
    case Name::method:
      set(head.method);
      have_method_ = true;
      return;
    case Name::scheme:
      set(head.scheme);
      have_scheme_ = true;
      return;
    case Name::path:
      set(head.path);
      have_path_ = true;
      return;
    case Name::protocol: head.protocol.assign(value); return;
    case Name::authority:
    case Name::host:
      // RFC 9114 §4.3.1: a host field stands in for :authority, or says the same.
      if (head.authority.empty()) {
        head.authority.assign(value);
      } else if (head.authority != value) {
        set_fault(Fault::malformed, ":authority and host differ");
      }
      return;
    case Name::content_length: read_content_length(value); break;
    case Name::cookie:
      // RFC 9114 §4.2.1: crumbs are put together for whoever knows no HTTP/3.
      if (!cookie_.empty()) cookie_ += "; ";
      cookie_ += value;
      return;
    case Name::status:
    case Name::priority:
    case Name::other: break;
  }
  head.fields.add_lower(name_text, value);
}

void RequestStream::read_content_length(std::string_view value) noexcept {
  if (const auto length = http::parse_content_length(value)) {
    content_length_ = static_cast<std::int64_t>(*length);
  } else {
    set_fault(Fault::malformed, "a content-length that is no number");
  }
}

void RequestStream::expect_length(std::string_view method) noexcept {
  expected_ = content_length_;
  if (is_server()) {
    if (method == "CONNECT") expected_ = -1;
    return;
  }
  const bool no_body = head_request_ || status_ == 204 || status_ == 304;
  if (no_body) {
    expected_ = 0;
  } else if (connect_request_ && status_ < 300) {
    expected_ = -1;
  }
}

void RequestStream::section_ends(bool trailers) noexcept {
  if (session_->qlog().on()) session_->qlog().headers_parsed(id_);
  if (fault_ != Fault::none) return;
  if (trailers) {
    if (ends_ != nullptr && !receiving_done_) ends_->incoming().set_trailers(std::move(fields_));
    fields_.clear();
  } else if (is_server()) {
    finish_head();
  } else {
    finish_response();
  }
}

void RequestStream::finish_head() noexcept {
  const http::RequestHead& head = exchange_->head();
  tunnel_ = head.method == "CONNECT";
  head_complete_ = true;
  expect_length(head.method);
  const std::uint64_t limit = session_->options().max_body;
  if (limit != 0 && expected_ > 0 && static_cast<std::uint64_t>(expected_) > limit) {
    set_fault(Fault::body_too_large, "a content-length above our limit");
    return;
  }
  if (session_->qlog().on()) {
    if (const auto value = head.fields.find("priority")) {
      session_->qlog().priority_updated(id_, http::Priority::parse(*value), true);
    }
  }
  session_->dispatch(*this);
}

void RequestStream::finish_response() noexcept {
  const auto status = static_cast<http::Status>(status_);
  if (!cookie_.empty()) fields_.add("cookie", cookie_);
  if (status_ < 200) {
    if (ends_ != nullptr) {
      static_cast<http::ClientExchange*>(ends_)->on_interim(status, std::move(fields_));
    }
  } else {
    head_complete_ = true;
    expect_length({});
    if (ends_ != nullptr) {
      static_cast<http::ClientExchange*>(ends_)->on_response(status, std::move(fields_));
    }
  }
  fields_.clear();
}

void RequestStream::body(ByteView bytes) noexcept {
  last_received_ = session_->now();
  if (ends_ != nullptr && !receiving_done_) {
    http::Incoming& incoming = ends_->incoming();
    const bool gather = bytes.size() < kSmallPiece && incoming.buffered() > 0;
    std::optional<Bytes> piece;
    if (!gather) piece = session_->slice(bytes);
    if (piece ? incoming.push(*std::move(piece))
              : incoming.push(session_->context().arena(), bytes)) {
      return;
    }
  }
  session_->connection().consumed(id_, bytes.size());
}

void RequestStream::message_ends() noexcept {
  if (receiving_done_) return;
  receiving_done_ = true;
  if (ends_ != nullptr) ends_->incoming().finish();
}

void RequestStream::peer_reset(std::uint64_t number) noexcept {
  // A reset may overtake the end of a message that is whole already.
  if (receiving_done_ || closed_) return;
  receiving_done_ = true;
  const Error error = peer_error(number);
  if (ends_ != nullptr) ends_->incoming().fail(error);
  session_->check(session_->bridge().shutdown_read(id_));
  if (is_server()) {
    // Nobody will answer a request that never came.
    if (!head_complete_) stop_sending(ErrorCode::request_incomplete);
  } else if (!sending_done()) {
    stop_sending(ErrorCode::request_cancelled);
    if (ends_ != nullptr) ends_->outgoing().fail(error);
  }
}

void RequestStream::peer_stopped() noexcept {
  if (sending_done() || closed_) return;
  write_shut_ = true;
  session_->context().counts().peer_stops.add();
  if (ends_ != nullptr)
    ends_->outgoing().fail(peer_error(http3::code(ErrorCode::request_cancelled)));
}

}  // namespace tern::http3
