#include "webtransport/capsule_stream.h"

#include <algorithm>
#include <utility>

#include "webtransport/capsule_session.h"
#include "webtransport/capsule_type.h"
#include "webtransport/capsule_writer.h"

namespace tern::webtransport {

namespace {

/// Data in one capsule: others, and datagrams, get their turn in between.
constexpr std::size_t kMaxPiece = 16 * 1024;

}  // namespace

// ---- sending ------------------------------------------------------------------------------------

void CapsuleStream::send(Bytes bytes, bool end) {
  unsent_ += bytes.size();
  if (!bytes.empty()) queue_.push(std::move(bytes));
  fin_queued_ = end;
  session_.want_data(*this);
}

bool CapsuleStream::has_data() const noexcept {
  if (send_over_ || reset_due_) return false;
  return unsent_ > 0 || fin_queued_;
}

std::optional<CapsuleStream::Data> CapsuleStream::data(std::uint64_t credit) {
  if (!has_data()) return std::nullopt;
  Data data;
  if (unsent_ > 0) {
    const std::uint64_t room = std::min(credit, max_send_ - sent_);
    if (room == 0) {
      if (sent_ == max_send_ && std::exchange(blocked_at_, max_send_) != max_send_) {
        blocked_due_ = true;
        session_.want_control(*this);
      }
      return std::nullopt;
    }
    Bytes& front = queue_.front();
    const std::size_t count =
        static_cast<std::size_t>(std::min<std::uint64_t>({room, front.size(), kMaxPiece}));
    data.body = front.slice(0, count);
    if (count == front.size()) {
      queue_.pop();
    } else {
      front.remove_prefix(count);
    }
    unsent_ -= count;
    sent_ += count;
  }
  const bool fin = fin_queued_ && unsent_ == 0;
  data.header = write_capsule(fin ? capsule_type::kStreamWithFin : capsule_type::kStream, {id_},
                              ByteView(), data.body.size());
  if (stream_ != nullptr) stream_->drained();
  if (fin) {
    send_over_ = true;
    leave_if_over();
  }
  return data;
}

void CapsuleStream::reset(ApplicationCode code) {
  if (send_over_ || reset_due_) return;
  queue_.clear();
  unsent_ = 0;
  reset_due_ = code;
  session_.want_control(*this);
}

void CapsuleStream::on_stop_sending(ApplicationCode code) {
  stopped_ = true;
  if (send_over_ || reset_due_) return;
  if (stream_ != nullptr) stream_->on_stop_sending(code);
  reset(code);
}

bool CapsuleStream::on_max_data(std::uint64_t limit) {
  if (limit < max_send_) return false;
  const bool was_blocked = sent_ == max_send_ && limit > max_send_;
  max_send_ = limit;
  if (was_blocked && has_data()) session_.want_data(*this);
  return true;
}

// ---- receiving ----------------------------------------------------------------------------------

void CapsuleStream::on_data(Bytes bytes, bool fin) {
  const std::size_t count = bytes.size();
  received_ += count;
  const bool kept = stream_ != nullptr && stream_->incoming().push(std::move(bytes));
  if (!kept && count > 0) consumed(count);
  if (!fin) return;
  if (stream_ != nullptr) stream_->incoming().finish();
  end_receiving();
}

void CapsuleStream::on_reset(ApplicationCode code) {
  session_.credit(received_ - consumed_);
  consumed_ = received_;
  if (stream_ != nullptr) stream_->on_reset(code);
  end_receiving();
}

void CapsuleStream::end_receiving() {
  receive_over_ = true;
  stop_due_.reset();
  max_due_ = false;
  leave_if_over();
}

void CapsuleStream::consumed(std::size_t count) {
  // What a reset has dropped was credited then.
  const std::uint64_t counted = std::min<std::uint64_t>(count, received_ - consumed_);
  consumed_ += counted;
  session_.credit(counted);
  if (receive_over_ || max_due_ || stop_asked_) return;
  if (known_ > consumed_ + window_ / 2) return;
  max_due_ = true;
  session_.want_control(*this);
}

void CapsuleStream::stop_sending(ApplicationCode code) {
  if (receive_over_ || std::exchange(stop_asked_, true)) return;
  stop_due_ = code;
  max_due_ = false;
  session_.want_control(*this);
}

// ---- the end ------------------------------------------------------------------------------------

void CapsuleStream::detach() noexcept {
  stream_ = nullptr;
  if (!fin_queued_) reset(0);
  stop_sending(0);
  leave_if_over();
}

void CapsuleStream::leave_if_over() {
  if (stream_ == nullptr && send_over_ && receive_over_) session_.remove(*this);
}

std::optional<Bytes> CapsuleStream::control() {
  if (reset_due_ && !send_over_) {
    send_over_ = true;
    Bytes capsule = write_capsule(capsule_type::kResetStream, {id_, *reset_due_, sent_});
    leave_if_over();
    return capsule;
  }
  if (stop_due_) {
    return write_capsule(capsule_type::kStopSending,
                         {id_, *std::exchange(stop_due_, std::nullopt)});
  }
  if (std::exchange(max_due_, false)) {
    max_receive_ = known_ = consumed_ + window_;
    return write_capsule(capsule_type::kMaxStreamData, {id_, max_receive_});
  }
  if (std::exchange(blocked_due_, false) && blocked_at_ == max_send_) {
    return write_capsule(capsule_type::kStreamDataBlocked, {id_, max_send_});
  }
  return std::nullopt;
}

}  // namespace tern::webtransport
