#pragma once

#include "tools/tern/exit_code.h"
#include "tools/tern/get_options.h"

namespace tern::cli {

/// Fetches what the options say and reports it. Throws a Failure if it could not begin, and
/// std::invalid_argument for a value that cannot be read.
ExitCode run_get(const GetOptions& options);

}  // namespace tern::cli
