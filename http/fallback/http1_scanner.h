#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace tern::fallback {

/// What is wrong with a message, and the status that a server answers with before it closes.
struct Http1Failure {
  int status = 400;
  const char* reason = "";
};

/// What one message may take; see http::Limits and SessionOptions.
struct Http1Limits {
  std::size_t max_target = 16 * 1024;
  std::size_t max_field_section = 64 * 1024;
  std::size_t max_fields = 256;
};

/// Finds where a head, a chunk's header or the trailers end (RFC 9112 §2.2, §5, §7.1), and refuses
/// on the way what parsers read differently: bare CR or LF, control characters, folded lines,
/// blanks around names, chunk sizes that are not plain digits. So the parser behind it sees whole
/// units only, and only such that there is one way to read.
class Http1Scanner {
 public:
  enum class Result : std::uint8_t { more, complete, failed };

  explicit Http1Scanner(const Http1Limits& limits) noexcept : limits_(limits) {}

  /// A start line and field lines follow. A server skips an empty line before them (§2.2); a client
  /// is told by the first bytes whether it is HTTP/1.1 at all.
  void expect_head(bool request) noexcept;
  /// A chunk's header follows; `first`: no end of line of the chunk before. The last chunk's comes
  /// with its trailers.
  void expect_chunk(bool first) noexcept;

  /// Looks at the next bytes; `used` is how many belong to the unit.
  Result scan(ByteView bytes, std::size_t& used) noexcept;
  const Http1Failure& failure() const noexcept { return failure_; }
  /// Empty lines that came first, in bytes.
  std::size_t skipped() const noexcept { return skipped_; }
  /// A byte of the unit has come, empty lines aside.
  bool begun() const noexcept { return begun_; }
  /// The size of the chunk whose header is complete.
  std::uint64_t chunk_size() const noexcept { return chunk_size_; }

 private:
  enum class State : std::uint8_t {
    empty_line,
    empty_line_cr,
    start_line,
    start_line_cr,
    field_begins,
    name,
    value,
    value_cr,
    last_cr,
    data_cr,
    data_lf,
    size,
    extension,
    size_cr,
  };

  Result fail(int status, const char* reason) noexcept;
  /// How many of the bytes, from the first on, are plain text that changes no state; counted.
  std::size_t skip_plain(ByteView bytes) noexcept;
  /// One byte; `more` unless it decides something.
  Result step(std::uint8_t byte) noexcept;
  Result fields(std::uint8_t byte) noexcept;
  Result chunk(std::uint8_t byte) noexcept;

  const Http1Limits& limits_;
  Http1Failure failure_;
  State state_ = State::empty_line;
  bool request_ = false;
  bool begun_ = false;
  std::size_t skipped_ = 0;
  std::size_t line_size_ = 0;
  std::size_t fields_size_ = 0;
  std::size_t lines_ = 0;
  std::size_t digits_ = 0;
  std::size_t extensions_ = 0;  // bytes of chunk extensions in the whole message
  std::uint64_t chunk_size_ = 0;
};

}  // namespace tern::fallback
