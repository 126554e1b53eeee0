#pragma once

#include <vector>

#include "tools/tern/handoff_options.h"

namespace tern::cli {

void print_handoff_list();
void print_handoff_list_json();
/// Table on stdout; what the checks found, and how to see it again, on stderr.
void print_handoff(const HandoffOptions& options, const std::vector<HandoffResults>& results);
void print_handoff_json(const HandoffOptions& options, const std::vector<HandoffResults>& results);

}  // namespace tern::cli
