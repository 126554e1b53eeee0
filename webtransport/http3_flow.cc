#include "webtransport/http3_flow.h"

#include <utility>

#include "webtransport/capsule_type.h"
#include "webtransport/capsule_writer.h"

namespace tern::webtransport {

Http3Flow::Http3Flow(const Limits& allowed, std::uint64_t max_streams) noexcept
    : max_send_(allowed.data),
      may_open_(allowed.streams),
      max_streams_(std::max(max_streams, kStreams)),
      streams_due_(max_streams_ > kStreams) {}

void Http3Flow::blocked() noexcept {
  if (std::exchange(told_blocked_, max_send_) != max_send_) blocked_due_ = true;
}

bool Http3Flow::on_max_data(std::uint64_t limit) noexcept {
  if (limit <= max_send_) return false;
  max_send_ = limit;
  return true;
}

bool Http3Flow::on_max_streams(Direction direction, std::uint64_t limit) noexcept {
  std::uint64_t& allowed = may_open_[index(direction)];
  if (limit <= allowed || limit > kMostStreams) return false;
  allowed = limit;
  return true;
}

bool Http3Flow::received(std::uint64_t count) noexcept {
  if (count > max_receive_ - received_) return false;
  received_ += count;
  return true;
}

void Http3Flow::consumed(std::uint64_t count) noexcept {
  consumed_ += count;
  data_due_ = data_due_ || max_receive_ - consumed_ <= window_ / 2;
}

bool Http3Flow::accepted(Direction direction) noexcept {
  return ++accepted_[index(direction)] <= may_accept_[index(direction)];
}

void Http3Flow::ended(Direction direction) noexcept {
  const std::size_t kind = index(direction);
  ++ended_[kind];
  // Half of them at a time.
  streams_due_ =
      streams_due_ || ended_[kind] + max_streams_ - may_accept_[kind] >= (max_streams_ + 1) / 2;
}

std::string Http3Flow::take_due(Timestamp now, Duration round_trip) {
  std::string capsules;
  if (std::exchange(data_due_, false)) {
    if (widened_ != Timestamp() && now - widened_ < 2 * round_trip) {
      window_ = std::min(2 * window_, kMaxData);
    }
    widened_ = now;
    if (const std::uint64_t limit = consumed_ + window_; limit > max_receive_) {
      max_receive_ = limit;
      capsules += write_capsule(capsule_type::kMaxData, {limit}).text();
    }
  }
  if (std::exchange(streams_due_, false)) {
    for (const Direction direction : {Direction::bidirectional, Direction::unidirectional}) {
      const std::uint64_t limit = ended_[index(direction)] + max_streams_;
      if (limit <= may_accept_[index(direction)]) continue;
      may_accept_[index(direction)] = limit;
      capsules += write_capsule(direction == Direction::bidirectional
                                    ? capsule_type::kMaxStreamsBidirectional
                                    : capsule_type::kMaxStreamsUnidirectional,
                                {limit})
                      .text();
    }
  }
  if (std::exchange(blocked_due_, false) && told_blocked_ == max_send_) {
    capsules += write_capsule(capsule_type::kDataBlocked, {max_send_}).text();
  }
  return capsules;
}

}  // namespace tern::webtransport
