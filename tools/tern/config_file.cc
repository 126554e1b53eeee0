#include "tools/tern/config_file.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "tools/tern/exit_code.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;

[[noreturn]] void fail_at(const std::string& name, std::size_t line, std::string_view what) {
  fail_with(ExitCode::usage, fmt::format("{}:{}: {}", name, line, what));
}

class ConfigParser {
 public:
  ConfigParser(std::string_view text, const std::string& name) : rest_(text), name_(name) {}

  std::vector<ConfigEntry> run() {
    std::vector<ConfigEntry> entries;
    for (skip_lines(); !rest_.empty(); skip_lines()) {
      ConfigEntry entry = read_entry();
      for (const ConfigEntry& other : entries) {
        if (other.key == entry.key) {
          wrong(fmt::format("'{}' is there already, on line {}", entry.key, other.line));
        }
      }
      skip_blanks();
      if (!at_line_end()) wrong("one 'key = value' on a line, please");
      entries.push_back(std::move(entry));
    }
    return entries;
  }

 private:
  [[noreturn]] void wrong(std::string_view what) const { fail_at(name_, line_, what); }

  bool at(char c) const noexcept { return !rest_.empty() && rest_.front() == c; }
  bool at_line_end() const noexcept {
    return rest_.empty() || at('\n') || at('#') || rest_.starts_with("\r\n");
  }
  char take() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == '\n') ++line_;
    return c;
  }
  void skip_blanks() {
    while (at(' ') || at('\t')) take();
  }
  /// White space, comments, and the ends of lines.
  void skip_lines() {
    while (!rest_.empty()) {
      if (at('#')) {
        while (!rest_.empty() && !at('\n')) take();
      } else if (at(' ') || at('\t') || at('\r') || at('\n')) {
        take();
      } else {
        return;
      }
    }
  }

  ConfigEntry read_entry() {
    ConfigEntry entry;
    entry.line = line_;
    if (at('[')) wrong("there are no tables here: every key is an option");
    while (!rest_.empty() &&
           (std::isalnum(static_cast<unsigned char>(rest_.front())) != 0 || at('-') || at('_'))) {
      entry.key += take();
    }
    skip_blanks();
    if (entry.key.empty() || !at('=')) wrong("'key = value' is expected here");
    take();
    skip_blanks();
    if (at('[')) {
      entry.kind = ConfigEntry::Kind::list;
      read_list(entry.values);
    } else {
      entry.values.push_back(read_value(entry.kind));
    }
    return entry;
  }

  void read_list(std::vector<std::string>& values) {
    take();
    while (true) {
      skip_lines();
      if (at(']')) break;
      ConfigEntry::Kind kind{};
      values.push_back(read_value(kind));
      if (kind == ConfigEntry::Kind::boolean) wrong("a list has strings or numbers");
      skip_lines();
      if (at(']')) break;
      if (!at(',')) wrong("the list does not end: ',' or ']' is expected here");
      take();
    }
    take();
  }

  std::string read_value(ConfigEntry::Kind& kind) {
    if (at('"') || at('\'')) {
      kind = ConfigEntry::Kind::text;
      return read_string();
    }
    std::string word;
    while (!rest_.empty() && (std::isalnum(static_cast<unsigned char>(rest_.front())) != 0 ||
                              at('.') || at('_') || at('+') || at('-'))) {
      word += take();
    }
    kind =
        word == "true" || word == "false" ? ConfigEntry::Kind::boolean : ConfigEntry::Kind::number;
    const bool number = !word.empty() && word.find_first_not_of("0123456789.") == std::string::npos;
    if (kind == ConfigEntry::Kind::number && !number) {
      wrong("a value is a string in quotes, a number, true, false, or a list in [ ]");
    }
    return word;
  }

  std::string read_string() {
    const char quote = take();
    std::string text;
    while (!at(quote)) {
      if (rest_.empty() || at('\n')) wrong("the string does not end on its line");
      char c = take();
      if (c == '\\' && quote == '"') {
        if (rest_.empty()) wrong("the string does not end on its line");
        switch (const char escaped = take(); escaped) {
          case '"':
          case '\\': c = escaped; break;
          case 'n': c = '\n'; break;
          case 't': c = '\t'; break;
          default: wrong(fmt::format("'\\{}': write \\\\, \\\", \\n or \\t", escaped));
        }
      }
      text += c;
    }
    take();
    return text;
  }

  std::string_view rest_;
  const std::string& name_;
  std::size_t line_ = 1;
};

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
  return ConfigParser(text, name).run();
}

void apply_config(CLI::App& verb, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  if (file) text.assign(std::istreambuf_iterator<char>(file), {});
  if (!file || file.bad()) {
    fail_with(ExitCode::usage, Error::os(errno, "--config " + path).detail);
  }
  if (text.size() > kMaxFile) fail_with(ExitCode::usage, "--config " + path + ": too long");
  for (const ConfigEntry& entry : parse_config(text, path)) {
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
