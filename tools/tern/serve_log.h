#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/log.h"

namespace tern::cli {

/// Lines of all workers on their way to stdout: gathered, and written by a thread of their own, so
/// that a slow reader or terminal does not hold a worker up. Beyond kMaxWaiting bytes lines are
/// dropped, and the next line says so. Thread-safe.
class LineWriter final : public LogSink {
 public:
  static constexpr std::size_t kMaxWaiting = 4 * 1024 * 1024;

  explicit LineWriter(LogLevel lowest = LogLevel::info);
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;
  /// Writes what waits, for a second where nobody reads.
  ~LineWriter();

  bool enabled(LogLevel level) const noexcept override { return level >= lowest_; }
  void line(LogLevel level, std::string_view text) noexcept override;

 private:
  void run();
  bool write_all(std::string_view text) noexcept;

  const LogLevel lowest_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string waiting_;
  bool dropped_ = false;
  bool ending_ = false;
  std::chrono::steady_clock::time_point last_moment_{};  // once ending
  std::thread thread_;                                   // last: it uses everything above
};

/// The server's own messages, as lines of the log: "warning: …", or as JSON objects. Peers can
/// cause them: beyond kMaxASecond a second they are counted, and the next line says how many are
/// missing. Thread-safe.
class MessageLog final : public LogSink {
 public:
  static constexpr std::uint64_t kMaxASecond = 50;

  /// Says nothing below `lowest`.
  MessageLog(LineWriter& out, bool json, LogLevel lowest = LogLevel::info) noexcept
      : out_(out), json_(json), lowest_(lowest) {}
  bool enabled(LogLevel level) const noexcept override {
    return level >= lowest_ && out_.enabled(level);
  }
  void line(LogLevel level, std::string_view text) noexcept override;

 private:
  void write(LogLevel level, std::string_view text);

  LineWriter& out_;
  const bool json_;
  const LogLevel lowest_;
  std::mutex mutex_;  // guards the rest
  std::chrono::steady_clock::time_point second_{};
  std::uint64_t in_second_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace tern::cli
