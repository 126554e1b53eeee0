#pragma once

#include "tools/tern/cli11_forward.h"
#include "tools/tern/exit_code.h"

/// The verbs. Each adds itself to the app and, when it is the one that was asked for, leaves its
/// exit code in `result`, or throws a Failure.

namespace tern::cli {

void add_serve(CLI::App& app, ExitCode& result);
void add_get(CLI::App& app, ExitCode& result);
void add_ws(CLI::App& app, ExitCode& result);
void add_wt(CLI::App& app, ExitCode& result);
void add_call(CLI::App& app, ExitCode& result);
void add_bench(CLI::App& app, ExitCode& result);
void add_interop(CLI::App& app, ExitCode& result);
void add_handoff(CLI::App& app, ExitCode& result);
void add_relay(CLI::App& app, ExitCode& result);
void add_cert(CLI::App& app, ExitCode& result);
void add_version(CLI::App& app, ExitCode& result);

}  // namespace tern::cli
