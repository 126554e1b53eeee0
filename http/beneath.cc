#include "http/beneath.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace tern::http {

namespace {

constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
constexpr int kMaxLinks = 40;  // the kernel's own bound
constexpr int kMaxRetries = 8;

FileDescriptor refuse(int error) noexcept {
  errno = error;
  return {};
}

FileDescriptor open_in_kernel(int root, const char* path) noexcept {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(kReadFlags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  long descriptor = -1;
  // EAGAIN: something was renamed meanwhile, so the kernel could not be sure.
  for (int i = 0; i < kMaxRetries; ++i) {
    descriptor = ::syscall(SYS_openat2, root, path, &how, sizeof how);
    if (descriptor >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return FileDescriptor(static_cast<int>(descriptor));
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileDescriptor open_beneath(const FileDescriptor& root, std::string_view path) {
  static std::atomic<bool> in_kernel{true};
  if (in_kernel.load(std::memory_order_relaxed)) {
    const std::string text(path.empty() ? "." : path);
    if (text.find('\0') != std::string::npos) return refuse(EINVAL);
    FileDescriptor file = open_in_kernel(root.number(), text.c_str());
    // Old kernels do not know the call, and some sandboxes forbid what they do not know.
    if (file || (errno != ENOSYS && errno != EPERM)) return file;
    in_kernel.store(false, std::memory_order_relaxed);
  }
  return open_beneath_stepwise(root, path);
}

FileDescriptor open_beneath_stepwise(const FileDescriptor& root, std::string_view path) {
  if (path.find('\0') != std::string_view::npos) return refuse(EINVAL);
  if (path.starts_with('/')) return refuse(EXDEV);
  std::string left(path);               // what is still to be walked; grows by the targets of links
  std::vector<FileDescriptor> folders;  // from below the root down to where we are
  int links = 0;
  const auto here = [&] { return folders.empty() ? root.number() : folders.back().number(); };

  for (;;) {
    const std::size_t slash = left.find('/');
    const std::string part = left.substr(0, slash);
    const bool last = slash == std::string::npos;
    left = last ? std::string() : left.substr(slash + 1);

    if (part == "..") {
      if (folders.empty()) return refuse(EXDEV);
      folders.pop_back();
    } else if (!part.empty() && part != ".") {
      if (part.size() > NAME_MAX) return refuse(ENAMETOOLONG);
      FileDescriptor step(::openat(here(), part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      if (!step) return {};
      struct stat found{};
      if (::fstat(step.number(), &found) != 0) return {};
      if (S_ISLNK(found.st_mode)) {
        if (++links > kMaxLinks) return refuse(ELOOP);
        std::array<char, PATH_MAX> target;
        const ssize_t size = ::readlinkat(step.number(), "", target.data(), target.size());
        if (size < 0) return {};
        if (size == 0) return refuse(ENOENT);
        if (target[0] == '/') return refuse(EXDEV);
        std::string next(target.data(), static_cast<std::size_t>(size));
        if (!last) next.append("/").append(left);
        if (next.size() > PATH_MAX) return refuse(ENAMETOOLONG);
        left = std::move(next);
        continue;
      }
      if (!S_ISDIR(found.st_mode)) {
        if (!last) return refuse(ENOTDIR);
        // O_PATH descriptors cannot be read; if the name means something else by now, this opens
        // what it means now, and a link still fails.
        return FileDescriptor(::openat(here(), part.c_str(), kReadFlags | O_NOFOLLOW));
      }
      folders.push_back(std::move(step));
    }
    if (last) return FileDescriptor(::openat(here(), ".", kReadFlags | O_DIRECTORY));
  }
}

}  // namespace tern::http
