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

/// The first byte of each of our streams, by its type.
constexpr std::string_view kTypes("\0\1\2\3", 4);

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

// ---- life ---------------------------------------------------------------------------------------

SessionCore::SessionCore(Context& context, quic::Connection& connection, ClientHooks hooks)
    : context_(context),
      connection_(connection),
      hooks_(connection.is_server() ? nullptr : std::make_unique<ClientHooks>(std::move(hooks))),
      qlog_(context.runtime(), connection),
      control_reader_(connection.is_server()),
      resets_limit_(context.options().max_resets, context.options().window),
      glitches_limit_(context.options().max_glitches, context.options().window),
      server_(connection.is_server()) {
  context_.counts().sessions.add();
  local_settings_ = settings_of(options(), server_);
  if (!server_ && !hooks_->remembered.empty()) {
    auto remembered = Settings::deserialize(hooks_->remembered);
    if (remembered) {
      remembered_ = *std::move(remembered);
      if (qlog_.on()) qlog_.parameters_restored(*remembered_);
    }
    hooks_->remembered = {};
  }
  if (server_) connection_.hold_streams(true);
  max_client_streams_ = options().max_requests;
  connection_.set_source(this);
  connection_.set_datagram_source(this);
  begin();
  if (server_) age_.start(context_.hooks().age, now(), runtime().random());
  rearm();
}

SessionCore::~SessionCore() {
  over_ = true;
  connection_.set_source(nullptr);
  connection_.set_datagram_source(nullptr);
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
  QpackDecoder::Config config;
  config.capacity = static_cast<std::size_t>(local_settings_.qpack_capacity);
  config.max_streams = static_cast<std::size_t>(options().max_requests);
  decoder_.emplace(context_.memory(), config);
  encoder_.emplace(options().qpack_capacity, context_.scratch());

  OwnStream* const ours[] = {&control_, &encoder_stream_, &decoder_stream_};
  const std::uint64_t types[] = {kStreamControl, kStreamQpackEncoder, kStreamQpackDecoder};
  for (std::size_t i = 0; i < std::size(ours); ++i) {
    const auto opened = connection_.open_uni();
    if (!opened) {
      // RFC 9114 §6.2: a peer must allow three.
      fail(ErrorCode::general_protocol_error,
           "fewer than three unidirectional streams allowed (RFC 9114 section 6.2)");
      return;
    }
    ours[i]->id = *opened;
    ours[i]->blocked = false;
    ours[i]->queue.clear();
    if (i > 0) ours[i]->queue.push(Bytes::literal(kTypes.substr(types[i], 1)));
  }
  bound_ = true;

  Settings sent = local_settings_;
  // RFC 9114 §7.2.4.1: an entry that means nothing, so that peers stay used to them.
  sent.others.push_back(
      {0x1f * (1 + runtime().random().below(1 << 16)) + 0x21, runtime().random().below(1 << 30)});
  std::vector<std::uint8_t> own = sent.frame();
  own.insert(own.begin(), static_cast<std::uint8_t>(kStreamControl));
  control_.queue.push(Bytes::take(std::move(own)));
  if (qlog_.on()) {
    qlog_.parameters_set(true, local_settings_);
    for (std::size_t i = 0; i < std::size(ours); ++i) {
      qlog_.stream_type_set(true, ours[i]->id, types[i]);
    }
    SettingsParser entries;
    const std::vector<std::uint8_t> frame = sent.frame();
    entries.take(ByteView(frame).subspan(1 + varint_size(frame.size() - 2)));
    qlog_.settings_frame(true, control_.id, entries.entries());
  }
  wake();
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
  if (connection_.closed()) return;  // for an error of QUIC's in the same packet, which was told
  context_.counts().errors.add();
  log(LogLevel::warning, fmt::format("closed with {}: {}", name(code), reason));
  connection_.close(http3::code(code), reason);
}

