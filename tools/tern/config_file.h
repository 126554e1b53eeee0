#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/tern/cli11_forward.h"

/// `--config FILE`: a verb's long options as a TOML document (https://toml.io) without tables.

namespace tern::cli {

/// `key = value`.
struct ConfigEntry {
  enum class Kind : std::uint8_t { text, number, boolean, list };

  std::string key;
  Kind kind = Kind::text;
  std::vector<std::string> values;  ///< one, unless it is a list
  std::size_t line = 0;
};

/// The entries of a document, by line. Throws a Failure (usage) that begins with "`name`:LINE: "
/// for one that is no TOML, and for values that no option takes: tables, dates.
std::vector<ConfigEntry> parse_config(std::string_view text, const std::string& name);

/// Gives the options of `verb` that the command line does not have their values from the file. A
/// key is the name of a long option, or of the positional argument in lower case. To be called once
/// the command line is parsed. Throws a Failure that names file and line.
void apply_config(CLI::App& verb, const std::string& path);

}  // namespace tern::cli
