#include "transport/tls/private_file.h"

#include <cerrno>
#include <cstdio>
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
      return fail(Error::limit(path + " is larger than 4 MiB: not a certificate or key file"));
    }
  }
}

Result<void> write_private_file(const std::string& path, std::string_view text) {
  const std::string temporary = path + ".new";
  ::unlink(temporary.c_str());  // left over from a crash, perhaps with another mode
  {
    const File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.fd() < 0) return fail(Error::os(errno, "cannot write " + temporary));
    while (!text.empty()) {
      const ssize_t count = ::write(file.fd(), text.data(), text.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) {
        const int error = errno;
        ::unlink(temporary.c_str());
        return fail(Error::os(error, "cannot write " + temporary));
      }
      text.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return fail(Error::os(error, "cannot write " + path));
  }
  return {};
}

}  // namespace tern::tls