bool SessionCore::glitch(std::string_view what) noexcept {
  if (glitches_limit_.allow(now())) return true;
  context_.counts().limit_glitches.add();
  fail(ErrorCode::excessive_load,
       fmt::format("more than {} in {}: oddities (max_glitches), the last one {}",
                   options().max_glitches, seconds(options().window), what));
  return false;
}

std::string SessionCore::seconds(Duration time) {
  return fmt::format("{:g} s", std::chrono::duration<double>(time).count());
}

void SessionCore::close(ErrorCode why, std::string_view reason) {
  if (over_) return;
  over_ = true;
  connection_.close(http3::code(why), reason);
}

// ---- events -------------------------------------------------------------------------------------

void SessionCore::handle(const quic::Event& event) {
  using Type = quic::Event::Type;
  if (event.type == Type::closed) {
    on_closed();
    return;
  }
  if (over_) return;
  switch (event.type) {
    case Type::stream_data: on_stream_data(event); break;
    case Type::stream_acked: on_stream_acked(event); break;
    case Type::stream_writable: on_stream_writable(event.stream); break;
    case Type::stream_reset: on_stream_reset(event); break;
    case Type::stream_closed: on_stream_closed(event); break;
    case Type::streams_available:
      flush_waiting();
      if (router_ != nullptr) router_->streams_available();
      break;
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
  if (!flagged_.empty() || !finished_late_.empty()) settle_flagged();
  if (drain_ == Drain::commenced || goaway_id_ >= 0) close_if_drained();
}

void SessionCore::on_stream_data(const quic::Event& event) {
  if (!routed_.empty() && route_event(event)) return;
  current_ = &event.data;
  if (quic::is_unidirectional(event.stream)) {
    on_uni_data(event);
  } else if (RequestStream* const stream = table_.find(event.stream)) {
    feed(*stream, event.data.view(), event.fin);
  } else if (!ignored_.empty() && contains(ignored_, event.stream)) {
    connection_.consumed(event.stream, event.data.size());
  } else {
    on_new_bidi(event);
  }
  current_ = nullptr;
}

void SessionCore::on_stream_acked(const quic::Event& event) {
  if (RequestStream* const stream = table_.find(event.stream)) {
    stream->acked(event.value);
  } else if (OwnStream* const ours = own(event.stream)) {
    ours->queue.acked(event.value);
  } else if (!routed_.empty()) {
    route_event(event);
  }
}

void SessionCore::on_stream_writable(quic::StreamId id) {
  if (RequestStream* const stream = table_.find(id)) {
    stream->set_blocked(false, now());
    take_turn(*stream);
  } else if (OwnStream* const ours = own(id)) {
    ours->blocked = false;
  }
  wake();
}

void SessionCore::offer_session() {
  quic::Session session;
  while (connection_.take_session(session)) {
    held_session_ = std::make_unique<quic::Session>(std::move(session));
  }
  if (held_session_ == nullptr || !peer_settings_) return;
  const auto ready = std::move(held_session_);
  ready->application = peer_settings_->serialize();
  if (hooks_->session) hooks_->session(std::move(*ready));
}

void SessionCore::on_stream_reset(const quic::Event& event) {
  if (!routed_.empty() && route_event(event)) return;
  const quic::StreamId id = event.stream;
  if (is_critical(id)) {
    fail(ErrorCode::closed_critical_stream, critical_name(id) + " was reset");
    return;
  }
  if (quic::is_unidirectional(id)) {
    if (!contains(ignored_, id)) said_nothing();
    return;
  }
  RequestStream* stream = table_.find(id);
  if (stream == nullptr && server_ && !quic::is_server_initiated(id) && !contains(ignored_, id)) {
    // A request that was given up before its first byte came.
    std::erase_if(openings_, [&](const Opening& opening) { return opening.stream == id; });
    stream = accept_stream(id);
  }
  if (stream == nullptr) return;
  context_.counts().peer_resets.add();
  count_cancellation(*stream);
  if (over_) return;
  stream->peer_reset(event.value);
}

/// Rapid reset: each request that is given up before its answer has cost us a handler.
void SessionCore::count_cancellation(RequestStream& stream) {
  if (!server_ || stream.sending_done() || std::exchange(stream.counted, true)) return;
  if (resets_limit_.allow(now())) return;
  context_.counts().limit_resets.add();
  fail(ErrorCode::excessive_load,
       fmt::format("more than {} in {}: requests that the peer cancelled, or had us cancel "
                   "(max_resets)",
                   options().max_resets, seconds(options().window)));
}

void SessionCore::on_stream_closed(const quic::Event& event) {
  const quic::StreamId id = event.stream;
  if (!routed_.empty() && route_event(event)) {
    erase_one(routed_, id);
    forget_stream(id);
    return;
  }
  if (is_critical(id) || own(id) != nullptr) {
    fail(ErrorCode::closed_critical_stream, critical_name(id) + " was closed");
    return;
  }
  RequestStream* stream = table_.find(id);
  if (stream == nullptr) {
    if (!ignored_.empty()) erase_one(ignored_, id);
    if (!openings_.empty()) {
      std::erase_if(openings_, [&](const Opening& opening) { return opening.stream == id; });
    }
    forget_stream(id);
    return;
  }
  // The peer's STOP_SENDING, when nothing was sent since.
  count_cancellation(*stream);
  if (over_) return;
  if (stream->waits_for_qpack() && stream->attached() && !stream->receiving_done()) {
    stream->closed_with = event.value;
    // The peer did not want the rest of what we send: whoever writes must not wait for it.
    stream->peer_stopped();
    leave_turn(*stream);
    return;
  }
  finish(*stream, event.value);
}

/// QUIC and we are done with the stream.
void SessionCore::finish(RequestStream& stream, std::uint64_t code) {
  table_.unindex(stream);
  if (stream.closed(code)) remove(stream);
}

/// QUIC is done with a stream of the peer's; let it open another one.
void SessionCore::forget_stream(quic::StreamId stream) {
  if (!server_) return;
  if (quic::is_server_initiated(stream)) return;
  if (!quic::is_unidirectional(stream)) ++max_client_streams_;
  connection_.allow_stream(stream);
}

void SessionCore::on_early_data_rejected() {
  // RFC 9001 §4.6.2: the server knows nothing of what was sent; begin again.
  remembered_.reset();
  scheduler_.clear();
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
    fail(ErrorCode::datagram_error,
         "a datagram without a quarter stream ID (RFC 9297 section 2.1)");
    return;
  }
  const auto id = static_cast<quic::StreamId>(quarter->value * 4);
  if (server_ && quarter->value >= max_client_streams_) {
    fail(ErrorCode::id_error,
         fmt::format("a datagram of stream {}, which is above our limit (RFC 9297 section 2.1)",
                     id));
    return;
  }
  Bytes payload = event.data.slice(quarter->size);
  if (qlog_.on()) qlog_.datagram(false, id, payload.size());
  if (router_ != nullptr && router_->take_datagram(id, payload)) return;
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
  if (hooks_ != nullptr && hooks_->closed) hooks_->closed(reason);
}

// ---- the end of requests ------------------------------------------------------------------------

void SessionCore::drain() {
  if (over_ || drain_ != Drain::no) return;
  if (!server_ || !bound_) {
    drain_ = Drain::commenced;
    close_if_drained();
    return;
  }
  drain_ = Drain::noticed;
  queue_goaway(kMaxVarint - 3);
  const Duration notice =
      std::clamp<Duration>(connection_.stats().smoothed_rtt * 3 / 2, kMinNotice, kMaxNotice);
  shutdown_at_ = now() + notice;
  for (RequestStream* stream = table_.first(); stream != nullptr; stream = stream->next) {
    stream->drain();
  }
  rearm();
}

void SessionCore::commence_shutdown() {
  shutdown_at_ = kNever;
  drain_ = Drain::commenced;
  rejected_from_ = highest_request_ + 4;
  queue_goaway(static_cast<std::uint64_t>(rejected_from_));
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
