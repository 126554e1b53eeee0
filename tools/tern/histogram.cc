#include "tools/tern/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tern::cli {

// Values below 2^(kSubBits+1) have a bucket each; above, the leading kSubBits+1 bits choose.
std::size_t Histogram::index_of(std::uint64_t value) noexcept {
  const unsigned width = static_cast<unsigned>(std::bit_width(value));
  if (width <= kSubBits + 1) return static_cast<std::size_t>(value);
  const unsigned shift = width - (kSubBits + 1);
  return (static_cast<std::size_t>(shift) << kSubBits) + static_cast<std::size_t>(value >> shift);
}

std::uint64_t Histogram::upper_end(std::size_t index) noexcept {
  if (index < (std::size_t{2} << kSubBits)) return index;
  const std::size_t shift = (index >> kSubBits) - 1;
  const std::uint64_t leading = index - (shift << kSubBits);
  return ((leading + 1) << shift) - 1;
}

Histogram::Histogram() : buckets_(index_of((std::uint64_t{1} << kMaxBits) - 1) + 1) {}

void Histogram::record(Duration value) noexcept {
  constexpr std::int64_t kMax = (std::int64_t{1} << kMaxBits) - 1;
  const std::int64_t clamped = std::clamp<std::int64_t>(value.count(), 0, kMax);
  ++buckets_[index_of(static_cast<std::uint64_t>(clamped))];
  min_ = count_ == 0 ? clamped : std::min(min_, clamped);
  max_ = std::max(max_, clamped);
  sum_ += static_cast<double>(clamped);
  ++count_;
}

Duration Histogram::mean() const noexcept {
  if (count_ == 0) return {};
  return Duration(static_cast<Duration::rep>(sum_ / static_cast<double>(count_)));
}

Duration Histogram::percentile(double percent) const noexcept {
  if (count_ == 0) return {};
  const double share = std::clamp(percent, 0.0, 100.0) / 100;
  const auto wanted = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= wanted) {
      return Duration(std::min(static_cast<std::int64_t>(upper_end(i)), max_));
    }
  }
  return Duration(max_);
}

}  // namespace tern::cli
