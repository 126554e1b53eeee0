#pragma once

#include <optional>
#include <string>

/// The three streams that whoever starts the program gives it, or does not.

namespace tern::cli {

/// Opens /dev/null where the caller has closed stdin, stdout or stderr: otherwise the next file or
/// socket gets that number, and what is printed goes into it. stdin is then empty, writing to
/// stdout fails, and stderr takes all and shows nothing. First thing in main.
void keep_standard_streams() noexcept;

/// Hands over what is left of stdout. What went wrong when not all of what was printed has arrived,
/// now or before: a script must not take half a report for the whole.
std::optional<std::string> finish_stdout();

}  // namespace tern::cli
