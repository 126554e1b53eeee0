#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/runtime.h"

namespace tern::cli {

/// Reads stdin on a thread of its own, piece by piece, for a coroutine: a terminal makes its reader
/// wait, and the loop must not. Reads no further than what was taken.
class StdinReader {
 public:
  enum class Pieces : std::uint8_t {
    lines,   ///< without their ends; a last one that has none counts
    blocks,  ///< what comes at once, at most kBlock bytes
  };
  static constexpr std::size_t kBlock = 64 * 1024;

  /// Make it when signals are blocked (SignalThread). The runtime outlives it.
  StdinReader(Runtime& runtime, Pieces pieces);
  StdinReader(const StdinReader&) = delete;
  StdinReader& operator=(const StdinReader&) = delete;
  ~StdinReader();

  /// The next piece; nothing at the end.
  Task<std::optional<std::string>> next();

 private:
  void run();
  /// False: the reader is destroyed.
  bool hand_over(std::optional<std::string> piece);
  /// False at the end, or when the reader is destroyed.
  bool wait_for_input() const;

  Runtime& runtime_;
  Pieces pieces_;
  // What was submitted may run when the reader has gone. The runtime's thread, as is what follows.
  std::shared_ptr<StdinReader*> self_ = std::make_shared<StdinReader*>(this);
  Signal arrived_;
  std::optional<std::string> piece_;
  bool ended_ = false;
  bool at_hand_ = false;
  std::mutex mutex_;
  std::condition_variable taken_;
  bool may_go_on_ = true;
  bool done_ = false;
  int stop_read_ = -1;
  int stop_write_ = -1;
  std::thread thread_;
};

}  // namespace tern::cli
