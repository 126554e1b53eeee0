#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/handoff/run.h"

/// What a handoff is held to, in whole worlds.

namespace tern::handoff {
namespace {

/// The eight are those of a thousand seeds in which a packet that Wi-Fi had lost was longer than
/// the new path's and went there in two: the second part found the window full of new bytes, and
/// its acknowledgements waited for the old path's. In the last four the pacer, which took the old
/// path's round trip for the new one's, had the second window of the new path wait for 150 ms.
TEST(MakeBeforeBreak, KeepsItsBound) {
  const Scenario& scenario = *find_scenario("make-before-break");
  for (const std::uint64_t seed :
       {1u, 2u, 3u, 245u, 261u, 587u, 724u, 731u, 763u, 862u, 960u, 21u, 24u, 63u, 123u}) {
    const Outcome outcome = run(scenario, CarrierKind::quic, seed);
    SCOPED_TRACE(replay_line(scenario, outcome));
    EXPECT_THAT(outcome.violations, testing::IsEmpty());
    EXPECT_EQ(outcome.figures.failed, 0u);
    EXPECT_EQ(outcome.figures.handshakes, 1u);
    const auto report = bound_report(scenario, {outcome});
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->holds()) << report->excess.worst;
  }
}

}  // namespace
}  // namespace tern::handoff
