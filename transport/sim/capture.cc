#include "transport/sim/capture.h"

namespace tern::sim {

std::uint32_t Capture::interface_of(const TraceEvent& event) {
  const std::uint64_t key = std::uint64_t{event.link} << 8 | event.direction;
  const auto known = interfaces_.find(key);
  if (known != interfaces_.end()) return known->second;
  const std::uint32_t added = file_.add_interface(event.where);
  interfaces_.emplace(key, added);
  return added;
}

void Capture::observe(const TraceEvent& event) {
  PcapngWriter::Datagram datagram;
  datagram.time = static_cast<std::uint64_t>(event.now.time_since_epoch().count());
  datagram.source = event.source;
  datagram.destination = event.destination;
  datagram.ecn = event.ecn;
  datagram.payload = event.payload;
  datagram.tcp = event.tcp;
  const bool arrived = event.verdict == Verdict::delivered;
  file_.write(interface_of(event), datagram, arrived ? "" : verdict_name(event.verdict));
}

}  // namespace tern::sim
