#include "transport/sim/rate_trace.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"

namespace tern::sim {

Result<RateTrace> RateTrace::parse(std::string_view text, std::string_view name) {
  std::vector<std::uint32_t> times;
  std::size_t line_number = 0;
  const auto wrong = [&](std::string_view what) {
    return fail(Error::invalid(fmt::format("{}:{}: {}", name, line_number, what)));
  };
  while (!text.empty()) {
    ++line_number;
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    std::uint32_t time = 0;
    const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), time);
    if (error != std::errc() || stop != line.data() + line.size()) {
      return wrong("a time in whole milliseconds is wanted");
    }
    if (time > kMaxMilliseconds) return wrong("a trace may be a day long, not more");
    if (!times.empty() && time < times.back()) return wrong("this time is before the last one");
    if (times.size() == kMaxOpportunities) return wrong("4,000,000 lines are the limit");
    times.push_back(time);
  }
  if (times.empty() || times.back() == 0) return wrong("no time above 0: the trace has no length");
  return RateTrace(std::move(times));
}

RateTrace::RateTrace(std::vector<std::uint32_t> milliseconds) : times_(std::move(milliseconds)) {
  TERN_CHECK(!times_.empty() && times_.back() > 0 && times_.back() <= kMaxMilliseconds);
  TERN_CHECK(times_.size() <= kMaxOpportunities);
  TERN_CHECK(std::is_sorted(times_.begin(), times_.end()));
}

std::string RateTrace::text() const {
  std::string lines;
  for (const std::uint32_t time : times_) lines += fmt::format("{}\n", time);
  return lines;
}

double RateTrace::mean_bits_per_second() const noexcept {
  return 8.0 * static_cast<double>(kOpportunityBytes * times_.size()) /
         std::chrono::duration<double>(period()).count();
}

Duration RateTrace::at(std::uint64_t index) const noexcept {
  const auto round = static_cast<Duration::rep>(index / times_.size());
  return round * period() + std::chrono::milliseconds(times_[index % times_.size()]);
}

std::uint64_t RateTrace::first_from(Duration since) const noexcept {
  if (since <= Duration::zero()) return 0;
  const auto round = static_cast<std::uint64_t>(since / period());
  const Duration rest = since % period();
  // A time of n ms is reached by `since` values up to n ms: round up.
  const auto milliseconds =
      static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::milliseconds>(rest).count());
  // The last opportunity of a round and the first ones of the next may share a moment.
  if (rest == Duration::zero() && round > 0) {
    const auto last = std::lower_bound(times_.begin(), times_.end(), times_.back());
    return (round - 1) * times_.size() + static_cast<std::uint64_t>(last - times_.begin());
  }
  const auto found = std::lower_bound(times_.begin(), times_.end(), milliseconds);
  return round * times_.size() + static_cast<std::uint64_t>(found - times_.begin());
}

namespace {

/// Box–Muller; 1 - unit() is never 0.
double normal(Random& random) {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - random.unit()));
  return radius * std::cos(2.0 * std::numbers::pi * random.unit());
}

}  // namespace

RateTrace CellularTrace::make(Random& random) const {
  constexpr Duration kStep = std::chrono::milliseconds(20);
  constexpr Duration kSlot = std::chrono::milliseconds(1);
  TERN_CHECK(length_ >= kStep && mean_mbps_ > 0 && spread_ >= 0 && memory_ > Duration::zero());
  const double each_slot =
      mean_mbps_ * 1e6 / 8.0 / 1000.0 / static_cast<double>(RateTrace::kOpportunityBytes);
  const double keep =
      std::exp(-std::chrono::duration<double>(kStep) / std::chrono::duration<double>(memory_));
  const double kick = spread_ * std::sqrt(1 - keep * keep);
  double level = spread_ * normal(random);
  double due = 0;
  Duration outage_ends{0};
  std::vector<std::uint32_t> times;
  for (Duration now{0}; now < length_; now += kSlot) {
    if (now % kStep == Duration::zero()) {
      level = keep * level + kick * normal(random);
      const double chance =
          outage_every_ <= Duration::zero()
              ? 0
              : std::chrono::duration<double>(kStep) / std::chrono::duration<double>(outage_every_);
      if (random.unit() < chance) {
        outage_ends =
            now + std::chrono::duration_cast<Duration>(outage_length_ * (0.5 + random.unit()));
      }
    }
    if (now < outage_ends) continue;
    // The mean of a log-normal value is above its median by half of the variance.
    due += each_slot * std::exp(level - spread_ * spread_ / 2);
    for (; due >= 1; due -= 1) {
      times.push_back(static_cast<std::uint32_t>(now / kSlot));
    }
  }
  // The last line is the trace's length.
  times.push_back(static_cast<std::uint32_t>(length_ / kSlot));
  return RateTrace(std::move(times));
}

}  // namespace tern::sim
