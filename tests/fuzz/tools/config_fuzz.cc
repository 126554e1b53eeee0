// A file of `tern serve --config`: refused with one line that names the file and a line of it, or
// entries in order. And its text in ASCII means the same.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "tools/tern/config_file.h"
#include "tools/tern/exit_code.h"
#include "tools/tern/toml_document.h"

namespace {

using namespace tern::cli;

void check_ascii(std::string_view text) {
  std::string ascii;
  try {
    ascii = toml_in_ascii(text);
  } catch (const TomlError& error) {
    TERN_CHECK(error.line() >= 1 && *error.what() != '\0');
    return;
  }
  TERN_CHECK(std::all_of(ascii.begin(), ascii.end(), [](char c) { return (c & 0x80) == 0; }));
  TERN_CHECK(std::count(ascii.begin(), ascii.end(), '\n') ==
             std::count(text.begin(), text.end(), '\n'));
  TERN_CHECK(toml_in_ascii(ascii) == ascii);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_ascii(text);
  try {
    std::size_t last = 0;
    for (const ConfigEntry& entry : parse_config(text, "config")) {
      TERN_CHECK(entry.line >= last);
      last = entry.line;
      TERN_CHECK(entry.kind == ConfigEntry::Kind::list || entry.values.size() == 1);
    }
  } catch (const Failure& failure) {
    TERN_CHECK(failure.code == ExitCode::usage && failure.message.starts_with("config:"));
  }
  return 0;
}
