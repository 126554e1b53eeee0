#include "tools/tern/output_file.h"

#include <cerrno>
#include <fstream>

#include <fmt/format.h>

#include "base/error.h"
#include "tools/tern/exit_code.h"

namespace tern::cli {
namespace {

[[noreturn]] void cannot_write(const char* flag, const std::string& path) {
  fail_with(ExitCode::cannot_write,
            fmt::format("{}: {}", flag, Error::os(errno, "cannot write " + path).detail));
}

}  // namespace

void check_output(const char* flag, const std::optional<std::string>& path) {
  if (!path) return;
  if (path->empty()) fail_with(ExitCode::usage, fmt::format("{}: the file has no name", flag));
  if (!std::ofstream(*path, std::ios::app)) cannot_write(flag, *path);
}

void write_output(const char* flag, const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary);
  file << content;
  file.close();
  if (!file) cannot_write(flag, path);
}

}  // namespace tern::cli
