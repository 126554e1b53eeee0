#include <cstdio>

#include <gtest/gtest.h>

#include "transport/sim/world.h"

namespace {

/// Every failure says how to see it again.
class SeedPrinter final : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& test) override {
    if (!test.result()->Failed()) return;
    std::printf("replay: SIM_SEED=%llu %s --gtest_filter=%s.%s\n",
                static_cast<unsigned long long>(tern::sim::seed()), "sim_scenarios",
                test.test_suite_name(), test.name());
  }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // GoogleTest owns it.
  testing::UnitTest::GetInstance()->listeners().Append(new SeedPrinter);
  return RUN_ALL_TESTS();
}
