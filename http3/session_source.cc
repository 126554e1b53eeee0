#include <algorithm>

#include "http3/session_core.h"

/// A session as quic::StreamSource: what goes into the next packet. nghttp3 decides between the
/// requests (RFC 9218); streams of extensions go through the connection's own queue and take turns
/// with them.

namespace tern::http3 {

bool SessionCore::next(Write& write) {
  if (over_ || bridge_ == nullptr) return false;
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
  if (!bound_ || send_failure_ < 0) return false;
  if (vecs_begin_ == vecs_end_ && !offered_fin_) {
    std::ptrdiff_t count = 0;
    do {
      body_waited_ = false;
      count = bridge_->writev(offered_id_, offered_fin_, vecs_);
      // Nothing for now on the stream whose turn it was; others may have something.
    } while (count == 0 && offered_id_ < 0 && body_waited_);
    if (count < 0) {
      fail_later(count);
      return false;
    }
    if (offered_id_ < 0) return false;
    vecs_begin_ = 0;
    vecs_end_ = static_cast<std::size_t>(count);
    if (offered_id_ == control_id_) {
      vecs_end_ = splice_.rewrite(vecs_.data(), vecs_end_, kMaxVecs);
    }
    offered_ = quic::is_unidirectional(offered_id_) ? nullptr : table_.find(offered_id_);
    run_left_ = table_.listed() > 1 ? kRun : SIZE_MAX;
    if (offered_fin_ && count == 0 && offered_ != nullptr) {
      offered_->note_bare_end();
      bare_ends_ = true;
    }
  }
  write.stream = offered_id_;
  write.data = {vecs_.data() + vecs_begin_, vecs_end_ - vecs_begin_};
  write.fin = offered_fin_;
  return true;
}

void SessionCore::sent(quic::StreamId stream, std::size_t count, bool fin) {
  raw_turn_ = !offered_raw_;
  if (offered_raw_) {
    connection_.default_source().sent(stream, count, fin);
    return;
  }
  last_sent_ = now();
  if (offered_ != nullptr) {
    offered_->sent({vecs_.data() + vecs_begin_, vecs_end_ - vecs_begin_}, count, fin, last_sent_);
  }
  const std::size_t told = stream == control_id_ ? splice_.sent(count) : count;
  if (const std::ptrdiff_t failure = bridge_->sent(stream, told); failure < 0) {
    fail_later(failure);
    return;
  }
  if (fin && bare_ends_ && offered_ != nullptr) {
    const std::uint64_t held = offered_->take_held_acks();
    const std::ptrdiff_t failure = held == 0 ? 0 : bridge_->acked(stream, held);
    if (failure < 0) {
      fail_later(failure);
      return;
    }
  }
  if (fin || count >= run_left_) {
    drop_offer();
    return;
  }
  run_left_ -= count;
  while (vecs_begin_ < vecs_end_) {
    quic::Vec& vec = vecs_[vecs_begin_];
    const std::size_t size = std::min(count, vec.size);
    vec.data += size;
    vec.size -= size;
    count -= size;
    if (vec.size > 0) break;
    ++vecs_begin_;
  }
  // All of it has left: nghttp3 is asked anew, also when the end came without bytes.
  if (vecs_begin_ == vecs_end_ && !offered_fin_) drop_offer();
}

void SessionCore::blocked(quic::StreamId stream) {
  raw_turn_ = !offered_raw_;
  if (offered_raw_) {
    connection_.default_source().blocked(stream);
    return;
  }
  drop_offer();
  bridge_->block(stream);
  if (RequestStream* owner = table_.find(stream)) owner->set_blocked(true, now());
}

void SessionCore::gone(quic::StreamId stream) {
  raw_turn_ = !offered_raw_;
  if (offered_raw_) {
    connection_.default_source().gone(stream);
    return;
  }
  drop_offer();
  // We have reset it, or the peer does not want it (STOP_SENDING).
  bridge_->shutdown_write(stream);
  if (RequestStream* owner = table_.find(stream)) owner->peer_stopped();
}

/// Nothing may call into the connection while its packets are filled.
void SessionCore::fail_later(std::ptrdiff_t failure) noexcept {
  if (send_failure_ < 0) return;
  send_failure_ = failure;
  drop_offer();
  runtime().timers().arm(*this, now());
}

}  // namespace tern::http3
