#include "tools/tern/commands.h"
#include "tools/tern/interop_endpoint.h"

namespace tern::cli {

void add_interop(CLI::App& app, ExitCode& result) {
  CLI::App* verb = app.add_subcommand("interop", "Interoperability with other QUIC programs");
  verb->require_subcommand(1);
  add_interop_endpoint(*verb, result);
}

}  // namespace tern::cli
