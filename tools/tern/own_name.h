#pragma once

#include <string>

namespace tern::cli {

/// What to type to run this program: `tern` where the shell finds it by that name, otherwise its
/// path. For lines that people are to copy.
std::string own_name();

}  // namespace tern::cli
