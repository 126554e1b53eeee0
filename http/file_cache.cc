#include "http/file_cache.h"

#include <utility>

#include "http/date.h"

namespace tern::http {

namespace {

std::int64_t nanoseconds(const timespec& time) noexcept {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

FileIdentity FileIdentity::of(const struct stat& status) noexcept {
  FileIdentity identity;
  identity.device = status.st_dev;
  identity.inode = status.st_ino;
  identity.size = static_cast<std::uint64_t>(status.st_size);
  identity.modified = nanoseconds(status.st_mtim);
  identity.changed = nanoseconds(status.st_ctim);
  return identity;
}

const Fields& FileResource::Variant::fields_at(UnixSeconds now) const {
  if (date_ != now) {
    date_ = now;
    dated_ = representation.fields;
    dated_.add_lower("date", HttpDate(now));
    if (!dated_.first_invalid()) dated_.mark_valid();
  }
  return dated_;
}

std::array<bool, kCodings> FileResource::available() const noexcept {
  std::array<bool, kCodings> available{};
  for (std::size_t i = 0; i < kCodings; ++i) available[i] = variants[i].has_value();
  return available;
}

std::size_t FileResource::cost() const noexcept {
  std::size_t cost = sizeof(FileResource);
  for (const auto& variant : variants) {
    if (!variant) continue;
    cost += variant->path.size() + 512;  // the texts and fields of its representation
    if (variant->content) cost += variant->content->size();
  }
  return cost;
}

FileCache::Found FileCache::find(std::string_view path, Timestamp now) {
  Found found;
  const auto position = by_path_.find(path);
  if (position == by_path_.end()) return found;
  const Entries::iterator entry = position->second;
  if (entry != entries_.begin()) entries_.splice(entries_.begin(), entries_, entry);
  found.resource = entry->resource;
  // A thread's runtimes may have clocks of their own (the simulator's do).
  found.fresh = now >= entry->checked && now - entry->checked < kTrusted;
  return found;
}

void FileCache::put(std::string_view path, std::shared_ptr<const FileResource> resource,
                    Timestamp now) {
  drop(path);
  Entry entry;
  entry.cost = resource->cost() + path.size() + sizeof(Entry) + 64;
  if (entry.cost > limit_) return;
  entry.path = path;
  entry.resource = std::move(resource);
  entry.checked = now;
  bytes_ += entry.cost;
  entries_.push_front(std::move(entry));
  by_path_.emplace(entries_.front().path, entries_.begin());
  while (bytes_ > limit_) erase(std::prev(entries_.end()));
}

void FileCache::drop(std::string_view path) {
  const auto position = by_path_.find(path);
  if (position != by_path_.end()) erase(position->second);
}

void FileCache::erase(Entries::iterator entry) {
  by_path_.erase(entry->path);
  bytes_ -= entry->cost;
  entries_.erase(entry);
}

}  // namespace tern::http
