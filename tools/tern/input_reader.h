#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>

#include "base/runtime.h"

namespace tern::cli {

/// Reads stdin, or what else makes its reader wait (a pipe, a terminal, a socket), on a thread of
/// its own, piece by piece, for a coroutine: the loop must not wait. Reads no further than what was
/// taken.
class InputReader {
 public:
  enum class Pieces : std::uint8_t {
    lines,   ///< without their ends; a last one that has none counts
    blocks,  ///< what comes at once, at most kBlock bytes
  };
  static constexpr std::size_t kBlock = 64 * 1024;

  /// Make it when signals are blocked (SignalThread). The runtime outlives it, and so does the
  /// file.
  InputReader(Runtime& runtime, Pieces pieces, int file = STDIN_FILENO);
  InputReader(const InputReader&) = delete;
  InputReader& operator=(const InputReader&) = delete;
  ~InputReader();

  /// The next piece; nothing at the end.
  Task<std::optional<std::string>> next();
  /// The errno that ended it, once `next` had nothing; 0: it was the end.
  int failure() const noexcept { return failure_; }

 private:
  void run();
  /// False: the reader is destroyed.
  bool hand_over(std::optional<std::string> piece);
  /// False at the end, or when the reader is destroyed.
  bool wait_for_input() const;

  Runtime& runtime_;
  Pieces pieces_;
  int file_;
  // What was submitted may run when the reader has gone. The runtime's thread, as is what follows.
  std::shared_ptr<InputReader*> self_ = std::make_shared<InputReader*>(this);
  Signal arrived_;
  std::optional<std::string> piece_;
  bool ended_ = false;
  bool at_hand_ = false;
  int failure_ = 0;  // written by the thread before it hands over the end
  std::mutex mutex_;
  std::condition_variable taken_;
  bool may_go_on_ = true;
  bool done_ = false;
  int stop_read_ = -1;
  int stop_write_ = -1;
  std::thread thread_;
};

}  // namespace tern::cli
