#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/recycled_memory.h"

namespace tern::http {

/// One field line. Views into the `Fields` it came from.
struct Field {
  std::string_view name;
  std::string_view value;
};

/// Field lines (headers or trailers) in the order they came, names in lower case, duplicates kept
/// (RFC 9110 §5). All bytes lie in one buffer, so a message's fields cost two allocations. Views
/// are valid until the next change.
class Fields {
 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Field;
    using difference_type = std::ptrdiff_t;
    using pointer = const Field*;
    using reference = Field;
    Iterator() = default;
    Iterator(const Fields& fields, std::size_t index) : fields_(&fields), index_(index) {}
    Field operator*() const { return (*fields_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++index_;
      return before;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    const Fields* fields_ = nullptr;
    std::size_t index_ = 0;
  };

  Fields() = default;
  /// A copy has room for a few lines more: what is copied is usually completed.
  Fields(const Fields& other);
  Fields(Fields&&) noexcept = default;
  Fields& operator=(const Fields& other) {
    Fields copy(other);
    return *this = std::move(copy);
  }
  Fields& operator=(Fields&&) noexcept = default;
  ~Fields() = default;

  /// The name is put into lower case. Neither name nor value is validated here: the session checks
  /// what came from a peer, `valid_name` and `valid_value` what an application made.
  void add(std::string_view name, std::string_view value);
  /// Replaces every line of that name by one.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  void clear() noexcept;

  /// The first value of that (lower-case) name.
  std::optional<std::string_view> find(std::string_view name) const noexcept;
  bool contains(std::string_view name) const noexcept { return find(name).has_value(); }
  /// All values joined with ", " (RFC 9110 §5.3), or nothing if the name is absent.
  std::optional<std::string> joined(std::string_view name) const;

  std::size_t size() const noexcept { return entries_.size(); }
  bool empty() const noexcept { return entries_.empty(); }
  Field operator[](std::size_t index) const noexcept {
    const Entry& entry = entries_[index];
    const char* name = storage_.data() + entry.offset;
    return {{name, entry.name_size}, {name + entry.name_size, entry.value_size}};
  }
  Iterator begin() const noexcept { return {*this, 0}; }
  Iterator end() const noexcept { return {*this, entries_.size()}; }
  /// The size that field section limits count: names, values and 32 for each line (RFC 9114
  /// §4.2.2).
  std::size_t section_size() const noexcept { return storage_.size() + 32 * entries_.size(); }

  /// The first line that may not be sent (`valid_name`, `valid_value`), if any.
  std::optional<Field> first_invalid() const noexcept;
  /// To be called when there is none: the lines are not looked at again, nor those of copies. For
  /// fields that many responses begin with.
  void mark_valid() noexcept { valid_ = entries_.size(); }

  /// A token in lower case (RFC 9110 §5.6.2, RFC 9114 §4.2).
  static bool valid_name(std::string_view name) noexcept;
  /// No control character but the tab; no space or tab at either end (RFC 9110 §5.5).
  static bool valid_value(std::string_view value) noexcept;
  /// connection, keep-alive, proxy-connection, transfer-encoding, upgrade: about one HTTP/1.1
  /// connection, so HTTP/2 and HTTP/3 neither send nor accept them (RFC 9114 §4.2). Also `te`,
  /// unless its value is "trailers".
  static bool connection_specific(std::string_view name, std::string_view value) noexcept;

 private:
  struct Entry {
    std::uint32_t offset;
    std::uint32_t name_size;
    std::uint32_t value_size;
  };
  std::basic_string<char, std::char_traits<char>, RecyclingAllocator<char>> storage_;
  std::vector<Entry, RecyclingAllocator<Entry>> entries_;
  std::size_t valid_ = 0;  // so many lines at the front were found valid
};

}  // namespace tern::http
