#include "webtransport/capsule_session.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/varint.h"
#include "http/utf8.h"
#include "webtransport/capsule_type.h"
#include "webtransport/capsule_values.h"
#include "webtransport/capsule_writer.h"
#include "webtransport/session_carrier.h"

namespace tern::webtransport {

namespace {

/// Payload of a capsule that is kept: no known one but DATAGRAM is longer than WT_CLOSE_SESSION.
constexpr std::size_t kMaxKnownPayload = 4 + kMaxReason;
/// More streams than this nobody can open (draft §3).
constexpr std::uint64_t kMaxStreams = std::uint64_t{1} << 60;
/// Smaller pieces of stream data are copied together instead of keeping what they came in.
constexpr std::size_t kWorthSharing = 1024;

constexpr std::uint64_t number_of(std::uint64_t id) noexcept { return id >> 2; }
constexpr bool is_unidirectional(std::uint64_t id) noexcept { return (id & 2) != 0; }
constexpr Direction direction_of(std::uint64_t id) noexcept {
  return is_unidirectional(id) ? Direction::unidirectional : Direction::bidirectional;
}

bool is_known(std::uint64_t type) noexcept {
  return (type >= capsule_type::kResetStream &&
          type <= capsule_type::kStreamsBlockedUnidirectional) ||
         type == capsule_type::kCloseSession || type == capsule_type::kDrainSession;
}

Error closed_error(const SessionClose& close) {
  return close.error ? *close.error : Error(Code::closed, "the session is closed", close.by);
}

}  // namespace

CapsuleSession::CapsuleSession(Runtime& runtime, Role role, const SessionOptions& options,
                               const CapsuleWindows& granted, const CapsuleWindows& allowed,
                               Output& output)
    : runtime_(runtime),
      role_(role),
      options_(options),
      granted_(granted),
      allowed_(allowed),
      window_(std::max(granted.data, options.receive_window())),
      stream_window_{std::max(granted.streams_bidi, options.max_streams()),
                     std::max(granted.streams_uni, options.max_streams())},
      output_(output),
      reader_(std::max(options.max_datagram(), kMaxKnownPayload)),
      max_receive_(granted.data),
      max_send_(allowed.data) {
  ours_[index(Direction::bidirectional)].allowed = allowed.streams_bidi;
  ours_[index(Direction::unidirectional)].allowed = allowed.streams_uni;
  peers_[index(Direction::bidirectional)].allowed = granted.streams_bidi;
  peers_[index(Direction::unidirectional)].allowed = granted.streams_uni;
}

void CapsuleSession::attach(Session& session) {
  session_ = &session;
  max_data_due_ = window_ > max_receive_;
  for (std::size_t kind = 0; kind < peers_.size(); ++kind) {
    peers_[kind].due = stream_window_[kind] > peers_[kind].allowed;
  }
}

CapsuleSession::~CapsuleSession() {
  const Error error = Error::closed("the session is closed");
  for (auto& [id, stream] : streams_) {
    if (stream->stream() != nullptr) stream->stream()->carrier_gone(error);
  }
}

// ---- what comes ---------------------------------------------------------------------------------

void CapsuleSession::feed(const Bytes& piece) {
  if (failure_) return;
  reader_.feed(piece);
  while (const auto event = reader_.next()) {
    if (over_) continue;  // to its end, for the reader's sake
    switch (event->type) {
      case CapsuleReader::Event::Type::stream_data: on_stream_data(piece, *event); break;
      case CapsuleReader::Event::Type::capsule: on_capsule(event->id, event->bytes); break;
      case CapsuleReader::Event::Type::too_long:
        if (event->id == capsule_type::kDatagram) {
          ++session_->counted().datagrams_received;
          ++session_->counted().datagrams_dropped;
        } else if (is_known(event->id)) {
          violated("a capsule is too long");
        }
        break;
      case CapsuleReader::Event::Type::malformed:
        violated("a WT_STREAM capsule ends within its stream ID");
        break;
    }
  }
}

void CapsuleSession::end_of_input() {
  if (over_ || failure_) return;
  if (!reader_.at_boundary()) return violated("the stream ends within a capsule");
  SessionClose close;
  close.by = Origin::remote;
  finish(std::move(close));
}

void CapsuleSession::broken(const Error& error) {
  if (over_) return;
  SessionClose close;
  close.by = error.origin;
  close.error = error;
  finish(std::move(close));
}

void CapsuleSession::violated(std::string what) {
  if (failure_) return;
  failure_ = Error(Code::invalid, "WebTransport: " + std::move(what), Origin::remote);
  SessionClose close;
  close.error = failure_;
  finish(std::move(close));
  output_.wanted();
}

CapsuleStream* CapsuleSession::find(std::uint64_t id, Half half) {
  const Direction direction = direction_of(id);
  const bool ours = is_ours(id);
  if (direction == Direction::unidirectional && ours == (half == Half::receiving)) {
    violated(ours ? "data on a stream that only we send on"
                  : "a capsule about sending on a stream that only the peer sends on");
    return nullptr;
  }
  Opened& opened = (ours ? ours_ : peers_)[index(direction)];
  const std::uint64_t number = number_of(id);
  if (number >= opened.count) {
    if (ours) {
      violated("a capsule about a stream that was not opened");
      return nullptr;
    }
    if (number >= opened.allowed) {
      violated("more streams than allowed");
      return nullptr;
    }
    // An ID opens those before it as well (RFC 9000 §2.1).
    while (opened.count <= number) accept(opened.count++ << 2 | (id & 3));
  }
  const auto found = streams_.find(id);
  return found != streams_.end() ? found->second.get() : nullptr;
}

void CapsuleSession::accept(std::uint64_t id) {
  CapsuleStream& record = add(id);
  auto stream = std::make_unique<Stream>(runtime_, record, id, direction_of(id), true);
  record.attach(*stream);
  session_->on_stream(std::move(stream));
}

CapsuleStream& CapsuleSession::add(std::uint64_t id) {
  const bool ours = is_ours(id);
  std::uint64_t max_send = 0;
  std::uint64_t window = 0;
  if (is_unidirectional(id)) {
    (ours ? max_send : window) = ours ? allowed_.stream_data_uni : granted_.stream_data_uni;
  } else {
    max_send = ours ? allowed_.stream_data_bidi_remote : allowed_.stream_data_bidi_local;
    window = ours ? granted_.stream_data_bidi_local : granted_.stream_data_bidi_remote;
  }
  const bool sends = ours || !is_unidirectional(id);
  const bool receives = !ours || !is_unidirectional(id);
  auto record = std::make_unique<CapsuleStream>(*this, id, sends, receives, max_send, window,
                                                std::min(window, granted_.stream_data_known),
                                                std::max(window, options_.stream_window()));
  CapsuleStream& added = *record;
  streams_.emplace(id, std::move(record));
  return added;
}

void CapsuleSession::on_stream_data(const Bytes& piece, const CapsuleReader::Event& event) {
  CapsuleStream* const stream = find(event.id, Half::receiving);
  if (failure_) return;
  if (stream == nullptr || stream->receive_over()) {
    return violated("data on a stream that has ended");
  }
  const std::size_t count = event.bytes.size();
  if (!stream->fits(count)) return violated("more data on a stream than allowed");
  if (count > max_receive_ - received_) return violated("more data than allowed");
  received_ += count;
  stream->on_data(count >= kWorthSharing ? piece.slice(event.bytes) : arena_.copy(event.bytes),
                  event.fin);
}

void CapsuleSession::on_capsule(std::uint64_t type, ByteView payload) {
  switch (type) {
    case capsule_type::kDatagram:
      if (payload.size() > options_.max_datagram()) {
        ++session_->counted().datagrams_received;
        ++session_->counted().datagrams_dropped;
        return;
      }
      return session_->on_datagram(arena_.copy(payload));
    case capsule_type::kResetStream: return on_reset_stream(payload);
    case capsule_type::kStopSending: return on_stop_sending(payload);
    case capsule_type::kMaxData: {
      const auto values = read_values<1>(payload);
      if (!values) return violated("a malformed WT_MAX_DATA capsule");
      if ((*values)[0] < max_send_) return violated("WT_MAX_DATA takes back what was allowed");
      max_send_ = (*values)[0];
      return output_.wanted();
    }
    case capsule_type::kMaxStreamData: return on_max_stream_data(payload);
    case capsule_type::kMaxStreamsBidirectional:
    case capsule_type::kMaxStreamsUnidirectional: {
      const auto values = read_values<1>(payload);
      if (!values) return violated("a malformed WT_MAX_STREAMS capsule");
      return on_max_streams(type == capsule_type::kMaxStreamsBidirectional
                                ? Direction::bidirectional
                                : Direction::unidirectional,
                            (*values)[0]);
    }
    case capsule_type::kStreamDataBlocked: {
      const auto values = read_values<2>(payload);
      if (!values) return violated("a malformed WT_STREAM_DATA_BLOCKED capsule");
      const CapsuleStream* const stream = find((*values)[0], Half::receiving);
      if (failure_) return;
      if (stream == nullptr || stream->receive_over()) {
        violated("WT_STREAM_DATA_BLOCKED for a stream that has ended");
      }
      return;
    }
    case capsule_type::kDataBlocked:
      if (!read_values<1>(payload)) violated("a malformed WT_DATA_BLOCKED capsule");
      return;
    case capsule_type::kStreamsBlockedBidirectional:
    case capsule_type::kStreamsBlockedUnidirectional: {
      const auto values = read_values<1>(payload);
      if (!values) return violated("a malformed WT_STREAMS_BLOCKED capsule");
      if ((*values)[0] > kMaxStreams) violated("WT_STREAMS_BLOCKED beyond 2^60");
      return;
    }
    case capsule_type::kCloseSession: return on_close_session(payload);
    case capsule_type::kDrainSession:
      if (!payload.empty()) return violated("a malformed WT_DRAIN_SESSION capsule");
      return session_->on_drain();
    default: return;  // RFC 9297 §3.2
  }
}

void CapsuleSession::on_max_streams(Direction direction, std::uint64_t count) {
  Opened& opened = ours_[index(direction)];
  if (count > kMaxStreams) return violated("WT_MAX_STREAMS beyond 2^60");
  if (count < opened.allowed) return violated("WT_MAX_STREAMS takes back what was allowed");
  opened.allowed = count;
  session_->on_credit(direction);
}

void CapsuleSession::on_reset_stream(ByteView payload) {
  const auto values = read_values<3>(payload);
  if (!values || (*values)[1] > UINT32_MAX) return violated("a malformed WT_RESET_STREAM capsule");
  CapsuleStream* const stream = find((*values)[0], Half::receiving);
  if (failure_) return;
  if (stream == nullptr || stream->receive_over()) {
    return violated("WT_RESET_STREAM for a stream that has ended");
  }
  if ((*values)[2] != stream->received()) {
    return violated("WT_RESET_STREAM with another size than was sent");
  }
  stream->on_reset(static_cast<ApplicationCode>((*values)[1]));
}

void CapsuleSession::on_stop_sending(ByteView payload) {
  const auto values = read_values<2>(payload);
  if (!values || (*values)[1] > UINT32_MAX) return violated("a malformed WT_STOP_SENDING capsule");
  // Of one that is over it is not known any more what was said.
  CapsuleStream* const stream = find((*values)[0], Half::sending);
  if (stream == nullptr) return;
  if (stream->stopped()) return violated("a second WT_STOP_SENDING for a stream");
  stream->on_stop_sending(static_cast<ApplicationCode>((*values)[1]));
}

void CapsuleSession::on_max_stream_data(ByteView payload) {
  const auto values = read_values<2>(payload);
  if (!values) return violated("a malformed WT_MAX_STREAM_DATA capsule");
  CapsuleStream* const stream = find((*values)[0], Half::sending);
  if (stream == nullptr) return;
  if (stream->stopped()) return violated("WT_MAX_STREAM_DATA behind WT_STOP_SENDING");
  if (!stream->on_max_data((*values)[1])) {
    violated("WT_MAX_STREAM_DATA takes back what was allowed");
  }
}

void CapsuleSession::on_close_session(ByteView payload) {
  if (payload.size() < 4 || payload.size() > kMaxKnownPayload) {
    return violated("a malformed WT_CLOSE_SESSION capsule");
  }
  const ByteView reason = payload.subspan(4);
  if (!http::is_utf8(reason)) return violated("the reason of WT_CLOSE_SESSION is no UTF-8");
  SessionClose close;
  close.by = Origin::remote;
  for (const std::uint8_t byte : payload.first(4)) close.code = close.code << 8 | byte;
  close.reason = as_text(reason);
  finish(std::move(close));
}

void CapsuleSession::finish(SessionClose close) {
  if (std::exchange(over_, true)) return;
  const Error error = closed_error(close);
  // A stream that loses its carrier may be destroyed by nobody in here: coroutines run later.
  for (auto& [id, record] : streams_) {
    if (record->stream() != nullptr) record->stream()->carrier_gone(error);
  }
  streams_.clear();
  control_.clear();
  ready_.clear();
  datagrams_.clear();
  output_.wanted();
  session_->on_closed(std::move(close));
}

// ---- of SessionCarrier --------------------------------------------------------------------------

bool CapsuleSession::may_open(Direction direction) const noexcept {
  const Opened& opened = ours_[index(direction)];
  return !over_ && opened.count < opened.allowed;
}

std::unique_ptr<Stream> CapsuleSession::open(Direction direction) {
  TERN_CHECK(may_open(direction));
  const std::uint64_t number = ours_[index(direction)].count++;
  const std::uint64_t id = number << 2 | (direction == Direction::unidirectional ? 2u : 0u) |
                           (role_ == Role::server ? 1u : 0u);
  CapsuleStream& record = add(id);
  auto stream = std::make_unique<Stream>(runtime_, record, id, direction, false);
  record.attach(*stream);
  return stream;
}

bool CapsuleSession::send_datagram(Bytes payload) {
  if (over_ || payload.size() > options_.max_datagram()) return false;
  drop_expired_datagrams();  // they make room
  if (datagrams_.size() >= options_.max_waiting_datagrams()) return false;
  Datagram datagram;
  datagram.payload = std::move(payload);
  datagram.deadline = runtime_.now() + options_.datagram_lifetime();
  datagrams_.push(std::move(datagram));
  output_.wanted();
  return true;
}

void CapsuleSession::drain() {
  if (over_ || std::exchange(drain_sent_, true)) return;
  drain_due_ = true;
  output_.wanted();
}

void CapsuleSession::close(ApplicationCode code, std::string_view reason) {
  if (over_) return;
  SessionClose close;
  close.code = code;
  close.reason = reason;
  close_due_ = close;
  finish(std::move(close));
}

// ---- of the streams -----------------------------------------------------------------------------

void CapsuleSession::credit(std::uint64_t count) {
  consumed_ += count;
  if (over_ || max_data_due_ || max_receive_ - consumed_ > window_ / 2) return;
  max_data_due_ = true;
  output_.wanted();
}

void CapsuleSession::want_control(CapsuleStream& stream) {
  if (over_) return;
  if (!std::exchange(stream.in_control, true)) control_.push(stream.id());
  output_.wanted();
}

void CapsuleSession::want_data(CapsuleStream& stream) {
  if (over_) return;
  if (!std::exchange(stream.in_ready, true)) ready_.push(stream.id());
  output_.wanted();
}

void CapsuleSession::remove(CapsuleStream& stream) {
  const std::uint64_t id = stream.id();
  if (!is_ours(id)) {
    const std::size_t kind = index(direction_of(id));
    Opened& opened = peers_[kind];
    ++opened.ended;
    // Half a window at a time.
    const std::uint64_t window = stream_window_[kind];
    if (!opened.due && opened.ended + window - opened.allowed >= (window + 1) / 2) {
      opened.due = true;
      output_.wanted();
    }
  }
  streams_.erase(id);
}

// ---- what goes ----------------------------------------------------------------------------------

std::optional<Bytes> CapsuleSession::next_output() {
  if (failure_) return std::nullopt;
  if (!body_.empty()) return std::exchange(body_, Bytes());
  if (close_due_) {
    const SessionClose close = *std::exchange(close_due_, std::nullopt);
    return write_close(close.code, close.reason);
  }
  if (over_) return std::nullopt;
  if (auto capsule = session_control()) return capsule;
  if (auto capsule = stream_control()) return capsule;
  if (auto capsule = next_datagram()) return capsule;
  return stream_data();
}

std::optional<Bytes> CapsuleSession::session_control() {
  if (std::exchange(drain_due_, false)) return write_capsule(capsule_type::kDrainSession, {});
  if (std::exchange(max_data_due_, false)) {
    max_receive_ = consumed_ + window_;
    return write_capsule(capsule_type::kMaxData, {max_receive_});
  }
  for (const Direction direction : {Direction::bidirectional, Direction::unidirectional}) {
    Opened& opened = peers_[index(direction)];
    if (!std::exchange(opened.due, false)) continue;
    opened.allowed = opened.ended + stream_window_[index(direction)];
    return write_capsule(direction == Direction::bidirectional
                             ? capsule_type::kMaxStreamsBidirectional
                             : capsule_type::kMaxStreamsUnidirectional,
                         {opened.allowed});
  }
  return std::nullopt;
}

std::optional<Bytes> CapsuleSession::stream_control() {
  while (!control_.empty()) {
    const std::uint64_t id = control_.pop();
    const auto found = streams_.find(id);
    if (found == streams_.end()) continue;
    found->second->in_control = false;
    std::optional<Bytes> capsule = found->second->control();
    if (!capsule) continue;
    // It may have more to say, or be gone.
    const auto again = streams_.find(id);
    if (again != streams_.end()) want_control(*again->second);
    return capsule;
  }
  return std::nullopt;
}

void CapsuleSession::drop_expired_datagrams() {
  while (!datagrams_.empty() && datagrams_.front().deadline <= runtime_.now()) {
    ++session_->counted().datagrams_expired;
    datagrams_.pop();
  }
}

std::optional<Bytes> CapsuleSession::next_datagram() {
  drop_expired_datagrams();
  if (datagrams_.empty()) return std::nullopt;
  ++session_->counted().datagrams_sent;
  body_ = datagrams_.pop().payload;
  return write_capsule(capsule_type::kDatagram, {}, ByteView(), body_.size());
}

std::optional<Bytes> CapsuleSession::stream_data() {
  for (std::size_t left = ready_.size(); left > 0; --left) {
    const std::uint64_t id = ready_.pop();
    const auto found = streams_.find(id);
    if (found == streams_.end()) continue;
    CapsuleStream& stream = *found->second;
    stream.in_ready = false;
    auto data = stream.data(max_send_ - sent_);
    if (!data) {
      if (!stream.wants_credit()) continue;
      stream.in_ready = true;
      ready_.push(id);
      continue;
    }
    sent_ += data->body.size();
    body_ = std::move(data->body);
    const auto again = streams_.find(id);
    if (again != streams_.end() && again->second->has_data()) {
      again->second->in_ready = true;
      ready_.push(id);
    }
    return std::move(data->header);
  }
  if (control_.empty()) {
    if (ready_.empty() || sent_ < max_send_ || blocked_at_ == max_send_) return std::nullopt;
    blocked_at_ = max_send_;
    return write_capsule(capsule_type::kDataBlocked, {max_send_});
  }
  return stream_control();  // a stream has found its own limit in its way
}

}  // namespace tern::webtransport
