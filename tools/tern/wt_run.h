#pragma once

#include "tools/tern/exit_code.h"
#include "tools/tern/wt_options.h"

namespace tern::cli {

/// `tern wt`: opens the session, passes stdin and what comes between them, closes it.
ExitCode run_wt(const WtOptions& options);

}  // namespace tern::cli
