#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "http/exchange.h"

namespace tern::http {

/// Fluent.
class StaticFilesOptions {
 public:
  /// The file that stands for its folder; empty for none.
  StaticFilesOptions& index(std::string name) {
    index_ = std::move(name);
    return *this;
  }
  /// Lists folders that have no index. Off: they are 404.
  StaticFilesOptions& listing(bool wanted = true) {
    listing_ = wanted;
    return *this;
  }
  /// Serves names that start with a dot. Off: 404, except for "/.well-known" (RFC 8615).
  StaticFilesOptions& dotfiles(bool wanted = true) {
    dotfiles_ = wanted;
    return *this;
  }
  /// Serves `name.br`, `name.zst` and `name.gz` for `name` to those who accept them. On. The files
  /// are expected to hold the same content.
  StaticFilesOptions& precompressed(bool wanted) {
    precompressed_ = wanted;
    return *this;
  }
  /// A cache-control value for every file.
  StaticFilesOptions& cache_control(std::string value) {
    cache_control_ = std::move(value);
    return *this;
  }
  /// Memory that each worker may hold files in. 64 MiB; 0 for none.
  StaticFilesOptions& cache_bytes(std::size_t limit) {
    cache_bytes_ = limit;
    return *this;
  }
  /// Larger files are read for each request. 1 MiB.
  StaticFilesOptions& cached_file_bytes(std::size_t limit) {
    cached_file_bytes_ = limit;
    return *this;
  }

  const std::string& index() const noexcept { return index_; }
  bool listing() const noexcept { return listing_; }
  bool dotfiles() const noexcept { return dotfiles_; }
  bool precompressed() const noexcept { return precompressed_; }
  const std::string& cache_control() const noexcept { return cache_control_; }
  std::size_t cache_bytes() const noexcept { return cache_bytes_; }
  std::size_t cached_file_bytes() const noexcept { return cached_file_bytes_; }

 private:
  std::string index_ = "index.html";
  bool listing_ = false;
  bool dotfiles_ = false;
  bool precompressed_ = true;
  std::string cache_control_;
  std::size_t cache_bytes_ = 64 * 1024 * 1024;
  std::size_t cached_file_bytes_ = 1024 * 1024;
};

/// A handler that serves a folder below where it is mounted: `router.mount("/", *files)`.
///
/// GET and HEAD, with validators (ETag from size and modification time, Last-Modified), conditions,
/// single and multiple ranges, precompressed siblings, index files and a redirect from "dir" to
/// "dir/". Paths are percent-decoded once; "." and "..", empty segments, encoded slashes and NUL
/// are 404, symbolic links are followed only below the folder, and whatever is neither a file nor a
/// folder is 404.
///
/// A value; copies share the open folder and may serve any number of threads. Each thread keeps the
/// small files used last in memory and looks at the disk again after a second, so that a file
/// seldom costs a system call. Reads are synchronous: what is not in the page cache holds the
/// worker up.
class StaticFiles {
 public:
  /// Opens the folder, which stays the same one even if the name is given to another.
  static Result<StaticFiles> open(const std::string& folder,
                                  StaticFilesOptions options = StaticFilesOptions());

  /// The task refers to this object: it outlives the task.
  Task<void> operator()(Exchange& exchange) const;

  struct Root;

 private:
  explicit StaticFiles(std::shared_ptr<const Root> root) noexcept : root_(std::move(root)) {}

  std::shared_ptr<const Root> root_;
};

}  // namespace tern::http
