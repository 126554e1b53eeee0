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

/// A file beside `target`, of mode 0600 and with a name of its own: others may write, too.
class Temporary {
 public:
  explicit Temporary(const std::string& target)
      : name_(target + ".XXXXXX"), file_(::mkostemp(name_.data(), O_CLOEXEC)) {
    if (file_.fd() < 0) name_.clear();
  }
  ~Temporary() {
    if (!name_.empty()) ::unlink(name_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  /// False: errno says why.
  bool write(std::string_view text) const noexcept {
    return file_.fd() >= 0 && write_all(file_.fd(), text);
  }
  const char* name() const noexcept { return name_.c_str(); }
  /// Renamed.
  void is_gone() noexcept { name_.clear(); }

 private:
  std::string name_;
  File file_;
};

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
  Temporary file(target);
  if (!file.write(text) || std::rename(file.name(), target.c_str()) != 0) {
    return fail(Error::os(errno, "cannot write " + path));
  }
  file.is_gone();
  return {};
}

Result<bool> make_private_file(const std::string& path, std::string_view text) {
  Temporary file(path);
  if (!file.write(text)) return fail(Error::os(errno, "cannot write " + path));
  if (::link(file.name(), path.c_str()) == 0) return true;
  if (errno == EEXIST) return false;
  // A file system without hard links: there the last one wins.
  if (std::rename(file.name(), path.c_str()) != 0) {
    return fail(Error::os(errno, "cannot write " + path));
  }
  file.is_gone();
  return true;
}

}  // namespace tern::tls
