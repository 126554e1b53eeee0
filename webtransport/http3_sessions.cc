#include "webtransport/http3_sessions.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "webtransport/http3.h"
#include "webtransport/http3_carrier.h"

namespace tern::webtransport {

namespace {

// SETTINGS of the drafts that are deployed, and what they mean (docs/webtransport.md).
constexpr std::uint64_t kEnableDraft02 = 0x2b603742;       // 02 to 06: a flag
constexpr std::uint64_t kMaxSessionsDraft07 = 0xc671706a;  // 07 to 12: how many
constexpr std::uint64_t kMaxSessionsDraft13 = 0x14e9cd29;  // 13 and 14: how many
constexpr std::uint64_t kEnabled = 0x2c7cf000;             // 15 and later: a flag
// Flow control of sessions, 13 and later.
constexpr std::uint64_t kInitialMaxData = 0x2b61;
constexpr std::uint64_t kInitialMaxStreamsUni = 0x2b64;
constexpr std::uint64_t kInitialMaxStreamsBidi = 0x2b65;

/// What an end's SETTINGS allow in each session.
Http3Flow::Limits limits_of(const http3::Settings& settings) noexcept {
  Http3Flow::Limits limits;
  limits.data = settings.other(kInitialMaxData).value_or(0);
  limits.streams = {settings.other(kInitialMaxStreamsBidi).value_or(0),
                    settings.other(kInitialMaxStreamsUni).value_or(0)};
  return limits;
}

std::string_view fault_of(const http3::Settings& peer, const http3::Settings* promised) {
  // §3.1
  if (peer.other(kEnabled).value_or(0) > 1) return "SETTINGS_WT_ENABLED is neither 0 nor 1";
  // §3.2
  if (promised != nullptr && limits_of(peer).below(limits_of(*promised))) {
    return "the server took 0-RTT but not the limits of sessions it had promised";
  }
  return {};
}

}  // namespace

void enable_http3(http3::SessionOptions& options, Runtime& runtime) {
  const std::pair<std::uint64_t, std::uint64_t> settings[] = {
      {kEnableDraft02, 1},
      {kMaxSessionsDraft07, Http3Sessions::kMaxSessions},
      {kMaxSessionsDraft13, Http3Sessions::kMaxSessions},
      {kEnabled, 1},
      {kInitialMaxData, Http3Flow::kData},
      {kInitialMaxStreamsUni, Http3Flow::kStreams},
      {kInitialMaxStreamsBidi, Http3Flow::kStreams},
  };
  for (const auto& [id, value] : settings) {
    http3::Setting setting;
    setting.id = id;
    setting.value = value;
    options.extra_settings.push_back(setting);
  }
  options.takes_protocol = [others = std::move(options.takes_protocol)](
                               std::string_view protocol, const http3::Settings& peer) {
    const auto has = [&peer](std::uint64_t id) { return peer.other(id).value_or(0) > 0; };
    if (protocol == "webtransport-h3") return has(kEnabled);
    if (protocol == "webtransport") {
      return has(kEnableDraft02) || has(kMaxSessionsDraft07) || has(kMaxSessionsDraft13);
    }
    return !others || others(protocol, peer);
  };
  options.settings_fault = [others = std::move(options.settings_fault)](
                               const http3::Settings& peer, const http3::Settings* promised) {
    const std::string_view fault = fault_of(peer, promised);
    return fault.empty() && others ? others(peer, promised) : fault;
  };
  options.make_router = [&runtime](http3::Session& session) {
    return std::make_unique<Http3Sessions>(session, runtime);
  };
}

Http3Sessions* Http3Sessions::of(const http::detail::Ends& ends) {
  if (ends.protocol() != "h3" || ends.session() == nullptr) return nullptr;
  http3::StreamRouter* const router = static_cast<http3::Session*>(ends.session())->router();
  return dynamic_cast<Http3Sessions*>(router);
}

Http3Sessions::~Http3Sessions() {
  // The connection is over. Streams first, so that nobody calls into it any more.
  const Error error = Error::closed("the connection is closed");
  for (auto& [id, stream] : streams_) {
    if (stream->stream() != nullptr) stream->stream()->carrier_gone(error);
  }
  for (auto& [id, carrier] : carriers_) carrier->connection_gone();
  settings_received();
  for (Settled* const waiting : waiting_for_settings_) waiting->sessions_ = nullptr;
}

// ---- SETTINGS -----------------------------------------------------------------------------------

void Http3Sessions::Settled::await_suspend(std::coroutine_handle<> handle) {
  waiter_.suspend(handle);
  sessions_->waiting_for_settings_.push_back(this);
  Runtime& runtime = sessions_->runtime_;
  runtime.timers().arm(*this, runtime.now() + kSettingsTimeout);
}

void Http3Sessions::Settled::expire(Timestamp) {
  if (sessions_ != nullptr) waiter_.wake(sessions_->runtime_.ready());
}

void Http3Sessions::Settled::leave() noexcept {
  if (sessions_ != nullptr) std::erase(sessions_->waiting_for_settings_, this);
}

void Http3Sessions::settings_received() {
  for (Settled* const waiting : waiting_for_settings_) waiting->waiter_.wake(runtime_.ready());
}

bool Http3Sessions::peer_takes_datagrams() const noexcept {
  return http3_.peer_settings()->datagrams && http3_.connection().max_datagram() > 0;
}

bool Http3Sessions::may_share() const noexcept {
  const http3::Settings& peer = *http3_.peer_settings();
  const bool knows_flow_control =
      peer.other(kEnabled).value_or(0) > 0 || peer.other(kMaxSessionsDraft13).value_or(0) > 0;
  return !knows_flow_control || limits_of(peer).any();
}

// ---- sessions -----------------------------------------------------------------------------------

void Http3Sessions::add(Http3Carrier& carrier) {
  carriers_.emplace(carrier.id(), &carrier);
  for (std::size_t i = 0; i < early_.size();) {
    if (early_[i].session != carrier.id()) {
      ++i;
      continue;
    }
    Early early = std::move(early_[i]);
    early_.erase(early_.begin() + static_cast<std::ptrdiff_t>(i));
    give(early, carrier);
  }
}

void Http3Sessions::remove(Http3Carrier& carrier, const Error& error) {
  if (carriers_.erase(carrier.id()) == 0) return;
  note_ended(carrier.id());
  for (auto entry = streams_.begin(); entry != streams_.end();) {
    Http3Stream& stream = *entry->second;
    if (stream.session() != carrier.id()) {
      ++entry;
      continue;
    }
    Stream* const told = stream.stream();
    const bool stays = stream.abandon();
    if (told != nullptr) told->carrier_gone(error);
    entry = stays ? std::next(entry) : streams_.erase(entry);
  }
}

void Http3Sessions::refuse(quic::StreamId session) {
  note_ended(session);
  for (Early& early : early_) {
    if (early.session == session) refuse(early, http3::ErrorCode::wt_session_gone);
  }
  std::erase_if(early_, [&](const Early& early) { return early.session == session; });
}

void Http3Sessions::note_ended(quic::StreamId session) {
  if (ended_.size() == kMaxEnded) ended_.erase(ended_.begin());
  ended_.push_back(session);
}

// ---- streams ------------------------------------------------------------------------------------

bool Http3Sessions::may_open(Direction direction) const noexcept {
  quic::Connection& connection = http3_.connection();
  return direction == Direction::bidirectional ? connection.bidi_left() > 0
                                               : connection.uni_left() > 0;
}

std::unique_ptr<Http3Flow> Http3Sessions::make_flow(std::uint64_t max_streams) const {
  const std::optional<http3::Settings>& peer = http3_.peer_settings();
  if (!peer) return nullptr;
  const Http3Flow::Limits allowed = limits_of(*peer);
  if (!allowed.any()) return nullptr;
  return std::make_unique<Http3Flow>(allowed, max_streams);
}

Http3Stream* Http3Sessions::find(quic::StreamId stream) noexcept {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? nullptr : found->second.get();
}

Http3Stream& Http3Sessions::open(Direction direction, Http3Carrier& carrier) {
  quic::Connection& connection = http3_.connection();
  const Result<quic::StreamId> id =
      direction == Direction::bidirectional ? connection.open_bidi() : connection.open_uni();
  TERN_CHECK(id.has_value());
  http3_.adopt(*id);
  auto stream = std::make_unique<Http3Stream>(*this, connection, *id, carrier);
  Http3Stream& opened = *stream;
  streams_.emplace(*id, std::move(stream));
  return opened;
}

std::uint64_t Http3Sessions::progress(quic::StreamId session) const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [id, stream] : streams_) {
    if (stream->session() == session) sum += stream->moved();
  }
  return sum;
}

