#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tern::http {

/// One field line. Views into the `Fields` it came from.
struct Field {
  std::string_view name;
  std::string_view value;
};

namespace detail {
/// Tells most absent names from a glance at 64 bits.
constexpr std::uint64_t name_bit(std::string_view name) noexcept {
  const auto first = name.empty() ? 0U : static_cast<unsigned char>(name.front());
  return std::uint64_t{1} << ((name.size() * 5 + first) % 64);
}
}  // namespace detail

/// Field lines (headers or trailers) in the order they came, names in lower case, duplicates kept
/// (RFC 9110 §5). All of them lie in one block of memory, which copies share until one of them
/// changes: what many responses begin with is made once. Copies may be in different threads. Views
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

  Fields() noexcept = default;
  Fields(const Fields& other) noexcept : block_(other.block_) {
    if (block_ != nullptr) block_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  Fields(Fields&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Fields& operator=(const Fields& other) noexcept {
    Fields copy(other);
    std::swap(block_, copy.block_);
    return *this;
  }
  Fields& operator=(Fields&& other) noexcept {
    Fields taken(std::move(other));
    std::swap(block_, taken.block_);
    return *this;
  }
  ~Fields() {
    if (block_ != nullptr) let_go(block_);
  }

  /// The name is put into lower case. Neither name nor value is validated here: the session checks
  /// what came from a peer, `valid_name` and `valid_value` what an application made.
  void add(std::string_view name, std::string_view value) { append(name, value, true); }
  /// The same for a name that is in lower case.
  void add_lower(std::string_view name, std::string_view value) { append(name, value, false); }
  /// Replaces every line of that name by one.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  void clear() noexcept;

  /// The first value of that (lower-case) name.
  std::optional<std::string_view> find(std::string_view name) const noexcept {
    if (!may_contain(name)) return std::nullopt;
    return find_line(name);
  }
  bool contains(std::string_view name) const noexcept { return find(name).has_value(); }
  /// All values joined with ", " (RFC 9110 §5.3), or nothing if the name is absent.
  std::optional<std::string> joined(std::string_view name) const;

  std::size_t size() const noexcept { return block_ != nullptr ? block_->count : 0; }
  bool empty() const noexcept { return size() == 0; }
  Field operator[](std::size_t index) const noexcept {
    const Line& line = block_->lines()[index];
    const char* name = block_->text() + line.offset;
    return {{name, line.name_size}, {name + line.name_size, line.value_size}};
  }
  Iterator begin() const noexcept { return {*this, 0}; }
  Iterator end() const noexcept { return {*this, size()}; }
  /// The size that field section limits count: names, values and 32 for each line (RFC 9114
  /// §4.2.2).
  std::size_t section_size() const noexcept {
    return block_ != nullptr ? block_->text_size + std::size_t{32} * block_->count : 0;
  }

  /// The first line that may not be sent (`valid_name`, `valid_value`), if any.
  std::optional<Field> first_invalid() const noexcept {
    if (block_ == nullptr || block_->valid == block_->count) return std::nullopt;
    return find_invalid();
  }
  /// To be called when there is none: the lines are not looked at again, nor those of copies. For
  /// fields that many responses begin with.
  void mark_valid();

  /// Whether a line of HTTP/1.1's own (`connection_specific`) may be among them. False is certain.
  bool may_be_connection_specific() const noexcept {
    constexpr std::uint64_t kNames =
        detail::name_bit("connection") | detail::name_bit("keep-alive") |
        detail::name_bit("proxy-connection") | detail::name_bit("transfer-encoding") |
        detail::name_bit("upgrade") | detail::name_bit("te");
    return block_ != nullptr && (block_->names & kNames) != 0;
  }

  /// A token in lower case (RFC 9110 §5.6.2, RFC 9114 §4.2).
  static bool valid_name(std::string_view name) noexcept;
  /// No control character but the tab; no space or tab at either end (RFC 9110 §5.5).
  static bool valid_value(std::string_view value) noexcept;
  /// connection, keep-alive, proxy-connection, transfer-encoding, upgrade: about one HTTP/1.1
  /// connection, so HTTP/2 and HTTP/3 neither send nor accept them (RFC 9114 §4.2). Also `te`,
  /// unless its value is "trailers".
  static bool connection_specific(std::string_view name, std::string_view value) noexcept;

 private:
  struct Line {
    std::uint32_t offset;  // into the text
    std::uint32_t name_size;
    std::uint32_t value_size;
  };
  /// The lines' places follow it, then their text.
  struct Block {
    std::atomic<std::uint32_t> owners{1};
    std::uint32_t count = 0;
    std::uint32_t max_lines = 0;
    std::uint32_t text_size = 0;
    std::uint32_t max_text = 0;
    std::uint32_t valid = 0;  // so many lines at the front were found valid
    std::uint64_t names = 0;  // a bit for each name (detail::name_bit)

    Line* lines() noexcept { return reinterpret_cast<Line*>(this + 1); }
    char* text() noexcept { return reinterpret_cast<char*>(lines() + max_lines); }
    std::size_t size() const noexcept {
      return sizeof(Block) + max_lines * sizeof(Line) + max_text;
    }
  };

  bool may_contain(std::string_view name) const noexcept {
    return block_ != nullptr && (block_->names & detail::name_bit(name)) != 0;
  }
  std::optional<std::string_view> find_line(std::string_view name) const noexcept;
  std::optional<Field> find_invalid() const noexcept;
  void append(std::string_view name, std::string_view value, bool upper_possible);
  bool shared() const noexcept { return block_->owners.load(std::memory_order_acquire) != 1; }
  Block* copy_with_room(std::size_t lines, std::size_t text) const;
  static void let_go(Block* block) noexcept;

  Block* block_ = nullptr;
};

}  // namespace tern::http
