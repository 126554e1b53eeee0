#include "tools/tern/histogram.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

namespace tern::cli {
namespace {

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.min(), Duration{});
  EXPECT_EQ(histogram.percentile(50), Duration{});
  EXPECT_EQ(histogram.mean(), Duration{});
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (int i = 0; i <= 200; ++i) histogram.record(Duration(i));
  EXPECT_EQ(histogram.percentile(50), Duration(100));
  EXPECT_EQ(histogram.percentile(0), Duration(0));
  EXPECT_EQ(histogram.percentile(100), Duration(200));
  EXPECT_EQ(histogram.min(), Duration(0));
  EXPECT_EQ(histogram.max(), Duration(200));
  EXPECT_EQ(histogram.mean(), Duration(100));
}

TEST(Histogram, PercentilesAreWithinOnePercent) {
  Random random(7);
  Histogram histogram;
  std::vector<double> values;
  for (int i = 0; i < 20'000; ++i) {
    const double value = std::exp(random.unit() * 25);
    values.push_back(value);
    histogram.record(Duration(static_cast<Duration::rep>(value)));
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {1.0, 25.0, 50.0, 90.0, 99.0, 99.9}) {
    const double exact = values[static_cast<std::size_t>(std::ceil(percent / 100 * 20'000)) - 1];
    const auto found = static_cast<double>(histogram.percentile(percent).count());
    EXPECT_GE(found, exact - 1) << percent;
    EXPECT_LE(found, exact * 1.01 + 1) << percent;
  }
}

TEST(Histogram, TooLargeAndNegativeValuesAreClamped) {
  Histogram histogram;
  histogram.record(Duration::max());
  histogram.record(Duration(-5));
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.min(), Duration(0));
  EXPECT_EQ(histogram.percentile(100), histogram.max());
}

}  // namespace
}  // namespace tern::cli
