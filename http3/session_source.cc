#include <algorithm>

#include "http3/session_core.h"

/// A session as quic::StreamSource: what goes into the next packet. Our own three streams come
/// first, then the requests as the scheduler says; streams of extensions go through the
/// connection's own queue and take turns with them.

namespace tern::http3 {

bool SessionCore::next(Write& write) {
  if (over_) return false;
  if (routed_.empty()) {
    offered_raw_ = false;
    return offer(write);
  }
  quic::StreamSource& raw = connection_.default_source();
  offered_raw_ = raw_turn_;
  const bool offered = raw_turn_ ? raw.next(write) : offer(write);
  if (offered) return true;
  offered_raw_ = !offered_raw_;
  return offered_raw_ ? raw.next(write) : offer(write);
}

bool SessionCore::offer(Write& write) {
  if (!bound_) return false;
  offered_ = nullptr;
  offered_own_ = nullptr;
  if (offer(control_, write)) return true;
  if (!decoder_stream_.blocked && decoder_->has_feedback()) {
    decoder_stream_.queue.push(decoder_->take_feedback());
  }
  if (offer(decoder_stream_, write)) return true;
  // One after the other: nothing is inserted while many instructions wait in the encoder.
  if (!encoder_stream_.blocked && encoder_stream_.queue.unsent() == 0 &&
      encoder_->has_instructions()) {
    encoder_stream_.queue.push(encoder_->take_instructions());
  }
  if (offer(encoder_stream_, write)) return true;
  offered_ = scheduler_.top();
  if (offered_ == nullptr) return false;
  write.stream = offered_->id();
  auto& vecs = context_.vecs();
  write.data = {vecs.data(), offered_->offer(vecs, write.fin)};
  return true;
}

bool SessionCore::offer(OwnStream& own, Write& write) {
  if (own.blocked || own.queue.unsent() == 0) return false;
  std::size_t size = 0;
  offered_own_ = &own;
  write.stream = own.id;
  auto& vecs = context_.vecs();
  write.data = {vecs.data(), own.queue.offer(vecs, size)};
  write.fin = false;
  return true;
}

void SessionCore::sent(quic::StreamId stream, std::size_t count, bool fin) {
  raw_turn_ = !offered_raw_;
  if (offered_raw_) {
    connection_.default_source().sent(stream, count, fin);
    return;
  }
  last_sent_ = now();
  if (offered_own_ != nullptr) {
    offered_own_->queue.sent(count);
    return;
  }
  offered_->sent(count, fin, last_sent_);
  if (offered_->ready_to_send()) {
    scheduler_.sent(*offered_, count);
  } else {
    scheduler_.remove(*offered_);
  }
}

void SessionCore::blocked(quic::StreamId stream) {
  raw_turn_ = !offered_raw_;
  if (offered_raw_) {
    connection_.default_source().blocked(stream);
  } else if (offered_own_ != nullptr) {
    offered_own_->blocked = true;
  } else {
    offered_->set_blocked(true, now());
    scheduler_.remove(*offered_);
  }
}

void SessionCore::gone(quic::StreamId stream) {
  raw_turn_ = !offered_raw_;
  if (offered_raw_) {
    connection_.default_source().gone(stream);
  } else if (offered_own_ != nullptr) {
    offered_own_->blocked = true;  // the end of such a stream is the connection's: stream_closed
  } else {
    // We have reset it, or the peer does not want it (STOP_SENDING).
    offered_->peer_stopped();
    scheduler_.remove(*offered_);
  }
}

// ---- datagrams ----------------------------------------------------------------------------------

bool SessionCore::next_datagram(Timestamp now, Datagram& datagram) {
  if (router_ == nullptr || !router_->next_datagram(now, datagram)) return false;
  offered_datagram_ = datagram;
  return true;
}

void SessionCore::datagram_done(bool sent) {
  if (sent) {
    context_.counts().datagrams_sent.add();
    if (qlog_.on()) {
      const auto stream = static_cast<quic::StreamId>(offered_datagram_.id);
      const auto quarter = static_cast<std::uint64_t>(stream) / 4;
      qlog_.datagram(true, stream, offered_datagram_.payload.size() - varint_size(quarter));
    }
  }
  router_->datagram_done(sent);
}

void SessionCore::datagram_lost(std::uint64_t id) {
  if (router_ != nullptr) router_->datagram_lost(static_cast<quic::StreamId>(id));
}

void SessionCore::take_turn(RequestStream& stream) noexcept {
  if (stream.scheduled_as < 0 && stream.ready_to_send()) scheduler_.add(stream);
  wake();
}

}  // namespace tern::http3
