#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace tern::http {

/// `text` for one line of a log: control characters (C1's too), DEL, quote, backslash, and bytes
/// that are not UTF-8 as \xHH, so that what a peer sent can neither start a line of its own nor
/// command a terminal. At most `limit` bytes of `text` are taken; "…" stands for the rest.
std::string escaped(std::string_view text, std::size_t limit = 1024);

/// Appends `text` as the inside of a JSON string: quotes, backslashes and control characters (C1's
/// too) escaped, bytes that are not UTF-8 as U+FFFD.
void append_json_escaped(std::string& out, std::string_view text);

/// Appends `text` with &, <, >, " and ' as HTML character references.
void append_html_escaped(std::string& out, std::string_view text);

/// Percent-decodes (RFC 3986 §2.1) `text` into `out`, replacing its content. False at a `%` without
/// two hexadecimal digits; `out` is then unspecified.
bool percent_decode(std::string_view text, std::string& out);

/// Appends `text` with every byte but the unreserved ones and those of `kept` percent-encoded.
void append_percent_encoded(std::string& out, std::string_view text, std::string_view kept = {});

/// Appends `bytes` in base64 (RFC 4648 §4), padded.
void append_base64(std::string& out, ByteView bytes);

}  // namespace tern::http
