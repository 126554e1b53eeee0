#pragma once

#include <cstdint>
#include <iosfwd>
#include <unordered_map>

#include "transport/sim/pcapng.h"
#include "transport/sim/trace.h"

namespace tern::sim {

/// Writes what happens on the links as a pcapng file that Wireshark reads: one interface for each
/// direction of a link (and for each host that drops something), raw IP packets with nanoseconds,
/// at the time they arrived; what was lost is there too, with the reason as the packet's comment.
/// The time is virtual, from 1970 on.
///   sim::Capture capture(file);  world.observe(capture);
class Capture final : public TraceObserver {
 public:
  /// The stream outlives this object.
  explicit Capture(std::ostream& out) : file_(out) {}
  void observe(const TraceEvent& event) override;

 private:
  std::uint32_t interface_of(const TraceEvent& event);

  PcapngWriter file_;
  std::unordered_map<std::uint64_t, std::uint32_t> interfaces_;
};

}  // namespace tern::sim
