#include "tools/handoff/figures.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace tern::handoff {
namespace {

double in_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

using Unit = Metric::Unit;
constexpr Metric kMetrics[] = {
    {"stall_s", "longest stall", Unit::seconds, false,
     [](const Figures& f) { return in_seconds(f.stall); }},
    {"stalled_s", "stalled in all", Unit::seconds, false,
     [](const Figures& f) { return in_seconds(f.stalled); }},
    {"last_byte_s", "last byte after", Unit::seconds, false,
     [](const Figures& f) { return in_seconds(f.last_byte); }},
    {"slowest_answer_s", "slowest answer", Unit::seconds, false,
     [](const Figures& f) { return in_seconds(f.slowest_answer); }},
    {"goodput_bps", "goodput", Unit::bits_per_second, true,
     [](const Figures& f) { return f.goodput; }},
    {"failed", "requests failed", Unit::count, false,
     [](const Figures& f) { return static_cast<double>(f.failed); }},
    {"retried", "requests retried", Unit::count, false,
     [](const Figures& f) { return static_cast<double>(f.retried); }},
    {"given_up", "given up", Unit::count, false,
     [](const Figures& f) { return static_cast<double>(f.given_up); }},
    {"handshakes", "handshakes", Unit::count, false,
     [](const Figures& f) { return static_cast<double>(f.handshakes); }},
    {"retransmitted_bytes", "retransmitted", Unit::bytes, false,
     [](const Figures& f) { return static_cast<double>(f.bytes_retransmitted); }},
    {"sent_bytes", "sent by both", Unit::bytes, false,
     [](const Figures& f) { return static_cast<double>(f.bytes_sent); }},
    {"radio_on_s", "radio on", Unit::seconds, false,
     [](const Figures& f) { return in_seconds(f.radio_on); }},
    {"energy_j", "radio energy", Unit::joules, false, [](const Figures& f) { return f.joules; }},
};

}  // namespace

std::span<const Metric> metrics() noexcept { return kMetrics; }

Spread spread(std::vector<Sample> samples, bool more_is_better) {
  TERN_CHECK(!samples.empty());
  std::stable_sort(samples.begin(), samples.end(), [&](const Sample& left, const Sample& right) {
    return more_is_better ? left.value > right.value : left.value < right.value;
  });
  const auto at = [&](double share) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(share * static_cast<double>(samples.size())));
    return samples[std::max<std::size_t>(rank, 1) - 1].value;
  };
  Spread found;
  found.p50 = at(0.5);
  found.p90 = at(0.9);
  found.p99 = at(0.99);
  found.worst = samples.back().value;
  // The first seed that is as bad: the same one however many are run.
  found.worst_seed = std::find_if(samples.begin(), samples.end(), [&](const Sample& sample) {
                       return sample.value == found.worst;
                     })->seed;
  return found;
}

}  // namespace tern::handoff
