#include "webtransport/http3_carrier.h"

#include <algorithm>
#include <coroutine>
#include <utility>

#include "base/check.h"
#include "base/varint.h"
#include "http/utf8.h"
#include "webtransport/capsule_type.h"
#include "webtransport/capsule_values.h"
#include "webtransport/capsule_writer.h"
#include "webtransport/session_carrier.h"

namespace tern::webtransport {

namespace {

constexpr std::size_t kMaxPayload = 64 * 1024;

}  // namespace

Http3Carrier::Http3Carrier(Http3Sessions& sessions, http::detail::Ends& ends,
                           const SessionOptions& options, std::string protocol,
                           std::shared_ptr<void> owner)
    : sessions_(&sessions),
      ends_(ends),
      close_timeout_(options.close_timeout()),
      datagram_lifetime_(options.datagram_lifetime()),
      max_waiting_datagrams_(options.max_waiting_datagrams()),
      protocol_(std::move(protocol)),
      owner_(std::move(owner)),
      flow_(sessions.make_flow(options.max_streams())),
      runtime_(ends.runtime()),
      id_(ends.stream_id()),
      reader_(kMaxPayload),
      scope_(runtime_.ready()) {}

Http3Carrier::~Http3Carrier() {
  if (sessions_ != nullptr) sessions_->remove(*this, Error::closed("the session is closed"));
}

void Http3Carrier::attach(Session& session) {
  session_ = &session;
  sessions_->add(*this);
  runtime_.timers().arm(*this, runtime_.now() + kKeepAlive);
  // Those that came before the session are the exchange's so far.
  while (ends_.incoming().datagram_readable()) {
    Result<Bytes> datagram = ends_.incoming().take_datagram();
    if (!datagram) break;
    session_->on_datagram(std::move(*datagram));
  }
  read(scope_, *this);
  flow_changed();
}

// ---- streams and datagrams ----------------------------------------------------------------------

bool Http3Carrier::may_open(Direction direction) const noexcept {
  return !over_ && sessions_ != nullptr && sessions_->may_open(direction) &&
         (flow_ == nullptr || flow_->may_open(direction));
}

std::unique_ptr<Stream> Http3Carrier::open(Direction direction) {
  if (flow_ != nullptr) flow_->opened(direction);
  Http3Stream& record = sessions_->open(direction, *this);
  auto stream = std::make_unique<Stream>(runtime_, record, static_cast<std::uint64_t>(record.id()),
                                         direction, false);
  record.attach(*stream);
  return stream;
}

void Http3Carrier::accept(Http3Stream& record) {
  const Direction direction =
      quic::is_unidirectional(record.id()) ? Direction::unidirectional : Direction::bidirectional;
  if (flow() != nullptr && !flow_->accepted(direction)) fail_flow("more streams than allowed");
  auto stream = std::make_unique<Stream>(runtime_, record, static_cast<std::uint64_t>(record.id()),
                                         direction, true);
  record.attach(*stream);
  session_->on_stream(std::move(stream));
}

void Http3Carrier::streams_available() {
  session_->on_credit(Direction::bidirectional);
  session_->on_credit(Direction::unidirectional);
}

bool Http3Carrier::send_datagram(Bytes payload) {
  if (over_ || sessions_ == nullptr || payload.size() > max_datagram()) return false;
  next_datagram(runtime_.now());  // those that are too old make room
  if (datagrams_.size() >= max_waiting_datagrams_) return false;
  const auto quarter = static_cast<std::uint64_t>(id_) / 4;
  const std::size_t size = varint_size(quarter) + payload.size();
  Datagram datagram;
  datagram.whole = Bytes::make(size, [&](MutableBytes out) {
    std::copy(payload.begin(), payload.end(), write_varint(out.data(), quarter));
    return size;
  });
  datagram.deadline = runtime_.now() + datagram_lifetime_;
  datagrams_.push(std::move(datagram));
  if (!std::exchange(in_turn, true)) sessions_->has_datagrams(id_);
  sessions_->http3().connection().wake();
  return true;
}

const Bytes* Http3Carrier::next_datagram(Timestamp now) {
  while (!datagrams_.empty() && datagrams_.front().deadline <= now) {
    ++session_->counted().datagrams_expired;
    datagrams_.pop();
  }
  return datagrams_.empty() ? nullptr : &datagrams_.front().whole;
}

void Http3Carrier::datagram_done(bool sent) {
  ++(sent ? session_->counted().datagrams_sent : session_->counted().datagrams_too_large);
  datagrams_.pop();
}

void Http3Carrier::datagram_lost() { ++session_->counted().datagrams_lost; }

void Http3Carrier::on_datagram(Bytes payload) { session_->on_datagram(std::move(payload)); }

std::uint64_t Http3Carrier::progress() const noexcept {
  return sessions_ == nullptr ? 0 : sessions_->progress(id_);
}

// ---- capsules -----------------------------------------------------------------------------------

/// Waits for the next piece and acts on it: whether more is to be read. The piece would be a third
/// of the frame of `read`, which is there as long as the session.
class Http3Carrier::Input {
 public:
  explicit Input(Http3Carrier& carrier) : carrier_(carrier), read_(carrier.ends_.read()) {}
  bool await_ready() const noexcept { return read_.await_ready(); }
  void await_suspend(std::coroutine_handle<> handle) noexcept { read_.await_suspend(handle); }
  bool await_resume() { return carrier_.on_input(read_.await_resume()); }

