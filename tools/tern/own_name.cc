#include "tools/tern/own_name.h"

#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace tern::cli {

std::string own_name() {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return "tern";
  const char* const path = std::getenv("PATH");
  std::string_view folders = path == nullptr ? "" : path;
  while (!folders.empty()) {
    const std::size_t colon = folders.find(':');
    const fs::path found = fs::path(folders.substr(0, colon)) / "tern";
    folders.remove_prefix(colon == std::string_view::npos ? folders.size() : colon + 1);
    if (!fs::exists(found, error)) continue;
    // The first one is what the shell runs.
    return fs::equivalent(found, self, error) ? "tern" : self.string();
  }
  return self.string();
}

}  // namespace tern::cli
