#include "tools/tern/standard_streams.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace tern::cli {

void keep_standard_streams() noexcept {
  // In this order, for open() gives the lowest number that is free.
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(number, F_GETFD) >= 0 || errno != EBADF) continue;
    const int opened = ::open("/dev/null", number == STDERR_FILENO ? O_WRONLY : O_RDONLY);
    if (opened > STDERR_FILENO) ::close(opened);  // there is no /dev/null, or no room
  }
}

std::optional<std::string> finish_stdout() {
  const bool before = std::ferror(stdout) != 0;
  errno = 0;
  const bool now = std::fflush(stdout) != 0;
  if (!before && !now) return std::nullopt;
  std::string what = "cannot write to stdout";
  if (now && errno != 0) what.append(": ").append(std::strerror(errno));
  return what;
}

}  // namespace tern::cli
