#include "tools/handoff/timeline.h"

#include <algorithm>
#include <utility>

namespace tern::handoff {
namespace {

void add(std::vector<std::uint64_t>& steps, Duration when, std::uint64_t bytes) {
  const auto step = static_cast<std::size_t>(when / Timeline::kStep);
  if (step >= steps.size()) steps.resize(step + 1);
  steps[step] += bytes;
}

/// The last sample of each step is enough.
void add(std::vector<Timeline::Sample>& samples, Duration when, double value) {
  const bool same_step =
      !samples.empty() && samples.back().when / Timeline::kStep == when / Timeline::kStep;
  if (same_step) {
    samples.back() = {when, value};
  } else {
    samples.push_back({when, value});
  }
}

}  // namespace

TimelineRecorder::TimelineRecorder(Stage& stage) : stage_(stage) {
  for (const auto& access : stage.phones().front()->accesses()) {
    timeline_.paths.emplace_back().name = access->name();
  }
  stage.observe_deliveries(*this);
  stage.observe_metrics(*this);
  stage.world().observe(*this);
}

TimelineRecorder::~TimelineRecorder() { stage_.world().stop_observing(*this); }

void TimelineRecorder::delivered(Duration now, const Transfer&, std::size_t bytes) {
  add(timeline_.delivered, now, bytes);
}

void TimelineRecorder::metrics(Duration now, bool server, Duration smoothed_rtt,
                               std::uint64_t congestion_window) {
  if (!server) return;
  constexpr Duration kInitialRtt = 333ms;  // RFC 9002 §6.2.2: not measured yet
  if (smoothed_rtt != kInitialRtt) {
    add(timeline_.rtt, now, std::chrono::duration<double>(smoothed_rtt).count());
  }
  add(timeline_.window, now, static_cast<double>(congestion_window));
}

void TimelineRecorder::observe(const sim::TraceEvent& event) {
  // A segment that reaches the server, where its sender is.
  if (event.tcp != nullptr && event.verdict == sim::Verdict::delivered) {
    const auto info = stage_.server().tcp_info(event.destination, event.source);
    if (info && info->rtt != Duration::zero()) {
      metrics(stage_.world().elapsed(), true, info->rtt, info->congestion_window);
    }
  }
  // The first phone's links are the world's first.
  if (event.link >= timeline_.paths.size() || event.verdict != sim::Verdict::delivered) return;
  add(timeline_.paths[event.link].bytes, stage_.world().elapsed(), event.payload.size());
}

Timeline TimelineRecorder::take() {
  timeline_.length = stage_.world().elapsed();
  for (std::size_t i = 0; i < timeline_.paths.size(); ++i) {
    Access& access = *stage_.phones().front()->accesses()[i];
    access.radio().account(stage_.world().now());
    timeline_.paths[i].radio = access.radio().changes();
  }
  const auto slowest = std::max_element(stage_.transfers().begin(), stage_.transfers().end(),
                                        [](const auto& left, const auto& right) {
                                          return left.longest_stall() < right.longest_stall();
                                        });
  if (slowest != stage_.transfers().end()) {
    timeline_.stall_begin = slowest->longest_stall_at();
    timeline_.stall_end = timeline_.stall_begin + slowest->longest_stall();
  }
  return std::move(timeline_);
}

}  // namespace tern::handoff
