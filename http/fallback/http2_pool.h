#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/counters.h"
#include "base/memory_pool.h"
#include "http/fallback/http2_bridge.h"

namespace tern::fallback {

class Http2Stream;

/// What the HTTP/2 sessions of one Context share: nghttp2's memory, stream objects, counters of
/// their own, and a buffer for field sections. Outlives them.
class Http2Pool {
 public:
  explicit Http2Pool(Counters& counters)
      : limit_continuations(counters.at("http2.limit.continuations")),
        streams_refused(counters.at("http2.streams_refused")) {}
  Http2Pool(const Http2Pool&) = delete;
  Http2Pool& operator=(const Http2Pool&) = delete;
  ~Http2Pool();

  MemoryPool& memory() noexcept { return memory_; }
  std::vector<Http2Bridge::Line>& lines() noexcept { return lines_; }
  /// A blank stream object; given back with `recycle`.
  Http2Stream* take();
  void recycle(Http2Stream* stream) noexcept;

  Counter& limit_continuations;
  Counter& streams_refused;

 private:
  /// Stream objects kept for reuse.
  static constexpr std::size_t kMaxSpare = 1024;

  MemoryPool memory_;
  std::vector<Http2Bridge::Line> lines_;
  std::vector<Http2Stream*> spare_;
};

}  // namespace tern::fallback
