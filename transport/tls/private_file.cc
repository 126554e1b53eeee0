#include "transport/tls/private_file.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tern::tls {
namespace {

class File {
 public:
  explicit File(int fd) noexcept : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

/// False: errno says why.
bool write_all(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

/// Where this process prints: `/dev/stdout` leads there.
bool is_printed_to(const struct stat& file) noexcept {
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat printed{};
    if (::fstat(fd, &printed) == 0 && printed.st_dev == file.st_dev &&
        printed.st_ino == file.st_ino) {
      return true;
    }
  }
  return false;
}

/// What is to be replaced: not a symbolic link to it.
std::string behind_links(const std::string& path) {
  char* const real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;  // not there yet
  std::string found(real);
  std::free(real);
  return found;
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd() < 0) return fail(Error::os(errno, "cannot read " + path));
  std::string text;
  for (;;) {
    char buffer[16 * 1024];
    const ssize_t count = ::read(file.fd(), buffer, sizeof(buffer));
    if (count == 0) return text;
    if (count < 0) {
      if (errno == EINTR) continue;
      return fail(Error::os(errno, "cannot read " + path));
    }
    text.append(buffer, static_cast<std::size_t>(count));
    if (text.size() > kMaxFileSize) {
      return fail(Error::limit(path + " is larger than 4 MiB, as no file of keys, certificates or "
                                      "sessions is"));
    }
  }
}

Result<void> write_private_file(const std::string& path, std::string_view text) {
  struct stat there{};
  if (::stat(path.c_str(), &there) == 0 && (!S_ISREG(there.st_mode) || is_printed_to(there))) {
    const File file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    if (file.fd() < 0 || !write_all(file.fd(), text)) {
      return fail(Error::os(errno, "cannot write " + path));
    }
    return {};
  }
  const std::string target = behind_links(path);
  const std::string temporary = target + ".new";
  ::unlink(temporary.c_str());  // left over from a crash, perhaps with another mode
  {
    const File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.fd() < 0) return fail(Error::os(errno, "cannot write " + temporary));
    if (!write_all(file.fd(), text)) {
      const int error = errno;
      ::unlink(temporary.c_str());
      return fail(Error::os(error, "cannot write " + temporary));
    }
  }
  if (std::rename(temporary.c_str(), target.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return fail(Error::os(error, "cannot write " + path));
  }
  return {};
}

}  // namespace tern::tls
