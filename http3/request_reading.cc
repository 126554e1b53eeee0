#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "http/message_lines.h"
#include "http3/request_stream.h"
#include "http3/session_core.h"
#include "http3/violation.h"

/// What comes in on a request stream: frames, field sections, the message's end.

namespace tern::http3 {

namespace {

/// A section this many times above our limits is no mistake but an attack on time: QPACK makes much
/// of little.
constexpr std::size_t kBombFactor = 16;

/// Pieces smaller than this are copied together when earlier ones still wait to be read: each slice
/// keeps alive all that arrived around it.
constexpr std::size_t kSmallPiece = 1024;

}  // namespace

bool RequestStream::reads_on() const noexcept {
  return !receiving_done_ && fault_ == Fault::none && !session_->over();
}

/// For the frame that is being read.
void RequestStream::fatal(ErrorCode code, std::string_view why) noexcept {
  session_->fail(code, fmt::format("{} on stream {}{}", frame_name(walker_.type()), id_, why));
}

std::size_t RequestStream::receive(ByteView bytes, bool fin) noexcept {
  if (waits_for_qpack_) {
    hold(bytes, fin);
    return 0;
  }
  if (fin && bytes.empty()) stop_owed_ = false;  // it has ended
  if (stop_owed_) stop_owed();
  std::size_t done = 0;
  while (!bytes.empty() && reads_on()) {
    const ByteView before = bytes;
    ByteView payload;
    switch (walker_.next(bytes, payload)) {
      case FrameWalker::Step::more: break;
      case FrameWalker::Step::header: frame_begins(); break;
      case FrameWalker::Step::payload:
        if (walker_.type() == kFrameData) {
          body(payload);
          continue;
        }
        if (walker_.type() != kFrameHeaders) break;
        if (recall_section(payload)) break;
        read_section(payload);
        whole_ = ByteView();
        if (!waits_for_qpack_) break;
        walker_.give_back(payload.size());
        const std::size_t read = before.size() - bytes.size() - payload.size();
        hold(before.subspan(read), fin);
        return done + read;
    }
    done += before.size() - bytes.size();
  }
  if (!reads_on()) return done + bytes.size();
  if (fin) stream_ends();
  return done;
}

void RequestStream::stream_ends() noexcept {
  if (walker_.in_type()) {
    session_->fail(
        ErrorCode::frame_error,
        fmt::format("stream {} ended within a frame's type (RFC 9114 section 7.1)", id_));
  } else if (!walker_.between_frames()) {
    fatal(ErrorCode::frame_error, ": the stream ended within it (RFC 9114 section 7.1)");
  } else if (!have_head_) {
    set_fault(Fault::incomplete, "the stream ended without a message (RFC 9114 section 4.1)");
  } else if (part_ == Part::head) {
    set_fault(Fault::malformed, http::rule_of_whole(http::kHttp3Rules, message()));
  } else if (expected_ >= 0 && announced_ != static_cast<std::uint64_t>(expected_)) {
    set_fault(
        Fault::malformed,
        fmt::format("RFC 9114: a body of {} bytes with a content-length of {} (section 4.1.2)",
                    announced_, expected_));
  } else {
    message_ends();
  }
}

// ---- frames -------------------------------------------------------------------------------------

void RequestStream::frame_begins() noexcept {
  const std::uint64_t type = walker_.type();
  if (session_->qlog().on()) {
    if (type == kFrameData) {
      session_->qlog().data_frame(false, id_, walker_.length());
    } else if (type != kFrameHeaders) {
      session_->qlog().other_frame(id_, type, walker_.length());
    }
  }
  switch (type) {
    case kFrameData: data_begins(walker_.length()); break;
    case kFrameHeaders: headers_begin(walker_.length()); break;
    default: other_begins(type); break;
  }
}

void RequestStream::data_begins(std::uint64_t length) noexcept {
  if (part_ != Part::body) {
    fatal(ErrorCode::frame_unexpected,
          part_ == Part::head ? " before the message's head (RFC 9114 section 4.1)"
                              : " behind the message's trailers (RFC 9114 section 4.1)");
    return;
  }
  announced_ += length;
  if (expected_ >= 0 && announced_ > static_cast<std::uint64_t>(expected_)) {
    set_fault(Fault::malformed, body_too_long());
    return;
  }
  const std::uint64_t limit = is_server() ? session_->options().max_body : 0;
  if (limit != 0 && announced_ > limit && !tunnel_) {
    set_fault(Fault::body_too_large, fmt::format("a body above {} bytes (max_body)", limit));
    return;
  }
  // One may end the message: that is how it ends where its end was not known in time.
  if (length == 0 && std::exchange(had_empty_data_, true)) session_->glitch("an empty DATA");
}

void RequestStream::headers_begin(std::uint64_t length) noexcept {
  if (part_ != Part::head && (part_ != Part::body || tunnel_)) {
    fatal(ErrorCode::frame_unexpected,
          tunnel_ ? " within a tunnel (RFC 9114 section 4.4)"
                  : " behind the message's trailers (RFC 9114 section 4.1)");
    return;
  }
  const bool trailers = part_ == Part::body;
  have_head_ = true;
  if (length > session_->options().max_field_section) {
    set_fault(Fault::too_large, section_too_large());
    return;
  }
  using Kind = MessageRules::Kind;
  if (trailers) {
    part_ = Part::trailers;
    rules_.begin(is_server() ? Kind::request_trailers : Kind::response_trailers, false, false);
  } else {
    rules_.begin(is_server() ? Kind::request : Kind::response, connect_request_,
                 session_->options().extended_connect);
  }
  section_size_ = section_lines_ = 0;
  if (!trailers && is_server()) {
    exchange_ = std::make_unique<http::Exchange>(session_->runtime(), *this);
  } else {
    fields_.clear();
    cookie_.clear();
  }
  if (length > 0) return;
  // Trailers without even QPACK's prefix are meant to say that there are none.
  if (trailers) {
    part_ = Part::end;
    return;
  }
  ByteView nothing;
  read_section(nothing);
}

void RequestStream::other_begins(std::uint64_t type) noexcept {
  if (type == kFramePushPromise && !is_server()) {
    fatal(ErrorCode::id_error, ", but we allow no pushes (RFC 9114 section 7.2.5)");
    return;
  }
  if (type == kSignalWebTransport) {
    session_->fail(ErrorCode::frame_error,
                   fmt::format("WebTransport's signal on stream {}, which it does not begin "
                               "(draft-ietf-webtrans-http3 section 4)",
                               id_));
    return;
  }
  if (is_http2_frame(type)) {
    fatal(ErrorCode::frame_unexpected, " (RFC 9114 section 7.2.8)");
    return;
  }
  switch (type) {
    case kFrameCancelPush:
    case kFrameSettings:
    case kFramePushPromise:
    case kFrameGoaway:
    case kFrameMaxPushId:
    case kFramePriorityUpdate:
    case kFramePriorityUpdatePush:
      fatal(ErrorCode::frame_unexpected, ": it is the control stream's (RFC 9114 section 7.2)");
      return;
    default: break;
  }
  session_->glitch("a frame of an unknown type");
}

// ---- field sections -----------------------------------------------------------------------------

/// Takes off the front of `payload`, of the HEADERS frame that the walker is in, what can be read.
void RequestStream::read_section(ByteView& payload) noexcept {
  QpackDecoder& decoder = session_->decoder();
  const bool last = walker_.left() == 0;
  FieldLine line;
  for (;;) {
    switch (decoder.read(section_, id_, payload, last, line)) {
      case QpackDecoder::Step::line:
        if (!field(line)) return;
        break;
      case QpackDecoder::Step::more: return;
      case QpackDecoder::Step::done:
        if (!whole_.empty()) learn_section();
        section_ends();
        return;
      case QpackDecoder::Step::waits: waits_for_qpack_ = session_->wait_for_qpack(*this); return;
      case QpackDecoder::Step::failed:
        fatal(decoder.error(), ", whose field section QPACK cannot decode (RFC 9204 section 6)");
        return;
    }
  }
}

/// True: these bytes were read before, and mean what they meant then.
bool RequestStream::recall_section(ByteView payload) noexcept {
  whole_ = ByteView();
  if (walker_.left() > 0 || payload.size() != walker_.length() || session_->qlog().on()) {
    return false;
  }
  whole_ = payload;
  begun_ = rules_;
  QpackDecoder& decoder = session_->decoder();
  const KnownSection* const known =
      session_->known_sections().find(payload, begun_, decoder.generation());
  if (known == nullptr || !decoder.skip(id_, payload)) return false;
  if (decoder.defers_feedback()) session_->watch();  // that it does not wait for ever
  whole_ = ByteView();
  rules_ = known->rules;
  if (part_ == Part::head && is_server()) {
    exchange_->head() = known->head;
    cookie_ = known->cookie;
    have_method_ = have_scheme_ = have_path_ = true;
  } else {
    fields_ = known->fields;
  }
  section_ends();
  return true;
}

void RequestStream::learn_section() noexcept {
  const bool head = part_ == Part::head && is_server();
  const bool whole_head = have_method_ && have_scheme_ && have_path_;
  if (fault_ != Fault::none || (head && !whole_head)) return;
  if (section_size_ > KnownSections::kLargestRead) return;
  KnownSections& sections = session_->known_sections();
  if (!sections.worth_learning()) return;
  KnownSection section;
  section.begun = begun_;
  section.rules = rules_;
  if (head) {
    section.head = exchange_->head();
    section.cookie = cookie_;
  } else {
    section.fields = fields_;
  }
  sections.learn(whole_, session_->decoder().generation(), std::move(section));
}

void RequestStream::hold(ByteView bytes, bool fin) noexcept {
  held_end_ = held_end_ || fin;
  if (bytes.empty()) return;
  held_size_ += bytes.size();
  std::optional<Bytes> piece = session_->slice(bytes);
  held_.push(piece ? *std::move(piece) : session_->context().arena().copy(bytes));
}

void RequestStream::resume_reading() noexcept {
  waits_for_qpack_ = false;
  Fifo<Bytes> pieces = std::exchange(held_, Fifo<Bytes>());
  const bool end = std::exchange(held_end_, false);
  held_size_ = 0;
  // The frame's last byte may have come before the wait began.
  if (walker_.left() == 0) {
    ByteView nothing;
    read_section(nothing);
  }
  if (pieces.empty() && end && reads_on()) stream_ends();
  while (!pieces.empty()) {
    const Bytes piece = pieces.pop();
    const std::size_t done = session_->receive_again(*this, piece, end && pieces.empty());
    session_->connection().consumed(id_, done);
  }
}

/// Nobody reads on: the peer is told that the section will not be acknowledged.
void RequestStream::leave_section() noexcept {
  section_.end();
  if (std::exchange(waits_for_qpack_, false)) session_->waits_no_more(*this);
  if (held_size_ > 0) session_->connection().consumed(id_, std::exchange(held_size_, 0));
  held_.clear();
  held_end_ = false;
  session_->cancel_sections(id_);
}

/// False: the rest of the section is not looked at.
bool RequestStream::field(const FieldLine& line) noexcept {
  section_size_ += line.text.size() + line.value.size() + http::kLineOverhead;
  ++section_lines_;
  const SessionOptions& options = session_->options();
  if (section_size_ > options.max_field_section || section_lines_ > options.max_fields) {
    return pass_over();
  }
  if (fault_ != Fault::none) return true;
  switch (rules_.line(line)) {
    case MessageRules::Verdict::take: break;
    case MessageRules::Verdict::leave_out: return true;
    case MessageRules::Verdict::malformed: refuse_line(line); return false;
  }
  if (session_->qlog().on()) session_->qlog().header_parsed(line.text, line.value);
  if (part_ == Part::trailers || !is_server()) {
    if (line.name != FieldName::status) fields_.add_lower(line.text, line.value);
  } else {
    keep(line);
  }
  return true;
}

/// A line of a section that is above our limits. False: far above, and the connection is over.
bool RequestStream::pass_over() noexcept {
  const SessionOptions& options = session_->options();
  set_fault(Fault::too_large,
            section_lines_ > options.max_fields
                ? fmt::format("more than {} header fields (max_fields)", options.max_fields)
                : section_too_large());
  if (section_size_ <= kBombFactor * options.max_field_section &&
      section_lines_ <= kBombFactor * options.max_fields) {
    return true;
  }
  session_->fail(ErrorCode::excessive_load,
                 fmt::format("stream {}: a header section more than {} times above our limits "
                             "(max_field_section, max_fields)",
                             id_, kBombFactor));
  return false;
}

void RequestStream::refuse_line(const FieldLine& line) noexcept {
  set_fault(Fault::malformed,
            http::rule_of_line(http::kHttp3Rules, message(), line.text, line.value));
}

http::PartOfMessage RequestStream::message() const noexcept {
  using Section = http::PartOfMessage::Part;
  http::PartOfMessage all;
  all.request = is_server();
  all.part = part_ == Part::head   ? Section::head
             : part_ == Part::body ? Section::body
                                   : Section::trailers;
  all.protocol_allowed = session_->options().extended_connect;
  all.status = rules_.status();
  all.fields = rules_.has_fields();
  if (exchange_ == nullptr) return all;
  const http::RequestHead& head = exchange_->head();
  if (have_method_) all.method = head.method;
  if (have_scheme_) all.scheme = head.scheme;
  if (have_path_) all.path = head.path;
  all.authority = head.authority;
  all.protocol = head.protocol;
  return all;
}

std::string RequestStream::section_too_large() const {
  return fmt::format("a header section of more than {} bytes (max_field_section)",
                     session_->options().max_field_section);
}

std::string RequestStream::body_too_long() const {
  if (rules_.content_length() == expected_) {
    return fmt::format(
        "RFC 9114: a body of more than the {} bytes of its content-length (section "
        "4.1.2)",
        expected_);
  }
  return head_request_
             ? "a body in the answer to a HEAD (RFC 9110 section 9.3.2)"
             : fmt::format("a body with status {} (RFC 9110 section 6.4.1)", rules_.status());
}

/// Server: a line of the head.
void RequestStream::keep(const FieldLine& line) noexcept {
  http::RequestHead& head = exchange_->head();
  const std::string_view value = line.value;
  // Mostly a head says what it says by default.
  const auto set = [value](std::string& part) {
    if (part != value) part.assign(value);
  };
  switch (line.name) {
    case FieldName::method:
      set(head.method);
      have_method_ = true;
      return;
    case FieldName::scheme:
      set(head.scheme);
      have_scheme_ = true;
      return;
    case FieldName::path:
      set(head.path);
      have_path_ = true;
      return;
    case FieldName::protocol: head.protocol.assign(value); return;
    case FieldName::authority:
    case FieldName::host:
      // RFC 9114 §4.3.1: a host field stands in for :authority, or says the same.
      if (head.authority.empty()) {
        head.authority.assign(value);
      } else if (head.authority != value) {
        set_fault(Fault::malformed, "\":authority\" and host differ (RFC 9114 section 4.3.1)");
      }
      return;
    case FieldName::cookie:
      // RFC 9114 §4.2.1: crumbs are put together for whoever knows no HTTP/3.
      if (!cookie_.empty()) cookie_ += "; ";
      cookie_ += value;
      return;
    default: head.fields.add_lower(line.text, value); return;
  }
}

void RequestStream::section_ends() noexcept {
  if (session_->qlog().on()) session_->qlog().headers_parsed(id_);
  if (fault_ != Fault::none) return;
  if (!rules_.complete()) {
    set_fault(Fault::malformed, http::rule_of_whole(http::kHttp3Rules, message()));
  } else if (part_ == Part::trailers) {
    part_ = Part::end;
    if (ends_ != nullptr && !receiving_done_) ends_->incoming().set_trailers(std::move(fields_));
    fields_.clear();
  } else if (is_server()) {
    finish_head();
  } else {
    finish_response();
  }
}

void RequestStream::expect_length(std::string_view method) noexcept {
  expected_ = rules_.content_length();
  if (is_server()) {
    if (method == "CONNECT") expected_ = -1;
    return;
  }
  const int status = rules_.status();
  const bool no_body = head_request_ || status == 204 || status == 304;
  if (no_body) {
    expected_ = 0;
  } else if (tunnel_) {
    expected_ = -1;
  }
}

void RequestStream::finish_head() noexcept {
  const http::RequestHead& head = exchange_->head();
  tunnel_ = head.method == "CONNECT";
  head_complete_ = true;
  part_ = Part::body;
  expect_length(head.method);
  const std::uint64_t limit = session_->options().max_body;
  if (limit != 0 && expected_ > 0 && static_cast<std::uint64_t>(expected_) > limit) {
    set_fault(Fault::body_too_large,
              fmt::format("a content-length above {} bytes (max_body)", limit));
    return;
  }
  if (rules_.has_priority()) {
    const auto wanted = http::Priority::parse(head.fields.joined("priority").value_or(""));
    // RFC 9218 §7: a frame that overtook the request counts for more.
    if (!priority_wished_ && !priority_set_) priority_ = wanted;
    if (session_->qlog().on()) session_->qlog().priority_updated(id_, wanted, true);
  }
  session_->dispatch(*this);
}

void RequestStream::finish_response() noexcept {
  const int number = rules_.status();
  const auto status = static_cast<http::Status>(number);
  auto* const exchange = static_cast<http::ClientExchange*>(ends_);
  if (number < 200) {
    if (exchange != nullptr) exchange->on_interim(status, std::move(fields_));
  } else {
    head_complete_ = true;
    part_ = Part::body;
    tunnel_ = connect_request_ && number < 300;
    expect_length({});
    if (exchange != nullptr) exchange->on_response(status, std::move(fields_));
  }
  fields_.clear();
}

// ---- the rest -----------------------------------------------------------------------------------

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
  leave_section();
  if (is_server()) {
    // Nobody will answer a request that never came.
    if (!head_complete_) stop_sending(ErrorCode::request_incomplete);
  } else if (!sending_done()) {
    stop_sending(ErrorCode::request_cancelled);
    if (ends_ != nullptr) ends_->outgoing().fail(error);
  }
}

}  // namespace tern::http3
