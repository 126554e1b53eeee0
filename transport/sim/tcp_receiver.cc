#include "transport/sim/tcp_receiver.h"

#include <algorithm>
#include <utility>

namespace tern::sim {

namespace {
constexpr std::size_t kChunk = 64 * 1024;
constexpr std::size_t kMaxRecent = 8;
}  // namespace

TcpReceiver::TcpReceiver(std::size_t most, std::uint64_t segment) noexcept
    : most_(most),
      segment_(segment),
      buffer_(std::min(most, kFirstBuffer)),
      edge_(next_ + buffer_),
      announced_(edge_) {}

TcpReceiver::Outcome TcpReceiver::receive(std::uint64_t begin, ByteView bytes, bool fin) {
  const std::uint64_t end = begin + bytes.size();
  if (fin && !fin_at_ && end <= edge_) fin_at_ = end;
  if (end + (fin ? 1 : 0) <= next_) {
    duplicate_ = Range{begin, end + (fin ? 1 : 0)};
    return Outcome::duplicate;
  }
  if (begin > edge_ || end > edge_) return Outcome::outside;
  if (begin < next_) {
    const auto old = static_cast<std::size_t>(std::min(next_, end) - begin);
    if (old != 0) duplicate_ = Range{begin, begin + old};
    bytes = bytes.subspan(old);
    begin += old;
  }
  const bool gaps_before = has_gaps();
  if (begin == next_) {
    append(bytes);
    join();
  } else if (!bytes.empty()) {
    const std::size_t before = early_bytes_;
    store(begin, bytes);
    if (early_bytes_ == before) duplicate_ = Range{begin, end};
  }
  if (fin_at_ && *fin_at_ == next_ && !fin_taken_) {
    fin_taken_ = true;
    ++next_;
  }
  if (duplicate_) return Outcome::duplicate;
  return gaps_before || has_gaps() || begin > next_ ? Outcome::gap : Outcome::in_order;
}

void TcpReceiver::append(ByteView bytes) {
  next_ += bytes.size();
  ready_bytes_ += bytes.size();
  if (bytes.empty()) return;
  if (ready_.empty() || ready_.back().size() + bytes.size() > kChunk) ready_.emplace_back();
  ready_.back().insert(ready_.back().end(), bytes.begin(), bytes.end());
}

/// Keeps those parts of [begin, begin + size) that are new.
void TcpReceiver::store(std::uint64_t begin, ByteView bytes) {
  const std::uint64_t end = begin + bytes.size();
  std::uint64_t at = begin;
  auto piece = early_.upper_bound(at);
  if (piece != early_.begin()) {
    const auto before = std::prev(piece);
    at = std::max(at, before->first + before->second.size());
  }
  while (at < end) {
    const std::uint64_t until = piece == early_.end() ? end : std::min(end, piece->first);
    if (until > at) {
      const ByteView part =
          bytes.subspan(static_cast<std::size_t>(at - begin), static_cast<std::size_t>(until - at));
      early_.emplace(at, std::vector<std::uint8_t>(part.begin(), part.end()));
      early_bytes_ += part.size();
    }
    if (piece == early_.end()) break;
    at = std::max(at, piece->first + piece->second.size());
    ++piece;
  }
  note_range(begin, end);
}

void TcpReceiver::note_range(std::uint64_t begin, std::uint64_t end) {
  auto range = ranges_.upper_bound(begin);
  if (range != ranges_.begin() && std::prev(range)->second >= begin) --range;
  while (range != ranges_.end() && range->first <= end) {
    begin = std::min(begin, range->first);
    end = std::max(end, range->second);
    std::erase(recent_, range->first);
    range = ranges_.erase(range);
  }
  ranges_.emplace(begin, end);
  recent_.push_front(begin);
  if (recent_.size() > kMaxRecent) recent_.pop_back();
}

/// What was early and now follows.
void TcpReceiver::join() {
  while (!early_.empty() && early_.begin()->first <= next_) {
    const auto piece = early_.begin();
    const ByteView bytes = piece->second;
    early_bytes_ -= bytes.size();
    const auto old = static_cast<std::size_t>(next_ - piece->first);
    if (old < bytes.size()) append(bytes.subspan(old));
    early_.erase(piece);
  }
  while (!ranges_.empty() && ranges_.begin()->first <= next_) {
    std::erase(recent_, ranges_.begin()->first);
    ranges_.erase(ranges_.begin());
  }
}

void TcpReceiver::take(std::vector<std::uint8_t>& out, std::size_t most, Timestamp now,
                       Duration rtt) {
  std::size_t left = std::min(most, ready_bytes_);
  taken_ += left;
  ready_bytes_ -= left;
  while (left > 0) {
    const ByteView first = ByteView(ready_.front()).subspan(ready_taken_);
    const ByteView part = first.first(std::min(left, first.size()));
    out.insert(out.end(), part.begin(), part.end());
    left -= part.size();
    ready_taken_ += part.size();
    if (ready_taken_ == ready_.front().size()) {
      ready_.pop_front();
      ready_taken_ = 0;
    }
  }
  // Room for twice what was read in the last round trip, for a sender in slow start doubles.
  if (now - measured_ < rtt) return;
  if (taken_ > taken_before_) {
    const std::size_t wanted = 2 * taken_ + 2 * (taken_ - taken_before_) + 16 * segment_;
    buffer_ = std::clamp(wanted, buffer_, most_);
    taken_before_ = taken_;
  }
  taken_ = 0;
  measured_ = now;
}

void TcpReceiver::drop_ready() noexcept {
  ready_.clear();
  ready_taken_ = 0;
  ready_bytes_ = 0;
}

std::size_t TcpReceiver::room() const noexcept {
  const std::size_t used = ready_bytes_ + early_bytes_;
  return used < buffer_ ? buffer_ - used : 0;
}

std::uint64_t TcpReceiver::window_end() noexcept {
  // Early bytes lie within the window: they do not move its end.
  const std::uint64_t end = next_ + room() + early_bytes_;
  // No silly windows (RFC 9293 §3.8.6.2.2).
  if (end >= edge_ + std::min<std::uint64_t>(segment_, buffer_ / 2)) edge_ = end;
  return edge_;
}

bool TcpReceiver::window_opened() const noexcept {
  const std::uint64_t end = next_ + room() + early_bytes_;
  if (end <= announced_) return false;
  const std::uint64_t gain = end - announced_;
  const std::uint64_t left = announced_ > next_ ? announced_ - next_ : 0;
  return gain >= std::min<std::uint64_t>(2 * segment_, buffer_ / 2) && gain >= left;
}

std::vector<TcpReceiver::Range> TcpReceiver::missing_before(std::size_t most) const {
  std::vector<Range> found;
  for (const std::uint64_t begin : recent_) {
    if (found.size() == most) break;
    found.push_back({begin, ranges_.at(begin)});
  }
  return found;
}

std::optional<TcpReceiver::Range> TcpReceiver::duplicate() noexcept {
  return std::exchange(duplicate_, std::nullopt);
}

}  // namespace tern::sim
