#include "tools/tern/input_reader.h"

#include <array>
#include <cerrno>
#include <poll.h>
#include <unistd.h>
#include <utility>

#include "base/check.h"

namespace tern::cli {

InputReader::InputReader(Runtime& runtime, Pieces pieces, int file)
    : runtime_(runtime), pieces_(pieces), file_(file), arrived_(runtime) {
  std::array<int, 2> ends{};
  TERN_CHECK(::pipe(ends.data()) == 0);
  stop_read_ = ends[0];
  stop_write_ = ends[1];
  thread_ = std::thread([this] { run(); });
}

InputReader::~InputReader() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  taken_.notify_one();
  const ssize_t told = ::write(stop_write_, "x", 1);
  TERN_CHECK(told == 1);
  thread_.join();
  ::close(stop_read_);
  ::close(stop_write_);
}

Task<std::optional<std::string>> InputReader::next() {
  while (!at_hand_ && !ended_) co_await arrived_.wait();
  if (!at_hand_) co_return std::nullopt;
  at_hand_ = false;
  std::optional<std::string> piece = std::exchange(piece_, std::nullopt);
  ended_ = !piece.has_value();
  {
    const std::lock_guard lock(mutex_);
    may_go_on_ = true;
  }
  taken_.notify_one();
  co_return piece;
}

bool InputReader::hand_over(std::optional<std::string> piece) {
  std::unique_lock lock(mutex_);
  taken_.wait(lock, [this] { return may_go_on_ || done_; });
  if (done_) return false;
  may_go_on_ = false;
  runtime_.submit([weak = std::weak_ptr(self_), given = std::move(piece)]() mutable {
    const auto self = weak.lock();
    if (self == nullptr) return;
    InputReader& reader = **self;
    reader.piece_ = std::move(given);
    reader.at_hand_ = true;
    reader.arrived_.notify();
  });
  return true;
}

bool InputReader::wait_for_input() const {
  std::array<pollfd, 2> watched{};
  watched[0].fd = file_;
  watched[0].events = POLLIN;
  watched[1].fd = stop_read_;
  watched[1].events = POLLIN;
  while (::poll(watched.data(), watched.size(), -1) < 0) {
    if (errno != EINTR) return false;
  }
  return watched[1].revents == 0;
}

void InputReader::run() {
  std::string block(kBlock, '\0');
  std::string rest;
  while (wait_for_input()) {
    const ssize_t count = ::read(file_, block.data(), block.size());
    // EAGAIN: another process has made it non-blocking, and has taken what was there.
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) failure_ = errno;
    if (count <= 0) break;
    const std::string_view text(block.data(), static_cast<std::size_t>(count));
    if (pieces_ == Pieces::blocks) {
      if (!hand_over(std::string(text))) return;
      continue;
    }
    rest += text;
    std::size_t begin = 0;
    for (std::size_t end = rest.find('\n'); end != std::string::npos;
         end = rest.find('\n', begin)) {
      if (!hand_over(rest.substr(begin, end - begin))) return;
      begin = end + 1;
    }
    rest.erase(0, begin);
  }
  if (!rest.empty() && !hand_over(std::move(rest))) return;
  hand_over(std::nullopt);
}

}  // namespace tern::cli
