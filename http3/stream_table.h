#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "http3/request_stream.h"
#include "transport/quic/event.h"

namespace tern::http3 {

/// A session's request streams: a list of all of them, and a hash table of those that have an
/// identifier. Intrusive: costs one word a bucket and allocates only when it grows.
class StreamTable {
 public:
  std::size_t listed() const noexcept { return listed_; }
  bool empty() const noexcept { return listed_ == 0; }
  RequestStream* first() const noexcept { return head_; }

  void add(RequestStream& stream) noexcept {
    stream.previous = nullptr;
    stream.next = head_;
    if (head_ != nullptr) head_->previous = &stream;
    head_ = &stream;
    ++listed_;
  }

  void remove(RequestStream& stream) noexcept {
    if (stream.indexed) unindex(stream);
    if (stream.previous != nullptr) {
      stream.previous->next = stream.next;
    } else {
      head_ = stream.next;
    }
    if (stream.next != nullptr) stream.next->previous = stream.previous;
    stream.previous = stream.next = nullptr;
    --listed_;
  }

  /// The stream has its identifier now; `unindex` before it changes.
  void index(RequestStream& stream) {
    if (indexed_ == buckets_.size()) grow();
    link(stream);
    stream.indexed = true;
    ++indexed_;
  }

  void unindex(RequestStream& stream) noexcept {
    RequestStream** at = &buckets_[bucket(stream.id())];
    while (*at != &stream) at = &(*at)->next_in_bucket;
    *at = stream.next_in_bucket;
    stream.next_in_bucket = nullptr;
    stream.indexed = false;
    --indexed_;
  }

  RequestStream* find(quic::StreamId id) const noexcept {
    if (buckets_.empty()) return nullptr;
    RequestStream* stream = buckets_[bucket(id)];
    while (stream != nullptr && stream->id() != id) stream = stream->next_in_bucket;
    return stream;
  }

 private:
  static constexpr std::size_t kFirstBuckets = 8;

  /// Identifiers of one kind of stream count up in fours.
  std::size_t bucket(quic::StreamId id) const noexcept {
    return static_cast<std::size_t>(id >> 2) & (buckets_.size() - 1);
  }
  void link(RequestStream& stream) noexcept {
    RequestStream*& at = buckets_[bucket(stream.id())];
    stream.next_in_bucket = at;
    at = &stream;
  }
  void grow() {
    buckets_.assign(buckets_.empty() ? kFirstBuckets : buckets_.size() * 2, nullptr);
    for (RequestStream* stream = head_; stream != nullptr; stream = stream->next) {
      if (stream->indexed) link(*stream);
    }
  }

  RequestStream* head_ = nullptr;
  std::size_t listed_ = 0;
  std::size_t indexed_ = 0;
  std::vector<RequestStream*> buckets_;
};

}  // namespace tern::http3
