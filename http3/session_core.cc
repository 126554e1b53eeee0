#include "http3/session_core.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/log.h"
#include "http/escape.h"

namespace tern::http3 {

namespace {

/// Between the two GOAWAYs of a drain: a round trip, within these bounds.
constexpr Duration kMinNotice = std::chrono::milliseconds(20);
constexpr Duration kMaxNotice = std::chrono::seconds(1);
/// Peer's unidirectional streams refused or half-read at once; QUIC's own limit is lower.
constexpr std::size_t kMaxOddStreams = 1024;

bool erase_one(std::vector<quic::StreamId>& all, quic::StreamId stream) noexcept {
  const auto found = std::find(all.begin(), all.end(), stream);
  if (found == all.end()) return false;
  *found = all.back();
  all.pop_back();
  return true;
}

bool contains(const std::vector<quic::StreamId>& all, quic::StreamId stream) noexcept {
  return std::find(all.begin(), all.end(), stream) != all.end();
}

}  // namespace

// ---- life
// ----------------------------------------------------------------------------------------

SessionCore::SessionCore(Context& context, quic::Connection& connection, ClientHooks hooks)
    : context_(context),
      connection_(connection),
      hooks_(std::move(hooks)),
      qlog_(context.runtime(), connection),
      control_reader_(connection.is_server()),
      resets_limit_(context.options().max_resets, context.options().window),
      glitches_limit_(context.options().max_glitches, context.options().window),
      server_(connection.is_server()) {
  context_.counts().sessions.add();
  local_settings_ = settings_of(options(), server_);
  if (!server_ && !hooks_.remembered.empty()) {
    auto remembered = Settings::deserialize(hooks_.remembered);
    if (remembered) {
      remembered_ = *std::move(remembered);
      if (qlog_.on()) qlog_.parameters_restored(*remembered_);
    }
    hooks_.remembered.clear();
  }
  if (server_) connection_.hold_streams(true);
  max_client_streams_ = options().max_requests;
  connection_.set_source(this);
  begin();
}

SessionCore::~SessionCore() {
  over_ = true;
  connection_.set_source(nullptr);
  const Error gone = connection_.closed() ? connection_.close_reason() : Error::closed();
  while (RequestStream* stream = table_.first()) {
    stream->connection_gone(gone);
    table_.remove(*stream);
    context_.recycle(stream);
  }
}

Settings SessionCore::settings_of(const SessionOptions& options, bool server) {
  Settings settings;
  settings.max_field_section = options.max_field_section;
  settings.qpack_capacity = options.qpack_capacity;
  settings.qpack_blocked_streams = options.qpack_blocked_streams;
  settings.extended_connect = server && options.extended_connect;
  settings.datagrams = options.datagrams;
  settings.others = options.extra_settings;
  return settings;
}

/// Opens our three streams and begins with SETTINGS; again after 0-RTT was refused.
void SessionCore::begin() {
  Nghttp3Bridge::Config config;
  config.server = server_;
  config.max_field_section = local_settings_.max_field_section;
  config.qpack_capacity = static_cast<std::size_t>(local_settings_.qpack_capacity);
  config.qpack_encoder_capacity = options().qpack_capacity;
  config.qpack_blocked_streams = static_cast<std::size_t>(local_settings_.qpack_blocked_streams);
  config.max_streams = static_cast<std::size_t>(options().max_requests);
  config.extended_connect = local_settings_.extended_connect;
  config.datagrams = local_settings_.datagrams;
  Nghttp3Bridge::Listener& listener = *this;
  bridge_ = std::make_unique<Nghttp3Bridge>(listener, context_.memory(), config);
  if (server_) bridge_->set_max_client_streams(max_client_streams_);

  quic::StreamId* const ours[] = {&control_id_, &encoder_id_, &decoder_id_};
  for (quic::StreamId* const id : ours) {
    const auto opened = connection_.open_uni();
    if (!opened) {
      // RFC 9114 §6.2: a peer must allow three.
      fail(ErrorCode::general_protocol_error, "no unidirectional streams allowed");
      return;
    }
    *id = *opened;
  }
  bridge_->bind(control_id_, encoder_id_, decoder_id_);
  bound_ = true;

  Settings sent = local_settings_;
  // RFC 9114 §7.2.4.1: an entry that means nothing, so that peers stay used to them.
  sent.others.push_back(
      {0x1f * (1 + runtime().random().below(1 << 16)) + 0x21, runtime().random().below(1 << 30)});
  std::vector<std::uint8_t> own = sent.frame();
  own.insert(own.begin(), static_cast<std::uint8_t>(kStreamControl));
  splice_.begin(std::move(own));
  if (qlog_.on()) {
    qlog_.parameters_set(true, local_settings_);
    qlog_.stream_type_set(true, control_id_, kStreamControl);
    qlog_.stream_type_set(true, encoder_id_, kStreamQpackEncoder);
    qlog_.stream_type_set(true, decoder_id_, kStreamQpackDecoder);
    SettingsParser entries;
    const std::vector<std::uint8_t> frame = sent.frame();
    entries.take(ByteView(frame).subspan(1 + varint_size(frame.size() - 2)));
    qlog_.settings_frame(true, control_id_, entries.entries());
  }
  wake();
}

/// What nghttp3 offered may not be what it would offer now.
void SessionCore::drop_offer() noexcept {
  vecs_begin_ = vecs_end_ = 0;
  offered_ = nullptr;
  offered_fin_ = false;
}

void SessionCore::wake() noexcept {
  drop_offer();
  connection_.wake();
}

void SessionCore::log(LogLevel level, std::string_view text) const {
  LogSink& sink = context_.runtime().log();
  if (!sink.enabled(level)) return;
  sink.line(level, fmt::format("http3 connection {} with {}: {}", connection_.id(),
                               connection_.path().remote.to_string(), text));
}

void SessionCore::fail(ErrorCode code, std::string_view reason) noexcept {
  if (over_) return;
  over_ = true;
  context_.counts().errors.add();
  log(LogLevel::warning, fmt::format("closed with {}: {}", name(code), http::escaped(reason)));
  connection_.close(http3::code(code), reason);
}

bool SessionCore::check(std::ptrdiff_t result) noexcept {
  if (result >= 0) return true;
  fail(Nghttp3Bridge::error_of(result), Nghttp3Bridge::describe(result));
  return false;
}

bool SessionCore::glitch() noexcept {
  if (glitches_limit_.allow(now())) return true;
  context_.counts().limit_glitches.add();
  return false;
}

void SessionCore::close(ErrorCode why, std::string_view reason) {
  if (over_) return;
  over_ = true;
  connection_.close(http3::code(why), reason);
}

// ---- events
// --------------------------------------------------------------------------------------

void SessionCore::handle(const quic::Event& event) {
  using Type = quic::Event::Type;
  if (event.type == Type::closed) {
    on_closed();
    return;
  }
  if (over_) return;
  switch (event.type) {
    case Type::stream_data: on_stream_data(event); break;
    case Type::stream_acked:
      if (event.stream == control_id_) {
        check(bridge_->acked(event.stream, splice_.acked(event.value)));
      } else if (routed_.empty() || !contains(routed_, event.stream)) {
        RequestStream* const stream = bare_ends_ ? table_.find(event.stream) : nullptr;
        if (stream == nullptr || !stream->hold_ack(event.value)) {
          check(bridge_->acked(event.stream, event.value));
        }
      }
      drop_offer();
      break;
    case Type::stream_writable:
      if (RequestStream* stream = table_.find(event.stream)) stream->set_blocked(false, now());
      if (routed_.empty() || !contains(routed_, event.stream)) bridge_->unblock(event.stream);
      wake();
      break;
    case Type::stream_reset: on_stream_reset(event); break;
    case Type::stream_closed: on_stream_closed(event); break;
    case Type::streams_available: flush_waiting(); break;
    case Type::handshake_completed:
      if (server_) break;
      for (RequestStream* s = table_.first(); s != nullptr; s = s->next) {
        if (!s->waiting()) s->forget_kept();
      }
      flush_waiting();
      break;
    case Type::early_data_rejected: on_early_data_rejected(); break;
    case Type::datagram: on_datagram(event); break;
    case Type::session: offer_session(); break;
    case Type::ready:
    case Type::handshake_confirmed:
    case Type::path_changed:
    case Type::path_validated:
    case Type::path_failed:
    case Type::path_silent:
    case Type::path_heard:
    case Type::key_updated:
    case Type::closed: break;
  }
  if (over_) return;
  if (!flagged_.empty() || !resets_.empty() || !forgotten_.empty()) settle_flagged();
  if (drain_ == Drain::commenced || goaway_id_ >= 0) close_if_drained();
}

void SessionCore::on_stream_data(const quic::Event& event) {
  if (!routed_.empty() && route_event(event)) return;
  if (quic::is_unidirectional(event.stream)) {
    on_uni_data(event);
    return;
  }
  current_ = &event.data;
  RequestStream* stream = table_.find(event.stream);
  if (stream != nullptr) {
    feed(*stream, event.data.view(), event.fin);
  } else if (!ignored_.empty() && contains(ignored_, event.stream)) {
    connection_.consumed(event.stream, event.data.size());
  } else {
    // Nearly always the first byte says it: HEADERS.
    std::uint64_t signal = kFrameHeaders;
    std::size_t skip = 0;
    const bool plain = sniffed_.empty() && !event.data.empty() && event.data[0] < 0x40;
    const Route route = plain && server_ ? Route::http : sniff(event.stream, event, signal, skip);
    if (route == Route::http) {
      stream = accept_stream(event.stream);
      if (stream != nullptr) {
        stream->set_early(event.early);
        // What was kept of a split varint comes first; it cannot end the stream.
        const auto kept = std::find_if(sniffed_.begin(), sniffed_.end(),
                                       [&](const Sniffed& s) { return s.stream == event.stream; });
        if (kept != sniffed_.end()) {
          const Sniffed bytes = *kept;
          sniffed_.erase(kept);
          feed(*stream, ByteView(bytes.bytes.data(), bytes.size), false);
        }
        if (!over_) feed(*stream, event.data.view(), event.fin);
      }
    }
  }
  current_ = nullptr;
}

/// Finds out what a new stream of the peer's is. `type` is its first varint, `size` how many bytes
/// of the event belong to it; what came before is in sniffed_.
SessionCore::Route SessionCore::sniff(quic::StreamId stream, const quic::Event& event,
                                      std::uint64_t& type, std::size_t& size) {
  auto kept = std::find_if(sniffed_.begin(), sniffed_.end(),
                           [&](const Sniffed& s) { return s.stream == stream; });
  Sniffed bytes;
  if (kept != sniffed_.end()) bytes = *kept;
  if (bytes.size == 0) bytes.since = now();
  bytes.stream = stream;
  const std::size_t before = bytes.size;
  ByteView view = event.data.view();
  while (bytes.size < 8 && !view.empty()) {
    bytes.bytes[bytes.size++] = view[0];
    view = view.subspan(1);
  }
  const bool uni = quic::is_unidirectional(stream);
  const auto first = read_varint(ByteView(bytes.bytes.data(), bytes.size));
  if (!first && !event.fin) {
    if (sniffed_.size() >= kMaxOddStreams) {
      fail(ErrorCode::excessive_load, "too many streams without a type");
      return Route::more;
    }
    if (kept != sniffed_.end()) {
      *kept = bytes;
    } else {
      sniffed_.push_back(bytes);
    }
    watch();
    return Route::more;
  }
  if (first) type = first->value;
  size = first && first->size > before ? first->size - before : 0;
  const bool web_transport = first && type == (uni ? kStreamWebTransport : kSignalWebTransport);
  if (!web_transport) {
    // RFC 9114 §6.1: there are no server-initiated bidirectional streams but an extension's.
    if (!uni && !server_ && quic::is_server_initiated(stream)) {
      fail(ErrorCode::stream_creation_error, "the server opened a bidirectional stream");
      return Route::refused;
    }
    return Route::http;
  }
  std::erase_if(sniffed_, [&](const Sniffed& s) { return s.stream == stream; });
  if (router_ != nullptr && router_->accept(stream, type)) {
    connection_.consumed(stream, first->size);
    routed_.push_back(stream);
    quic::Event rest = event;
    rest.data = event.data.slice(size);
    router_->handle(rest);
    return Route::routed;
  }
  const ErrorCode refusal = router_ != nullptr ? router_->refusal()
                            : uni              ? ErrorCode::stream_creation_error
                                               : ErrorCode::wt_buffered_stream_rejected;
  refuse_stream(stream, refusal, before + event.data.size());
  return Route::refused;
}

/// A unidirectional stream has ended before its type came.
void SessionCore::said_nothing() {
  if (!glitch()) fail(ErrorCode::excessive_load, "too many streams without a type");
}

void SessionCore::refuse_stream(quic::StreamId stream, ErrorCode code, std::size_t received) {
  context_.counts().streams_refused.add();
  if (ignored_.size() >= kMaxOddStreams || !glitch()) {
    fail(ErrorCode::excessive_load, "too many streams that we refuse");
    return;
  }
  ignored_.push_back(stream);
  connection_.consumed(stream, received);
  connection_.stop_sending(stream, http3::code(code));
  if (!quic::is_unidirectional(stream)) connection_.reset(stream, http3::code(code));
}

bool SessionCore::route_event(const quic::Event& event) {
  if (!contains(routed_, event.stream)) return false;
  if (router_ != nullptr) {
    router_->handle(event);
  } else if (event.type == quic::Event::Type::stream_data) {
    connection_.consumed(event.stream, event.data.size());
  }
  return true;
}

void SessionCore::on_uni_data(const quic::Event& event) {
  const quic::StreamId id = event.stream;
  if (id == peer_control_id_ || id == peer_encoder_id_ || id == peer_decoder_id_) {
    read_uni(id, event.data.view(), event.fin);
    return;
  }
  if (!ignored_.empty() && contains(ignored_, id)) {
    connection_.consumed(id, event.data.size());
    return;
  }
  std::uint64_t type = 0;
  std::size_t size = 0;
  if (sniff(id, event, type, size) != Route::http) return;
  // RFC 9114 §6.2: a stream may end before it says what it is.
  const auto kept = std::find_if(sniffed_.begin(), sniffed_.end(),
                                 [&](const Sniffed& s) { return s.stream == id; });
  Sniffed before;
  if (kept != sniffed_.end()) {
    before = *kept;
    sniffed_.erase(kept);
  }
  if (size == 0 && before.size + event.data.size() < 8 && event.fin) {
    std::array<std::uint8_t, 16> all{};
    std::copy_n(before.bytes.begin(), before.size, all.begin());
    std::copy_n(event.data.begin(), event.data.size(), all.begin() + before.size);
    if (!read_varint(ByteView(all.data(), before.size + event.data.size()))) {
      connection_.consumed(id, before.size + event.data.size());
      said_nothing();
      return;
    }
  }
  if (qlog_.on()) qlog_.stream_type_set(false, id, type);
  switch (type) {
    case kStreamControl:
      if (peer_control_id_ < 0) peer_control_id_ = id;
      break;
    case kStreamQpackEncoder:
      if (peer_encoder_id_ < 0) peer_encoder_id_ = id;
      break;
    case kStreamQpackDecoder:
      if (peer_decoder_id_ < 0) peer_decoder_id_ = id;
      break;
    case kStreamPush:
      // RFC 9114 §4.6 and §6.2.2.
      fail(server_ ? ErrorCode::stream_creation_error : ErrorCode::id_error,
           "a push stream although no push was allowed");
      return;
    default:
      refuse_stream(id, ErrorCode::stream_creation_error, before.size + event.data.size());
      return;
  }
  if (before.size > 0) {
    const std::ptrdiff_t used =
        bridge_->read(id, ByteView(before.bytes.data(), before.size), false);
    if (!check(used)) return;
    connection_.consumed(id, static_cast<std::size_t>(used));
  }
  if (size > 0) {
    const std::ptrdiff_t used = bridge_->read(id, event.data.view().first(size), false);
    if (!check(used)) return;
    connection_.consumed(id, static_cast<std::size_t>(used));
  }
  read_uni(id, event.data.view().subspan(size), event.fin);
}

/// Bytes of a critical stream, behind its type.
void SessionCore::read_uni(quic::StreamId id, ByteView bytes, bool fin) {
  if (id == peer_control_id_ && !bytes.empty()) {
    const bool had_settings = control_reader_.settings_complete();
    bool too_many = false;
    const auto error = control_reader_.take(bytes, [&](const ControlReader::Frame& frame) {
      const bool known = frame.type == kFrameSettings || frame.type == kFrameGoaway;
      too_many = !known && !glitch();
      if (too_many || !qlog_.on()) return !too_many;
      if (frame.type == kFramePriorityUpdate) {
        if (const auto element = read_varint(frame.payload)) {
          const ByteView value = frame.payload.subspan(element->size);
          qlog_.priority_update_frame(false, id, element->value, as_text(value));
        }
      } else if (frame.type == kFrameSettings) {
        qlog_.settings_frame(false, id, control_reader_.settings().entries());
      } else if (!known) {
        qlog_.other_frame(id, frame.type, frame.length);
      }
      return true;
    });
    if (error) {
      fail(*error, "a frame on the control stream that breaks the rules");
      return;
    }
    if (too_many) {
      fail(ErrorCode::excessive_load, "too many frames on the control stream");
      return;
    }
    const std::ptrdiff_t used = bridge_->read(id, bytes, fin);
    if (!check(used)) return;
    connection_.consumed(id, static_cast<std::size_t>(used));
    if (!had_settings && control_reader_.settings_complete()) on_settings();
  } else {
    const std::ptrdiff_t used = bridge_->read(id, bytes, fin);
    if (!check(used)) return;
    connection_.consumed(id, static_cast<std::size_t>(used));
  }
  if (goaway_came_ && !over_) on_goaway();
  // QPACK may have something to say, and a change of priorities changes what goes next.
  if (!over_) wake();
}

void SessionCore::on_settings() {
  peer_settings_ = control_reader_.settings().settings();
  if (qlog_.on()) qlog_.parameters_set(false, *peer_settings_);
  if (remembered_ && connection_.handshake().early_data_accepted &&
      !peer_settings_->keeps_promise_of(*remembered_)) {
    fail(ErrorCode::settings_error, "the server took 0-RTT but not the settings it had promised");
    return;
  }
  if (held_session_) offer_session();
  flush_waiting();
}

void SessionCore::offer_session() {
  quic::Session session;
  while (connection_.take_session(session)) held_session_ = std::move(session);
  if (!held_session_ || !peer_settings_) return;
  quic::Session ready = *std::exchange(held_session_, std::nullopt);
  ready.application = peer_settings_->serialize();
  if (hooks_.session) hooks_.session(std::move(ready));
}

std::vector<std::uint8_t> SessionCore::settings_blob() const {
  return peer_settings_ ? peer_settings_->serialize() : std::vector<std::uint8_t>();
}

void SessionCore::on_stream_reset(const quic::Event& event) {
  if (!routed_.empty() && route_event(event)) return;
  const quic::StreamId id = event.stream;
  if (id == peer_control_id_ || id == peer_encoder_id_ || id == peer_decoder_id_) {
    fail(ErrorCode::closed_critical_stream, "a control or QPACK stream was reset");
    return;
  }
  if (quic::is_unidirectional(id)) {
    if (!contains(ignored_, id)) said_nothing();
    return;
  }
  RequestStream* stream = table_.find(id);
  if (stream == nullptr && server_ && !quic::is_server_initiated(id) && !contains(ignored_, id)) {
    // A request that was given up before its first byte came.
    std::erase_if(sniffed_, [&](const Sniffed& s) { return s.stream == id; });
    stream = accept_stream(id);
  }
  if (stream == nullptr) return;
  context_.counts().peer_resets.add();
  count_cancellation(*stream);
  if (over_) return;
  stream->peer_reset(event.value);
  drop_offer();
}

/// Rapid reset: each request that is given up before its answer has cost us a handler.
void SessionCore::count_cancellation(RequestStream& stream) {
  if (!server_ || stream.sending_done() || std::exchange(stream.counted, true)) return;
  if (resets_limit_.allow(now())) return;
  context_.counts().limit_resets.add();
  fail(ErrorCode::excessive_load, "too many requests were cancelled");
}

void SessionCore::on_stream_closed(const quic::Event& event) {
  const quic::StreamId id = event.stream;
  if (!routed_.empty() && route_event(event)) {
    erase_one(routed_, id);
    forget_stream(id);
    return;
  }
  drop_offer();
  RequestStream* stream = table_.find(id);
  if (stream == nullptr) {
    if (!ignored_.empty()) erase_one(ignored_, id);
    if (!sniffed_.empty())
      std::erase_if(sniffed_, [&](const Sniffed& s) { return s.stream == id; });
    if (check(bridge_->close(id, event.value))) forget_stream(id);
    return;
  }
  // The peer's STOP_SENDING, when nothing was sent since.
  count_cancellation(*stream);
  if (over_) return;
  const std::ptrdiff_t kept = bridge_->close(id, event.value);
  if (!check(kept)) return;
  if (kept > 0) {
    if (stream->attached() && !stream->receiving_done()) {
      stream->closed_with = event.value;
      // The peer did not want the rest of what we send: whoever writes must not wait for it.
      bridge_->shutdown_write(id);
      stream->peer_stopped();
      return;
    }
    bridge_->shutdown_write(id);  // the response's lines go with `stream`
    bridge_->disown(id);
  }
  finish(*stream, event.value);
}

/// QUIC and nghttp3 are done with the stream.
void SessionCore::finish(RequestStream& stream, std::uint64_t code) {
  table_.unindex(stream);
  if (stream.closed(code)) remove(stream);
}

/// QUIC is done with a stream of the peer's; let it open another one.
void SessionCore::forget_stream(quic::StreamId stream) {
  if (!server_) return;
  if (quic::is_server_initiated(stream)) return;
  if (!quic::is_unidirectional(stream)) bridge_->set_max_client_streams(++max_client_streams_);
  connection_.allow_stream(stream);
}

void SessionCore::on_early_data_rejected() {
  // RFC 9001 §4.6.2: the server knows nothing of what was sent; begin again.
  drop_offer();
  remembered_.reset();
  bridge_.reset();
  bound_ = false;
  begin();
  if (over_) return;
  std::vector<RequestStream*> again;
  for (RequestStream* stream = table_.first(); stream != nullptr;) {
    RequestStream& current = *stream;
    stream = stream->next;
    if (current.waiting()) continue;
    if (current.indexed) table_.unindex(current);
    if (current.rewind()) {
      again.push_back(&current);
      context_.counts().early_data_replayed.add();
    } else if (current.closed(0)) {
      remove(current);
    }
  }
  // The list has the newest first; they go out in the order they were made, before those that wait.
  waiting_.insert(waiting_.begin(), again.rbegin(), again.rend());
}

void SessionCore::on_datagram(const quic::Event& event) {
  context_.counts().datagrams_received.add();
  const auto quarter = read_varint(event.data.view());
  if (!quarter || quarter->value > kMaxVarint / 4) {
    fail(ErrorCode::datagram_error, "a datagram without a quarter stream ID");
    return;
  }
  const auto id = static_cast<quic::StreamId>(quarter->value * 4);
  Bytes payload = event.data.slice(quarter->size);
  if (qlog_.on()) qlog_.datagram(false, id, payload.size());
  if (RequestStream* owner = table_.find(id); owner != nullptr && owner->attached()) {
    owner->datagram(std::move(payload));
    return;
  }
  // RFC 9297 §2.1: for a stream that is not there yet, keep it for a while; else drop it.
  const RequestStream* stream = table_.find(id);
  const bool future =
      server_ && (stream != nullptr ? !stream->head_complete() : id > highest_request_);
  if (!future || options().max_early_datagrams == 0) {
    context_.counts().datagrams_dropped.add();
    return;
  }
  if (early_datagrams_.size() >= options().max_early_datagrams) {
    early_datagrams_.erase(early_datagrams_.begin());
    context_.counts().datagrams_dropped.add();
  }
  early_datagrams_.push_back({id, std::move(payload)});
}

bool SessionCore::send_datagram(quic::StreamId stream, ByteView payload) {
  if (over_ || payload.size() > max_datagram(stream)) return false;
  const auto quarter = static_cast<std::uint64_t>(stream) / 4;
  const std::size_t size = varint_size(quarter) + payload.size();
  Bytes bytes = Bytes::make(size, [&](MutableBytes out) {
    std::copy(payload.begin(), payload.end(), write_varint(out.data(), quarter));
    return size;
  });
  if (!connection_.send_datagram(std::move(bytes))) return false;
  context_.counts().datagrams_sent.add();
  if (qlog_.on()) qlog_.datagram(true, stream, payload.size());
  return true;
}

std::size_t SessionCore::max_datagram(quic::StreamId stream) const noexcept {
  const Settings* peer = peer_settings_ ? &*peer_settings_ : remembered_ ? &*remembered_ : nullptr;
  if (peer == nullptr || !peer->datagrams || !local_settings_.datagrams) return 0;
  const std::size_t overhead = varint_size(static_cast<std::uint64_t>(stream) / 4);
  const std::size_t room = connection_.max_datagram();
  return room > overhead ? room - overhead : 0;
}

std::uint64_t SessionCore::peer_field_limit() const noexcept {
  const Settings* peer = peer_settings_ ? &*peer_settings_ : remembered_ ? &*remembered_ : nullptr;
  return peer != nullptr ? peer->max_field_section : kMaxVarint;
}

void SessionCore::on_closed() {
  over_ = true;
  if (armed()) runtime().timers().disarm(*this);
  const Error& reason = connection_.close_reason();
  const bool fault = reason.origin == Origin::remote && reason.domain == Domain::application &&
                     reason.code != http3::code(ErrorCode::no_error) &&
                     reason.code != 0;  // what some clients say instead of H3_NO_ERROR
  if (fault) {
    context_.counts().peer_errors.add();
    const std::string_view known = name(static_cast<ErrorCode>(reason.code));
    log(LogLevel::info, fmt::format("closed by the peer with {}{}{}", known,
                                    known.empty() ? "" : ", ", http::escaped(reason.to_string())));
  }
  waiting_.clear();
  for (RequestStream* stream = table_.first(); stream != nullptr; stream = stream->next) {
    stream->connection_gone(reason);
  }
  if (hooks_.closed) hooks_.closed(reason);
}

// ---- the end of requests
// -------------------------------------------------------------------------

void SessionCore::drain() {
  if (over_ || drain_ != Drain::no) return;
  if (!server_ || !bound_) {
    drain_ = Drain::commenced;
    close_if_drained();
    return;
  }
  drain_ = Drain::noticed;
  bridge_->submit_shutdown_notice();
  if (qlog_.on()) qlog_.goaway_frame(true, control_id_, kMaxVarint - 3);
  const Duration notice =
      std::clamp<Duration>(connection_.stats().smoothed_rtt * 3 / 2, kMinNotice, kMaxNotice);
  shutdown_at_ = now() + notice;
  for (RequestStream* stream = table_.first(); stream != nullptr; stream = stream->next) {
    stream->drain();
  }
  rearm();
  wake();
}

/// The server's GOAWAY: what it does not process may be sent elsewhere.
void SessionCore::on_goaway() {
  goaway_came_ = false;
  const Error error(Code::rejected, "the server is going away and did not process the request",
                    Origin::remote);
  waiting_.clear();
  for (RequestStream* stream = table_.first(); stream != nullptr; stream = stream->next) {
    if (stream->waiting() || (stream->id() >= goaway_id_ && !stream->is_closed())) {
      context_.counts().rejected.add();
      stream->refuse(error);
    }
  }
  if (hooks_.goaway) hooks_.goaway();
}

void SessionCore::commence_shutdown() {
  shutdown_at_ = kNever;
  drain_ = Drain::commenced;
  bridge_->submit_shutdown();
  if (qlog_.on())
    qlog_.goaway_frame(true, control_id_, static_cast<std::uint64_t>(highest_request_ + 4));
  wake();
  listen_for_client();
  close_if_drained();
}

void SessionCore::close_if_drained() {
  if (over_ || !table_.empty()) return;
  if (server_ && drain_ != Drain::commenced) return;
  if (server_ && drained_at_ == kNever) {
    // Give the final GOAWAY a turn to leave: a CONNECTION_CLOSE ends everything at once.
    drained_at_ = now() + kMinNotice;
    rearm();
    return;
  }
  if (server_ && now() < drained_at_) return;
  close(ErrorCode::no_error, "drained");
}

}  // namespace tern::http3
