#include "transport/sim/trace.h"

#include <ostream>

#include <fmt/format.h>

#include "base/check.h"
#include "transport/sim/mix.h"

namespace tern::sim {

namespace {

constexpr std::array<std::string_view, kVerdicts> kVerdictNames = {
    "delivered", "loss",      "burst-loss", "listed",      "filtered",  "queue-full",
    "too-big",   "cut",       "blackhole",  "if-down",     "host-down", "nat",
    "no-route",  "hop-limit", "no-socket",  "buffer-full", "closed",    "checksum"};

constexpr std::string_view ecn_name(udp::Ecn ecn) {
  constexpr std::string_view names[] = {"not-ect", "ect1", "ect0", "ce"};
  return names[static_cast<std::size_t>(ecn)];
}

}  // namespace

std::string_view verdict_name(Verdict verdict) noexcept {
  return kVerdictNames[static_cast<std::size_t>(verdict)];
}

void TraceHash::add(const TraceEvent& event) noexcept {
  const auto time = static_cast<std::uint64_t>(event.now.time_since_epoch().count());
  const std::uint64_t what = static_cast<std::uint64_t>(event.link) << 32 |
                             static_cast<std::uint64_t>(event.direction) << 31 |
                             static_cast<std::uint64_t>(event.verdict) << 24 |
                             static_cast<std::uint64_t>(event.payload.size());
  value_ = mix(value_ ^ time) + what;
  value_ = mix(value_ + 0x9e3779b97f4a7c15);
  if (event.tcp != nullptr) {
    const TcpHeader& tcp = *event.tcp;
    value_ = mix(value_ ^ (std::uint64_t{tcp.sequence} << 32 | tcp.acknowledgment));
    value_ = mix(value_ + (std::uint64_t{tcp.window} << 16 | std::uint64_t{tcp.flags} << 8 |
                           std::uint64_t{tcp.sack_blocks}));
  }
  ++events_;
}

void TraceText::observe(const TraceEvent& event) {
  const double seconds = std::chrono::duration<double>(event.now.time_since_epoch()).count();
  out_ << fmt::format("{:12.6f} {} {} {} {} {} > {}\n", seconds, event.where, event.payload.size(),
                      ecn_name(event.ecn), verdict_name(event.verdict), event.source.to_string(),
                      event.destination.to_string());
}

}  // namespace tern::sim
