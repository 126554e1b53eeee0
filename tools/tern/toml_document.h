#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

// Header-only and without exceptions: a document that is wrong is a value.
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

/// The one place where the tool reads TOML (https://toml.io, 1.0): `--config` and `relay --script`.

namespace tern::cli {

/// A document that is none: `what()` is one readable line without a place.
class TomlError : public std::runtime_error {
 public:
  TomlError(std::size_t line, const std::string& what) : std::runtime_error(what), line_(line) {}
  /// From 1 on.
  std::size_t line() const noexcept { return line_; }

 private:
  std::size_t line_;
};

/// Throws TomlError.
toml::table parse_toml(std::string_view text);

/// The same document in ASCII alone: characters beyond it become escapes in strings (a literal
/// string that has some becomes a basic one) and question marks in comments. Lines stay lines.
/// Throws TomlError for what is not UTF-8, and for such characters in other places.
///
/// toml++ up to 3.4 needs that: its test for white space has undefined behaviour for most of them.
std::string toml_in_ascii(std::string_view text);

}  // namespace tern::cli
