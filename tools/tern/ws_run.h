#pragma once

#include "tools/tern/exit_code.h"
#include "tools/tern/ws_options.h"

namespace tern::cli {

/// `tern ws`: opens the WebSocket, passes stdin and messages between them, closes it.
ExitCode run_ws(const WsOptions& options);

}  // namespace tern::cli
