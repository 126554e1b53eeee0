#include "tools/tern/config_file.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/error.h"
#include "tools/tern/exit_code.h"
#include "tools/tern/input_file.h"
#include "tools/tern/terminal.h"
#include "tools/tern/toml_document.h"

namespace tern::cli {
namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;

[[noreturn]] void fail_at(const std::string& name, std::size_t line, std::string_view what) {
  fail_with(ExitCode::usage, fmt::format("{}:{}: {}", name, line, what));
}

/// A value as it would stand on the command line. False: it cannot.
bool read_value(const toml::node& node, std::string& text, ConfigEntry::Kind& kind) {
  if (const auto* string = node.as_string()) {
    kind = ConfigEntry::Kind::text;
    text = string->get();
  } else if (const auto* integer = node.as_integer()) {
    kind = ConfigEntry::Kind::number;
    text = fmt::to_string(integer->get());
  } else if (const auto* number = node.as_floating_point()) {
    kind = ConfigEntry::Kind::number;
    text = fmt::to_string(number->get());
  } else if (const auto* boolean = node.as_boolean()) {
    kind = ConfigEntry::Kind::boolean;
    text = boolean->get() ? "true" : "false";
  } else {
    return false;
  }
  return true;
}

ConfigEntry read_entry(std::string_view key, const toml::node& node, const std::string& name) {
  ConfigEntry entry;
  entry.key = key;
  entry.line = node.source().begin.line;
  if (node.is_table())
    fail_at(name, entry.line, "there are no tables here: every key is an option");
  const toml::array* list = node.as_array();
  if (list == nullptr) {
    if (!read_value(node, entry.values.emplace_back(), entry.kind)) {
      fail_at(name, entry.line,
              fmt::format("'{}' wants a string, a number, true, false, or a list of them", key));
    }
    return entry;
  }
  for (const toml::node& item : *list) {
    if (!read_value(item, entry.values.emplace_back(), entry.kind) ||
        entry.kind == ConfigEntry::Kind::boolean) {
      fail_at(name, item.source().begin.line, "a list has strings or numbers");
    }
  }
  entry.kind = ConfigEntry::Kind::list;
  return entry;
}

CLI::Option* option_of(CLI::App& verb, const std::string& key) {
  if (key == "help" || key == "config") return nullptr;
  if (CLI::Option* option = verb.get_option_no_throw("--" + key)) return option;
  for (CLI::Option* option : verb.get_options()) {
    std::string name = option->get_name(true);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (option->get_positional() && name == key) return option;
  }
  return nullptr;
}

/// Why the entry does not fit the option; empty if it does.
std::string misfit(const ConfigEntry& entry, const CLI::Option& option) {
  const bool flag = option.get_expected_max() == 0;
  const bool boolean = entry.kind == ConfigEntry::Kind::boolean;
  if (flag && !boolean) return "is true or false";
  if (!flag && boolean) return "wants a value, not true or false";
  if (entry.values.size() != 1 && option.get_expected_max() <= 1) return "takes one value";
  return {};
}

}  // namespace

std::vector<ConfigEntry> parse_config(std::string_view text, const std::string& name) {
  toml::table document;
  try {
    document = parse_toml(text);
  } catch (const TomlError& error) {
    fail_at(name, error.line(), error.what());
  }
  std::vector<ConfigEntry> entries;
  for (const auto& [key, node] : document) {
    entries.push_back(read_entry(key.str(), node, name));
  }
  std::sort(entries.begin(), entries.end(),
            [](const ConfigEntry& a, const ConfigEntry& b) { return a.line < b.line; });
  return entries;
}

void apply_config(CLI::App& verb, const std::string& path) {
  const Result<std::string> text = read_input(path, kMaxFile);
  if (!text) fail_with(ExitCode::usage, "--config: " + text.error().detail);
  for (const ConfigEntry& entry : parse_config(*text, path)) {
    CLI::Option* option = option_of(verb, entry.key);
    if (option == nullptr) {
      fail_at(path, entry.line,
              fmt::format("unknown key '{}'; the keys are the long options of `tern {} --help`",
                          entry.key, verb.get_name()));
    }
    const std::string why = misfit(entry, *option);
    if (!why.empty()) fail_at(path, entry.line, fmt::format("'{}' {}", entry.key, why));
    if (option->count() != 0) continue;  // the command line has it
    if (entry.values.empty() || entry.values.front() == "false") continue;
    try {
      for (const std::string& value : entry.values) option->add_result(value);
      option->run_callback();
    } catch (const CLI::Error& error) {
      fail_at(path, entry.line, error.what());
    }
  }
}

}  // namespace tern::cli
