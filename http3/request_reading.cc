#include <algorithm>
#include <utility>

#include "http/message_lines.h"
#include "http3/request_stream.h"
#include "http3/session_core.h"

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

void RequestStream::fatal(ErrorCode code, const char* reason) noexcept {
  session_->fail(code, reason);
}

std::size_t RequestStream::receive(ByteView bytes, bool fin) noexcept {
  if (waits_for_qpack_) {
    hold(bytes, fin);
    return 0;
  }
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
  // RFC 9114 §7.1.
  if (walker_.in_type()) {
    fatal(ErrorCode::general_protocol_error, "a stream that ended within a frame's type");
  } else if (!walker_.between_frames()) {
    fatal(ErrorCode::frame_error, "a stream that ended within a frame");
  } else if (!have_head_) {
    set_fault(Fault::incomplete, "a stream that ended without a message");
  } else if (part_ == Part::head) {
    set_fault(Fault::malformed, "a message that ended before its head");
  } else if (expected_ >= 0 && announced_ != static_cast<std::uint64_t>(expected_)) {
    set_fault(Fault::malformed, "a body shorter than its content-length");
  } else {
    message_ends();
  }
}

// ---- frames
// --------------------------------------------------------------------------------------

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
    fatal(ErrorCode::frame_unexpected, "a DATA frame out of place");
    return;
  }
  announced_ += length;
  if (expected_ >= 0 && announced_ > static_cast<std::uint64_t>(expected_)) {
    set_fault(Fault::malformed, "a body longer than its content-length");
    return;
  }
  const std::uint64_t limit = is_server() ? session_->options().max_body : 0;
  if (limit != 0 && announced_ > limit && !tunnel_) {
    set_fault(Fault::body_too_large, "a body above our limit");
    return;
  }
  // One may end the message: that is how it ends where its end was not known in time.
  if (length == 0 && std::exchange(had_empty_data_, true) && !session_->glitch()) {
    fatal(ErrorCode::excessive_load, "too many empty frames");
  }
}

void RequestStream::headers_begin(std::uint64_t length) noexcept {
  if (part_ != Part::head && (part_ != Part::body || tunnel_)) {
    fatal(ErrorCode::frame_unexpected, "a HEADERS frame out of place");
    return;
  }
  const bool trailers = part_ == Part::body;
  have_head_ = true;
  if (length > session_->options().max_field_section) {
    set_fault(Fault::too_large, "a header section above our limit");
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
    fatal(ErrorCode::id_error, "a push although none was allowed");
    return;
  }
  if (type == kSignalWebTransport) {
    fatal(ErrorCode::frame_error, "a WebTransport signal that does not begin its stream");
    return;
  }
  if (is_http2_frame(type)) {
    fatal(ErrorCode::frame_unexpected, "a frame of HTTP/2");
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
      fatal(ErrorCode::frame_unexpected, "a frame that has no place on a request stream");
      return;
    default: break;
  }
  if (!session_->glitch()) fatal(ErrorCode::excessive_load, "too many unknown frames");
}

// ---- field sections
// ------------------------------------------------------------------------------

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
      case QpackDecoder::Step::failed: session_->fail(decoder.error(), decoder.reason()); return;
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
  const bool fits =
      section_size_ <= options.max_field_section && section_lines_ <= options.max_fields;
  if (!fits || fault_ != Fault::none) {
    if (!fits) set_fault(Fault::too_large, "a header section above our limit");
    const bool bomb = section_size_ > kBombFactor * options.max_field_section ||
                      section_lines_ > kBombFactor * options.max_fields;
    if (bomb) fatal(ErrorCode::excessive_load, "a header section far above our limit");
    return !bomb;
  }
  switch (rules_.line(line)) {
    case MessageRules::Verdict::take: break;
    case MessageRules::Verdict::leave_out: return true;
    case MessageRules::Verdict::malformed:
      set_fault(Fault::malformed, "malformed field lines");
      return false;
  }
  if (session_->qlog().on()) session_->qlog().header_parsed(line.text, line.value);
  if (part_ == Part::trailers || !is_server()) {
    if (line.name != FieldName::status) fields_.add_lower(line.text, line.value);
  } else {
    keep(line);
  }
  return true;
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
        set_fault(Fault::malformed, ":authority and host differ");
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
    set_fault(Fault::malformed, "malformed field lines");
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
    set_fault(Fault::body_too_large, "a content-length above our limit");
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

// ---- the rest
// ------------------------------------------------------------------------------------

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
