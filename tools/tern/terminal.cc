#include "tools/tern/terminal.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace tern::cli {

bool is_terminal(std::FILE* stream) noexcept { return isatty(fileno(stream)) == 1; }

void tell_text(std::string_view text) noexcept {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

Paint::Paint(std::FILE* stream) noexcept {
  const char* no_color = std::getenv("NO_COLOR");
  on_ = is_terminal(stream) && (no_color == nullptr || *no_color == '\0');
}

std::string Paint::wrap(std::string_view code, std::string_view text) const {
  return on_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

void ProgressLine::show(std::string_view text) {
  if (!on_) return;
  winsize size{};
  const std::size_t columns =
      ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79u;
  tell("\r\x1b[K{}", text.substr(0, columns));
  shown_ = true;
}

void ProgressLine::clear() noexcept {
  if (!shown_) return;
  tell_text("\r\x1b[K");
  shown_ = false;
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are control characters too: U+009B begins what ESC [ does.
    const bool c1 = byte == 0xc2 && i + 1 < text.size() &&
                    static_cast<unsigned char>(text[i + 1]) >= 0x80 &&
                    static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c1) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[++i]));
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string printable_lines(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    out += printable(text.substr(0, end));
    if (end == std::string_view::npos) break;
    out += '\n';
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return value < 10 ? fmt::format("{:.2f} {}", value, kUnits[unit])
                    : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_duration(Duration duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  if (seconds < 0.001) return fmt::format("{:.0f} µs", seconds * 1e6);
  if (seconds < 0.01) return fmt::format("{:.2f} ms", seconds * 1e3);
  if (seconds < 1) return fmt::format("{:.1f} ms", seconds * 1e3);
  if (seconds < 120) return fmt::format("{:.2f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(seconds);
  return fmt::format("{} min {} s", whole / 60, whole % 60);
}

std::string human_count(std::uint64_t count) {
  const std::string digits = std::to_string(count);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

namespace {

/// The number at the start of `text`, and what follows it.
std::pair<double, std::string_view> split_number(const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number) || number < 0) {
    throw std::invalid_argument(fmt::format("'{}' is no number with a unit", text));
  }
  return {number, std::string_view(text).substr(static_cast<std::size_t>(end - text.data()))};
}

}  // namespace

Duration parse_duration(const std::string& text) {
  const auto [number, unit] = split_number(text);
  double seconds = 0;
  if (unit.empty() || unit == "s") {
    seconds = 1;
  } else if (unit == "ms") {
    seconds = 1e-3;
  } else if (unit == "us") {
    seconds = 1e-6;
  } else if (unit == "m" || unit == "min") {
    seconds = 60;
  } else if (unit == "h") {
    seconds = 3600;
  } else {
    throw std::invalid_argument(
        fmt::format("'{}': durations look like 500ms, 2s, 1.5m or 1h", text));
  }
  const double nanoseconds = number * seconds * 1e9;
  if (nanoseconds > 9.2e18) {
    throw std::invalid_argument(fmt::format("'{}' is too long", text));
  }
  return Duration(static_cast<Duration::rep>(nanoseconds));
}

std::uint64_t parse_bytes(const std::string& text) {
  const auto [number, unit] = split_number(text);
  constexpr std::string_view kPrefixes = "kmgt";
  double factor = 1;
  std::string lower(unit);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string_view rest = lower;
  if (!rest.empty() && kPrefixes.find(rest[0]) != std::string_view::npos) {
    const auto power = static_cast<double>(kPrefixes.find(rest[0]) + 1);
    rest.remove_prefix(1);
    const bool binary = !rest.empty() && rest[0] == 'i';
    if (binary) rest.remove_prefix(1);
    factor = std::pow(binary ? 1024.0 : 1000.0, power);
  }
  if (!rest.empty() && rest != "b") {
    throw std::invalid_argument(
        fmt::format("'{}': sizes look like 5000, 64KiB, 5MB or 1GiB", text));
  }
  if (number * factor > 1.8e19) throw std::invalid_argument(fmt::format("'{}' is too much", text));
  return static_cast<std::uint64_t>(number * factor);
}

}  // namespace tern::cli
