#include "tools/tern/output_room.h"

#include <array>
#include <cerrno>
#include <poll.h>
#include <unistd.h>

#include "base/check.h"

namespace tern::cli {

OutputRoom::OutputRoom(Runtime& runtime, int file)
    : runtime_(runtime), file_(file), came_(runtime) {
  std::array<int, 2> ends{};
  TERN_CHECK(::pipe(ends.data()) == 0);
  stop_read_ = ends[0];
  stop_write_ = ends[1];
  thread_ = std::thread([this] { run(); });
}

OutputRoom::~OutputRoom() {
  const ssize_t told = ::write(stop_write_, "x", 1);
  TERN_CHECK(told == 1);
  thread_.join();
  ::close(stop_read_);
  ::close(stop_write_);
}

Task<void> OutputRoom::wait() {
  while (!there_) co_await came_.wait();
}

void OutputRoom::run() {
  std::array<pollfd, 2> watched{};
  watched[0].fd = file_;
  watched[0].events = POLLOUT;
  watched[1].fd = stop_read_;
  watched[1].events = POLLIN;
  while (::poll(watched.data(), watched.size(), -1) < 0) {
    if (errno != EINTR) break;
  }
  if (watched[1].revents != 0) return;
  runtime_.submit([weak = std::weak_ptr(self_)] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    (*self)->there_ = true;
    (*self)->came_.notify();
  });
}

}  // namespace tern::cli