 private:
  Http3Carrier& carrier_;
  http::detail::Ends::Read read_;
};

Scope::Spawned Http3Carrier::read(Scope&, Http3Carrier& self) {
  for (;;) {
    const bool more = co_await Input(self);
    if (!more) break;
  }
  self.read_all_ = true;
  self.leave();
}

bool Http3Carrier::on_input(Result<Bytes> piece) {
  if (!piece) {
    SessionClose close;
    close.by = piece.error().origin;
    close.error = piece.error();
    end(std::move(close));
    written_all_ = true;
    return false;
  }
  if (piece->empty()) {
    if (!over_ && !reader_.at_boundary()) {
      violated("the stream ends within a capsule");
    } else {
      SessionClose close;
      close.by = Origin::remote;
      end(std::move(close));
    }
    return false;
  }
  reader_.feed(*piece);
  bool fine = true;
  while (const auto event = reader_.next()) fine = fine && on_capsule(*event);
  return fine;
}

/// False: nothing more is read.
bool Http3Carrier::on_capsule(const CapsuleReader::Event& event) {
  if (ended_by_peer_) {
    // §6: nothing follows WT_CLOSE_SESSION.
    ends_.abort(http::Abort::malformed);
    written_all_ = true;
    return false;
  }
  if (over_) return true;
  switch (event.type) {
    case CapsuleReader::Event::Type::stream_data:
    case CapsuleReader::Event::Type::malformed:
      violated("streams do not come in capsules here");
      return false;
    case CapsuleReader::Event::Type::too_long:
      if (event.id != capsule_type::kCloseSession && event.id != capsule_type::kDrainSession) {
        return true;
      }
      violated("a capsule is too long");
      return false;
    case CapsuleReader::Event::Type::capsule: break;
  }
  switch (event.id) {
    case capsule_type::kDatagram: session_->on_datagram(Bytes::copy(event.bytes)); return true;
    case capsule_type::kDrainSession: session_->on_drain(); return true;
    case capsule_type::kCloseSession: return on_close_session(event.bytes);
    // §5.6.5 and §5.6.6: of a stream's own window QUIC takes care.
    case capsule_type::kMaxStreamData:
    case capsule_type::kStreamDataBlocked:
      violated("a capsule about a stream's window");
      return false;
    default: return on_flow_capsule(event.id, event.bytes);
  }
}

/// Those about the session's window, and what nobody here knows (RFC 9297 §3.2).
bool Http3Carrier::on_flow_capsule(std::uint64_t type, ByteView payload) {
  const bool data = type == capsule_type::kMaxData;
  const bool streams = type == capsule_type::kMaxStreamsBidirectional ||
                       type == capsule_type::kMaxStreamsUnidirectional;
  const bool told = type == capsule_type::kDataBlocked ||
                    type == capsule_type::kStreamsBlockedBidirectional ||
                    type == capsule_type::kStreamsBlockedUnidirectional;
  // §5.1: without flow control they are ignored.
  if (flow_ == nullptr || !(data || streams || told)) return true;
  const auto values = read_values<1>(payload);
  if (!values) {
    violated("a malformed capsule about the session's limits");
    return false;
  }
  const std::uint64_t limit = (*values)[0];
  if (told) {
    const bool possible = type == capsule_type::kDataBlocked || limit <= Http3Flow::kMostStreams;
    if (!possible) fail_flow("WT_STREAMS_BLOCKED beyond 2^60");
    return true;
  }
  const Direction direction = type == capsule_type::kMaxStreamsBidirectional
                                  ? Direction::bidirectional
                                  : Direction::unidirectional;
  const bool more = data ? flow_->on_max_data(limit) : flow_->on_max_streams(direction, limit);
  if (!more) {
    fail_flow("a limit that is not above the one before");
    return true;
  }
  if (data) {
    release();
  } else {
    session_->on_credit(direction);
  }
  return true;
}

bool Http3Carrier::on_close_session(ByteView payload) {
  if (payload.size() < 4 || payload.size() > 4 + kMaxReason) {
    violated("a malformed WT_CLOSE_SESSION capsule");
    return false;
  }
  const ByteView reason = payload.subspan(4);
  if (!http::is_utf8(reason)) {
    violated("the reason of WT_CLOSE_SESSION is no UTF-8");
    return false;
  }
  SessionClose close;
  close.by = Origin::remote;
  for (const std::uint8_t byte : payload.first(4)) close.code = close.code << 8 | byte;
  close.reason = as_text(reason);
  end(std::move(close));
  return true;
}

/// §6: the CONNECT stream is reset with H3_MESSAGE_ERROR.
void Http3Carrier::violated(std::string what) {
  SessionClose close;
  close.error = Error(Code::invalid, "WebTransport: " + std::move(what), Origin::remote);
  ends_.abort(http::Abort::malformed);
  written_all_ = true;
  end(std::move(close));
}

void Http3Carrier::drain() {
  if (over_) return;
  last_words_ += write_capsule(capsule_type::kDrainSession, {}).text();
  scope_.spawn(finish());
}

void Http3Carrier::close(ApplicationCode code, std::string_view reason) {
  if (over_) return;
  // What waits goes before it, as far as the connection's own queue holds.
  while (sessions_ != nullptr && next_datagram(runtime_.now()) != nullptr) {
    const Bytes whole = datagrams_.pop().whole;
    if (sessions_->http3().connection().send_datagram(whole)) ++session_->counted().datagrams_sent;
  }
  last_words_ += write_close(code, reason).text();
  SessionClose close;
  close.code = code;
  close.reason = reason;
  end(std::move(close));
}

std::string Http3Carrier::next_words() {
  std::string words;
  if (flow() != nullptr && flow_->has_due() && sessions_ != nullptr) {
    const quic::ConnectionStats connection = sessions_->http3().connection().stats();
    words = flow_->take_due(runtime_.now(), connection.smoothed_rtt);
  }
  return words + std::exchange(last_words_, std::string());
}

/// Writes what is to be said, and the end when the session is over.
Task<void> Http3Carrier::finish() {
  if (std::exchange(writing_, true)) co_return;  // whoever is at it takes this along
  while (!ends_.finished() && !written_all_) {
    std::string words = next_words();
    if (words.empty()) break;
    const Result<void> written = co_await ends_.write(Bytes::take(std::move(words)));
    if (!written) written_all_ = true;
  }
  writing_ = false;
  if (!over_ || written_all_) co_return;
  if (!ends_.finished()) co_await ends_.finish();
  written_all_ = true;
  leave();
}

void Http3Carrier::end(SessionClose close) {
  if (over_) return;
  over_ = true;
  ended_by_peer_ = close.by == Origin::remote;
  // They may go before our end has been said, and would not tell us any more.
  if (Http3Sessions* const sessions = std::exchange(sessions_, nullptr)) {
    sessions->remove(
        *this, close.error ? *close.error : Error(Code::closed, "the session is closed", close.by));
  }
  if (!written_all_) scope_.spawn(finish());
  runtime_.timers().arm(*this, runtime_.now() + close_timeout_);
  session_->on_closed(std::move(close));
}

// ---- flow control -------------------------------------------------------------------------------

void Http3Carrier::flow_changed() {
  if (writing_ || flow() == nullptr || !flow_->has_due() || sessions_ == nullptr) return;
  scope_.spawn(finish());
}

void Http3Carrier::wait_for_credit(quic::StreamId stream) {
  waiting_.push(stream);
  flow_->blocked();
  flow_changed();
}

void Http3Carrier::release() {
  if (sessions_ == nullptr) return;
  // Those that still lack some come back.
  for (std::size_t left = waiting_.size(); left > 0; --left) {
    if (Http3Stream* const stream = sessions_->find(waiting_.pop())) stream->pump();
  }
}

void Http3Carrier::fail_flow(std::string_view what) {
  if (over_ || !flow_failure_.empty()) return;
  flow_failure_ = what;
  scope_.spawn(end_for_flow());
}

/// §5.6.4: the CONNECT stream is reset with WT_FLOW_CONTROL_ERROR.
Task<void> Http3Carrier::end_for_flow() {
  if (over_) co_return;
  if (sessions_ != nullptr) {
    quic::Connection& connection = sessions_->http3().connection();
    connection.reset(id_, http3_code::kFlowControl);
    connection.stop_sending(id_, http3_code::kFlowControl);
  }
  violated(std::string(flow_failure_));
}

void Http3Carrier::connection_gone() {
  sessions_ = nullptr;
  // The CONNECT's bodies have failed: `read` tells the session.
}

void Http3Carrier::leave() {
  if (gone_ || !over_ || !read_all_ || !written_all_) return;
  gone_ = true;
  runtime_.timers().disarm(*this);
  session_->on_gone();
}

void Http3Carrier::expire(Timestamp now) {
  if (gone_) return;
  if (!over_) {
    if (sessions_ == nullptr) return;
    sessions_->http3().connection().ping();
    return runtime_.timers().arm(*this, now + kKeepAlive);
  }
  // The peer has not ended its side.
  scope_.cancel();
  ends_.stop_reading();
  read_all_ = written_all_ = true;
  leave();
}

}  // namespace tern::webtransport
