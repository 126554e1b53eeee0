#pragma once

#include <cstddef>
#include <vector>

namespace tern::http {

/// A session's streams: a list of all of them, and a hash table of those that have an identifier.
/// Intrusive: costs one word a bucket and allocates only when it grows.
/// `Stream` has `id()` and what is the table's own: `previous`, `next`, `next_in_bucket`,
/// `indexed`. `kShift`: its identifiers count up in steps of 2^kShift.
template <class Stream, class Id, unsigned kShift>
class StreamTable {
 public:
  std::size_t listed() const noexcept { return listed_; }
  bool empty() const noexcept { return listed_ == 0; }
  Stream* first() const noexcept { return head_; }

  void add(Stream& stream) noexcept {
    stream.previous = nullptr;
    stream.next = head_;
    if (head_ != nullptr) head_->previous = &stream;
    head_ = &stream;
    ++listed_;
  }

  void remove(Stream& stream) noexcept {
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
  void index(Stream& stream) {
    if (indexed_ == buckets_.size()) grow();
    link(stream);
    stream.indexed = true;
    ++indexed_;
  }

  void unindex(Stream& stream) noexcept {
    Stream** at = &buckets_[bucket(stream.id())];
    while (*at != &stream) at = &(*at)->next_in_bucket;
    *at = stream.next_in_bucket;
    stream.next_in_bucket = nullptr;
    stream.indexed = false;
    --indexed_;
  }

  Stream* find(Id id) const noexcept {
    if (buckets_.empty()) return nullptr;
    Stream* stream = buckets_[bucket(id)];
    while (stream != nullptr && stream->id() != id) stream = stream->next_in_bucket;
    return stream;
  }
  /// Streams with an identifier.
  std::size_t indexed() const noexcept { return indexed_; }

 private:
  static constexpr std::size_t kFirstBuckets = 8;

  std::size_t bucket(Id id) const noexcept {
    return static_cast<std::size_t>(id >> kShift) & (buckets_.size() - 1);
  }
  void link(Stream& stream) noexcept {
    Stream*& at = buckets_[bucket(stream.id())];
    stream.next_in_bucket = at;
    at = &stream;
  }
  void grow() {
    buckets_.assign(buckets_.empty() ? kFirstBuckets : buckets_.size() * 2, nullptr);
    for (Stream* stream = head_; stream != nullptr; stream = stream->next) {
      if (stream->indexed) link(*stream);
    }
  }

  Stream* head_ = nullptr;
  std::size_t listed_ = 0;
  std::size_t indexed_ = 0;
  std::vector<Stream*> buckets_;
};

}  // namespace tern::http
