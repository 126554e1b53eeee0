#pragma once

#include <cstddef>
#include <string>

#include "base/error.h"

namespace tern::cli {

/// All of a file that somebody named, of stdin for "-". Anything that can be read is a file: a pipe
/// too, but no folder. More than `most` bytes are Code::limit; every error names the file.
Result<std::string> read_input(const std::string& path, std::size_t most);

}  // namespace tern::cli
