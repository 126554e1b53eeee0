#include "gateway/qlog_files.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "gateway/qlog_drafts.h"

namespace tern {
namespace {

class FileSink final : public quic::QlogSink {
 public:
  FileSink(int fd, QlogFormat format) noexcept : fd_(fd), format_(format) {
    buffer_.reserve(kBuffer);
  }
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;
  ~FileSink() override {
    flush();
    ::close(fd_);
  }

  void write(std::string_view record) override {
    if (format_ == QlogFormat::version_0_3) return keep(record);
    keep(qlog_in_drafts(record));
  }

 private:
  static constexpr std::size_t kBuffer = 64 * 1024;

  void keep(std::string_view bytes) {
    if (buffer_.size() + bytes.size() > kBuffer) flush();
    buffer_.append(bytes);
  }

  void flush() noexcept {
    std::string_view rest = buffer_;
    while (!rest.empty()) {
      const ssize_t written = ::write(fd_, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) break;  // a full disk: the log has a gap, the connection goes on
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    buffer_.clear();
  }

  int fd_;
  QlogFormat format_;
  std::string buffer_;
};

}  // namespace

Result<quic::QlogOpener> qlog_files(const std::string& folder, QlogFormat format) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed || ::access(folder.c_str(), W_OK) != 0) {
    const int reason = failed ? failed.value() : errno;
    return fail(Error::os(reason, "qlog folder " + folder));
  }
  return quic::QlogOpener(
      [folder, format](std::string_view name) -> std::unique_ptr<quic::QlogSink> {
        const std::string path = folder + "/" + std::string(name) + ".sqlog";
        const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0) return nullptr;
        return std::make_unique<FileSink>(fd, format);
      });
}

}  // namespace tern
