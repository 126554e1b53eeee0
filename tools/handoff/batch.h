#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "tools/handoff/run.h"

namespace tern::handoff {

struct Job {
  const Scenario* scenario;
  CarrierKind carrier;
  std::uint64_t seed;
};

/// Runs every job, on as many threads as the machine has processors, and returns the outcomes in
/// the jobs' order: they do not depend on the threads. `progress` is called on the calling thread,
/// a few times a second, with the number of jobs that are done; false from it gives up, and the
/// outcomes that are missing then have no handshakes and no trace.
std::vector<Outcome> run_all(const std::vector<Job>& jobs, const RunOptions& options,
                             const std::function<bool(std::size_t done)>& progress);

}  // namespace tern::handoff
