#include "http/structured_fields.h"

#include "base/ascii.h"

namespace tern::http {

namespace {

bool is_token_byte(char c) noexcept {
  return ascii::is_digit(c) || ascii::is_alpha(c) ||
         std::string_view("!#$%&'*+-.^_`|~:/").find(c) != std::string_view::npos;
}

bool is_key_byte(char c) noexcept {
  return ascii::is_digit(c) || ascii::is_lower(c) || c == '_' || c == '-' || c == '.' || c == '*';
}

bool is_base64_byte(char c) noexcept {
  return ascii::is_digit(c) || ascii::is_alpha(c) || c == '+' || c == '/' || c == '=';
}

}  // namespace

std::string BareItem::unescaped() const {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    plain.push_back(text[i]);
  }
  return plain;
}

std::optional<BareItem> StructuredCursor::item() noexcept {
  if (failed_) return std::nullopt;
  first_ = false;
  return bare_item();
}

std::optional<BareItem> StructuredCursor::next_member() noexcept {
  if (!to_member()) return std::nullopt;
  return member_value();
}

std::optional<StructuredCursor::Entry> StructuredCursor::next_entry() noexcept {
  if (!to_member()) return std::nullopt;
  const auto name = key();
  if (!name) return fail();
  Entry entry;
  entry.key = *name;
  if (!eat('=')) return entry;  // true, with parameters perhaps
  const auto value = member_value();
  if (!value) return fail();
  entry.value = *value;
  return entry;
}

std::optional<StructuredCursor::Entry> StructuredCursor::next_parameter() noexcept {
  if (failed_ || !eat(';')) return std::nullopt;
  skip_spaces();
  const auto name = key();
  if (!name) return fail();
  Entry entry;
  entry.key = *name;
  if (!eat('=')) return entry;
  const auto value = bare_item();
  if (!value) return fail();
  entry.value = *value;
  return entry;
}

bool StructuredCursor::at_end() noexcept {
  while (next_parameter()) {
  }
  skip_spaces();
  return !failed_ && text_.empty();
}

void StructuredCursor::skip_spaces() noexcept {
  while (!text_.empty() && text_.front() == ' ') text_.remove_prefix(1);
}

void StructuredCursor::skip_blanks() noexcept {
  while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\t')) text_.remove_prefix(1);
}

bool StructuredCursor::to_member() noexcept {
  while (next_parameter()) {
  }
  if (failed_) return false;
  if (first_) {
    first_ = false;
    return !text_.empty();
  }
  // Spaces at the very end of the field are no blanks between members (§4.2).
  const std::string_view before_spaces = text_;
  skip_spaces();
  if (text_.empty()) return false;
  text_ = before_spaces;
  skip_blanks();
  if (!eat(',')) {
    fail();
    return false;
  }
  skip_blanks();
  if (text_.empty()) fail();  // a trailing comma
  return !failed_;
}

bool StructuredCursor::eat(char wanted) noexcept {
  if (text_.empty() || text_.front() != wanted) return false;
  text_.remove_prefix(1);
  return true;
}

std::optional<std::string_view> StructuredCursor::key() noexcept {
  if (text_.empty() || (!ascii::is_lower(text_.front()) && text_.front() != '*'))
    return std::nullopt;
  std::size_t size = 1;
  while (size < text_.size() && is_key_byte(text_[size])) ++size;
  const std::string_view name = text_.substr(0, size);
  text_.remove_prefix(size);
  return name;
}

std::optional<BareItem> StructuredCursor::member_value() noexcept {
  if (!text_.empty() && text_.front() == '(') return inner_list();
  return bare_item();
}

std::optional<BareItem> StructuredCursor::inner_list() noexcept {
  text_.remove_prefix(1);
  const std::string_view inside = text_;
  while (!text_.empty()) {
    skip_spaces();
    const std::size_t size = inside.size() - text_.size();
    if (eat(')')) {
      BareItem list;
      list.kind = BareItem::Kind::inner_list;
      list.text = inside.substr(0, size);
      return list;
    }
    if (!bare_item()) return fail();
    while (next_parameter()) {
    }
    if (failed_) return std::nullopt;
    if (text_.empty() || (text_.front() != ' ' && text_.front() != ')')) return fail();
  }
  return fail();
}

std::optional<BareItem> StructuredCursor::bare_item() noexcept {
  if (text_.empty()) return fail();
  BareItem item;
  const char start = text_.front();
  if (start == '-' || ascii::is_digit(start)) {
    item.kind = number(item);
    if (failed_) return std::nullopt;
    return item;
  }
  if (start == '"') {
    text_.remove_prefix(1);
    for (std::size_t i = 0; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '"') {
        item.kind = BareItem::Kind::string;
        item.text = text_.substr(0, i);
        text_.remove_prefix(i + 1);
        return item;
      }
      if (c == '\\') {
        ++i;
        if (i == text_.size() || (text_[i] != '"' && text_[i] != '\\')) return fail();
      } else if (c < 0x20 || c == 0x7f) {  // also bytes from 0x80: char is signed
        return fail();
      }
    }
    return fail();
  }
  if (start == '*' || ascii::is_alpha(start)) {
    std::size_t size = 1;
    while (size < text_.size() && is_token_byte(text_[size])) ++size;
    item.kind = BareItem::Kind::token;
    item.text = text_.substr(0, size);
    text_.remove_prefix(size);
    return item;
  }
  if (start == ':') {
    const std::size_t end = text_.find(':', 1);
    if (end == std::string_view::npos) return fail();
    item.kind = BareItem::Kind::bytes;
    item.text = text_.substr(1, end - 1);
    for (const char c : item.text) {
      if (!is_base64_byte(c)) return fail();
    }
    text_.remove_prefix(end + 1);
    return item;
  }
  if (start == '?' && text_.size() >= 2 && (text_[1] == '0' || text_[1] == '1')) {
    item.kind = BareItem::Kind::boolean;
    item.boolean = text_[1] == '1';
    text_.remove_prefix(2);
    return item;
  }
  return fail();
}

/// At most 15 digits, or 12 and then 1 to 3 after the point (§4.2.4).
BareItem::Kind StructuredCursor::number(BareItem& item) noexcept {
  const bool negative = eat('-');
  std::size_t whole = 0;
  std::int64_t value = 0;
  while (whole < text_.size() && ascii::is_digit(text_[whole]) && whole < 16) {
    value = value * 10 + (text_[whole++] - '0');
  }
  if (whole == 0 || whole > 15) {
    fail();
    return BareItem::Kind::integer;
  }
  text_.remove_prefix(whole);
  if (!eat('.')) {
    item.integer = negative ? -value : value;
    return BareItem::Kind::integer;
  }
  std::size_t fraction = 0;
  double part = 0;
  double scale = 0.1;
  while (fraction < text_.size() && ascii::is_digit(text_[fraction]) && fraction < 4) {
    part += (text_[fraction++] - '0') * scale;
    scale /= 10;
  }
  if (whole > 12 || fraction == 0 || fraction > 3) fail();
  text_.remove_prefix(fraction);
  item.decimal = (static_cast<double>(value) + part) * (negative ? -1 : 1);
  return BareItem::Kind::decimal;
}

}  // namespace tern::http
