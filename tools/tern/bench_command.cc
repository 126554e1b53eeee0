#include "tools/tern/commands.h"
namespace tern::cli { void add_bench(CLI::App&, ExitCode&) {} }
