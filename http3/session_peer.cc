#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "base/log.h"
#include "http/structured_fields.h"
#include "http3/session_core.h"

/// What the peer's streams are, and what comes on those that are not requests.

namespace tern::http3 {

namespace {

/// Peer's streams refused, or without a type, at once; QUIC's own limit is lower.
constexpr std::size_t kMaxOddStreams = 1024;
/// Wishes of the client's for streams to come; the oldest is forgotten.
constexpr std::size_t kMaxEarlyPriorities = 128;

}  // namespace

// ---- what a stream is ---------------------------------------------------------------------------

/// Reads on what a new stream of the peer's begins with.
SessionCore::Beginning SessionCore::identify(const quic::Event& event) {
  using Kind = Beginning::Kind;
  const auto kept = std::find_if(openings_.begin(), openings_.end(), [&](const Opening& opening) {
    return opening.stream == event.stream;
  });
  Beginning result;
  if (kept != openings_.end()) result.before = *kept;
  Opening all = result.before;
  const std::size_t more = std::min(event.data.size(), all.bytes.size() - all.size);
  std::copy_n(event.data.begin(), more, all.bytes.begin() + all.size);
  all.size = static_cast<std::uint8_t>(all.size + more);

  const bool uni = quic::is_unidirectional(event.stream);
  const auto type = read_varint(all.view());
  if (type) {
    result.type = type->value;
    result.size = type->size;
    if (type->value != (uni ? kStreamWebTransport : kSignalWebTransport)) {
      result.kind = Kind::type;
    } else if (const auto session = read_varint(all.view().subspan(type->size))) {
      result.kind = Kind::web_transport;
      result.session = session->value;
      result.size += session->size;
    }
  }
  if (result.kind == Kind::more) {
    if (!event.fin) {
      if (kept != openings_.end()) {
        *kept = all;
        return result;
      }
      if (openings_.size() >= kMaxOddStreams) {
        fail(ErrorCode::excessive_load,
             fmt::format("more than {} streams whose type has not come", kMaxOddStreams));
        return result;
      }
      all.stream = event.stream;
      all.since = now();
      openings_.push_back(all);
      watch();
      return result;
    }
    result.kind = Kind::nothing;
  }
  if (kept != openings_.end()) openings_.erase(kept);
  return result;
}

void SessionCore::on_new_bidi(const quic::Event& event) {
  using Kind = Beginning::Kind;
  // Nearly always the first byte says it: HEADERS.
  Beginning beginning;
  if (server_ && openings_.empty() && !event.data.empty() && event.data[0] < 0x40) {
    beginning.kind = Kind::type;
  } else {
    beginning = identify(event);
    if (beginning.kind == Kind::more) return;
    if (beginning.kind == Kind::web_transport) {
      to_router(event, beginning);
      return;
    }
    if (beginning.type == kSignalWebTransport) {  // and no more
      refuse_stream(event.stream, ErrorCode::wt_buffered_stream_rejected,
                    beginning.before.size + event.data.size());
      return;
    }
  }
  // RFC 9114 §6.1: there are no server-initiated bidirectional streams but an extension's.
  if (!server_ && quic::is_server_initiated(event.stream)) {
    fail(ErrorCode::stream_creation_error,
         fmt::format("stream {}: a bidirectional one of the server's (RFC 9114 section 6.1)",
                     event.stream));
    return;
  }
  RequestStream* const stream = accept_stream(event.stream);
  if (stream == nullptr) return;
  stream->set_early(event.early);
  if (beginning.before.size > 0) feed(*stream, beginning.before.view(), false);
  if (!over_) feed(*stream, event.data.view(), event.fin);
}

void SessionCore::on_uni_data(const quic::Event& event) {
  using Kind = Beginning::Kind;
  const quic::StreamId id = event.stream;
  if (is_critical(id)) {
    read_critical(id, event.data.view(), event.fin);
    return;
  }
  if (!ignored_.empty() && std::find(ignored_.begin(), ignored_.end(), id) != ignored_.end()) {
    connection_.consumed(id, event.data.size());
    return;
  }
  const Beginning beginning = identify(event);
  switch (beginning.kind) {
    case Kind::more: return;
    case Kind::nothing:
      // RFC 9114 §6.2: a stream may end before it says what it is.
      connection_.consumed(id, beginning.before.size + event.data.size());
      said_nothing();
      return;
    case Kind::web_transport:
    case Kind::type: break;
  }
  if (qlog_.on()) qlog_.stream_type_set(false, id, beginning.type);
  if (beginning.kind == Kind::web_transport) {
    to_router(event, beginning);
    return;
  }
  bool mine = false;
  switch (beginning.type) {
    case kStreamControl: mine = claim(peer_control_id_, id); break;
    case kStreamQpackEncoder: mine = claim(peer_encoder_id_, id); break;
    case kStreamQpackDecoder: mine = claim(peer_decoder_id_, id); break;
    case kStreamPush:
      if (server_) {
        fail(ErrorCode::stream_creation_error,
             fmt::format("stream {}: a push stream, from a client (RFC 9114 section 6.2.2)", id));
      } else {
        fail(ErrorCode::id_error,
             fmt::format("stream {}: a push stream, but we allow no pushes (RFC 9114 section 4.6)",
                         id));
      }
      return;
    default:
      hand_over(event, beginning, router_ != nullptr && router_->accept_unknown(id, beginning.type),
                ErrorCode::stream_creation_error);
      return;
  }
  if (!mine) return;
  connection_.consumed(id, beginning.size);
  read_critical(id, event.data.view().subspan(beginning.skip()), event.fin);
}

/// One of each.
bool SessionCore::claim(quic::StreamId& role, quic::StreamId id) {
  if (role >= 0) {
    fail(ErrorCode::stream_creation_error,
         fmt::format("stream {}: {}, a second time", id, critical_name(role)));
    return false;
  }
  role = id;
  return true;
}

StreamRouter* SessionCore::router() {
  if (router_ == nullptr && options().make_router) {
    own_router_ = options().make_router(*this);
    router_ = own_router_.get();
  }
  return router_;
}

void SessionCore::to_router(const quic::Event& event, const Beginning& beginning) {
  const auto session = static_cast<quic::StreamId>(beginning.session);
  const bool uni = quic::is_unidirectional(event.stream);
  if (quic::is_unidirectional(session) || quic::is_server_initiated(session)) {
    fail(ErrorCode::id_error,
         fmt::format("stream {}: of a WebTransport session {}, which is no request "
                     "(draft-ietf-webtrans-http3 section 4)",
                     event.stream, beginning.session));
    return;
  }
  StreamRouter* const taker = router();
  const bool accepted = taker != nullptr && taker->accept(event.stream, session);
  hand_over(event, beginning, accepted,
            router_ != nullptr ? router_->refusal()
            : uni              ? ErrorCode::stream_creation_error
                               : ErrorCode::wt_buffered_stream_rejected);
}

void SessionCore::hand_over(const quic::Event& event, const Beginning& beginning, bool accepted,
                            ErrorCode refusal) {
  if (!accepted) {
    refuse_stream(event.stream, refusal, beginning.before.size + event.data.size());
    return;
  }
  connection_.consumed(event.stream, beginning.size);
  routed_.push_back(event.stream);
  quic::Event rest = event;
  rest.data = event.data.slice(beginning.skip());
  router_->handle(rest);
}

/// A unidirectional stream has ended before its type came.
void SessionCore::said_nothing() { glitch("a stream that ended before its type"); }

void SessionCore::refuse_stream(quic::StreamId stream, ErrorCode code, std::size_t received) {
  context_.counts().streams_refused.add();
  if (ignored_.size() >= kMaxOddStreams) {
    fail(ErrorCode::excessive_load,
         fmt::format("more than {} streams open that we have refused", kMaxOddStreams));
    return;
  }
  if (!glitch(fmt::format("stream {}: refused with {}", stream, name(code)))) return;
  ignored_.push_back(stream);
  connection_.consumed(stream, received);
  connection_.stop_sending(stream, http3::code(code));
  if (!quic::is_unidirectional(stream)) connection_.reset(stream, http3::code(code));
}

bool SessionCore::route_event(const quic::Event& event) {
  if (std::find(routed_.begin(), routed_.end(), event.stream) == routed_.end()) return false;
  if (router_ != nullptr) {
    router_->handle(event);
  } else if (event.type == quic::Event::Type::stream_data) {
    connection_.consumed(event.stream, event.data.size());
  }
  return true;
}

// ---- critical streams ---------------------------------------------------------------------------

bool SessionCore::is_critical(quic::StreamId id) const noexcept {
  return id == peer_control_id_ || id == peer_encoder_id_ || id == peer_decoder_id_;
}

std::string SessionCore::critical_name(quic::StreamId id) const {
  if (id == peer_control_id_) return "the control stream (RFC 9114 section 6.2.1)";
  if (id == peer_encoder_id_) return "the QPACK encoder stream (RFC 9204 section 4.2)";
  if (id == peer_decoder_id_) return "the QPACK decoder stream (RFC 9204 section 4.2)";
  return id == control_.id ? "our control stream (RFC 9114 section 6.2.1)"
                           : "our QPACK stream (RFC 9204 section 4.2)";
}

SessionCore::OwnStream* SessionCore::own(quic::StreamId id) noexcept {
  for (OwnStream* const stream : {&control_, &encoder_stream_, &decoder_stream_}) {
    if (stream->id == id) return stream;
  }
  return nullptr;
}

/// Bytes behind the stream's type.
void SessionCore::read_critical(quic::StreamId id, ByteView bytes, bool fin) {
  if (id == peer_control_id_) {
    read_control(bytes);
  } else if (id == peer_encoder_id_) {
    read_instructions(bytes);
  } else if (!encoder_->read(bytes)) {
    fail(ErrorCode::qpack_decoder_stream_error,
         "the QPACK decoder stream has an instruction that cannot be read, or that tells of what "
         "was not sent (RFC 9204 section 4.4)");
  }
  if (over_) return;
  if (fin) {
    fail(ErrorCode::closed_critical_stream, critical_name(id) + " has ended");
    return;
  }
  connection_.consumed(id, bytes.size());
  // QPACK may have something to say, and a change of priorities changes what goes next.
  wake();
}

void SessionCore::read_instructions(ByteView bytes) {
  if (!decoder_->instructions(bytes)) {
    fail(decoder_->error(),
         "the QPACK encoder stream has an instruction that cannot be read or followed (RFC 9204 "
         "section 4.3)");
    return;
  }
  for (std::size_t i = 0; i < waiting_for_qpack_.size() && !over_;) {
    RequestStream& stream = *waiting_for_qpack_[i];
    if (!decoder_->ready(stream.section())) {
      ++i;
      continue;
    }
    waiting_for_qpack_.erase(waiting_for_qpack_.begin() + static_cast<std::ptrdiff_t>(i));
    stream.resume_reading();
    if (stream.closed_with && !stream.waits_for_qpack()) finished_late_.push_back(&stream);
  }
}

void SessionCore::read_control(ByteView bytes) {
  const auto broken = control_reader_.take(
      bytes, [this](const ControlReader::Frame& frame) { return on_control_frame(frame); });
  if (broken) fail(broken->code, broken->rule);
}

/// False: the connection is over.
bool SessionCore::on_control_frame(const ControlReader::Frame& frame) {
  switch (frame.type) {
    case kFrameSettings:
      if (qlog_.on())
        qlog_.settings_frame(false, peer_control_id_, control_reader_.settings().entries());
      on_settings();
      control_reader_.forget_entries();
      return !over_;
    case kFrameGoaway:
      if (qlog_.on()) qlog_.goaway_frame(false, peer_control_id_, frame.id);
      if (server_) return true;  // a client's is about pushes
      goaway_id_ = static_cast<quic::StreamId>(frame.id);
      on_goaway();
      return !over_;
    default: break;
  }
  if (!glitch("a frame on the control stream that changes nothing or a priority")) return false;
  if (frame.type == kFramePriorityUpdate) return on_priority_update(frame);
  if (qlog_.on()) qlog_.other_frame(peer_control_id_, frame.type, frame.length);
  return true;
}

/// RFC 9218 §7.2.
bool SessionCore::on_priority_update(const ControlReader::Frame& frame) {
  const auto element = read_varint(frame.payload);
  if (!element) {
    fail(ErrorCode::frame_error, "PRIORITY_UPDATE without a stream ID (RFC 9218 section 7.2)");
    return false;
  }
  const std::string_view value = as_text(frame.payload.subspan(element->size));
  if (qlog_.on()) qlog_.priority_update_frame(false, peer_control_id_, element->value, value);
  const auto id = static_cast<quic::StreamId>(element->value);
  const bool request = !quic::is_unidirectional(id) && !quic::is_server_initiated(id);
  if (!request || element->value / 4 >= max_client_streams_) {
    fail(ErrorCode::id_error,
         fmt::format("PRIORITY_UPDATE for stream {}, which {} (RFC 9218 "
                     "section 7.2)",
                     element->value, request ? "is above our limit" : "is no request's"));
    return false;
  }
  if (frame.length > frame.payload.size()) return true;
  http::StructuredCursor cursor(value);
  while (cursor.next_entry()) {
  }
  if (cursor.failed()) {
    fail(ErrorCode::general_protocol_error,
         fmt::format("PRIORITY_UPDATE for stream {} with a value that is no structured field (RFC "
                     "9218 section 7)",
                     element->value));
    return false;
  }
  const http::Priority wanted = http::Priority::parse(value);
  if (RequestStream* const stream = table_.find(id)) {
    leave_turn(*stream);
    const bool taken = stream->wish(wanted);
    take_turn(*stream);
    if (taken && qlog_.on()) qlog_.priority_updated(id, wanted, true);
    return true;
  }
  // The stream is gone, or not there yet.
  std::erase_if(early_priorities_, [&](const EarlyPriority& early) { return early.stream == id; });
  if (early_priorities_.size() >= kMaxEarlyPriorities) {
    early_priorities_.erase(early_priorities_.begin());
  }
  early_priorities_.push_back({id, wanted});
  return true;
}

void SessionCore::on_settings() {
  peer_settings_ = control_reader_.settings().settings();
  if (qlog_.on()) qlog_.parameters_set(false, *peer_settings_);
  const bool promised = remembered_ && connection_.handshake().early_data_accepted;
  if (promised && !peer_settings_->keeps_promise_of(*remembered_)) {
    fail(
        ErrorCode::settings_error,
        "SETTINGS: the server took 0-RTT, but does not keep what it had promised (RFC 9114 section "
        "7.2.4.2)");
    return;
  }
  if (const auto& fault_of = options().settings_fault) {
    const std::string_view fault = fault_of(*peer_settings_, promised ? &*remembered_ : nullptr);
    if (!fault.empty()) return fail(ErrorCode::settings_error, fault);
  }
  encoder_->set_peer(peer_settings_->qpack_capacity, peer_settings_->qpack_blocked_streams);
  if (held_session_ != nullptr) offer_session();
  flush_waiting();
  if (router_ != nullptr) router_->settings_received();
}

/// The server's GOAWAY: what it does not process may be sent elsewhere.
void SessionCore::on_goaway() {
  const Error error(Code::rejected, "the server is going away and did not process the request",
                    Origin::remote);
  waiting_.clear();
  for (RequestStream* stream = table_.first(); stream != nullptr; stream = stream->next) {
    if (stream->waiting() || (stream->id() >= goaway_id_ && !stream->is_closed())) {
      context_.counts().rejected.add();
      stream->refuse(error);
    } else {
      stream->drain();
    }
  }
  if (hooks_ != nullptr && hooks_->goaway) hooks_->goaway();
}

// ---- our control stream -------------------------------------------------------------------------

void SessionCore::queue_control(std::uint64_t type, ByteView payload) {
  const std::size_t size = varint_size(type) + varint_size(payload.size()) + payload.size();
  control_.queue.push(Bytes::make(size, [&](MutableBytes out) {
    std::uint8_t* at = write_varint(out.data(), type);
    at = write_varint(at, payload.size());
    std::copy(payload.begin(), payload.end(), at);
    return size;
  }));
  wake();
}

void SessionCore::queue_goaway(std::uint64_t id) {
  std::array<std::uint8_t, kMaxVarintSize> payload;
  queue_control(kFrameGoaway, {payload.data(), write_varint(payload.data(), id)});
  if (qlog_.on()) qlog_.goaway_frame(true, control_.id, id);
}

void SessionCore::send_priority_update(quic::StreamId stream, std::string_view field_value) {
  std::vector<std::uint8_t> payload(kMaxVarintSize);
  const std::uint8_t* const end = write_varint(payload.data(), static_cast<std::uint64_t>(stream));
  payload.resize(static_cast<std::size_t>(end - payload.data()));
  payload.insert(payload.end(), field_value.begin(), field_value.end());
  queue_control(kFramePriorityUpdate, payload);
}

}  // namespace tern::http3
