#include "tools/handoff/run.h"

#include <algorithm>

#include <fmt/format.h>

namespace tern::handoff {
namespace {

Figures measure(Stage& stage) {
  Figures figures;
  for (const Transfer& transfer : stage.transfers()) {
    figures.stall = std::max(figures.stall, transfer.longest_stall());
    figures.stalled = std::max(figures.stalled, transfer.stalled());
    if (transfer.complete()) {
      figures.last_byte = std::max(figures.last_byte, transfer.ended);
      if (transfer.kind() == Transfer::Kind::request) {
        figures.slowest_answer = std::max(figures.slowest_answer, transfer.ended - transfer.begun);
      }
    } else {
      ++figures.given_up;
    }
    ++figures.requests;
    figures.failed += transfer.failures;
    figures.retried += transfer.attempts > 1 ? transfer.attempts - 1 : 0;
    figures.bytes_delivered += transfer.delivered();
  }
  const double seconds = std::chrono::duration<double>(figures.last_byte).count();
  if (seconds > 0) figures.goodput = 8.0 * static_cast<double>(figures.bytes_delivered) / seconds;
  for (const auto& phone : stage.phones()) {
    for (const auto& access : phone->accesses()) {
      figures.bytes_sent +=
          access->link().up().stats().bytes_in + access->link().down().stats().bytes_in;
      const sim::RadioAccount radio = access->radio().settled(stage.world().now());
      figures.radio_on += radio.on();
      figures.joules += radio.joules;
    }
  }
  figures.bytes_retransmitted = stage.retransmitted() + stage.carrier_server()->retransmitted();
  for (const auto& phone : stage.phones()) {
    figures.bytes_retransmitted += phone->carrier()->retransmitted();
  }
  figures.handshakes = stage.carrier_server()->handshakes();
  return figures;
}

std::vector<StreamFigures> streams_of(const Stage& stage) {
  std::vector<StreamFigures> streams;
  for (const Transfer& transfer : stage.transfers()) {
    streams.push_back({transfer.longest_stall(), transfer.held(), transfer.longest_held()});
  }
  return streams;
}

void check(const Scenario& scenario, Stage& stage, const Figures& figures) {
  for (const Transfer& transfer : stage.transfers()) {
    const bool broken = transfer.failures != 0 && migrates(stage.carrier()) && scenario.unbroken;
    if (transfer.complete() && !broken) continue;
    stage.violate(fmt::format("{} {}: {} of {} bytes after {} attempts{}{}", name(transfer.kind()),
                              transfer.id(), transfer.delivered(), transfer.size(),
                              transfer.attempts, transfer.error.empty() ? "" : ": ",
                              transfer.error));
  }
  const std::uint64_t promised = scenario.handshakes * stage.phones().size();
  const std::uint64_t sessions = stage.carrier_server()->sessions();
  if (stage.carrier() == CarrierKind::webtransport && scenario.unbroken &&
      sessions != stage.phones().size()) {
    stage.violate(fmt::format("{} sessions instead of {}", sessions, stage.phones().size()));
  }
  if (migrates(stage.carrier()) && promised != 0 && figures.handshakes != promised) {
    stage.violate(fmt::format("{} handshakes instead of {}", figures.handshakes, promised));
  }
}

}  // namespace

Outcome run(const Scenario& scenario, CarrierKind carrier, std::uint64_t seed,
            const RunOptions& options) {
  Outcome outcome;
  outcome.seed = seed;
  outcome.carrier = carrier;
  Stage stage(seed, carrier);
  stage.use_qlog(options.qlog);
  stage.use_client_key_log(options.key_log);
  scenario.play(stage);
  const bool follows = scenario.streams && type_of(carrier).streams_followed;
  if (follows) stage.follow_streams();
  std::optional<TimelineRecorder> recorder;
  if (options.timeline) recorder.emplace(stage);
  stage.begin();
  stage.play(kRunLimit);
  if (recorder) outcome.timeline = recorder->take();
  recorder.reset();
  outcome.figures = measure(stage);
  if (follows) outcome.streams = streams_of(stage);
  if (stage.phones().size() == 1) outcome.handoffs = stage.handoffs().measured();
  check(scenario, stage, outcome.figures);
  stage.end();
  outcome.trace_hash = stage.world().trace_hash();
  outcome.violations = stage.violations();
  outcome.marks = stage.marks();
  return outcome;
}

namespace {
double seconds_of(Duration time) { return std::chrono::duration<double>(time).count(); }
}  // namespace

std::optional<StreamReport> stream_report(const std::vector<Outcome>& outcomes) {
  StreamReport report;
  std::vector<Sample> stall;
  std::vector<Sample> held;
  std::vector<Sample> longest_held;
  for (const Outcome& outcome : outcomes) {
    for (const StreamFigures& stream : outcome.streams) {
      ++report.streams;
      if (stream.held > Duration::zero()) ++report.held_up;
      stall.push_back({seconds_of(stream.stall), outcome.seed});
      held.push_back({seconds_of(stream.held), outcome.seed});
      longest_held.push_back({seconds_of(stream.longest_held), outcome.seed});
    }
  }
  if (report.streams == 0) return std::nullopt;
  report.stall = spread(std::move(stall), false);
  report.held = spread(std::move(held), false);
  report.longest_held = spread(std::move(longest_held), false);
  return report;
}

std::optional<BoundReport> bound_report(const Scenario& scenario,
                                        const std::vector<Outcome>& outcomes) {
  BoundReport report;
  std::vector<Sample> stalls;
  std::vector<Sample> allowed;
  std::vector<Sample> excess;
  for (const Outcome& outcome : outcomes) {
    if (scenario.bound == Bound::none || outcome.carrier != CarrierKind::quic) continue;
    const Handoff* nearest = nullptr;
    const auto margin = [&](const Handoff& handoff) {
      return handoff.stall - handoff.allowed(scenario.bound);
    };
    for (const Handoff& handoff : outcome.handoffs) {
      if (nearest == nullptr || margin(handoff) > margin(*nearest)) nearest = &handoff;
    }
    if (nearest == nullptr) continue;
    ++report.seeds;
    if (margin(*nearest) <= Duration::zero()) ++report.held;
    stalls.push_back({seconds_of(nearest->stall), outcome.seed});
    allowed.push_back({seconds_of(nearest->allowed(scenario.bound)), outcome.seed});
    excess.push_back({seconds_of(margin(*nearest)), outcome.seed});
  }
  if (report.seeds == 0) return std::nullopt;
  report.stall = spread(std::move(stalls), false);
  report.allowed = spread(std::move(allowed), false);
  report.excess = spread(std::move(excess), false);
  return report;
}

std::string replay_line(const Scenario& scenario, const Outcome& outcome) {
  return fmt::format("tern handoff {} --carrier {} --seed {}", scenario.name,
                     type_of(outcome.carrier).name, outcome.seed);
}

}  // namespace tern::handoff
