#pragma once

#include <string_view>

namespace tern::http {

/// The media type of a file by its name's extension (any case), text types with charset=utf-8;
/// "application/octet-stream" for others. Lives as long as the program.
std::string_view content_type_of(std::string_view file_name) noexcept;

}  // namespace tern::http
