#pragma once

#include <span>

#include "http/embedded_files.h"

namespace tern::cli {

/// The files of tools/tern/demo. Defined in a source that the build makes
/// (cmake/embed_files.cmake).
std::span<const http::EmbeddedFile> demo_files() noexcept;

}  // namespace tern::cli
