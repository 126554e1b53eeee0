#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Structured field values (RFC 8941), read without allocating: a cursor walks over the field's
/// text and hands out items one by one. A field that breaks the grammar anywhere is to be ignored
/// as a whole (§4.2), so callers act only when the cursor has reached its end without failing.
/// Values are views into the text given to the cursor.

namespace tern::http {

/// A bare item (§3.3). `text` is the token, the string between its quotes (escapes still in it) or
/// the base64 of a byte sequence; for an inner list everything between its parentheses.
struct BareItem {
  enum class Kind : std::uint8_t { integer, decimal, string, token, bytes, boolean, inner_list };
  Kind kind = Kind::boolean;
  bool boolean = true;
  std::int64_t integer = 0;
  double decimal = 0;
  std::string_view text;

  /// A string without its escapes.
  std::string unescaped() const;
};

/// Walks over one value. Use one of the three sequences:
///   item:        item() then parameters, then at_end()
///   list:        while (auto item = next_member()) parameters
///   dictionary:  while (auto entry = next_entry()) parameters
/// After each item its parameters may be read with `next_parameter`; what was not read is skipped.
class StructuredCursor {
 public:
  explicit StructuredCursor(std::string_view text) noexcept : text_(text) { skip_spaces(); }

  struct Entry {
    std::string_view key;
    BareItem value;
  };

  /// A lone item.
  std::optional<BareItem> item() noexcept;
  /// The list's next member; nothing at its end or when the text is malformed (see `failed`).
  std::optional<BareItem> next_member() noexcept;
  /// The dictionary's next entry; a key without a value is `true`.
  std::optional<Entry> next_entry() noexcept;
  /// The next parameter of the item read last.
  std::optional<Entry> next_parameter() noexcept;
  /// Nothing but spaces follows.
  bool at_end() noexcept;
  bool failed() const noexcept { return failed_; }

 private:
  void skip_spaces() noexcept;
  void skip_blanks() noexcept;
  /// Moves to the next member of a list or dictionary.
  bool to_member() noexcept;
  bool eat(char wanted) noexcept;
  std::optional<std::string_view> key() noexcept;
  std::optional<BareItem> bare_item() noexcept;
  std::optional<BareItem> inner_list() noexcept;
  std::optional<BareItem> member_value() noexcept;
  BareItem::Kind number(BareItem& item) noexcept;
  std::nullopt_t fail() noexcept {
    failed_ = true;
    return std::nullopt;
  }

  std::string_view text_;  // what is left
  bool first_ = true;
  bool failed_ = false;
};

}  // namespace tern::http
