#include "transport/engine/unix_channel.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

namespace tern::engine {

namespace {

constexpr int kSendBuffer = 4 * 1024 * 1024;  // what may wait for a slow reader
constexpr int kBacklog = 4;

Result<sockaddr_un> path_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(Error::invalid(fmt::format("{}: a unix socket's path has 1 to {} bytes", path,
                                           sizeof address.sun_path - 1)));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<int> open_socket() {
  const int descriptor = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return fail(Error::os(errno, "unix socket"));
  return descriptor;
}

bool same_user(int descriptor) noexcept {
  ucred peer{};
  socklen_t length = sizeof peer;
  return ::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
         (peer.uid == ::geteuid() || peer.uid == 0);
}

void widen(int descriptor) noexcept {
  if (::setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer, sizeof kSendBuffer) != 0) {
    ::setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
  }
}

int milliseconds(Duration limit) noexcept {
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(limit).count());
}

}  // namespace

// ---- Descriptors --------------------------------------------------------------------------------

Descriptors& Descriptors::operator=(Descriptors&& other) noexcept {
  if (this != &other) {
    close();
    all_ = std::exchange(other.all_, {});
  }
  return *this;
}

int Descriptors::take(std::size_t index) noexcept { return std::exchange(all_[index], -1); }

void Descriptors::append(Descriptors&& more) {
  all_.insert(all_.end(), more.all_.begin(), more.all_.end());
  more.all_.clear();
}

void Descriptors::close() noexcept {
  for (const int descriptor : all_) {
    if (descriptor >= 0) ::close(descriptor);
  }
  all_.clear();
}

// ---- UnixChannel --------------------------------------------------------------------------------

Result<std::unique_ptr<UnixChannel>> UnixChannel::connect(const std::string& path) {
  TERN_TRY(const sockaddr_un address, path_address(path));
  TERN_TRY(const int descriptor, open_socket());
  auto channel = std::make_unique<UnixChannel>(descriptor);
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail(Error::os(errno, path));
  }
  if (!same_user(descriptor)) {
    return fail(Error(Code::invalid, path + ": the process behind it is another user's"));
  }
  widen(descriptor);
  return channel;
}

UnixChannel::~UnixChannel() { ::close(socket_); }

Result<void> UnixChannel::send(ByteView message, const std::vector<int>& descriptors,
                               Duration limit) {
  if (message.size() > kMaxMessage || descriptors.size() > kMaxDescriptors) {
    return fail(Error::limit("a message to another process is too long"));
  }
  iovec data{const_cast<std::uint8_t*>(message.data()), message.size()};
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size() * sizeof(int));
  }
  for (bool waited = false;; waited = true) {
    if (::sendmsg(socket_, &header, MSG_NOSIGNAL) >= 0) return {};
    if (errno != EAGAIN) return fail(Error::closed("the other process is gone"));
    if (waited) return fail(Error(Code::timed_out, "the other process does not read"));
    pollfd writable{socket_, POLLOUT, 0};
    ::poll(&writable, 1, milliseconds(limit));
  }
}

bool UnixChannel::try_send(ByteView head, ByteView rest) noexcept {
  std::array<iovec, 2> data{{{const_cast<std::uint8_t*>(head.data()), head.size()},
                             {const_cast<std::uint8_t*>(rest.data()), rest.size()}}};
  msghdr header{};
  header.msg_iov = data.data();
  header.msg_iovlen = data.size();
  return ::sendmsg(socket_, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

Result<UnixChannel::Message> UnixChannel::receive(Duration limit) {
  buffer_.resize(kMaxMessage);
  iovec data{buffer_.data(), buffer_.size()};
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control;
  msghdr header{};
  const auto next = [&] {
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    return ::recvmsg(socket_, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  };
  ssize_t size = next();
  if (size < 0 && errno == EAGAIN && limit > Duration() && wait_readable({socket_}, limit)[0]) {
    size = next();
  }
  if (size < 0 && errno == EAGAIN) {
    return fail(Error(Code::timed_out, "the other process does not answer"));
  }
  if (size <= 0) return fail(Error::closed("the other process is gone"));
  Message message;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(part) + i * sizeof(int), sizeof descriptor);
      message.descriptors.add(descriptor);
    }
  }
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return fail(Error::limit("a message of another process is too long"));
  }
  message.bytes = ByteView(buffer_).first(static_cast<std::size_t>(size));
  return message;
}

// ---- UnixListener -------------------------------------------------------------------------------

Result<std::unique_ptr<UnixListener>> UnixListener::open(const std::string& path) {
  const std::string fresh = fmt::format("{}.{}", path, ::getpid());
  TERN_TRY(const sockaddr_un address, path_address(fresh));
  TERN_TRY(const int descriptor, open_socket());
  ::unlink(fresh.c_str());
  struct stat named{};
  // A socket there is one whose process is gone or goes; anything else is somebody's file.
  if (::lstat(path.c_str(), &named) == 0 && !S_ISSOCK(named.st_mode)) {
    ::close(descriptor);
    return fail(Error::invalid(path + ": there is something of that name that is no unix socket"));
  }
  // The mode that bind gives the name is the socket's own.
  const bool there =
      ::fchmod(descriptor, S_IRUSR | S_IWUSR) == 0 &&
      ::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(descriptor, kBacklog) == 0 && ::stat(fresh.c_str(), &named) == 0 &&
      ::rename(fresh.c_str(), path.c_str()) == 0;
  if (!there) {
    const int error = errno;
    ::close(descriptor);
    ::unlink(fresh.c_str());
    return fail(
        Error::os(error, error == ENOENT ? path + ": make the folder for this unix socket" : path));
  }
  return std::unique_ptr<UnixListener>(new UnixListener(descriptor, path, named.st_ino));
}

UnixListener::~UnixListener() {
  struct stat named{};
  if (::stat(path_.c_str(), &named) == 0 && named.st_ino == inode_) ::unlink(path_.c_str());
  ::close(socket_);
}

std::unique_ptr<UnixChannel> UnixListener::accept() {
  const int descriptor = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (descriptor < 0) return nullptr;
  auto channel = std::make_unique<UnixChannel>(descriptor);
  if (!same_user(descriptor)) return nullptr;
  widen(descriptor);
  return channel;
}

std::vector<bool> wait_readable(const std::vector<int>& descriptors, Duration limit) {
  std::vector<pollfd> polled;
  for (const int descriptor : descriptors) polled.push_back({descriptor, POLLIN, 0});
  ::poll(polled.data(), polled.size(), milliseconds(limit));
  std::vector<bool> readable;
  for (const pollfd& one : polled) readable.push_back(one.revents != 0);
  return readable;
}

}  // namespace tern::engine
