#pragma once

#include <cstdint>
#include <string_view>

namespace tern {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// Where one-line messages go. Implementations are thread-safe when shared between runtimes. A
/// line has no newline at its end. Peers can cause lines, so the sink limits their rate if it must.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual bool enabled(LogLevel level) const noexcept = 0;
  virtual void line(LogLevel level, std::string_view text) noexcept = 0;
};

/// Drops everything; the default of a runtime.
LogSink& null_log() noexcept;

}  // namespace tern
