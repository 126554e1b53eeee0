#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace tern::handoff {

/// What one carrier did in one run. Times are virtual.
struct Figures {
  Duration stall{};           ///< longest gap between two pieces of a transfer, over all of them
  Duration stalled{};         ///< sum of the gaps above 100 ms, of the transfer with most of it
  Duration last_byte{};       ///< when the last transfer was complete
  Duration slowest_answer{};  ///< of the small requests
  double goodput = 0;         ///< bits a second that applications got, until the last byte
  std::uint64_t requests = 0;
  std::uint64_t failed = 0;    ///< attempts that an application saw fail
  std::uint64_t retried = 0;   ///< attempts after the first
  std::uint64_t given_up = 0;  ///< transfers that never became complete
  std::uint64_t handshakes = 0;
  std::uint64_t bytes_delivered = 0;      ///< to applications
  std::uint64_t bytes_sent = 0;           ///< IP packets, both ends, on all links
  std::uint64_t bytes_retransmitted = 0;  ///< stream bytes sent again
  Duration radio_on{};  ///< not asleep: all radios of all phones, until they sleep again
  double joules = 0;    ///< likewise
};

/// One stream of a run in which they are told apart.
struct StreamFigures {
  Duration stall{};  ///< longest gap between two pieces
  /// So long it had bytes that had arrived, with all before them, and were kept from its
  /// application because bytes of other streams were missing: in all, and at once.
  Duration held{};
  Duration longest_held{};
};

/// One row of the tables, one member of the JSON.
struct Metric {
  enum class Unit : std::uint8_t { seconds, count, bytes, bits_per_second, joules };
  std::string_view key;    ///< "stall_s": the unit is in the name
  std::string_view title;  ///< "longest stall"
  Unit unit;
  bool more_is_better;
  double (*value)(const Figures& figures);
};
std::span<const Metric> metrics() noexcept;

/// How a metric spreads over many seeds. Percentiles are values that occurred (nearest rank).
struct Spread {
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double worst = 0;
  std::uint64_t worst_seed = 0;
};
struct Sample {
  double value;
  std::uint64_t seed;
};
/// "Worse" is up, or down where more is better: p99 is what 99 of 100 runs do at least as well as.
/// Not of an empty list.
Spread spread(std::vector<Sample> samples, bool more_is_better);

/// The streams of many runs, as one crowd.
struct StreamReport {
  std::size_t streams = 0;
  std::size_t held_up = 0;  ///< by others, at least once
  Spread stall;
  Spread held;
  Spread longest_held;
};

/// Whether handoffs cost no more than they may.
struct BoundReport {
  std::size_t seeds = 0;  ///< in which there was a handoff
  std::size_t held = 0;   ///< … and all of them kept to it
  Spread stall;           ///< of the handoff that came nearest to its bound, or missed it most
  Spread allowed;         ///< likewise
  Spread excess;          ///< stall less allowed, in seconds: negative where the bound was kept
  /// At the 99th percentile of the seeds.
  bool holds() const noexcept { return excess.p99 <= 0; }
};

}  // namespace tern::handoff
