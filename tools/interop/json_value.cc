#include "tools/interop/json_value.h"

#include <charconv>

#include <fmt/format.h>

namespace tern::interop {
namespace {

/// Recursive descent; `at_` is where it stopped when something is wrong.
class Reader {
 public:
  explicit Reader(std::string_view text) noexcept : text_(text) {}

  Result<JsonValue> whole() {
    std::optional<JsonValue> read = value(0);
    skip_space();
    if (!read || at_ != text_.size()) {
      return fail(Error::invalid(fmt::format("no JSON at byte {}", at_)));
    }
    return std::move(*read);
  }

 private:
  void skip_space() noexcept {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
  }

  bool take(char wanted) noexcept {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  bool take_word(std::string_view word) noexcept {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  std::optional<JsonValue> value(std::size_t depth) {
    skip_space();
    if (at_ >= text_.size() || depth > JsonValue::kMaxDepth) return std::nullopt;
    switch (text_[at_]) {
      case '{': return object(depth);
      case '[': return array(depth);
      case '"': {
        auto read = string();
        if (!read) return std::nullopt;
        return JsonValue(std::move(*read));
      }
      case 't': return take_word("true") ? std::optional(JsonValue(true)) : std::nullopt;
      case 'f': return take_word("false") ? std::optional(JsonValue(false)) : std::nullopt;
      case 'n': return take_word("null") ? std::optional(JsonValue()) : std::nullopt;
      default: return number();
    }
  }

  /// Where a number at `at_` ends (RFC 8259 §6); `at_` itself: there is none. `from_chars` alone
  /// would take "01", "1." and "-inf", too.
  std::size_t end_of_number() const noexcept {
    std::size_t end = at_;
    const auto skip = [&](char wanted) {
      const bool there = end < text_.size() && text_[end] == wanted;
      end += there ? 1 : 0;
      return there;
    };
    const auto skip_digits = [&] {
      const std::size_t begin = end;
      while (end < text_.size() && text_[end] >= '0' && text_[end] <= '9') ++end;
      return end > begin;
    };
    skip('-');
    if (!skip('0') && !skip_digits()) return at_;
    if (skip('.') && !skip_digits()) return at_;
    if (skip('e') || skip('E')) {
      if (!skip('-')) skip('+');
      if (!skip_digits()) return at_;
    }
    return end;
  }

  std::optional<JsonValue> number() {
    const std::string_view text = text_.substr(at_, end_of_number() - at_);
    double read = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), read);
    if (text.empty() || error != std::errc()) return std::nullopt;
    at_ += text.size();
    return JsonValue(read);
  }

  std::optional<JsonValue> array(std::size_t depth) {
    ++at_;
    JsonValue::Array items;
    if (take(']')) return JsonValue(std::move(items));
    do {
      auto item = value(depth + 1);
      if (!item) return std::nullopt;
      items.push_back(std::move(*item));
    } while (take(','));
    if (!take(']')) return std::nullopt;
    return JsonValue(std::move(items));
  }

  std::optional<JsonValue> object(std::size_t depth) {
    ++at_;
    JsonValue::Object members;
    if (take('}')) return JsonValue(std::move(members));
    do {
      skip_space();
      if (at_ >= text_.size() || text_[at_] != '"') return std::nullopt;
      auto name = string();
      if (!name || !take(':')) return std::nullopt;
      auto content = value(depth + 1);
      if (!content) return std::nullopt;
      members.emplace_back(std::move(*name), std::move(*content));
    } while (take(','));
    if (!take('}')) return std::nullopt;
    return JsonValue(std::move(members));
  }

  std::optional<std::string> string() {
    std::string out;
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return out;
      }
      if (static_cast<unsigned char>(c) < 0x20) return std::nullopt;
      if (c != '\\') {
        out += c;
        continue;
      }
      if (++at_ >= text_.size()) return std::nullopt;
      constexpr std::string_view kEscapes = "\"\\/bfnrt";
      constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
      if (const auto which = kEscapes.find(text_[at_]); which != kEscapes.npos) {
        out += kMeanings[which];
      } else if (text_[at_] != 'u' || !code_point(out)) {
        return std::nullopt;
      }
    }
    return std::nullopt;
  }

  std::optional<std::uint32_t> four_hex() noexcept {
    std::uint32_t unit = 0;
    if (at_ + 4 >= text_.size()) return std::nullopt;
    const char* const begin = text_.data() + at_ + 1;
    const auto [end, error] = std::from_chars(begin, begin + 4, unit, 16);
    if (error != std::errc() || end != begin + 4) return std::nullopt;
    at_ += 4;
    return unit;
  }

  /// "\uXXXX", and the other half of a surrogate pair; `at_` is on the u, then on the last digit.
  bool code_point(std::string& out) {
    auto unit = four_hex();
    if (!unit) return false;
    std::uint32_t code = *unit;
    if (code >= 0xd800 && code < 0xdc00 && text_.substr(at_ + 1, 2) == "\\u") {
      at_ += 2;
      const auto low = four_hex();
      if (!low || *low < 0xdc00 || *low > 0xdfff) return false;
      code = 0x10000 + ((code - 0xd800) << 10) + (*low - 0xdc00);
    }
    if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
    const auto add = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
      add(code);
    } else if (code < 0x800) {
      add(0xc0 | code >> 6);
      add(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      add(0xe0 | code >> 12);
      add(0x80 | (code >> 6 & 0x3f));
      add(0x80 | (code & 0x3f));
    } else {
      add(0xf0 | code >> 18);
      add(0x80 | (code >> 12 & 0x3f));
      add(0x80 | (code >> 6 & 0x3f));
      add(0x80 | (code & 0x3f));
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<JsonValue> JsonValue::parse(std::string_view text) { return Reader(text).whole(); }

const JsonValue* JsonValue::find(std::string_view name) const noexcept {
  for (const Member& member : members()) {
    if (member.first == name) return &member.second;
  }
  return nullptr;
}

const JsonValue::Array& JsonValue::items() const noexcept {
  static const Array none;
  const auto* items = std::get_if<Array>(&value_);
  return items != nullptr ? *items : none;
}

const JsonValue::Object& JsonValue::members() const noexcept {
  static const Object none;
  const auto* members = std::get_if<Object>(&value_);
  return members != nullptr ? *members : none;
}

std::optional<std::string_view> JsonValue::text() const noexcept {
  const auto* text = std::get_if<std::string>(&value_);
  return text != nullptr ? std::optional<std::string_view>(*text) : std::nullopt;
}

std::optional<double> JsonValue::number() const noexcept {
  const auto* number = std::get_if<double>(&value_);
  return number != nullptr ? std::optional(*number) : std::nullopt;
}

std::optional<bool> JsonValue::flag() const noexcept {
  const auto* flag = std::get_if<bool>(&value_);
  return flag != nullptr ? std::optional(*flag) : std::nullopt;
}

std::string_view JsonValue::text_of(std::string_view name) const noexcept {
  const JsonValue* member = find(name);
  return member != nullptr ? member->text().value_or(std::string_view()) : std::string_view();
}

std::uint64_t JsonValue::count_of(std::string_view name) const noexcept {
  constexpr double kLargest = 9007199254740992.0;  // 2^53: beyond it doubles skip integers
  const JsonValue* member = find(name);
  const double number = member != nullptr ? member->number().value_or(0) : 0;
  return number >= 0 && number <= kLargest ? static_cast<std::uint64_t>(number) : 0;
}

}  // namespace tern::interop
