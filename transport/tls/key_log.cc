#include "transport/tls/key_log.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace tern::tls {
namespace {

class FileKeyLog final : public KeyLog {
 public:
  explicit FileKeyLog(int fd) noexcept : fd_(fd) {}
  ~FileKeyLog() override { ::close(fd_); }

  void write(std::string_view line) noexcept override {
    std::string text(line);
    text.push_back('\n');
    // One write: with O_APPEND, lines of several threads and processes do not mix.
    while (::write(fd_, text.data(), text.size()) < 0 && errno == EINTR) {
    }
  }

 private:
  int fd_;
};

class FunctionKeyLog final : public KeyLog {
 public:
  explicit FunctionKeyLog(std::function<void(std::string_view)> sink) : sink_(std::move(sink)) {}
  void write(std::string_view line) noexcept override { sink_(line); }

 private:
  std::function<void(std::string_view)> sink_;
};

}  // namespace

Result<std::shared_ptr<KeyLog>> KeyLog::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return fail(Error::os(errno, "cannot open the key log " + path));
  return std::shared_ptr<KeyLog>(std::make_shared<FileKeyLog>(fd));
}

std::shared_ptr<KeyLog> KeyLog::to(std::function<void(std::string_view)> sink) {
  return std::make_shared<FunctionKeyLog>(std::move(sink));
}

}  // namespace tern::tls
