#include "tools/tern/serve_log.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "tools/tern/json_writer.h"

namespace tern::cli {
namespace {

std::string_view level_name(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "";
}

/// How long the last lines may take where nobody reads them.
constexpr auto kLastLines = std::chrono::seconds(1);

}  // namespace

LineWriter::LineWriter(LogLevel lowest) : lowest_(lowest) {
  // Signals are for the thread that waits for them (signals.h); this one inherits the mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LineWriter::~LineWriter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    last_moment_ = std::chrono::steady_clock::now() + kLastLines;
  }
  changed_.notify_one();
  thread_.join();
}

void LineWriter::line(LogLevel level, std::string_view text) noexcept {
  if (!enabled(level)) return;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() + text.size() > kMaxWaiting) {
      dropped_ = true;
      return;
    }
    first = waiting_.empty();
    if (std::exchange(dropped_, false)) waiting_ += "(some lines were dropped here)\n";
    waiting_ += text;
    waiting_ += '\n';
  }
  if (first) changed_.notify_one();
}

void LineWriter::run() {
  constexpr auto kGather = std::chrono::milliseconds(20);
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
    // A busy server's lines go out together.
    if (!ending_) changed_.wait_for(lock, kGather, [&] { return ending_; });
    std::string out = std::exchange(waiting_, std::string());
    const bool last = ending_;
    lock.unlock();
    const bool gave_up = !write_all(out);
    lock.lock();
    if (gave_up || (last && waiting_.empty())) return;
  }
}

/// False: it is to end, and nobody reads.
bool LineWriter::write_all(std::string_view text) noexcept {
  constexpr int kLook = 100;  // milliseconds, for the end
  pollfd room{};
  room.fd = STDOUT_FILENO;
  room.events = POLLOUT;
  while (!text.empty()) {
    const int ready = ::poll(&room, 1, kLook);
    if (ready == 0) {
      const std::lock_guard lock(mutex_);
      if (ending_ && std::chrono::steady_clock::now() > last_moment_) return false;
    }
    if (ready <= 0) continue;
    // So much does not block where poll sees room.
    const std::size_t size = std::min<std::size_t>(text.size(), PIPE_BUF);
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), size);
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (written <= 0) return true;  // it cannot be written: the server goes on
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

void MessageLog::line(LogLevel level, std::string_view text) noexcept {
  if (!enabled(level)) return;
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    in_second_ = 0;
    if (left_out_ != 0) {
      write(LogLevel::warning, fmt::format("{} messages left out", std::exchange(left_out_, 0)));
    }
  }
  if (++in_second_ > kMaxASecond) {
    ++left_out_;
    return;
  }
  write(level, text);
}

void MessageLog::write(LogLevel level, std::string_view text) {
  if (!json_) {
    out_.line(level, level == LogLevel::info ? std::string(text)
                                             : fmt::format("{}: {}", level_name(level), text));
    return;
  }
  JsonWriter json;
  json.begin_object().member("event", "message");
  json.member("level", level_name(level)).member("text", text).end();
  out_.line(level, json.text());
}

}  // namespace tern::cli
