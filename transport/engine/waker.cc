#include "transport/engine/waker.h"

#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

namespace tern::engine {

Waker::~Waker() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> Waker::open() {
  fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd_ < 0) return fail(Error::os(errno, "eventfd"));
  return {};
}

void Waker::wake() noexcept {
  if (pending_.exchange(true, std::memory_order_acq_rel)) return;
  const int saved = errno;  // a signal handler must not change it
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof one);
  errno = saved;
}

}  // namespace tern::engine
