#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// What strangers write, before others see it. HTML is the page's business (it inserts text, never
/// markup); here goes what would change how the text around it reads.

namespace tern::chat {

/// Characters of a name.
inline constexpr std::size_t kMaxName = 32;
/// Bytes of a message.
inline constexpr std::size_t kMaxText = 2000;

/// Without control characters, marks that turn the direction of what follows, invisible ones, and
/// more than four accents on one letter; line breaks stay in a message and are spaces in a name.
/// Trimmed; a name is cut after `kMaxName` characters. Nothing: no UTF-8, nothing left, or a
/// message of more than `kMaxText` bytes.
std::optional<std::string> clean_name(std::string_view text);
std::optional<std::string> clean_text(std::string_view text);

/// The same name to a reader, as far as ASCII goes.
bool same_name(std::string_view a, std::string_view b) noexcept;

}  // namespace tern::chat
