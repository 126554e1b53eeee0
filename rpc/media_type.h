#pragma once

#include <string>
#include <string_view>

#include "http/fields.h"

/// Content types (RFC 9110 section 8.3.1), as the dialects look at them. Private to the room.

namespace tern::rpc {

/// "application/json" of "Application/JSON; charset=utf-8"; empty: there is no content-type.
std::string media_type(const http::Fields& fields);

/// application/json, or of another format that is JSON underneath (application/problem+json).
bool is_json(std::string_view type) noexcept;
/// JSON values one behind the other, as a stream's body may be.
bool is_json_lines(std::string_view type) noexcept;

}  // namespace tern::rpc
