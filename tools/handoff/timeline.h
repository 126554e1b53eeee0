#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "tools/handoff/qlog_follower.h"
#include "tools/handoff/stage.h"
#include "transport/sim/radio.h"
#include "transport/sim/trace.h"

namespace tern::handoff {

/// One run, as pictures show it: in steps of `kStep` of virtual time.
struct Timeline {
  static constexpr Duration kStep = std::chrono::milliseconds(10);

  struct Sample {
    Duration when;
    double value;
  };
  /// A network of the first phone. Bytes are those of UDP or TCP payloads, both ways.
  struct Path {
    std::string name;
    std::vector<std::uint64_t> bytes;       ///< that arrived, in each step
    std::vector<sim::Radio::Change> radio;  ///< since the world's beginning
  };
  Duration length{};
  std::vector<std::uint64_t> delivered;  ///< bytes for applications, in each step
  std::vector<Sample> rtt;               ///< of the server's senders, seconds
  std::vector<Sample> window;            ///< of the server's senders, bytes
  std::vector<Path> paths;
  Duration stall_begin{};
  Duration stall_end{};  ///< the longest one
};

/// Draws up a timeline while a stage plays.
class TimelineRecorder final : public DeliveryObserver,
                               public MetricsObserver,
                               public sim::TraceObserver {
 public:
  /// Before `Stage::begin`, after the scenario has built its networks. The stage outlives it.
  explicit TimelineRecorder(Stage& stage);
  TimelineRecorder(const TimelineRecorder&) = delete;
  TimelineRecorder& operator=(const TimelineRecorder&) = delete;
  ~TimelineRecorder();

  /// Once, when the story is over.
  Timeline take();

 private:
  void delivered(Duration now, const Transfer& transfer, std::size_t bytes) override;
  void metrics(Duration now, bool server, Duration smoothed_rtt,
               std::uint64_t congestion_window) override;
  void observe(const sim::TraceEvent& event) override;

  Stage& stage_;
  Timeline timeline_;
};

}  // namespace tern::handoff
