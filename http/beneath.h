#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace tern::http {

/// Owns a file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() noexcept = default;
  explicit FileDescriptor(int descriptor) noexcept : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileDescriptor();

  explicit operator bool() const noexcept { return descriptor_ >= 0; }
  int number() const noexcept { return descriptor_; }
  int release() noexcept { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_ = -1;
};

/// Opens `path`, relative to the folder `root`, for reading, and never leaves the folder: symbolic
/// links are followed as long as they stay below it, absolute ones and a ".." above it are refused
/// with EXDEV. The empty path is the folder itself. A FIFO or a device does not block. With
/// openat2(RESOLVE_BENEATH) where the kernel has it, else step by step.
/// On failure the descriptor is empty and errno says why.
FileDescriptor open_beneath(const FileDescriptor& root, std::string_view path);

/// The same without openat2: one openat(O_NOFOLLOW) for each part of the path, so that nobody can
/// swap a folder for a link in between.
FileDescriptor open_beneath_stepwise(const FileDescriptor& root, std::string_view path);

}  // namespace tern::http
