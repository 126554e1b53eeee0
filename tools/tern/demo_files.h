#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace tern::cli {

/// A file of tools/tern/demo, built into the program.
struct DemoFile {
  std::string_view name;  ///< path below the folder: "index.html"
  std::string_view content;
  std::string_view etag;  ///< of the content, with its quotes
};

/// Defined in a source that the build makes (embed.cmake).
std::span<const DemoFile> demo_files() noexcept;

}  // namespace tern::cli
