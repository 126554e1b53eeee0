#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/time.h"

/// How things look to a person, and how a person writes them down.

namespace tern::cli {

/// Is the stream a terminal?
bool is_terminal(std::FILE* stream) noexcept;

/// What goes to stderr goes this way. When nobody reads there (`2>&1 | head`) or the disk is full,
/// the run goes on and ends as it would have; fmt::print would throw, in the midst of it.
void tell_text(std::string_view text) noexcept;
template <typename... Arguments>
void tell(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  tell_text(fmt::format(format, std::forward<Arguments>(arguments)...));
}

/// Paints text for one stream: on a terminal, and never with NO_COLOR. Elsewhere text stays as it
/// is.
class Paint {
 public:
  explicit Paint(std::FILE* stream) noexcept;
  std::string bold(std::string_view text) const { return wrap("1", text); }
  std::string dim(std::string_view text) const { return wrap("2", text); }
  std::string red(std::string_view text) const { return wrap("31", text); }
  std::string green(std::string_view text) const { return wrap("32", text); }
  std::string yellow(std::string_view text) const { return wrap("33", text); }
  std::string cyan(std::string_view text) const { return wrap("36", text); }

 private:
  std::string wrap(std::string_view code, std::string_view text) const;
  bool on_;
};

/// One line on stderr that replaces itself, for what takes longer than a second. Nothing happens
/// when stderr is no terminal.
class ProgressLine {
 public:
  ProgressLine() noexcept : on_(is_terminal(stderr)) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { clear(); }
  bool on() const noexcept { return on_; }
  void show(std::string_view text);
  void clear() noexcept;

 private:
  bool on_;
  bool shown_ = false;
};

/// Control characters of a peer's text (header values, reasons) as "\x1b": a server must not
/// drive the terminal.
std::string printable(std::string_view text);
/// The same, but for line ends, which stay.
std::string printable_lines(std::string_view text);

/// "12 B", "3.4 kB", "1.2 GB" (powers of 1000).
std::string human_bytes(std::uint64_t bytes);
/// "87 µs", "1.24 ms", "3.1 s", "2 min 5 s".
std::string human_duration(Duration duration);
/// "1,234,567"
std::string human_count(std::uint64_t count);

/// "2s", "500ms", "1.5m", "1h"; a bare number is seconds. Throws CLI::ValidationError-compatible
/// std::invalid_argument with a readable text.
Duration parse_duration(const std::string& text);
/// "5MB", "64KiB", "1G", "1000".
std::uint64_t parse_bytes(const std::string& text);

}  // namespace tern::cli