void Http3Sessions::streams_available() {
  for (auto& [id, carrier] : carriers_) carrier->streams_available();
}

// ---- datagrams ----------------------------------------------------------------------------------

bool Http3Sessions::take_datagram(quic::StreamId stream, Bytes& payload) {
  const auto carrier = carriers_.find(stream);
  if (carrier == carriers_.end()) return false;
  carrier->second->on_datagram(std::move(payload));
  return true;
}

bool Http3Sessions::next_datagram(Timestamp now, quic::DatagramSource::Datagram& datagram) {
  for (; !with_datagrams_.empty(); with_datagrams_.pop()) {
    const auto carrier = carriers_.find(with_datagrams_.front());
    if (carrier == carriers_.end()) continue;
    if (const Bytes* const whole = carrier->second->next_datagram(now)) {
      datagram.payload = whole->view();
      datagram.id = static_cast<std::uint64_t>(carrier->first);
      return true;
    }
    carrier->second->in_turn = false;
  }
  return false;
}

void Http3Sessions::datagram_done(bool sent) {
  const quic::StreamId session = with_datagrams_.pop();
  carriers_.at(session)->datagram_done(sent);
  with_datagrams_.push(session);  // one of each in turn
}

void Http3Sessions::datagram_lost(quic::StreamId session) {
  const auto carrier = carriers_.find(session);
  if (carrier != carriers_.end()) carrier->second->datagram_lost();
}

