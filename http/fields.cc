#include "http/fields.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <new>

#include "base/ascii.h"
#include "base/check.h"
#include "base/recycled_memory.h"

namespace tern::http {

namespace {

// Room that a first line makes, so that a usual message's fields need no second block. With the
// block's head they are a size of recycled memory.
constexpr std::size_t kUsualBlock = 384;
constexpr std::size_t kUsualLines = 8;
constexpr std::size_t kMost = std::numeric_limits<std::uint32_t>::max() / 4;

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

}  // namespace

void Fields::let_go(Block* block) noexcept {
  if (block->owners.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const std::size_t size = block->size();
  block->~Block();
  free_recycled(block, size);
}

/// A block of one's own with these lines, and room for more.
Fields::Block* Fields::copy_with_room(std::size_t lines, std::size_t text) const {
  constexpr std::size_t kUsualText = kUsualBlock - sizeof(Block) - kUsualLines * sizeof(Line);
  const std::size_t max_lines = std::max(size() + lines, kUsualLines);
  const std::size_t max_text =
      std::max((block_ != nullptr ? block_->text_size : 0) + text, kUsualText);
  TERN_CHECK(max_lines <= kMost && max_text <= kMost);
  auto* block = new (allocate_recycled(sizeof(Block) + max_lines * sizeof(Line) + max_text)) Block;
  block->max_lines = static_cast<std::uint32_t>(max_lines);
  block->max_text = static_cast<std::uint32_t>(max_text);
  if (block_ == nullptr) return block;
  block->count = block_->count;
  block->text_size = block_->text_size;
  block->valid = block_->valid;
  block->names = block_->names;
  std::memcpy(block->lines(), block_->lines(), block->count * sizeof(Line));
  std::memcpy(block->text(), block_->text(), block->text_size);
  return block;
}

void Fields::append(std::string_view name, std::string_view value, bool upper_possible) {
  TERN_CHECK(name.size() <= kMost && value.size() <= kMost);
  const std::size_t size = name.size() + value.size();
  Block* before = nullptr;  // `name` and `value` may be views into it
  if (block_ == nullptr || block_->count == block_->max_lines ||
      block_->max_text - block_->text_size < size || shared()) {
    Block* block = copy_with_room(this->size() + 1, this->section_size() + size);
    before = std::exchange(block_, block);
  }
  Line& line = block_->lines()[block_->count++];
  line.offset = block_->text_size;
  line.name_size = static_cast<std::uint32_t>(name.size());
  line.value_size = static_cast<std::uint32_t>(value.size());
  char* text = block_->text() + block_->text_size;
  block_->text_size += static_cast<std::uint32_t>(size);
  if (upper_possible) {
    std::transform(name.begin(), name.end(), text, ascii::lower);
  } else {
    std::copy(name.begin(), name.end(), text);
  }
  block_->names |= detail::name_bit({text, name.size()});
  std::copy(value.begin(), value.end(), text + name.size());
  if (before != nullptr) let_go(before);
}

void Fields::mark_valid() {
  if (block_ == nullptr) return;
  if (shared()) let_go(std::exchange(block_, copy_with_room(0, 0)));
  block_->valid = block_->count;
}

void Fields::set(std::string_view name, std::string_view value) {
  // `name` and `value` may be views of what `remove` moves.
  const std::string own_name(name);
  const std::string own_value(value);
  remove(own_name);
  add(own_name, own_value);
}

void Fields::remove(std::string_view name) {
  std::string wanted(name);
  std::transform(wanted.begin(), wanted.end(), wanted.begin(), ascii::lower);
  if (!may_contain(wanted)) return;
  if (shared()) let_go(std::exchange(block_, copy_with_room(0, 0)));
  Block& block = *block_;
  std::uint32_t kept_text = 0;
  std::uint32_t kept_lines = 0;
  for (std::uint32_t i = 0; i < block.count; ++i) {
    if ((*this)[i].name == wanted) {
      block.valid = std::min(block.valid, kept_lines);
      continue;
    }
    Line line = block.lines()[i];
    const std::uint32_t size = line.name_size + line.value_size;
    if (line.offset != kept_text) {
      std::memmove(block.text() + kept_text, block.text() + line.offset, size);
    }
    line.offset = kept_text;
    block.lines()[kept_lines++] = line;
    kept_text += size;
  }
  block.count = kept_lines;
  block.text_size = kept_text;
}

void Fields::clear() noexcept {
  if (block_ != nullptr) let_go(std::exchange(block_, nullptr));
}

std::optional<std::string_view> Fields::find_line(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < block_->count; ++i) {
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

std::optional<Field> Fields::find_invalid() const noexcept {
  for (std::size_t i = block_->valid; i < block_->count; ++i) {
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
