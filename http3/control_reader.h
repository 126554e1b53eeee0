#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "http3/frame_walker.h"
#include "http3/settings.h"
#include "http3/violation.h"

namespace tern::http3 {

/// Reads the peer's control stream (RFC 9114 §6.2.1): which frames may come, and what they hold.
class ControlReader {
 public:
  explicit ControlReader(bool server) noexcept : server_(server) {}

  struct Frame {
    std::uint64_t type = 0;
    std::uint64_t length = 0;
    /// Its beginning, at most kKept bytes; empty for SETTINGS.
    ByteView payload;
    /// Of GOAWAY and MAX_PUSH_ID.
    std::uint64_t id = 0;
  };
  /// A PRIORITY_UPDATE fits as a rule; longer ones are ignored.
  static constexpr std::size_t kKept = 64;

  /// The next bytes of the stream, its type not included. `on_frame(const Frame&)` is called at the
  /// end of each frame; its false ends the reading.
  template <typename OnFrame>
  std::optional<Violation> take(ByteView bytes, OnFrame&& on_frame) {
    while (!bytes.empty()) {
      ByteView payload;
      const FrameWalker::Step step = walker_.next(bytes, payload);
      if (step == FrameWalker::Step::more) break;
      if (step == FrameWalker::Step::header) {
        if (auto broken = begin_frame()) return broken;
      } else if (auto broken = add(payload)) {
        return broken;
      }
      if (walker_.left() > 0) continue;
      Frame frame{walker_.type(), walker_.length(), ByteView(kept_.data(), kept_size_), 0};
      if (auto broken = end_frame(frame)) return broken;
      if (!on_frame(frame)) break;
    }
    return std::nullopt;
  }

  /// The peer's SETTINGS frame has been read whole.
  bool settings_complete() const noexcept { return settings_complete_; }
  const SettingsParser& settings() const noexcept { return parser_; }
  /// `settings().entries()` have been looked at.
  void forget_entries() noexcept { parser_.forget_entries(); }

 private:
  std::optional<Violation> begin_frame();
  std::optional<Violation> add(ByteView payload);
  std::optional<Violation> end_frame(Frame& frame);

  FrameWalker walker_;
  SettingsParser parser_;
  std::array<std::uint8_t, kKept> kept_{};
  std::size_t kept_size_ = 0;
  std::uint64_t max_push_id_ = 0;
  std::uint64_t goaway_id_ = kMaxVarint;
  bool server_;
  bool in_settings_ = false;
  bool settings_complete_ = false;
};

}  // namespace tern::http3
