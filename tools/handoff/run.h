#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/handoff/carrier.h"
#include "tools/handoff/figures.h"
#include "tools/handoff/scenario.h"
#include "tools/handoff/stage.h"
#include "tools/handoff/timeline.h"
#include "transport/tls/key_log.h"

namespace tern::handoff {

/// Virtual time after which a run is given up.
inline constexpr Duration kRunLimit = std::chrono::seconds(120);

/// One run: what was measured, and what the checks found.
struct Outcome {
  std::uint64_t seed = 0;
  CarrierKind carrier = CarrierKind::quic;
  Figures figures;
  /// Of the migrating carrier; empty in a scenario with more than one phone.
  std::vector<Handoff> handoffs;
  /// In a scenario that is about them, of a carrier whose streams are followed.
  std::vector<StreamFigures> streams;
  std::vector<std::string> violations;  ///< empty: every check passed
  std::uint64_t trace_hash = 0;
  std::vector<Mark> marks;
  std::optional<Timeline> timeline;
};

struct RunOptions {
  quic::QlogOpener qlog;                 ///< where each connection's qlog goes; may be empty
  std::shared_ptr<tls::KeyLog> key_log;  ///< of tern's own clients; may be empty
  bool timeline = false;
};

/// Plays the scenario in a world of its own. Thread-safe.
///
/// Checked in every run:
///   - every transfer's receiver gets exactly its bytes, in order, once (body.h); with the
///     migrating carrier of an `unbroken` scenario at the first attempt;
///   - no stream is delivered late because another one lost a packet (qlog_follower.h);
///   - no request reaches the server's application twice;
///   - the migrating carrier makes as many handshakes as the scenario promises;
///   - in the end no connection, packet, buffer or socket is left.
Outcome run(const Scenario& scenario, CarrierKind carrier, std::uint64_t seed,
            const RunOptions& options = {});

/// Nothing: the scenario promises nothing, the carrier does not migrate, or there was no handoff.
std::optional<BoundReport> bound_report(const Scenario& scenario,
                                        const std::vector<Outcome>& outcomes);

/// Nothing: the scenario is not about its streams, or the carrier's are not followed.
std::optional<StreamReport> stream_report(const std::vector<Outcome>& outcomes);

/// How to see it again: "tern handoff sudden-cut --carrier quic --seed 17".
std::string replay_line(const Scenario& scenario, const Outcome& outcome);

}  // namespace tern::handoff
