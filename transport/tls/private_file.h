#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

/// The small files of certificates, keys and other secrets. Read and written at start and on
/// reload, not in a turn.

namespace tern::tls {

inline constexpr std::size_t kMaxFileSize = 4 * 1024 * 1024;

/// The whole file; errors name it. Larger than kMaxFileSize is refused.
Result<std::string> read_file(const std::string& path);
/// Replaces `path` atomically with a file of mode 0600; of a symbolic link what it leads to. A
/// device or a pipe (/dev/null) is written to, never replaced, and so is the file that stdout or
/// stderr goes to (/dev/stdout).
/// Several processes may do so at once: the last one's stays.
Result<void> write_private_file(const std::string& path, std::string_view text);
/// Makes `path` with mode 0600, whole from its first moment. False: it is there, perhaps made by
/// another process just now, and stays as it is.
Result<bool> make_private_file(const std::string& path, std::string_view text);

}  // namespace tern::tls
