#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/time.h"
#include "transport/quic/cid.h"
#include "transport/udp/address.h"

namespace tern::quic {

/// What a server may still send to a client's address that is not validated yet: three times what
/// came from there (RFC 9000 §8.1, §9.3). Pure reckoning. Internal to transport/quic.
///
/// ngtcp2 keeps the same account and keeps to it. But when it is asked for a packet and nothing at
/// all is left, 1.11 takes its loss timer down, and puts it up again only when it sends something
/// that is to be acknowledged, or hears of a new acknowledgement. After a rebinding neither may
/// ever happen: the congestion window is full of packets that went to the old port, and the
/// challenge and the probe packets that the timer had let past the window were lost. So a byte
/// stays on its account always: no packet is given more room than this allows, which never says
/// more than ngtcp2's account would. What is written counts, therefore, even if it is held back,
/// and what comes counts where ngtcp2 counts it.
///
/// ngtcp2 does not tell when the answer to a challenge in a small datagram has validated the
/// address, which lifts the limit. So the answers are looked for here.
class PathCredit {
 public:
  /// A short header with the longest connection ID, PATH_CHALLENGE, and the tag: with less ngtcp2
  /// writes off a challenge without sending it. One packet of a client's is worth more.
  static constexpr std::uint64_t kLeast = 1 + kMaxCidLength + 4 + (1 + 8) + 16;

  using Challenge = std::array<std::uint8_t, 8>;

  /// There is another address now. Of what came from it before, so much is left.
  void begin(std::uint64_t left = 0) noexcept {
    limited_ = true;
    left_ = left;
    challenges_ = 0;
  }
  void lift() noexcept { limited_ = false; }
  bool limited() const noexcept { return limited_; }

  void received(std::size_t bytes) noexcept { left_ += 3 * std::uint64_t{bytes}; }
  void sent(std::size_t bytes) noexcept { left_ -= std::min<std::uint64_t>(left_, bytes); }
  /// For the next packet; at most `space`. Not limited: all of it. None, rather than less than
  /// kLeast: ngtcp2 is asked nevertheless, since it gives up a validation when it is asked.
  std::size_t room(std::size_t space) const noexcept {
    if (!limited_) return space;
    return left_ <= kLeast ? 0
                           : static_cast<std::size_t>(std::min<std::uint64_t>(space, left_ - 1));
  }

  /// Was sent to that address. The last eight are kept, as many as ngtcp2 does.
  void challenged(const Challenge& data) noexcept {
    sent_challenges_[challenges_++ % sent_challenges_.size()] = data;
  }
  /// The frames of a packet that was opened: the answer may be among them.
  void opened(ByteView payload) noexcept;

 private:
  std::uint64_t left_ = 0;
  std::size_t challenges_ = 0;
  std::array<Challenge, 8> sent_challenges_{};
  bool limited_ = false;
};

/// The same for a path that the client probes and may be about to use: ngtcp2 keeps an account of
/// it when a PATH_CHALLENGE has come, and the answer that goes there shows that one has. It forgets
/// it after three PTOs (of then), so this does after one.
class ProbedPath {
 public:
  void received(const udp::Path& path, std::size_t bytes) noexcept {
    if (!(path == path_)) {
      path_ = path;
      left_ = 0;
      unanswered_ = 0;
    }
    least_ = unanswered_++ == 0 ? bytes : std::min(least_, bytes);
  }
  void sent(const udp::Path& path, std::size_t bytes, Timestamp now) noexcept {
    if (!(path == path_)) return;
    if (unanswered_ > 0) {
      --unanswered_;
      left_ += 3 * std::uint64_t{least_};
    }
    left_ -= std::min<std::uint64_t>(left_, bytes);
    answered_ = now;
  }
  std::uint64_t left(const udp::Path& path, Timestamp now, Duration pto) const noexcept {
    return path == path_ && now - answered_ < pto ? left_ : 0;
  }

 private:
  udp::Path path_;
  std::uint64_t left_ = 0;
  std::size_t unanswered_ = 0;  // datagrams; there was a challenge in as many as are answered
  std::size_t least_ = 0;       // the smallest of them
  Timestamp answered_{};
};

}  // namespace tern::quic
