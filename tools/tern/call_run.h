#pragma once

#include "tools/tern/call_options.h"
#include "tools/tern/exit_code.h"

namespace tern::cli {

/// Throws a Failure for what is wrong with the flags.
ExitCode run_call(const CallOptions& options);

}  // namespace tern::cli
