#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace tern::detail {

void check_failed(const char* file, int line, const char* expression) noexcept {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, expression);
  std::fflush(stderr);
  std::abort();
}

}  // namespace tern::detail
