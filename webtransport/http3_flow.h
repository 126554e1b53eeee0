#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "base/time.h"
#include "webtransport/session.h"

namespace tern::webtransport {

/// Flow control of one session over HTTP/3 (draft-ietf-webtrans-http3-16 §5), so that sessions
/// which share a connection do not starve each other: how many bytes of stream data, headers not
/// counted, and how many streams there may ever be. Without I/O.
class Http3Flow {
 public:
  /// What an end's SETTINGS allow in each session.
  struct Limits {
    std::uint64_t data = 0;
    std::array<std::uint64_t, 2> streams{};  ///< by Direction
    bool any() const noexcept { return data != 0 || streams[0] != 0 || streams[1] != 0; }
    /// Some of it is less.
    bool below(const Limits& other) const noexcept {
      return data < other.data || streams[0] < other.streams[0] || streams[1] < other.streams[1];
    }
  };
  /// What we announce. The window of data grows from there while the application keeps up.
  static constexpr std::uint64_t kData = 512 * 1024;
  static constexpr std::uint64_t kMaxData = 16 * 1024 * 1024;
  static constexpr std::uint64_t kStreams = 100;
  /// No stream has an identifier beyond it (§5.6.2).
  static constexpr std::uint64_t kMostStreams = std::uint64_t{1} << 60;
  static Limits ours() noexcept { return {kData, {kStreams, kStreams}}; }

  /// `allowed`: by the peer's SETTINGS. `max_streams`: that the peer may have open of each kind, no
  /// fewer than announced.
  Http3Flow(const Limits& allowed, std::uint64_t max_streams) noexcept;

  // ---- what we send
  std::uint64_t credit() const noexcept { return max_send_ - sent_; }
  void spend(std::uint64_t count) noexcept { sent_ += count; }
  /// Of what was spent, so much never left.
  void refund(std::uint64_t count) noexcept { sent_ -= std::min(sent_, count); }
  /// Something waits for credit.
  void blocked() noexcept;
  bool may_open(Direction direction) const noexcept {
    return ours_[index(direction)] < may_open_[index(direction)];
  }
  void opened(Direction direction) noexcept { ++ours_[index(direction)]; }
  /// Of the peer's capsules. False: not more than it had allowed, or too many.
  bool on_max_data(std::uint64_t limit) noexcept;
  bool on_max_streams(Direction direction, std::uint64_t limit) noexcept;

  // ---- what the peer sends
  /// False: more than was allowed.
  bool received(std::uint64_t count) noexcept;
  /// The application has taken them, or nobody will.
  void consumed(std::uint64_t count) noexcept;
  bool accepted(Direction direction) noexcept;
  void ended(Direction direction) noexcept;

  /// There are capsules to be sent.
  bool has_due() const noexcept { return data_due_ || streams_due_ || blocked_due_; }
  /// They are. The window doubles when it was used up within two round trips.
  std::string take_due(Timestamp now, Duration round_trip);

 private:
  static std::size_t index(Direction direction) noexcept {
    return static_cast<std::size_t>(direction);
  }

  std::uint64_t sent_ = 0;
  std::uint64_t max_send_;
  std::uint64_t told_blocked_ = UINT64_MAX;  // the limit that the peer was told is in our way
  std::array<std::uint64_t, 2> ours_{};
  std::array<std::uint64_t, 2> may_open_;

  std::uint64_t received_ = 0;
  std::uint64_t consumed_ = 0;
  std::uint64_t max_receive_ = kData;
  std::uint64_t window_ = kData;
  Timestamp widened_{};
  std::array<std::uint64_t, 2> accepted_{};
  std::array<std::uint64_t, 2> ended_{};
  std::array<std::uint64_t, 2> may_accept_{kStreams, kStreams};
  std::uint64_t max_streams_;
  bool data_due_ = false;
  bool streams_due_;
  bool blocked_due_ = false;
};

}  // namespace tern::webtransport
