#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/time.h"

namespace tern::quic {

/// Packet numbers that an ACK frame acknowledges: ranges, highest first. Beyond kMax: the highest.
struct AckRanges {
  static constexpr std::size_t kMax = 64;
  struct Range {
    std::uint64_t low;
    std::uint64_t high;
  };
  std::array<Range, kMax> all;
  std::size_t count = 0;

  void add(std::uint64_t low, std::uint64_t high) noexcept;
  void add(const AckRanges& other) noexcept {
    for (std::size_t i = 0; i < other.count; ++i) add(other.all[i].low, other.all[i].high);
  }
};

/// What `cut_ack` found.
struct CutAck {
  std::size_t length = 0;     ///< of the frame as it came; 0: it is malformed, and was left alone
  bool any = false;           ///< it acknowledges a packet below the limit …
  std::uint64_t highest = 0;  ///< … this one as the highest
};

/// After a move to a path that is quicker than what still waits in the queues of the old one: what
/// is acknowledged of the new path's packets is not seen before the acknowledgements of the old
/// path's last ones. Internal to transport/quic.
///
/// RFC 9000 §9.4 leaves it to the sender how it tells loss from the overtaking of one path by the
/// other. ngtcp2 1.11 does not: the first acknowledgement that comes back by the new path has it
/// send everything again that is still on its way over the old one, at the pace of a slow start,
/// before anything new. So its eyes are kept from it, for as long as the old path delivers: ranges
/// of packet numbers above the old path's are taken out of ACK frames, and put into the one that
/// ends this, since the peer may have forgotten them by then (RFC 9000 §13.2.4). That costs a slow
/// start that begins a little later, and a first round trip that is measured too long.
///
/// Meanwhile part of the new path's window is kept for what the old path has really lost.
///
/// The answers to probes go before: a PATH_RESPONSE that overtakes has the same effect.
///
/// It ends when the old path's last packets are acknowledged, all but kAlmost, which may have been
/// lost; when that makes no progress any more, since the old path is dead; or at the latest after
/// `limit`.
class OldPathFirst {
 public:
  static constexpr std::uint64_t kAlmost = 4;

  /// A probing packet (RFC 9000 §9.1) has left, perhaps for a path that is about to be taken.
  /// `round_trip` is that of the path in use, with what its queues add.
  void probing(Duration round_trip, Duration limit, Timestamp now) noexcept {
    if (state_ != State::off && state_ != State::probing) return;
    state_ = State::probing;
    first_new_ = kNone;
    start(round_trip, limit, now);
  }
  /// A packet has come on another path than the one in use. Should it have the connection move
  /// there, the old one may still deliver; not where we leave it unasked, for being dead.
  void may_move(Duration round_trip, Duration limit, Timestamp now) noexcept {
    may_move_ = true;
    // Else these times are the new path's, not settled yet.
    if (state_ == State::off || state_ == State::probing) start(round_trip, limit, now);
  }
  void stays() noexcept { may_move_ = false; }
  /// The path has changed. The packet that is sealed next is the first for the new one. Not
  /// `elsewhere`: with another port alone, which for ngtcp2 is the same path.
  void moved(bool elsewhere) noexcept {
    const bool first = state_ == State::off || state_ == State::probing;
    state_ = may_move_ && elsewhere && first ? State::armed : State::off;
    may_move_ = false;
    first_new_ = kNone;
  }
  bool active() const noexcept { return state_ != State::off; }
  /// It has moved, and ngtcp2 knows nothing of the new path yet.
  bool moving() const noexcept { return state_ == State::on || state_ == State::restoring; }
  /// It has moved, and the old path still delivers.
  bool waits(Timestamp now) const noexcept { return state_ == State::on && now < until(); }
  /// When that ends if nothing comes.
  Timestamp until() const noexcept { return std::min(end_, progress_ + patience_); }
  void end() noexcept { state_ = State::off; }
  /// The old path has delivered all, just now, and nothing has come back since of what is sent now.
  /// The round trip that ngtcp2 knows until then is still the old path's, for all that it saw
  /// acknowledged since the move were the old path's packets, and its pacer has counted the first
  /// flight besides: after a window it would have the path wait for twice as long as the
  /// acknowledgements take.
  bool settling(Timestamp now) const noexcept { return now < settled_; }
  /// A packet is sealed; `probe`: it begins with PATH_CHALLENGE or PATH_RESPONSE.
  void sealing(std::uint64_t packet_number, bool probe) noexcept {
    if (state_ == State::armed) {
      state_ = State::on;
      first_new_ = packet_number;
    }
    if (!probe || state_ == State::on || state_ == State::restoring) return;
    if (packet_number > last_probe_ + kNear) first_probe_ = packet_number;
    last_probe_ = packet_number;
  }
  /// The time of the packets that are opened next.
  void at(Timestamp now) noexcept { now_ = now; }

  /// The payload of a packet that was opened and that ngtcp2 is about to read.
  void opened(MutableBytes payload) noexcept;

 private:
  void hide(ByteView frame, const CutAck& cut) noexcept;
  bool restore(MutableBytes frame) noexcept;

  static constexpr int kPatience = 4;  // so many parts of the round trip without progress
  // So many of them settle; later, another window would go unpaced.
  static constexpr int kSettling = 2;
  static constexpr Duration kLeastPatience = std::chrono::milliseconds(5);

  static constexpr std::size_t kMaxAck = 1500;

  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  static constexpr std::uint64_t kNear = 32;

  void start(Duration round_trip, Duration limit, Timestamp now) noexcept {
    progress_ = now_ = now;
    patience_ = std::max<Duration>(round_trip / kPatience, kLeastPatience);
    end_ = now + limit;
    acknowledged_ = 0;
    hidden_.count = 0;
  }

  enum class State : std::uint8_t { off, probing, armed, on, restoring };

  State state_ = State::off;
  bool may_move_ = false;
  std::uint64_t first_new_ = kNone;  // packet numbers
  std::uint64_t first_probe_ = 1;    // the last probing packets, one behind the other
  std::uint64_t last_probe_ = 0;
  std::uint64_t acknowledged_ = 0;  // the highest below it, so far
  std::uint64_t ect0_ = 0;          // as ngtcp2 saw it last
  AckRanges hidden_;                // what was taken out
  Duration patience_{};
  Timestamp progress_{};
  Timestamp end_{};
  Timestamp settled_{};
  Timestamp now_{};
};

/// An ACK frame at the start of `frame` (its type included): what it says of packets from `limit`
/// on is taken out in place, and PADDING takes the place of what is left over. So are ranges at the
/// upper end that lie in [first_probe, last_probe]. `ect0` is the count
/// of ECN that its reader has seen last, and becomes what it sees now.
CutAck cut_ack(MutableBytes frame, std::uint64_t limit, std::uint64_t& ect0,
               std::uint64_t first_probe = 1, std::uint64_t last_probe = 0) noexcept;

/// What a whole ACK frame says; false: it is malformed.
bool read_ack(ByteView frame, AckRanges& ranges) noexcept;
/// Has a well-formed ACK frame acknowledge so many of `ranges` from `first` on instead, in place,
/// and fills up with PADDING; false: left alone, it is too short.
bool write_ack(MutableBytes frame, const AckRanges& ranges, std::size_t first,
               std::size_t count) noexcept;

}  // namespace tern::quic
