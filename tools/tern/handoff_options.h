#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/handoff/carrier.h"
#include "tools/handoff/run.h"
#include "tools/handoff/scenario.h"

namespace tern::cli {

/// `tern handoff` as it was asked for.
struct HandoffOptions {
  std::string scenario;
  std::uint64_t seed = 1;
  std::uint64_t seeds = 0;  ///< 0: one run, shown in detail
  std::vector<std::string> carriers;
  bool json = false;
  bool bounds = false;  ///< fail when a bound does not hold
  std::optional<std::string> html_file;
  std::optional<std::string> svg_file;
  std::string qlog_dir;
};

/// What every carrier did in one scenario: an outcome for each seed, in order.
struct HandoffResults {
  const handoff::Scenario* scenario = nullptr;
  struct Runs {
    handoff::CarrierKind carrier;
    std::vector<handoff::Outcome> outcomes;
  };
  std::vector<Runs> carriers;

  bool passed() const;
  /// At the 99th percentile; true where none is promised.
  bool bounds_hold() const;
};

}  // namespace tern::cli
