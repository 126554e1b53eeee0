#pragma once

#include <span>
#include <string>
#include <vector>

#include "tools/interop/prober.h"

/// What `tern interop` found, for terminals, programs and browsers.

namespace tern::cli {

/// The letters of the cases that were run, each replaced by '-' unless it passed: "VHC-Q-cG".
std::string letters(const interop::TargetReport& report);

/// On stdout: for one endpoint a line a case, for several the matrix and what failed.
void print_interop(std::span<const interop::TargetReport> reports);
/// On stdout: the cases there are.
void print_interop_cases();
/// One object (docs/interop-prober.md).
std::string interop_json(std::span<const interop::TargetReport> reports, int exit_code);
/// A page that needs nothing else: matrix, legend, and each case's facts.
std::string interop_page(std::span<const interop::TargetReport> reports, UnixSeconds when);

}  // namespace tern::cli