// ---- the peer's streams -------------------------------------------------------------------------

bool Http3Sessions::accept(quic::StreamId stream, quic::StreamId session) {
  const auto carrier = carriers_.find(session);
  if (carrier != carriers_.end()) {
    auto taken =
        std::make_unique<Http3Stream>(*this, http3_.connection(), stream, *carrier->second);
    Http3Stream& accepted = *taken;
    streams_.emplace(stream, std::move(taken));
    carrier->second->accept(accepted);
    return true;
  }
  if (std::find(ended_.begin(), ended_.end(), session) != ended_.end()) {
    refusal_ = http3::ErrorCode::wt_session_gone;
    return false;
  }
  if (early_.size() >= kMaxEarlyStreams) {
    refusal_ = http3::ErrorCode::wt_buffered_stream_rejected;
    return false;
  }
  Early early;
  early.stream = stream;
  early.session = session;
  early.since = runtime_.now();
  early_.push_back(std::move(early));
  if (!armed()) runtime_.timers().arm(*this, runtime_.now() + kEarlyTimeout);
  return true;
}

void Http3Sessions::give(Early& early, Http3Carrier& carrier) {
  auto taken = std::make_unique<Http3Stream>(*this, http3_.connection(), early.stream, carrier);
  Http3Stream& accepted = *taken;
  streams_.emplace(early.stream, std::move(taken));
  carrier.accept(accepted);
  for (const quic::Event& event : early.events) handle(event);
}

void Http3Sessions::refuse(Early& early, http3::ErrorCode why) {
  quic::Connection& connection = http3_.connection();
  connection.stop_sending(early.stream, http3::code(why));
  if (!quic::is_unidirectional(early.stream)) connection.reset(early.stream, http3::code(why));
  for (const quic::Event& event : early.events) connection.credit(event.data.size());
}

void Http3Sessions::handle(const quic::Event& event) {
  const auto found = streams_.find(event.stream);
  if (found != streams_.end()) {
    if (!found->second->handle(event)) streams_.erase(event.stream);
    return;
  }
  const auto early = std::find_if(early_.begin(), early_.end(), [&](const Early& waiting) {
    return waiting.stream == event.stream;
  });
  if (early != early_.end()) {
    // The stream's window bounds what can come: none of it is credited.
    early->events.push_back(event);
    return;
  }
  // Of a stream that was refused, or that the application has let go of.
  if (!event.data.empty()) http3_.connection().consumed(event.stream, event.data.size());
}

void Http3Sessions::expire(Timestamp now) {
  for (Early& early : early_) {
    if (early.since + kEarlyTimeout <= now) {
      refuse(early, http3::ErrorCode::wt_buffered_stream_rejected);
    }
  }
  std::erase_if(early_, [&](const Early& early) { return early.since + kEarlyTimeout <= now; });
  if (!early_.empty()) runtime_.timers().arm(*this, early_.front().since + kEarlyTimeout);
}

}  // namespace tern::webtransport
