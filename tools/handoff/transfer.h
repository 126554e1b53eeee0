#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/time.h"

namespace tern::handoff {

/// One thing a phone's application wants: bytes from the server, or bytes to it. It may take
/// several attempts; each goes on where the receiving application stands, as a range request or a
/// resumable upload does. What is measured is what the receiving application sees.
class Transfer {
 public:
  /// A call is a conversation: what the phone says comes back, and counts when it is back.
  enum class Kind : std::uint8_t { download, upload, request, call };
  /// Between two pieces for the receiving application: shorter is not counted as stalled time.
  static constexpr Duration kNoticeable = std::chrono::milliseconds(100);

  Transfer(std::uint64_t id, Kind kind, std::uint64_t size) noexcept
      : id_(id), kind_(kind), size_(size) {}

  std::uint64_t id() const noexcept { return id_; }
  Kind kind() const noexcept { return kind_; }
  std::uint64_t size() const noexcept { return size_; }

  /// A live source: from `from` on there is a message of so many bytes each `period`.
  void live(std::uint64_t message, Duration period, Duration from) noexcept {
    message_ = message;
    period_ = period;
    live_from_ = from;
  }
  /// How many of its bytes its sender has at that time, and when it has more; max(): it has all.
  std::uint64_t made(Duration now) const noexcept;
  Duration more_at(Duration now) const noexcept;

  /// The receiving application has got the next piece. False, and nothing counts, if these are not
  /// the bytes that come next.
  bool deliver(Duration now, ByteView piece);
  std::uint64_t delivered() const noexcept { return delivered_; }
  bool complete() const noexcept { return delivered_ == size_; }

  /// The longest time between two pieces, and the sum of the noticeable ones. Of a live source:
  /// less its period.
  Duration longest_stall() const noexcept { return longest_stall_; }
  Duration longest_stall_at() const noexcept { return longest_stall_at_; }  ///< when it began
  Duration stalled() const noexcept { return stalled_; }
  Duration last_piece() const noexcept { return last_; }

  /// Bytes of it that had arrived, with all before them, were kept from the application meanwhile
  /// because bytes of others were missing. In order of `until`.
  void held_up(Duration from, Duration until) noexcept;
  Duration held() const noexcept { return held_; }
  Duration longest_held() const noexcept { return longest_held_; }

  // Kept by the phone.
  Duration begun{};
  Duration ended{};
  bool started = false;
  bool done = false;
  unsigned attempts = 0;
  unsigned failures = 0;  ///< attempts that ended in an error
  std::string error;      ///< of the last one

 private:
  void note_gap(Duration now);

  const std::uint64_t id_;
  const Kind kind_;
  const std::uint64_t size_;
  std::uint64_t message_ = 0;
  Duration period_{};
  Duration live_from_{};
  std::uint64_t delivered_ = 0;
  Duration last_{};
  Duration longest_stall_{};
  Duration longest_stall_at_{};
  Duration stalled_{};
  Duration held_from_{};
  Duration held_until_{};
  Duration held_{};
  Duration longest_held_{};
};

/// "download", "upload", "request", "call".
std::string_view name(Transfer::Kind kind) noexcept;

}  // namespace tern::handoff
