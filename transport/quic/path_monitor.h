#pragma once

#include <chrono>
#include <cstdint>

#include "base/time.h"

namespace tern::quic {

/// Finds out whether a path still delivers, for a client. Pure reckoning: its owner tells what
/// happens and does what it says.
///
/// The path is silent when nothing at all has come for a PTO (RFC 9002 §6.2.1) although something
/// was to be answered: ack-eliciting packets are on the way, or an answer's data have stopped in
/// the middle. So that a lost packet, or a delayed acknowledgement (RFC 9000 §13.2.1), is not taken
/// for a lost path, kPings PINGs go out first, early enough to be answered within that PTO; two
/// have to be acknowledged at once (§13.2.2), so two answers must be missing as well.
///
/// A PTO is worth what is known of the round trip, and a client that only downloads learns little:
/// it sends few packets that are acknowledged, and ngtcp2 1.11 takes a sample only where such a
/// packet is the largest acknowledged. So while data flow, two PINGs go out once a round trip
/// (§13.2.4 suggests one), four times as often on a path that is new; the second has the peer
/// acknowledge it at once.
///
/// While an answer is only waited for, a handler may take its time. Then the PINGs are for finding
/// out at all: after a PTO of quiet, after two, four, eight … up to kMaxQuiet, and they have two
/// PTOs to be answered.
///
/// A client that is `alone` with its path has nowhere to go, but who only receives must say
/// something when nothing comes any more: a NAT may have forgotten it, and the server sends into
/// the void until it hears where its client is. One PING does, at the times above, as loss recovery
/// repeats it until it is answered.
class PathMonitor {
 public:
  static constexpr int kPings = 4;
  static constexpr Duration kMaxQuiet = std::chrono::seconds(15);

  struct Facts {
    Duration pto{};
    Duration smoothed_rtt{};
    bool outstanding = false;  ///< ack-eliciting packets are in flight
    bool expecting = false;    ///< requests are not answered yet, or not completely
    bool alone = false;        ///< there is no other path to go to: this one is never `silent`
  };
  enum class Step : std::uint8_t {
    nothing,
    ping,    ///< send a PING
    silent,  ///< said once, until something is received
  };
  struct Next {
    Step step = Step::nothing;
    Timestamp again = kNever;  ///< ask again then, or when something was sent or received
  };

  /// What a packet of the peer's had for requests.
  enum class Brought : std::uint8_t { nothing, data, last_data };
  /// True if it had been said to be silent.
  bool received(Timestamp now, Brought brought) noexcept;
  /// Something ack-eliciting may have left.
  void sent(Timestamp now) noexcept;
  /// There is another path in use now, of which nothing is known.
  void restart(Timestamp now) noexcept;
  Next check(Timestamp now, const Facts& facts) noexcept;
  /// An answer's data were the last that came: the next check is due within a PTO.
  bool data_flow() const noexcept { return quiet_ == Duration::zero(); }

 private:
  Next keep_known(Timestamp now, const Facts& facts) noexcept;

  Timestamp last_received_{};
  Timestamp waiting_since_ = kNever;  // kNever: for nothing
  Timestamp first_ping_{};
  Timestamp last_ping_{};
  Timestamp last_sample_{};
  Duration quiet_{1};  // before the next PINGs, a PTO at least; zero while data flow
  int pings_ = 0;      // since waiting_since_
  int samples_ = 0;    // of the path in use, while data flowed
  bool patient_ = false;
  bool told_ = false;
  bool half_sampled_ = false;
};

}  // namespace tern::quic
