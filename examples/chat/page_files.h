#pragma once

#include <span>

#include "http/embedded_files.h"

namespace tern::chat {

/// The files of examples/chat/page. Defined in a source that the build makes.
std::span<const http::EmbeddedFile> page_files() noexcept;

}  // namespace tern::chat
