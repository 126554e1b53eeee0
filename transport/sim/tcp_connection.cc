#include "transport/sim/tcp_connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "transport/sim/tcp_network.h"
#include "transport/sim/tcp_stack.h"
#include "transport/sim/world.h"

namespace tern::sim {

namespace {

constexpr std::uint16_t kTimestampOption = 12;  // with its padding
constexpr Duration kTick = std::chrono::milliseconds(1);

/// The position whose sequence number is `wire`, the nearest to `near`.
std::uint64_t unwrap(std::uint32_t wire, std::uint32_t initial, std::uint64_t near) noexcept {
  const auto distance =
      static_cast<std::int32_t>(wire - (initial + static_cast<std::uint32_t>(near)));
  return near + static_cast<std::uint64_t>(static_cast<std::int64_t>(distance));
}

}  // namespace

TcpConnection::TcpConnection(TcpStack& stack, const Ends& ends, const tcp::StreamOptions& options)
    : stack_(stack),
      ends_(ends),
      options_(options),
      initial_(static_cast<std::uint32_t>(stack.random().next())),
      clock_offset_(static_cast<std::uint32_t>(stack.random().next())),
      mss_(stack.mss(ends)),
      sender_timer_(stack.timers(), [this](Timestamp at) { sender_due(at); }),
      ack_timer_(stack.timers(), [this](Timestamp) { send_acknowledgment(); }),
      handshake_timer_(stack.timers(), [this](Timestamp at) { handshake_due(at); }),
      connect_timer_(stack.timers(), [this](Timestamp) { fail(ETIMEDOUT); }),
      keep_alive_timer_(stack.timers(), [this](Timestamp at) { keep_alive_due(at); }),
      linger_timer_(stack.timers(), [this](Timestamp) { reset(); }) {}

Timestamp TcpConnection::now() const noexcept { return stack_.world().now(); }

/// The time stamps' clock: a millisecond a tick, from a random start.
std::uint32_t TcpConnection::clock() const noexcept {
  return clock_offset_ + static_cast<std::uint32_t>(now().time_since_epoch() / kTick);
}

std::optional<Timestamp> TcpConnection::echoed(const TcpHeader& header) const noexcept {
  if (!header.timestamps || !header.has(TcpHeader::kAck)) return std::nullopt;
  const std::uint32_t age = clock() - header.timestamp_echo;
  const auto ticks = now().time_since_epoch() / kTick;
  if (age > static_cast<std::uint64_t>(ticks)) return std::nullopt;
  return Timestamp((ticks - age) * kTick);
}

// ---- handshake ----------------------------------------------------------------------------------

void TcpConnection::connect(SimTcp& network, tcp::StreamSink& sink, Duration timeout) {
  network_ = &network;
  sink_ = &sink;
  attached_ = true;
  connected_told_ = false;
  receiver_.emplace(stack_.model().receive_buffer, mss_);
  connect_timer_.arm(now() + timeout);
  send_syn();
}

void TcpConnection::answer(std::shared_ptr<TcpListening> listening, const Packet& syn) {
  phase_ = Phase::syn_received;
  paused_ = true;
  listening_ = std::move(listening);
  listening_->half_open.push_back(this);
  receiver_.emplace(stack_.model().receive_buffer, mss_);
  take_options(syn.tcp);
  send_syn();
}

void TcpConnection::take_options(const TcpHeader& syn) {
  peer_initial_ = syn.sequence;
  peer_clock_ = syn.timestamp;
  peer_scale_ = std::max<std::int8_t>(syn.window_scale, 0);
  const std::uint16_t segment = syn.mss == 0 ? 536 : std::min(syn.mss, mss_);
  sender_.emplace(stack_.model(), segment - kTimestampOption);
}

/// SYN or SYN-ACK, again after 1 s, 2 s, 4 s …
void TcpConnection::send_syn() {
  const bool answers = phase_ == Phase::syn_received;
  TcpHeader header;
  header.flags = answers ? TcpHeader::kSyn | TcpHeader::kAck : TcpHeader::kSyn;
  header.sequence = initial_;
  header.acknowledgment = answers ? wire_in(1) : 0;
  header.window = static_cast<std::uint16_t>(
      std::min<std::uint64_t>(receiver_->window_end() - receiver_->next(), UINT16_MAX));
  header.mss = mss_;
  header.window_scale = kWindowScale;
  header.sack_permitted = true;
  header.timestamps = true;
  header.timestamp = clock();
  header.timestamp_echo = answers ? peer_clock_ : 0;
  receiver_->announced(receiver_->next() + header.window);
  last_acknowledged_ = 1;
  if (syns_ == 0) syn_sent_at_ = now();
  handshake_timer_.arm(now() + TcpSender::kFirstTimeout * (1U << syns_));
  ++syns_;
  stack_.send(ends_, header, {});
}

void TcpConnection::handshake_due(Timestamp) {
  if (syns_ < (phase_ == Phase::syn_received ? kMaxSynAcks : kMaxSyns)) return send_syn();
  fail(ETIMEDOUT);
}

void TcpConnection::establish(const TcpHeader& header, unsigned transmissions) {
  phase_ = Phase::open;
  handshake_timer_.disarm();
  connect_timer_.disarm();
  Duration rtt = now() - syn_sent_at_;
  if (transmissions > 1) {
    const auto echo = echoed(header);
    if (echo) rtt = std::max<Duration>(now() - *echo, kTick);
  }
  // The window of a SYN is not scaled.
  const std::uint64_t window =
      header.has(TcpHeader::kSyn) ? header.window : std::uint64_t{header.window} << peer_scale_;
  sender_->open(now(), std::max(rtt, Duration{1}), 1 + window, transmissions > 2);
  for (Bytes& bytes : std::exchange(early_writes_, {})) sender_->push(std::move(bytes));
  if (fin_wanted_) sender_->finish();
  heard_ = now();
  if (options_.keep_alive()) keep_alive_timer_.arm(now() + options_.keep_alive()->idle);
}

void TcpConnection::receive_answer(const Packet& packet) {
  const TcpHeader& header = packet.tcp;
  if (header.has(TcpHeader::kAck) && header.acknowledgment != wire_out(1)) return;
  if (header.has(TcpHeader::kRst)) {
    if (header.has(TcpHeader::kAck)) fail(ECONNREFUSED);
    return;
  }
  if (!header.has(TcpHeader::kSyn) || !header.has(TcpHeader::kAck)) return;
  take_options(header);
  establish(header, syns_);
  changed();
  send_acknowledgment();
  pump();
}

// ---- what arrives -------------------------------------------------------------------------------

void TcpConnection::receive(const Packet& packet) {
  const auto self = shared_from_this();
  const TcpHeader& header = packet.tcp;
  if (phase_ == Phase::syn_sent) return receive_answer(packet);
  if (phase_ == Phase::syn_received) {
    if (header.has(TcpHeader::kRst)) return drop();
    if (header.has(TcpHeader::kSyn)) return send_syn();  // the answer was lost
    if (!header.has(TcpHeader::kAck) || header.acknowledgment != wire_out(1)) return;
    // A full backlog: Linux ignores the acknowledgment, and the client's next segment is another.
    if (listening_->backlog.size() >= listening_->options.backlog) return;
    establish(header, syns_);
    std::erase(listening_->half_open, this);
    listening_->backlog.push_back(self);
    listening_->network.schedule(listening_);
  }
  if (phase_ == Phase::open) receive_open(packet);
}

void TcpConnection::receive_open(const Packet& packet) {
  const TcpHeader& header = packet.tcp;
  const std::uint64_t begin = unwrap(header.sequence, peer_initial_, receiver_->next());
  if (header.has(TcpHeader::kRst)) {
    // RFC 5961 §3.2: only the number expected next resets.
    if (begin == receiver_->next()) return fail(ECONNRESET);
    if (begin > receiver_->next() && begin < receiver_->window_end()) send_acknowledgment();
    return;
  }
  if (header.has(TcpHeader::kSyn)) return send_acknowledgment();
  if (!header.has(TcpHeader::kAck)) return;
  const std::uint64_t until =
      unwrap(header.acknowledgment, initial_, sender_->first_unacknowledged());
  if (until > sender_->next_position()) return send_acknowledgment();
  heard_ = now();
  probes_ = 0;
  const bool newer = static_cast<std::int32_t>(header.timestamp - peer_clock_) > 0;
  if (newer && begin <= last_acknowledged_) peer_clock_ = header.timestamp;
  acknowledged(header, until);
  if (!packet.payload.empty() || header.has(TcpHeader::kFin)) {
    take_bytes(packet, begin);
  } else if (begin < receiver_->next()) {
    ack_due_ = true;  // a probe
  }
  pump();
  end_if_done();
}

void TcpConnection::acknowledged(const TcpHeader& header, std::uint64_t until) {
  std::array<TcpSender::Range, TcpHeader::kMaxSackBlocks> ranges;
  std::size_t count = 0;
  TcpSender::Acknowledgment ack;
  for (std::size_t i = 0; i < header.sack_blocks; ++i) {
    const TcpSender::Range range{unwrap(header.sack[i].begin, initial_, until),
                                 unwrap(header.sack[i].end, initial_, until)};
    if (range.end > sender_->next_position() || range.begin >= range.end) continue;
    // RFC 2883: the first block tells of a duplicate if it is old, or within the next one.
    bool duplicate = range.end <= until;
    if (i == 0 && header.sack_blocks > 1) {
      const std::uint64_t next_begin = unwrap(header.sack[1].begin, initial_, until);
      const std::uint64_t next_end = unwrap(header.sack[1].end, initial_, until);
      duplicate = duplicate || (range.begin >= next_begin && range.end <= next_end);
    }
    if (!duplicate) {
      ranges[count++] = range;
    } else if (i == 0) {
      ack.duplicate = range;
    }
  }
  ack.until = until;
  ack.window_end = until + (std::uint64_t{header.window} << peer_scale_);
  ack.arrived = {ranges.data(), count};
  ack.echo = echoed(header);
  sender_->acknowledged(ack, now());
}

void TcpConnection::take_bytes(const Packet& packet, std::uint64_t begin) {
  const bool fin = packet.tcp.has(TcpHeader::kFin);
  const auto outcome = receiver_->receive(begin, packet.payload, fin);
  if (lingering_) receiver_->drop_ready();
  unacknowledged_ += packet.payload.size();
  const auto full = static_cast<std::size_t>(mss_ - kTimestampOption);
  if (outcome != TcpReceiver::Outcome::in_order || fin || quick_acks_ > 0 ||
      unacknowledged_ >= 2 * full) {
    if (quick_acks_ > 0) --quick_acks_;
    ack_due_ = true;
  } else if (!ack_timer_.armed()) {
    ack_timer_.arm(now() + kAckDelay);
  }
  changed();
}

// ---- what leaves --------------------------------------------------------------------------------

TcpHeader TcpConnection::head(std::uint8_t flags) {
  TcpHeader header;
  header.flags = flags;
  header.sequence = wire_out(sender_->next_position());
  header.timestamps = true;
  header.timestamp = clock();
  if ((flags & TcpHeader::kAck) != 0) {
    const std::uint64_t next = receiver_->next();
    header.acknowledgment = wire_in(next);
    header.timestamp_echo = peer_clock_;
    last_acknowledged_ = next;
    const std::uint64_t window = (receiver_->window_end() - next) >> kWindowScale;
    header.window = static_cast<std::uint16_t>(std::min<std::uint64_t>(window, UINT16_MAX));
    receiver_->announced(next + (std::uint64_t{header.window} << kWindowScale));
    unacknowledged_ = 0;
    ack_timer_.disarm();
  }
  return header;
}

void TcpConnection::send_segment(const TcpSender::Segment& segment) {
  std::uint8_t flags = TcpHeader::kAck;
  if (segment.push) flags |= TcpHeader::kPsh;
  if (segment.fin) flags |= TcpHeader::kFin;
  if (segment.fin && !receiver_->finished()) closed_first_ = true;
  TcpHeader header = head(flags);
  header.sequence = wire_out(segment.begin);
  if (segment.again) stack_.note_in_vain(segment.size);
  // SACK blocks have no room beside a full segment: they go by themselves.
  if (!receiver_->has_gaps()) ack_due_ = false;
  stack_.send(ends_, header, segment.size, [&](MutableBytes out) { sender_->copy(segment, out); });
}

void TcpConnection::send_acknowledgment() {
  ack_due_ = false;
  TcpHeader header = head(TcpHeader::kAck);
  const auto add = [&](const TcpReceiver::Range& range) {
    header.sack[header.sack_blocks++] = {wire_in(range.begin), wire_in(range.end)};
  };
  if (const auto duplicate = receiver_->duplicate()) add(*duplicate);
  for (const TcpReceiver::Range& range :
       receiver_->missing_before(TcpHeader::kMaxSackBlocks - header.sack_blocks)) {
    add(range);
  }
  stack_.send(ends_, header, {});
}

/// An old sequence number and no bytes: whoever gets that answers (RFC 9293 §3.8.4).
void TcpConnection::send_probe() {
  TcpHeader header = head(TcpHeader::kAck);
  --header.sequence;
  stack_.send(ends_, header, {});
}

void TcpConnection::send_reset() {
  if (phase_ == Phase::syn_sent) return;
  stack_.send(ends_, head(TcpHeader::kRst | TcpHeader::kAck), {});
}

void TcpConnection::pump() {
  if (phase_ != Phase::open) return;
  while (const auto segment = sender_->next(now(), !options_.no_delay())) send_segment(*segment);
  if (ack_due_) send_acknowledgment();
  set_clock();
  queued_ = sender_->queued(options_.unsent_low_water());
  if (above_water_ && queued_ <= options_.low_water()) changed();
}

void TcpConnection::set_clock() {
  Timestamp due = sender_->deadline();
  if (options_.user_timeout() > Duration{0} && sender_->waiting_since() != kNever) {
    due = std::min(due, sender_->waiting_since() + options_.user_timeout());
  }
  if (due == kNever) {
    sender_timer_.disarm();
  } else {
    sender_timer_.arm(due);
  }
}

void TcpConnection::sender_due(Timestamp at) {
  if (options_.user_timeout() > Duration{0} && sender_->waiting_since() != kNever &&
      at - sender_->waiting_since() >= options_.user_timeout()) {
    return fail(ETIMEDOUT);
  }
  switch (sender_->expire(at)) {
    case TcpSender::Expired::dead: return fail(ETIMEDOUT);
    case TcpSender::Expired::probe_window: send_probe(); break;
    case TcpSender::Expired::send: break;
  }
  pump();
}

void TcpConnection::keep_alive_due(Timestamp at) {
  const tcp::KeepAlive& options = *options_.keep_alive();
  if (probes_ == 0 && (at - heard_ < options.idle || sender_->in_flight())) {
    return keep_alive_timer_.arm(std::max(heard_ + options.idle, at + options.interval));
  }
  if (probes_ >= options.probes) return fail(ETIMEDOUT);
  ++probes_;
  send_probe();
  keep_alive_timer_.arm(at + options.interval);
}

// ---- ends ---------------------------------------------------------------------------------------

void TcpConnection::end_if_done() {
  if (phase_ != Phase::open || !sender_->finish_acknowledged() || !receiver_->finished()) return;
  leave(closed_first_);
}

void TcpConnection::drop() {
  if (phase_ == Phase::open) send_reset();
  leave(false);
}

void TcpConnection::fail(int error) {
  const auto self = shared_from_this();
  if (phase_ == Phase::over) return;
  if (phase_ == Phase::syn_received || (handle_ == nullptr && attached_)) return leave(false);
  error_ = error;
  leave(false);
  free_slot();
  changed();
}

void TcpConnection::reset() {
  const auto self = shared_from_this();
  if (phase_ != Phase::over) {
    send_reset();
    leave(false);
  }
  sink_ = nullptr;
  error_ = ECONNABORTED;
  free_slot();
}

void TcpConnection::leave(bool wait) {
  const auto self = shared_from_this();
  phase_ = Phase::over;
  for (Timer* timer : {&sender_timer_, &ack_timer_, &handshake_timer_, &connect_timer_,
                       &keep_alive_timer_, &linger_timer_}) {
    timer->disarm();
  }
  queued_ = 0;
  if (listening_ && !accepted_) {
    std::erase(listening_->half_open, this);
    std::erase(listening_->backlog, self);
    listening_.reset();
  }
  if (handle_ == nullptr) free_slot();
  if (!std::exchange(in_stack_, false)) return;
  stack_.note_in_vain(bytes_under_way());
  if (wait) {
    const TcpHeader header = head(TcpHeader::kAck);
    stack_.remove(*this, &header);
  } else {
    stack_.remove(*this, nullptr);
  }
}

void TcpConnection::free_slot() {
  const auto listening = std::exchange(listening_, nullptr);
  if (!listening) return;
  --listening->open_streams;
  if (listening->handle != nullptr && !listening->backlog.empty()) {
    listening->network.schedule(listening);
  }
}

// ---- the stream's owner -------------------------------------------------------------------------

void TcpConnection::adopt(SimTcp& network, tcp::Stream& handle) noexcept {
  network_ = &network;
  handle_ = &handle;
  accepted_ = listening_ != nullptr;
}

void TcpConnection::changed() {
  if (network_ != nullptr && handle_ != nullptr) network_->schedule(*this);
}

void TcpConnection::attach(tcp::StreamSink& sink) {
  if (error_ == ECONNABORTED) return;  // reset by its owner, who hears nothing more
  sink_ = &sink;
  if (std::exchange(attached_, true)) return;
  paused_ = false;
  changed();
}

Result<void> TcpConnection::write(Bytes bytes) {
  if (fin_wanted_ || phase_ == Phase::over) {
    return tern::fail(Error::closed("the stream is closed"));
  }
  if (queued_ + bytes.size() > options_.max_queued()) {
    return tern::fail(Error::limit("too much is queued on the stream"));
  }
  if (bytes.empty()) return {};
  queued_ += bytes.size();
  if (queued_ > options_.low_water()) above_water_ = true;
  if (phase_ == Phase::open) {
    sender_->push(std::move(bytes));
    network_->write_later(*this);
  } else {
    early_writes_.push_back(std::move(bytes));
  }
  return {};
}

void TcpConnection::finish() {
  if (std::exchange(fin_wanted_, true) || phase_ != Phase::open) return;
  sender_->finish();
  network_->write_later(*this);
}

void TcpConnection::resume() {
  if (std::exchange(paused_, false)) changed();
}

void TcpConnection::abandon() {
  const auto self = shared_from_this();
  handle_ = nullptr;
  sink_ = nullptr;
  if (phase_ == Phase::over) return free_slot();
  if (!fin_wanted_) return reset();
  lingering_ = true;
  linger_timer_.arm(now() + options_.linger());
  if (phase_ != Phase::open) return;
  receiver_->drop_ready();
  pump();
  end_if_done();
}

std::uint64_t TcpConnection::bytes_under_way() const {
  const tcp::StreamInfo sent = info();
  return sent.bytes_sent - sent.bytes_retransmitted - sent.bytes_acknowledged;
}

tcp::StreamInfo TcpConnection::info() const {
  tcp::StreamInfo info;
  if (!sender_) return info;
  sender_->fill(info);
  info.bytes_received = receiver_->next() - 1 - (receiver_->finished() ? 1 : 0);
  return info;
}

void TcpConnection::turn(Timestamp at) {
  const auto alive = [&] { return handle_ != nullptr && sink_ != nullptr; };
  if (!alive()) return;
  if (phase_ != Phase::syn_sent && !connected_told_ && error_ == 0) {
    connected_told_ = true;
    network_->connected.add();
    sink_->connected(*handle_);
  } else if (!connected_told_ && error_ != 0) {
    connected_told_ = true;  // it never was
  }
  if (alive() && above_water_ && queued_ <= options_.low_water() && phase_ == Phase::open) {
    above_water_ = false;
    sink_->writable(*handle_);
  }
  while (alive() && wants_bytes() && receiver_ && receiver_->ready() != 0) {
    auto bytes = std::exchange(delivery_, {});
    bytes.clear();
    const Duration rtt = sender_ ? sender_->smoothed_rtt() : Duration{0};
    receiver_->take(bytes, kMaxDelivery, at, rtt);
    network_->bytes_received.add(bytes.size());
    sink_->receive(*handle_, bytes);
    delivery_ = std::move(bytes);
  }
  if (alive() && error_ != 0) {
    network_->failed.add();
    tcp::StreamSink& sink = *std::exchange(sink_, nullptr);
    return sink.failed(*handle_, tcp::stream_error(error_, ends_.remote));
  }
  if (alive() && wants_bytes() && receiver_ && receiver_->finished()) {
    end_told_ = true;
    sink_->end_of_stream(*handle_);
  }
  if (phase_ == Phase::open && receiver_->window_opened()) send_acknowledgment();
}

}  // namespace tern::sim
