#pragma once

/// TERN_CHECK: always on, for our own invariants only. What a peer, a file or the OS can cause is
/// an `Error` (base/error.h), never a failed check. Prints file, line and expression to stderr and
/// aborts.

namespace tern::detail {
[[noreturn]] void check_failed(const char* file, int line, const char* expression) noexcept;
}  // namespace tern::detail

#define TERN_CHECK(expression)                                       \
  do {                                                               \
    if (!(expression)) [[unlikely]] {                                \
      ::tern::detail::check_failed(__FILE__, __LINE__, #expression); \
    }                                                                \
  } while (false)
