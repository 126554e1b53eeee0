#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "transport/quic/qlog.h"

namespace tern::handoff {

class Stage;
class Transfer;

/// What a sender's congestion control says of itself.
class MetricsObserver {
 public:
  virtual void metrics(Duration now, bool server, Duration smoothed_rtt,
                       std::uint64_t congestion_window) = 0;

 protected:
  ~MetricsObserver() = default;
};

/// Reads a connection's qlog while it is written and passes it on. Two things come of it:
///
/// Stream bytes that are sent again. ngtcp2 sends new bytes of a stream in order, so whatever lies
/// below the highest offset sent is a retransmission. For a transfer that offset is kept from one
/// attempt to the next: bytes that were on their way when a connection was given up are sent again
/// too.
///
/// Whether a stream was delivered late because another one lost a packet. At the end of every
/// instant, the receiving application must have every body byte of each stream up to the first gap
/// in what this stream's own packets brought: a loss on stream A holds back A alone. What the
/// framing of HTTP/3 takes is allowed for; it is far below a packet.
class QlogFollower final : public quic::QlogSink {
 public:
  /// `next` may be null. The stage outlives this object.
  QlogFollower(Stage& stage, bool server, std::unique_ptr<quic::QlogSink> next);
  ~QlogFollower() override;
  void write(std::string_view record) override;

 private:
  struct Sent {
    std::uint64_t highest = 0;                // offset, of a stream that is no transfer's
    std::uint64_t* highest_of_all = nullptr;  // in the transfer, over all attempts
    std::uint64_t base = 0;
  };
  struct Received {
    std::map<std::uint64_t, std::uint64_t> islands;  // beyond the gap: begin → end
    std::uint64_t contiguous = 0;
    // What it carries; null: not known yet, or not ours to receive.
    Transfer* transfer = nullptr;
    std::optional<Duration> held_since;
    unsigned attempt = 0;
    std::uint64_t base = 0;      // the transfer's offset at the stream's beginning
    std::uint64_t overhead = 0;  // framing so far
    std::uint64_t checked = 0;   // `contiguous` when it was last looked at
  };
  void sent(std::string_view record);
  void received(std::string_view record);
  void headers(std::string_view record, bool parsed);
  void metrics(std::string_view record);
  /// The instant is over in which these streams got something.
  void look_at_dirty();

  Stage& stage_;
  const bool server_;
  std::unique_ptr<quic::QlogSink> next_;
  std::unordered_map<std::uint64_t, Sent> sent_;          // by stream; looked up only
  std::unordered_map<std::uint64_t, Received> received_;  // likewise
  std::vector<std::uint64_t> dirty_;
  Duration dirty_at_{};
};

}  // namespace tern::handoff
