#include "transport/quic/stream_queue.h"

#include <algorithm>

#include "base/check.h"

namespace tern::quic {

void StreamQueue::list(StreamId id, Stream& stream) {
  if (stream.listed || stream.is_blocked) return;
  if (stream.unsent == 0 && (!stream.fin || stream.fin_sent)) return;
  stream.listed = true;
  ready_.push(id);
}

void StreamQueue::write(StreamId id, Bytes bytes, bool fin) {
  Stream& stream = streams_[id];
  TERN_CHECK(!stream.fin);
  stream.unsent += bytes.size();
  if (!bytes.empty()) stream.slices.push_back(std::move(bytes));
  stream.fin = fin;
  list(id, stream);
}

std::size_t StreamQueue::unsent(StreamId id) const noexcept {
  const auto found = streams_.find(id);
  return found == streams_.end() ? 0 : found->second.unsent;
}

void StreamQueue::acked(StreamId id, std::uint64_t count) noexcept {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  stream.acked_in_front += static_cast<std::size_t>(count);
  while (stream.next_slice > 0 && stream.acked_in_front >= stream.slices.front().size()) {
    stream.acked_in_front -= stream.slices.front().size();
    stream.slices.pop_front();
    --stream.next_slice;
  }
}

void StreamQueue::writable(StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  found->second.is_blocked = false;
  list(id, found->second);
}

std::uint64_t StreamQueue::forget(StreamId id) noexcept {
  std::uint64_t unsent = 0;
  if (const auto found = streams_.find(id); found != streams_.end()) {
    unsent = found->second.unsent;
    streams_.erase(found);
  }
  if (dropped_.empty()) return unsent;
  if (const auto found = dropped_.find(id); found != dropped_.end()) {
    unsent += found->second;
    dropped_.erase(found);
  }
  return unsent;
}

void StreamQueue::clear() noexcept {
  dropped_.clear();
  streams_.clear();
  ready_.clear();
}

bool StreamQueue::next(Write& write) {
  while (!ready_.empty()) {
    const StreamId id = ready_.front();
    const auto found = streams_.find(id);
    if (found == streams_.end() || !found->second.listed) {
      ready_.pop();
      continue;
    }
    const Stream& stream = found->second;
    vecs_.clear();
    std::size_t offered = 0;
    for (std::size_t i = stream.next_slice; i < stream.slices.size() && vecs_.size() < kMaxVecs;
         ++i) {
      const std::size_t skip = i == stream.next_slice ? stream.sent_in_next : 0;
      vecs_.push_back({stream.slices[i].data() + skip, stream.slices[i].size() - skip});
      offered += vecs_.back().size;
    }
    write.stream = id;
    write.data = vecs_;
    write.fin = stream.fin && offered == stream.unsent;
    return true;
  }
  return false;
}

void StreamQueue::sent(StreamId id, std::size_t count, bool fin) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  TERN_CHECK(count <= stream.unsent);
  stream.unsent -= count;
  stream.sent_in_next += count;
  while (stream.next_slice < stream.slices.size() &&
         stream.sent_in_next >= stream.slices[stream.next_slice].size()) {
    stream.sent_in_next -= stream.slices[stream.next_slice].size();
    ++stream.next_slice;
  }
  if (fin) stream.fin_sent = true;
  // The next stream's turn.
  if (!ready_.empty() && ready_.front() == id) ready_.pop();
  stream.listed = false;
  list(id, stream);
}

void StreamQueue::blocked(StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  found->second.is_blocked = true;
  found->second.listed = false;
  if (!ready_.empty() && ready_.front() == id) ready_.pop();
}

void StreamQueue::gone(StreamId id) {
  // Stale ids in ready_ are skipped by next().
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  if (found->second.unsent > 0) dropped_[id] += found->second.unsent;
  streams_.erase(found);
}

}  // namespace tern::quic
