#include "http/fields.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "base/check.h"

namespace tern::http {

namespace {

// Reserved at the first line, so that a usual message's fields cost two allocations.
constexpr std::size_t kUsualBytes = 256;
constexpr std::size_t kUsualLines = 8;

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// tchar without the upper-case letters.
constexpr std::array<bool, 256> kNameBytes = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (const char c :
       {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) {
    table[static_cast<std::size_t>(c)] = true;
  }
  return table;
}();

bool inside(std::string_view part, std::string_view whole) noexcept {
  return part.data() >= whole.data() && part.data() < whole.data() + whole.size();
}

}  // namespace

Fields::Fields(const Fields& other) {
  if (other.empty()) return;
  storage_.reserve(other.storage_.size() + kUsualBytes / 2);
  storage_ = other.storage_;
  entries_.reserve(other.entries_.size() + kUsualLines / 2);
  entries_ = other.entries_;
  valid_ = other.valid_;
}

void Fields::add(std::string_view name, std::string_view value) {
  if (entries_.empty()) {
    valid_ = 0;  // what was here has been moved away
    entries_.reserve(kUsualLines);
    storage_.reserve(kUsualBytes);
  }
  TERN_CHECK(name.size() <= std::numeric_limits<std::uint32_t>::max() - storage_.size() &&
             value.size() <=
                 std::numeric_limits<std::uint32_t>::max() - storage_.size() - name.size());
  std::string kept;  // a copy of what lies in our own buffer, which may move
  if (inside(name, storage_) || inside(value, storage_)) {
    kept.append(name).append(value);
    const std::size_t name_size = name.size();
    name = std::string_view(kept).substr(0, name_size);
    value = std::string_view(kept).substr(name_size);
  }
  Entry entry;
  entry.offset = static_cast<std::uint32_t>(storage_.size());
  entry.name_size = static_cast<std::uint32_t>(name.size());
  entry.value_size = static_cast<std::uint32_t>(value.size());
  storage_.append(name);
  std::transform(storage_.begin() + entry.offset, storage_.end(), storage_.begin() + entry.offset,
                 lower);
  storage_.append(value);
  entries_.push_back(entry);
}

void Fields::set(std::string_view name, std::string_view value) {
  // `name` and `value` may be views of what `remove` moves.
  const std::string own_name(name);
  const std::string own_value(value);
  remove(own_name);
  add(own_name, own_value);
}

void Fields::remove(std::string_view name) {
  std::size_t kept_bytes = 0;
  std::size_t kept_lines = 0;
  const std::string wanted = [name] {
    std::string text(name);
    std::transform(text.begin(), text.end(), text.begin(), lower);
    return text;
  }();
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if ((*this)[i].name == wanted) {
      valid_ = std::min(valid_, kept_lines);
      continue;
    }
    Entry entry = entries_[i];
    const std::size_t size = entry.name_size + entry.value_size;
    if (entry.offset != kept_bytes) {
      std::memmove(storage_.data() + kept_bytes, storage_.data() + entry.offset, size);
    }
    entry.offset = static_cast<std::uint32_t>(kept_bytes);
    entries_[kept_lines++] = entry;
    kept_bytes += size;
  }
  entries_.resize(kept_lines);
  storage_.resize(kept_bytes);
}

void Fields::clear() noexcept {
  storage_.clear();
  entries_.clear();
  valid_ = 0;
}

std::optional<std::string_view> Fields::find(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Field field = (*this)[i];
    if (field.name == name) return field.value;
  }
  return std::nullopt;
}

std::optional<std::string> Fields::joined(std::string_view name) const {
  std::optional<std::string> all;
  for (const Field field : *this) {
    if (field.name != name) continue;
    if (!all) {
      all.emplace(field.value);
    } else {
      all->append(", ").append(field.value);
    }
  }
  return all;
}

std::optional<Field> Fields::first_invalid() const noexcept {
  for (std::size_t i = valid_; i < entries_.size(); ++i) {
    const Field field = (*this)[i];
    if (!valid_name(field.name) || !valid_value(field.value)) return field;
  }
  return std::nullopt;
}

bool Fields::valid_name(std::string_view name) noexcept {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return kNameBytes[static_cast<unsigned char>(c)];
  });
}

bool Fields::valid_value(std::string_view value) noexcept {
  if (value.empty()) return true;
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  if (blank(value.front()) || blank(value.back())) return false;
  return std::none_of(value.begin(), value.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

bool Fields::connection_specific(std::string_view name, std::string_view value) noexcept {
  switch (name.size()) {
    case 2: return name == "te" && value != "trailers";
    case 7: return name == "upgrade";
    case 10: return name == "connection" || name == "keep-alive";
    case 16: return name == "proxy-connection";
    case 17: return name == "transfer-encoding";
    default: return false;
  }
}

}  // namespace tern::http
