#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "http3/request_stream.h"

namespace tern::http3 {

/// Which of the streams that have something to send is next (RFC 9218 §10): the most urgent; among
/// equally urgent ones those that are not incremental one after the other in the order of their
/// identifiers, and incremental ones in turns. Intrusive.
class Scheduler {
 public:
  /// Bytes of an incremental stream in a row.
  static constexpr std::size_t kRun = 16 * 1024;

  RequestStream* top() const noexcept {
    return urgencies_ == 0 ? nullptr : lists_[std::countr_zero(urgencies_)].first;
  }

  /// Not in it yet.
  void add(RequestStream& stream) noexcept {
    const unsigned urgency = stream.priority().urgency;
    List& list = lists_[urgency];
    RequestStream* after = list.last;
    if (!stream.priority().incremental) {
      // Mostly it is the newest; what has waited for its body goes on before later ones.
      while (after != nullptr && before(stream, *after)) after = after->previous_scheduled;
    }
    link(list, after, stream);
    stream.scheduled_as = static_cast<std::int8_t>(urgency);
    stream.run = 0;
    urgencies_ |= 1u << urgency;
  }

  void remove(RequestStream& stream) noexcept {
    if (stream.scheduled_as < 0) return;
    const auto urgency = static_cast<unsigned>(stream.scheduled_as);
    List& list = lists_[urgency];
    (stream.previous_scheduled != nullptr ? stream.previous_scheduled->next_scheduled
                                          : list.first) = stream.next_scheduled;
    (stream.next_scheduled != nullptr ? stream.next_scheduled->previous_scheduled : list.last) =
        stream.previous_scheduled;
    stream.previous_scheduled = stream.next_scheduled = nullptr;
    stream.scheduled_as = -1;
    if (list.first == nullptr) urgencies_ &= ~(1u << urgency);
  }

  /// `count` bytes of the one on top were sent.
  void sent(RequestStream& stream, std::size_t count) noexcept {
    if (!stream.priority().incremental || stream.scheduled_as < 0) return;
    stream.run += static_cast<std::uint32_t>(count);
    if (stream.run < kRun || stream.next_scheduled == nullptr) return;
    remove(stream);
    add(stream);
  }

  void clear() noexcept {
    while (RequestStream* stream = top()) remove(*stream);
  }

 private:
  struct List {
    RequestStream* first = nullptr;
    RequestStream* last = nullptr;
  };

  static bool before(const RequestStream& one, const RequestStream& other) noexcept {
    return other.priority().incremental || one.id() < other.id();
  }
  static void link(List& list, RequestStream* after, RequestStream& stream) noexcept {
    stream.previous_scheduled = after;
    stream.next_scheduled = after != nullptr ? after->next_scheduled : list.first;
    (after != nullptr ? after->next_scheduled : list.first) = &stream;
    (stream.next_scheduled != nullptr ? stream.next_scheduled->previous_scheduled : list.last) =
        &stream;
  }

  std::array<List, 8> lists_{};
  unsigned urgencies_ = 0;  // a bit for each that has streams
};

}  // namespace tern::http3
