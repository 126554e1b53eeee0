#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace tern::interop {

/// A JSON value (RFC 8259) that was read: for qlog records and lists of endpoints. A value.
class JsonValue {
 public:
  using Member = std::pair<std::string, JsonValue>;
  using Array = std::vector<JsonValue>;
  using Object = std::vector<Member>;

  /// Arrays and objects within each other; deeper text is refused.
  static constexpr std::size_t kMaxDepth = 32;

  /// The whole of `text` is one value. Error invalid with the place of what is wrong.
  static Result<JsonValue> parse(std::string_view text);

  JsonValue() = default;
  explicit JsonValue(bool flag) : value_(flag) {}
  explicit JsonValue(double number) : value_(number) {}
  explicit JsonValue(std::string text) : value_(std::move(text)) {}
  explicit JsonValue(Array items) : value_(std::move(items)) {}
  explicit JsonValue(Object members) : value_(std::move(members)) {}

  bool is_object() const noexcept { return std::holds_alternative<Object>(value_); }
  bool is_array() const noexcept { return std::holds_alternative<Array>(value_); }
  bool is_string() const noexcept { return std::holds_alternative<std::string>(value_); }
  bool is_bool() const noexcept { return std::holds_alternative<bool>(value_); }

  /// An object's member; null when there is none, or this is no object.
  const JsonValue* find(std::string_view name) const noexcept;
  /// Empty unless this is an array, or an object.
  const Array& items() const noexcept;
  const Object& members() const noexcept;
  /// What a string, a number or a boolean holds; else nothing.
  std::optional<std::string_view> text() const noexcept;
  std::optional<double> number() const noexcept;
  std::optional<bool> flag() const noexcept;

  /// A member's text or number: the defaults when it is missing or of another type.
  std::string_view text_of(std::string_view name) const noexcept;
  std::uint64_t count_of(std::string_view name) const noexcept;

 private:
  std::variant<std::monostate, bool, double, std::string, Array, Object> value_;
};

}  // namespace tern::interop
