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
  enum class Kind : std::uint8_t { download, upload, request };
  /// Between two pieces for the receiving application: shorter is not counted as stalled time.
  static constexpr Duration kNoticeable = std::chrono::milliseconds(100);

  Transfer(std::uint64_t id, Kind kind, std::uint64_t size) noexcept
      : id_(id), kind_(kind), size_(size) {}

  std::uint64_t id() const noexcept { return id_; }
  Kind kind() const noexcept { return kind_; }
  std::uint64_t size() const noexcept { return size_; }

  /// The receiving application has got the next piece. False, and nothing counts, if these are not
  /// the bytes that come next.
  bool deliver(Duration now, ByteView piece);
  std::uint64_t delivered() const noexcept { return delivered_; }
  bool complete() const noexcept { return delivered_ == size_; }

  /// The longest time between two pieces, and the sum of the noticeable ones.
  Duration longest_stall() const noexcept { return longest_stall_; }
  Duration longest_stall_at() const noexcept { return longest_stall_at_; }  ///< when it began
  Duration stalled() const noexcept { return stalled_; }

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
  std::uint64_t delivered_ = 0;
  Duration last_{};
  Duration longest_stall_{};
  Duration longest_stall_at_{};
  Duration stalled_{};
};

/// "download", "upload", "request".
std::string_view name(Transfer::Kind kind) noexcept;

}  // namespace tern::handoff
