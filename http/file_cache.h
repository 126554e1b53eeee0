#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unordered_map>

#include "base/bytes.h"
#include "base/time.h"
#include "http/content_coding.h"
#include "http/representation.h"

namespace tern::http {

/// Tells whether a name still means the same, unchanged file.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified = 0;  ///< nanoseconds
  std::int64_t changed = 0;   ///< of the inode, nanoseconds

  static FileIdentity of(const struct stat& status) noexcept;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// A file and its precompressed siblings, as they were when they were looked at. One thread's.
struct FileResource {
  struct Variant {
    std::string path;  ///< relative to the root
    FileIdentity identity;
    Representation representation;
    std::optional<Bytes> content;  ///< of a small one

    /// The representation's fields with the date of `now`; made once a second.
    const Fields& fields_at(UnixSeconds now) const;

   private:
    mutable Fields dated_;
    mutable std::optional<UnixSeconds> date_;
  };
  std::array<std::optional<Variant>, kCodings> variants;

  std::array<bool, kCodings> available() const noexcept;
  /// There are others than the file itself.
  bool has_siblings() const noexcept {
    return variants[1].has_value() || variants[2].has_value() || variants[3].has_value();
  }
  const Variant& variant(Coding coding) const {
    return *variants[static_cast<std::size_t>(coding)];
  }
  /// Memory it holds, roughly.
  std::size_t cost() const noexcept;
};

/// The resources used last, by path, bounded by the memory they hold. One thread's.
class FileCache {
 public:
  /// A resource is believed for this long; then the files are looked at again.
  static constexpr Duration kTrusted = std::chrono::seconds(1);

  explicit FileCache(std::size_t limit) noexcept : limit_(limit) {}
  FileCache(const FileCache&) = delete;
  FileCache& operator=(const FileCache&) = delete;

  struct Found {
    std::shared_ptr<const FileResource> resource;  ///< null if there is none
    bool fresh = false;
  };
  Found find(std::string_view path, Timestamp now);
  /// Replaces what is there. One that is larger than the limit is not kept.
  void put(std::string_view path, std::shared_ptr<const FileResource> resource, Timestamp now);
  void drop(std::string_view path);

  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    std::string path;
    std::shared_ptr<const FileResource> resource;
    std::size_t cost;
    Timestamp checked;
  };
  using Entries = std::list<Entry>;  // the one used last is first

  void erase(Entries::iterator entry);

  std::size_t limit_;
  std::size_t bytes_ = 0;
  Entries entries_;
  std::unordered_map<std::string_view, Entries::iterator> by_path_;  // keys view Entry::path
};

}  // namespace tern::http
