#pragma once

#include <optional>
#include <string>

/// Files that a verb writes in one piece at its end, as pages and pictures.

namespace tern::cli {

/// Ends the program if the file of `flag` has no name or cannot be written: said before there is
/// something to lose. What is there is left alone.
void check_output(const char* flag, const std::optional<std::string>& path);

/// Ends the program if that fails.
void write_output(const char* flag, const std::string& path, const std::string& content);

}  // namespace tern::cli
